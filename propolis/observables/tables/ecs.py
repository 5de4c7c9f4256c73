"""Findings of Wazuh 5.x: ECS fields, whatever the product behind them was."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.table import Composed, Source, part, rows, text
from propolis.observables.texts import command

_HASHES = ("md5", "sha1", "sha256", "sha512")


def _hashes(*owners: str) -> tuple[str, ...]:
    return tuple(f"{owner}.hash.{name}" for owner in owners for name in _HASHES)


def _site(value: str) -> Iterable[Found]:
    """The name of a site; the endpoint of a cloud's own service says nothing."""
    return (
        ()
        if re.fullmatch(r"[a-z0-9-]+\.(?:[a-z]{2}-[a-z]+-\d\.amazonaws|googleapis)\.com", value)
        else kinds.peer(value)
    )


def _request(fields: dict[str, Any]) -> Composed:
    """The URL: in full, else put together; a path alone stays a path."""
    url = part(fields, "url")
    for name in ("full", "original"):
        for found in kinds.url(text(url, name)):
            yield found._replace(role="request"), f"url.{name}"
            return
    path = text(url, "path") or text(url, "original")
    host = text(url, "domain")
    if not path.startswith("/"):
        return
    if host and values.url(f"http://{host}/"):
        yield Found("url", f"{text(url, 'scheme') or 'http'}://{host}{path}", "", "request"), "url.path"
    else:
        for found in kinds.uri(path):
            yield found._replace(role="request"), "url.path"


def _registry(fields: dict[str, Any]) -> Composed:
    registry = part(fields, "registry")
    if text(registry, "path"):
        key = text(registry, "path")
    else:
        key = "\\".join(
            piece for piece in (text(registry, "hive"), text(registry, "key"), text(registry, "value")) if piece
        )
    for found in kinds.key(key):
        yield found._replace(role="registry"), "registry.path"


def _related(fields: dict[str, Any]) -> Composed:
    """`related` mixes parties and the asset: used only where no address has a place of its own."""
    if any(isinstance(part(fields, party).get("ip"), str) for party in ("source", "destination", "client", "server")):
        return
    for address in part(fields, "related").get("ip") or ():
        for found in kinds.ip(address) if isinstance(address, str) else ():
            yield found._replace(role="related"), "related.ip"


def _compose(fields: dict[str, Any]) -> Composed:
    yield from _request(fields)
    yield from _registry(fields)
    yield from _related(fields)


def _long_digest(value: str) -> list[Found]:
    return list(kinds.digest(value)) if re.fullmatch(r"\s*[0-9A-Fa-f]{32,128}\s*", value) else []


FINDING = Source(
    "finding",
    rows(
        "",
        (
            kinds.ip,
            "source",
            "source.ip",
            "client.ip",
            "source.nat.ip",
            "client.nat.ip",
            "source.address",
            "network.forwarded_ip",
        ),
        (
            kinds.ip,
            "destination",
            "destination.ip",
            "server.ip",
            "destination.nat.ip",
            "server.nat.ip",
            "destination.address",
        ),
        (kinds.name, "source", "source.domain", "client.domain"),
        (kinds.name, "destination", "destination.domain", "server.domain"),
        (kinds.name, "query", "dns.question.name"),
        (kinds.peer, "result", "dns.resolved_ip", "dns.answers.data"),
        (_site, "request", "url.domain", "tls.client.server_name"),
        (_long_digest, "file", *_hashes("file", "dll", "email.attachments.file")),
        (_long_digest, "process", *_hashes("process", "process.parent")),
        (kinds.file, "file", "file.path", "email.attachments.file.name"),
        (kinds.file, "file", "dll.path"),
        (kinds.program, "process", "process.executable", "process.parent.executable"),
        (command.command_line, "command", "process.command_line", "process.parent.command_line"),
        (kinds.user, "subject", "user.name", "source.user.name", "client.user.name"),
        (kinds.user, "target", "user.target.name", "user.effective.name", "destination.user.name"),
        (kinds.mail, "subject", "user.email", "client.user.email", "source.user.email"),
        (kinds.mail, "sender", "email.from.address", "email.sender.address", "email.reply_to.address"),
        (kinds.mail, "recipient", "email.to.address", "email.cc.address", "email.bcc.address"),
        (kinds.agent, "client", "user_agent.original"),
        (kinds.url, "referrer", "http.request.referrer"),
        (kinds.vulnerability, "vulnerability", "vulnerability.id"),
        (kinds.service, "service", "service.target.name"),
        (kinds.indicator, "related", "wazuh.threat.enrichments.matched.atomic"),
    ),
    compose=_compose,
)

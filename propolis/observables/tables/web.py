"""Web servers, proxies, web application firewalls, and applications that log requests."""

from __future__ import annotations

from typing import Any

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.table import Composed, Source, part, rows, text
from propolis.observables.texts import access_log


def _included(fields: dict[str, Any]) -> Composed:
    """A URL that the request wants included; read only where a rule called the request an attack."""
    groups = part(fields, "rule").get("groups")
    if isinstance(groups, list) and "attack" in groups:
        for found in access_log.included_url(text(fields, "data", "url")):
            yield found, "data.url"


ACCESS = Source(
    "web access log",
    rows(
        "",
        (kinds.peer, "source", "data.srcip"),
        (kinds.uri, "request", "data.url"),
        (kinds.user, "subject", "data.srcuser", "data.dstuser"),
        (kinds.agent, "client", "data.user_agent", "data.http_user_agent"),
        (access_log.access_line, "client", "full_log"),
    ),
    compose=_included,
)
ERROR = Source(
    "web error log",
    rows(
        "",
        (kinds.ip, "source", "data.srcip"),
        (kinds.uri, "request", "data.url"),
        (kinds.user, "subject", "data.srcuser", "data.dstuser"),
        (access_log.error_line, "request", "full_log"),
    ),
)


def _cloudflare_request(fields: dict[str, Any]) -> Composed:
    data = part(fields, "data")
    host, path = text(data, "ClientRequestHost"), text(data, "ClientRequestURI")
    scheme = text(data, "ClientRequestScheme") or "https"
    address = values.url(f"{scheme}://{host}{path}") if host and path.startswith("/") else None
    return ((Found("url", address, "", "request"), "data.ClientRequestURI"),) if address else ()


CLOUDFLARE = Source(
    "cloudflare",
    rows(
        "data",
        (kinds.ip, "source", "ClientIP"),
        (kinds.ip, "destination", "OriginIP"),
        (kinds.peer, "request", "ClientRequestHost"),
        (kinds.agent, "client", "ClientRequestUserAgent"),
        (kinds.url, "referrer", "ClientRequestReferer"),
    ),
    compose=_cloudflare_request,
)
F5 = Source(
    "f5 asm",
    rows(
        "data",
        (kinds.ip, "source", "srcip"),
        (kinds.ips, "source", "cs5"),
        (kinds.ip, "destination", "dstip"),
        (kinds.user, "subject", "dstuser", "suser"),
        (kinds.uri, "request", "request"),
        (access_log.raw_request, "client", "cs3"),
    ),
)
WAF = Source(
    "web application firewall",
    rows("data", (kinds.uri, "request", "url", "uri", "request"), (kinds.agent, "client", "agent", "user_agent")),
    loose=True,
)

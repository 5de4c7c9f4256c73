"""Firewalls, VPN gateways and other network devices."""

from __future__ import annotations

import re
from typing import Any

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.table import Composed, Source, part, rows, text
from propolis.observables.tables.unix import STATIC
from propolis.observables.texts import syslog


def _fortigate_request(fields: dict[str, Any]) -> Composed:
    """`hostname` and `url` (a path) make the URL."""
    data = part(fields, "data")
    host, path = text(data, "hostname"), text(data, "url")
    if not path.startswith("/") or len(path) < 2 or values.domain(host) is None:
        return ()
    scheme = "https" if text(data, "service").upper() in ("HTTPS", "SSL") else "http"
    return ((Found("url", f"{scheme}://{host}{path}", "", "request"), "data.url"),)


def _interface(value: str) -> list[Found]:
    """`https(192.0.2.1)`: how and from where an administrator came."""
    found = re.search(r"\(([^)]+)\)", value)
    return list(kinds.ip(found.group(1) if found else value))


FORTINET = Source(
    "fortinet",
    rows(
        "data",
        (kinds.ip, "source", "srcip", "remip", "src_ip", "sip", "client_ip"),
        (kinds.ips, "source", "forwardedfor", "client.name"),
        (_interface, "source", "ui", "userfrom"),
        (kinds.ip, "destination", "dstip", "dst_ip", "dip", "locip"),
        (kinds.user, "subject", "srcuser", "user", "unauthuser", "xauthuser", "user_name"),
        (kinds.user, "target", "dstuser"),
        (kinds.uri, "request", "url"),
        (kinds.peer, "request", "hostname"),
        (kinds.agent, "client", "agent"),
        (kinds.file, "file", "filename"),
        (kinds.digest, "file", "analyticscksum", "filehash", "checksum"),
        (kinds.threat, "threat", "virus", "attack"),
        (kinds.vulnerability, "vulnerability", "attack", "cve"),
        (kinds.mail, "sender", "from", "sender", "mail_from"),
        (kinds.mail, "recipient", "to", "recipient", "rcpt_to"),
        (kinds.name, "query", "qname"),
    ),
    compose=_fortigate_request,
)
CISCO = Source("cisco", STATIC + rows("", (syslog.cisco, "related", "full_log")), loose=True)


def _palo_alto_object(fields: dict[str, Any]) -> Composed:
    """`url_filename` is a URL without a scheme for web traffic, else the name of a file."""
    data = part(fields, "data")
    value = text(data, "url_filename").strip(" \"'")
    if values.is_placeholder(value):
        return
    if "/" in value or text(data, "threat_content_type") == "url":
        full = value if "://" in value else f"http://{value}"
        for found in kinds.url(full) if not value.startswith("/") else kinds.uri(value):
            yield found._replace(role="request"), "data.url_filename"
    else:
        for found in kinds.file(value):
            yield found._replace(role="file"), "data.url_filename"


PALO_ALTO = Source(
    "palo alto",
    rows(
        "data",
        (kinds.ip, "source", "source_address", "nat_source_ip", "srcip", "public_ip", "source_ip"),
        (kinds.ip, "destination", "destination_address", "nat_destination_ip", "dstip"),
        (kinds.ips, "source", "xff", "x_forwarded_for"),
        (kinds.user, "subject", "source_user", "srcuser", "admin"),
        (kinds.user, "target", "destination_user", "dstuser"),
        (kinds.digest, "file", "file_digest"),
        (kinds.agent, "client", "user_agent"),
        (kinds.url, "referrer", "referer"),
        (kinds.mail, "sender", "sender"),
        (kinds.mail, "recipient", "recipient"),
        (kinds.vulnerability, "vulnerability", "threat_id"),
        (kinds.threat, "threat", "threat_id"),
    ),
    compose=_palo_alto_object,
)
CHECK_POINT = Source(
    "check point",
    rows(
        "data",
        (kinds.ip, "source", "src", "srcip", "origin"),
        (kinds.ip, "destination", "dst", "dstip", "peer_gateway"),
        (kinds.user, "subject", "user", "srcuser", "administrator"),
        (kinds.uri, "request", "resource", "url"),
        (kinds.threat, "threat", "malware_family", "protection_name", "attack"),
        (kinds.digest, "file", "file_md5", "file_sha1", "file_sha256"),
        (kinds.file, "file", "file_name"),
    ),
)
PF = Source(
    "packet filter",
    rows("data", (kinds.ip, "source", "srcip", "src_ip"), (kinds.ip, "destination", "dstip", "dst_ip")),
)
# Devices that put what matters into a sentence, whatever their decoder took from it.
SENTENCES = Source("network device", STATIC + rows("", (syslog.device, "related", "full_log")), loose=True)
HUAWEI = Source("huawei usg", STATIC + rows("data", (kinds.peer, "request", "host")), loose=True)
FIREEYE = Source(
    "fireeye", STATIC + rows("data", (kinds.peer, "destination", "host"), (kinds.ip, "related", "dvc")), loose=True
)

"""Network sensors: Suricata's eve, Zeek (Owlh), and Snort's alerts."""

from __future__ import annotations

import re
from typing import Any

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.table import Composed, Source, part, rows, text
from propolis.observables.texts import syslog

_WEB_PORTS = ("80", "443", "8080", "8000", "8443", "8888", "3128")


def _request(fields: dict[str, Any]) -> Composed:
    """The URL that host, path and port make."""
    data = part(fields, "data")
    http = part(data, "http")
    host, path = text(http, "hostname").strip(), text(http, "url").strip()
    if "://" in path[:10]:
        return ((found, "data.http.url") for found in kinds.url(path))
    if not host or not path.startswith("/") or values.is_placeholder(host):
        return ()
    address = values.url(f"{_scheme(data)}://{host}{_port(host, data, http)}{path}")
    return ((Found("url", address, "", "request"), "data.http.url"),) if address else ()


def _scheme(data: dict[str, Any]) -> str:
    return "https" if text(data, "dest_port") == "443" and "tls" in data else "http"


def _port(host: str, data: dict[str, Any], http: dict[str, Any]) -> str:
    """The server's port where it is not the usual one; the server may be either end of the alert's packet."""
    if re.search(r":\d+\Z", host):
        return ""
    port = text(http, "http_port")
    if not port:
        if text(data, "src_port") in _WEB_PORTS or host == text(data, "src_ip"):
            port = text(data, "src_port")
        else:
            port = text(data, "dest_port")
    return "" if port in ("", "80", "443", "0") or not port.isdecimal() else f":{port}"


SURICATA = Source(
    "suricata",
    rows(
        "data",
        (kinds.ip, "source", "src_ip"),
        (kinds.ip, "destination", "dest_ip"),
        (kinds.ips, "source", "xff", "http.xff"),
        (kinds.peer, "request", "http.hostname"),
        (kinds.url, "referrer", "http.http_refer"),
        (kinds.agent, "client", "http.http_user_agent"),
        (kinds.name, "request", "tls.sni"),
        (kinds.name, "query", "dns.rrname", "dns.query.rrname", "dns.queries.rrname"),
        (
            kinds.peer,
            "result",
            "dns.answers.rdata",
            "dns.grouped.A",
            "dns.grouped.AAAA",
            "dns.grouped.CNAME",
            "dns.rdata",
        ),
        (kinds.mail, "sender", "smtp.mail_from", "email.from"),
        (kinds.mail, "recipient", "smtp.rcpt_to", "email.to", "email.cc"),
        (kinds.file, "file", "email.attachment"),
        (kinds.url, "related", "email.url"),
        (kinds.user, "subject", "ftp.user", "krb5.cname", "smb.ntlmssp.user"),
        (kinds.path, "file", "fileinfo.filename"),
        (
            kinds.digest,
            "file",
            "fileinfo.md5",
            "fileinfo.sha1",
            "fileinfo.sha256",
            "files.md5",
            "files.sha1",
            "files.sha256",
        ),
        (kinds.vulnerability, "vulnerability", "alert.signature", "alert.metadata.cve"),
    ),
    compose=_request,
)


def _zeek_request(fields: dict[str, Any]) -> Composed:
    data = part(fields, "data")
    host, path = text(data, "host"), text(data, "uri")
    address = (
        values.url(f"http://{host}{path}")
        if path.startswith("/") and (values.domain(host) or values.ip_address(host))
        else None
    )
    return ((Found("url", address, "", "request"), "data.uri"),) if address else ()


ZEEK = Source(
    "zeek",
    rows(
        "data",
        (kinds.ip, "source", "id.orig_h", "orig_h", "src", "tx_hosts"),
        (kinds.ip, "destination", "id.resp_h", "resp_h", "dst", "rx_hosts"),
        (kinds.name, "query", "query"),
        (kinds.peer, "result", "answers"),
        (kinds.peer, "request", "host", "server_name"),
        (kinds.url, "referrer", "referrer"),
        (kinds.agent, "client", "user_agent"),
        (kinds.user, "subject", "username", "user"),
        (kinds.mail, "sender", "mailfrom", "from"),
        (kinds.mail, "recipient", "rcptto", "to"),
        (kinds.file, "file", "filename"),
        (kinds.digest, "file", "md5", "sha1", "sha256"),
        (kinds.vulnerability, "vulnerability", "msg", "note"),
    ),
    compose=_zeek_request,
)
SNORT = Source(
    "snort",
    rows(
        "",
        (kinds.ip, "source", "data.srcip"),
        (kinds.ip, "destination", "data.dstip"),
        (syslog.addresses, "related", "full_log"),
        (kinds.vulnerability, "vulnerability", "full_log"),
    ),
)

"""Lines of web servers: access logs in the common and combined forms, error logs, ModSecurity, raw requests."""

from __future__ import annotations

import re
from collections.abc import Iterator

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.patterns import lazy

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_COMBINED = lazy(rf"{_QUOTED} \d{{3}} (?:\d+|-)\s+{_QUOTED}\s+{_QUOTED}")
_USER = lazy(r"\s-\s+([^\s\[\]-][^\s\[\]]*)\s+\[\d{1,2}/")
_IIS_AGENT = lazy(r"\s((?:Mozilla/\d\.\d|curl/|Wget/|python-requests/|Opera/)\S*)")
_NGINX_FIELD = lazy(rf"\b(client|host|referrer|request): (?:{_QUOTED}|([^,\s]+))")
_APACHE_REFERRER = lazy(r", referer: (\S+)\s*\Z")
_LOOKUP = lazy(r"\$\{jndi:([a-z]{3,5}://[^\s}]{3,2048})", re.IGNORECASE)
_MODSECURITY_FIELD = lazy(r'\[(hostname|uri) "([^"]*)"\]')


def access_line(text: str) -> Iterator[Found]:
    """The user agent, the referrer and the authenticated user; the address and the path are fields of the alert."""
    found = _COMBINED.search(text)
    if found:
        yield from _as(kinds.url(found.group(2)), "referrer")
        yield from _as(kinds.agent(found.group(3).replace('\\"', '"')), "client")
    else:
        iis = _IIS_AGENT.search(text)
        if iis and '"' not in text:
            yield from _as(kinds.agent(iis.group(1)), "client")
    user = _USER.search(text)
    if user:
        yield from _as(kinds.user(user.group(1)), "subject")


def error_line(text: str) -> Iterator[Found]:
    """Apache's and nginx's error logs, with ModSecurity's fields."""
    if "[hostname " in text or "[uri " in text:
        for name, value in _MODSECURITY_FIELD.findall(text):
            yield from _as(kinds.uri(value) if name == "uri" else kinds.peer(value), "request")
    referrer = _APACHE_REFERRER.search(text)
    if referrer:
        yield from _as(kinds.url(referrer.group(1)), "referrer")
    if " client: " in text:
        for name, quoted, bare in _NGINX_FIELD.findall(text):
            yield from _nginx(name, quoted or bare)


def _nginx(name: str, value: str) -> Iterator[Found]:
    if name == "client":
        yield from _as(kinds.ip(value), "source")
    elif name == "host":
        yield from _as(kinds.peer(value), "request")
    elif name == "request":
        yield from _as(kinds.request_line(value), "request")
    else:
        yield from _as(kinds.url(value), "referrer")


def raw_request(text: str) -> Iterator[Found]:
    """A whole HTTP request with its line ends written as `\\r\\n`: its path and its user agent."""
    text = text.replace("\\r\\n", "\n").replace("\r\n", "\n")
    line, _, headers = text.partition("\n")
    yield from _as(kinds.request_line(line), "request")
    found = re.search(r"^User-Agent: *(.+)$", headers, re.IGNORECASE | re.MULTILINE)
    if found:
        yield from _as(kinds.agent(found.group(1)), "client")


def included_url(path: str) -> Iterator[Found]:
    """The URL that a request tries to have included (`?page=http://192.0.2.1/x.txt`) or looked up (`${jndi:..}`)."""
    for address in _LOOKUP.findall(path):
        yield from _as(kinds.url(address), "request")
    for address in re.findall(r"=((?:https?|ftp)(?:://|%3A%2F%2F)[^&\s]+)", path, re.IGNORECASE):
        value = values.url(address.replace("%3A", ":").replace("%2F", "/").replace("%3a", ":").replace("%2f", "/"))
        host = values.url_host(value) if value else ""
        if value and (values.ip_address(host) or values.domain(host)):
            yield Found("url", value, "", "request")


def _as(found: object, role: str) -> Iterator[Found]:
    for seen in found:  # type: ignore[attr-defined]
        yield seen if seen.role else seen._replace(role=role)

"""Messages of well-known daemons: what stands in the line but not in the alert's fields.

Each reader takes the whole `full_log` of its own decoder only. The forms are those of the daemons' sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.names import words
from propolis.observables.patterns import lazy

_SSHD = lazy(
    r"(?:(?:Failed|Accepted) \S+ for |Invalid user |authenticating user |invalid user |illegal user |for user |"
    r"attempts exceeded for |error for |^User | user )(?:invalid user |illegal user )?(\S+) (?:from )?(\S+)"
)
_SSHD_NAME = lazy(r"(?:getaddrinfo for|Address \S+ maps to) (\S+?),? (?:\[([^\]]+)\]|but )")
_NAME_AND_ADDRESS = lazy(r"(?<![\w.-])([\w.-]*)\[((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+)\]")
_ENVELOPE = lazy(
    r"\b(?P<part>from|to|orig_to|F|P|RCPT|sender|recipient)\s{0,4}[=:]?\s{0,4}<(?P<mail>[^<>\s@]{1,64}@[^<>\s@]{1,255})>",
    re.IGNORECASE,
)
_NAMED = lazy(r"client (?:@\S+ )?([0-9A-Fa-f:.]+)#\d+(?: \(([^)]+)\))?")
_NAMED_QUERY = lazy(r"(?:query(?: \(cache\))?:? '?|zone transfer '|update '|resolving ')([A-Za-z0-9_.-]+)[/' ]")
_PAM = lazy(r"\b(ruser|rhost|user)=(\S+)")
_ASTERISK = lazy(r"Registration from '\"?([^\"'<]{0,128})\"?[^']{0,256}' failed for '([^']{1,64})'")
_PBX_ADDRESS = lazy(r"RemoteAddress=\"IPV[46]/\w{3}/([^/\"]{1,64})")
_PBX_ACCOUNT = lazy(r"AccountID=\"([^\"]{1,128})\"")
_SENTENCE = lazy(
    r"\b(from|by|client|host|source|peer|rhost|remote|addr)(?: (?:ip|address|host))?[ =:]{1,2}[\"'\[(<]{0,2}"
    r"((?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:.]{2,43})(?![\w./])",
    re.IGNORECASE,
)
_LOGIN = lazy(
    r"\b(?:for|user|username|account)(?: (?:invalid )?user)?[ :=]{1,2}[\"'<\[]?([\w.@\\$-]{1,64})[\"'>\]]?,? from "
)
_MAIL_TOKEN = lazy(r"(?<=\s)[^\s@<>]{1,64}@[^\s@<>]{3,190}(?=\s)")
_ARROW = lazy(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})(?::\d+|\(\d+\))? -> ((?:\d{1,3}\.){3}\d{1,3})(?::\d+)?(?![\w./])")
# Juniper's sessions: `192.0.2.1/5555->198.51.100.2/22`; a client's port has three digits at least, a mask has two.
_SESSION = lazy(r"(?<![\w.])((?:\d{1,3}\.){3}\d{1,3})/\d{3,5}->((?:\d{1,3}\.){3}\d{1,3})/\d{1,5}(?![\w./])")
# OpenVPN and proxies begin with the peer: `openvpn[7]: bob/192.0.2.1:1194 TLS Error`.
_PEER = lazy(r"\]: (?:([\w.@-]{1,64})/)?((?:\d{1,3}\.){3}\d{1,3}):\d{1,5} ")
# Databases name an account and its host: `'root'@'192.0.2.1'`.
_ACCOUNT_AT = lazy(r"'([^'\s]{1,64})'@'([^'\s]{1,253})'")
_QUOTED_LOGIN = lazy(r"(?:\bfor user [\"'\[]|\[user: )([\w.@\\$-]{1,64})[\"'\]]")
# ClamAV: `/home/bob/eicar.com: Win.Test.EICAR_HDB-1 FOUND`.
_INFECTED = lazy(r" (/[^:]{1,1024}): (\S{1,256}) FOUND\Z")
_TOKEN = lazy(r"[^\s,;()<>\[\]\"'=]+")


def sshd(text: str) -> Iterator[Found]:
    """Who tried to log in, from where; and the name that the reverse look-up gave."""
    found = _SSHD.search(text.partition("]: ")[2] or text)
    if found and found.group(1) != "from":
        address = values.ip_address(found.group(2))
        if address:
            yield Found("ip", address, "", "source")
            yield from _as(kinds.user(found.group(1)), "subject")
    named = _SSHD_NAME.search(text)
    if named:
        yield from _as(kinds.name(named.group(1)), "source")
        yield from _as(kinds.ip(named.group(2) or ""), "source")


def pam(text: str) -> Iterator[Found]:
    """`ruser=`, `rhost=` and `user=` of pam_unix and its kin."""
    roles = {"ruser": "subject", "user": "target", "rhost": "source"}
    for part, value in _PAM.findall(text):
        yield from _as(kinds.peer(value) if part == "rhost" else kinds.user(value), roles[part])


def mailer(text: str) -> Iterator[Found]:
    """Mail servers: the envelope, the peer as `name[address]` or `H=(name) [address]`, and who tried to log in."""
    login = re.search(r"\b(?:sasl_username|set_id)=<?([^\s,)>]{1,254})", text)
    if login:
        yield from _as(kinds.user(login.group(1)), "subject")
    for found in _ENVELOPE.finditer(text):
        part = found.group("part").lower()
        role = "sender" if part in ("from", "f", "sender") else "recipient"
        yield from _as(kinds.mail(found.group("mail")), role)
    for name, address in _NAME_AND_ADDRESS.findall(text):
        yield from _as(kinds.ip(address), "source")
        if name not in ("unknown", "", "localhost"):
            yield from _as(kinds.name(name), "source")


def exim(text: str) -> Iterator[Found]:
    """Exim: as the other mailers, and the host that greets as `H=name (helo) [address]`."""
    yield from mailer(text)
    found = re.search(r"\bH=([\w.-]+)?\s*(?:\(([^)]*)\))? ?\[([0-9A-Fa-f:.]+)\]", text)
    if found:
        yield from _as(kinds.ip(found.group(3)), "source")
        yield from _as(kinds.name(found.group(1) or ""), "source")
    found = re.search(r"input=\"(.*)\"", text)
    if found:
        from propolis.observables.texts.access_log import raw_request

        yield from (seen for seen in raw_request(found.group(1)) if seen.data_type == "user-agent")


def dovecot(text: str) -> Iterator[Found]:
    """`user=<x>, rip=1.2.3.4, lip=...`, `sql(user@example.org,1.2.3.4)`."""
    found = re.search(r"\buser=<([^>]+)>", text)
    if found:
        yield from _as(kinds.user(found.group(1)), "target")
    found = re.search(r"\brip=([0-9A-Fa-f:.]+)", text)
    if found:
        yield from _as(kinds.ip(found.group(1)), "source")


def ftpd(text: str) -> Iterator[Found]:
    """FTP servers: the peer as `name[address]` or `(user@address)`, and `USER name`."""
    for name, address in _NAME_AND_ADDRESS.findall(text.replace(" [", "[")):
        yield from _as(kinds.ip(address), "source")
        yield from _as(kinds.name(name), "source")
    peer = re.search(r"connection from ([0-9A-Fa-f:.]{3,45}) \(([\w.-]{0,253})\)", text)
    if peer:
        yield from _as(kinds.ip(peer.group(1)), "source")
        yield from _as(kinds.name(peer.group(2)), "source")
    found = re.search(r"\bUSER ([^\s:]+)", text) or _QUOTED_LOGIN.search(text)
    if found:
        yield from _as(kinds.user(found.group(1)), "subject")
    found = re.search(r"\(([^@\s(]+)@([^)\s]+)\)", text)
    if found:
        yield from _as(kinds.peer(found.group(2)), "source")
        yield from _as(kinds.user(found.group(1).replace("?", "")), "subject")


def named(text: str) -> Iterator[Found]:
    """BIND: who asked for what."""
    found = _NAMED.search(text)
    if found:
        yield from _as(kinds.ip(found.group(1)), "source")
        yield from _as(kinds.name(found.group(2) or ""), "query")
    query = _NAMED_QUERY.search(text)
    if query:
        yield from _as(kinds.name(query.group(1)), "query")


def squid(text: str) -> Iterator[Found]:
    """Squid's own access log: `GET http://host/ user NONE/- text/html`."""
    found = re.search(r"\s[A-Z_]+/\d{3} \d+ [A-Z]+ \S+ (\S+) [A-Z_]+/(\S+)", text)
    if found:
        yield from _as(kinds.user(found.group(1)), "subject")
        yield from _as(kinds.ip(found.group(2)), "destination")


def asterisk(text: str) -> Iterator[Found]:
    """Asterisk and FreePBX: `Registration from '"101" <sip:..>' failed for '192.0.2.1:5060'`."""
    found = _ASTERISK.search(text)
    if found:
        yield from _as(kinds.user(found.group(1)), "subject")
        yield from _as(kinds.ip(found.group(2)), "source")
    for pattern, kind, role in ((_PBX_ADDRESS, kinds.ip, "source"), (_PBX_ACCOUNT, kinds.user, "subject")):
        event = pattern.search(text)
        if event:
            yield from _as(kind(event.group(1)), role)


def sentence(text: str) -> Iterator[Found]:
    """A log-in message of a program nobody wrote a table for: `... for bob from 192.0.2.1`, `client 192.0.2.1`."""
    for found in _SENTENCE.finditer(text):
        yield from _as(kinds.ip(found.group(2)), "source")
    login = _LOGIN.search(text) or _QUOTED_LOGIN.search(text)
    if login:
        yield from _as(kinds.user(login.group(1)), "subject")
    for pattern, first, second in _ENDS:
        ends = pattern.search(text)
        if ends:
            yield from _as(first[0](ends.group(1) or ""), first[1])
            yield from _as(second[0](ends.group(2)), second[1])


_SOURCE, _SUBJECT = (kinds.peer, "source"), (kinds.user, "subject")
_ENDS = (
    (_SESSION, _SOURCE, (kinds.ip, "destination")),
    (_PEER, _SUBJECT, _SOURCE),
    (_ACCOUNT_AT, _SUBJECT, _SOURCE),
    (_INFECTED, (kinds.path, "file"), (kinds.threat, "threat")),
)


def barracuda(text: str) -> Iterator[Found]:
    """Barracuda's mail gateway: `name[address] id 1 2 SCAN - sender recipient ... SUBJ:...`."""
    head = text.partition("SUBJ:")[0]
    for name, address in _NAME_AND_ADDRESS.findall(head):
        yield from _as(kinds.ip(address), "source")
        yield from _as(kinds.name(name), "source")
    for role, found in zip(("sender", "recipient"), _MAIL_TOKEN.findall(head), strict=False):
        yield from _as(kinds.mail(found), role)


def device(text: str) -> Iterator[Found]:
    """As `addresses`, without the header in which the device names itself."""
    return addresses(text.partition(": ")[2] or text)


def addresses(text: str) -> Iterator[Found]:
    """Network devices that write sentences (Cisco, NetScreen, Snort): the tokens that are addresses, in their order.

    `inside:192.0.2.1/59610` is one, with interface and port; `10.0.0.0/24` and `255.255.255.0` are none.
    """
    arrow = _ARROW.search(text)
    if arrow:
        yield from _as(kinds.ip(arrow.group(1)), "source")
        yield from _as(kinds.ip(arrow.group(2)), "destination")
    role = "related"
    for found in _TOKEN.finditer(text):
        token = found.group()
        role = _DIRECTIONS.get(token.lower(), role)
        address = _device_address(token)
        if address:
            yield Found("ip", address, "", role)


_DIRECTIONS = {
    "from": "source",
    "src": "source",
    "host": "source",
    "laddr": "source",
    "to": "destination",
    "dst": "destination",
    "faddr": "destination",
}


def _device_address(token: str) -> str | None:
    token = token.rstrip(".,")
    if not any(sign.isdigit() for sign in token) or ("." not in token and ":" not in token):
        return None
    head, slash, tail = token.partition("/")
    if slash:
        if not tail.isdigit() or (int(tail) <= 32 and ":" not in head and head.endswith(".0")) or "->" in token:
            return None
        token = head
    address = values.ip_address(token)
    if address is None and ":" in token:
        address = values.ip_address(token.partition(":")[2])
    return address


def cisco(text: str) -> Iterator[Found]:
    """Cisco ASA, PIX and FTD: the addresses, and the name on a dynamic list."""
    body = text.partition("%")[2].partition(": ")[2]
    yield from addresses(body)
    for peer in _CISCO_PEER.findall(body):
        yield from _as(kinds.ip(peer), "source")
    listed = re.search(r"(?:dynamic|local|static) list: ([\w.-]+\.[A-Za-z]{2,})", body)
    if listed:
        yield from _as(kinds.name(listed.group(1)), "destination")
    for user in _CISCO_USER.findall(body):
        if values.ip_address(user) is None and user.lower() not in _NO_NAMES:
            yield from _as(kinds.user(user.rstrip(".")), "subject")
            break
    for name, value in _FTD_FIELD.findall(body):
        kind, role = _FTD[name]
        yield from _as(kind(value.strip()), role)


_CISCO_USER = lazy(r"\b(?:user|username|Uname)[ =:]+'?\"?<?([A-Za-z0-9_.@\\-]+)", re.IGNORECASE)
# A client of the VPN: `Group = x, Username = y, IP = 192.0.2.1`, `User <y> IP <192.0.2.1>`.
_CISCO_PEER = lazy(r"\bIP(?: = | <)([0-9A-Fa-f:.]{3,45})")
_NO_NAMES = frozenset(
    words("authentication authorization from ip requested request logged logout executed unknown idle found is has was")
)
# Firepower's connection events: `..., URL: http://example.org/, UserAgent: Wget/1.2, ...`.
_FTD_FIELD = lazy(r"(?:^|, )(URL|UserAgent|HTTPReferer|ReferencedHost|DNSQuery|FileName|FileSHA256): ([^,]+)")
_FTD: dict[str, tuple[kinds.Kind, str]] = {
    "URL": (kinds.url, "request"),
    "UserAgent": (kinds.agent, "client"),
    "HTTPReferer": (kinds.url, "referrer"),
    "ReferencedHost": (kinds.name, "request"),
    "DNSQuery": (kinds.name, "query"),
    "FileName": (kinds.file, "file"),
    "FileSHA256": (kinds.digest, "file"),
}


def rootcheck(text: str) -> Iterator[Found]:
    """`Rootkit 'X' detected by the presence of file '/y'`, `Trojaned version of file '/y' detected`."""
    for label, value in re.findall(r"\b(Rootkit|[Ff]ile|[Dd]irectory|Process) '([^']+)'", text):
        if label == "Rootkit":
            yield Found("other", value, "threat-name", "threat")
        else:
            yield from _as(kinds.path(value), "file")


def composite(text: str) -> Iterator[Found]:
    """`previous_output` of a composite rule: where the earlier events came from; nothing else of them is asked for."""
    for line in text.split("\n")[:200]:
        yield from (found for found in _line(line) if found.data_type == "ip" and found.role == "source")


def _line(line: str) -> Iterable[Found]:
    if "sshd" in line:
        return sshd(line)
    first = line.partition(" ")[0]
    return _as(kinds.ip(first), "source") if ' "' in line and "[" in line else ()


def _as(found: Iterable[Found], role: str) -> Iterator[Found]:
    for seen in found:
        yield seen._replace(role=role)


def audit(text: str) -> Iterator[Found]:
    """The parts of an audit record that Wazuh's decoder leaves in the text: the account, and where it came from."""
    found = re.search(r'\bacct="?([^"\s\']+)', text)
    if found:
        yield from _as(kinds.user(found.group(1)), "target")
    found = re.search(r"\baddr=([0-9A-Fa-f:.]+)", text)
    if found:
        yield from _as(kinds.ip(found.group(1)), "source")
    found = re.search(r"\bproctitle=((?:[0-9A-F]{2}){4,4096})\b", text)
    if found:
        from propolis.observables.texts.command import command_line

        line = bytes.fromhex(found.group(1)).replace(b"\0", b" ").decode("utf-8", "replace")
        yield from (seen for seen in command_line(line) if seen.data_type in ("url", "ip"))


def kernel(text: str) -> Iterator[Found]:
    """AppArmor's denials and netfilter's `SRC=.. DST=..`."""
    if "apparmor=" in text:
        found = re.search(r'\bname="([^"]+)"', text)
        if found:
            yield from _as(kinds.path(found.group(1)), "file")
    for name, role in (("SRC", "source"), ("DST", "destination")):
        found = re.search(rf"\b{name}=([0-9A-Fa-f:.]+)", text)
        if found:
            yield from _as(kinds.ip(found.group(1)), role)


def nextcloud(text: str) -> Iterator[Found]:
    """`Login failed: 'admin' (Remote IP: '192.0.2.1')`."""
    found = re.search(r"Login failed: '?([^'()]{1,256}?)'? \(Remote IP: '?([^')]{1,64})'?\)", text)
    if found:
        yield from _as(kinds.user(found.group(1)), "subject")
        yield from _as(kinds.ip(found.group(2)), "source")

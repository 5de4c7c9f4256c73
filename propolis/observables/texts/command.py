"""Command lines and scripts: their tokens, and what those name.

A version number after `-Version`, a netmask, a CIDR block, a vendor's link or a local file of the operating system is
no observable; a URL, a remote address, a mail address, an output file or a script from outside the system folders is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from propolis.observables import values
from propolis.observables.model import Found
from propolis.observables.patterns import lazy

LONGEST = 65_536  # characters of one text that are read; Wazuh's own limit for a whole event
_URL = lazy(r"(?:https?|ftps?|sftp|ldaps?|rmi|tftp|smb|hxxps?)://[^\s\"'`<>|;,)(\\^{}\]\[]+", re.IGNORECASE)
_TOKEN = lazy(r"\"[^\"]*\"|'[^']*'|[^\s\"']+")
_EDGES = "\"'`,;()[]{}<>|&"
_OUTPUT = lazy(
    r"(?:\s-(?:o|out|output|outfile)[\s:=]+|\s-O\s+|\s--output(?:-document)?[\s=]+|\s>{1,2}\s*"
    r"|\s-Destination\s+|certutil\S*\s.{0,512}?://\S+\s+|DownloadFile\(\s*(?:\"[^\"]*\"|'[^']*')\s*,\s*)[\"']?([^\s\"'|;,)&]{3,260})",
    re.IGNORECASE,
)
_REMOTE = lazy(
    r"(?:-(?:ComputerName|cn|CimSession)\s+|/node:|\s/v:|\\\\)[\"']?([A-Za-z0-9][A-Za-z0-9.-]{1,62})(?![\w$])",
    re.IGNORECASE,
)
_WINDOWS_PATH = lazy(r"(?:[A-Za-z]:|%\w+%|\\\\[\w.-]+\\[\w$.-]+)\\[^\"'<>|*?;,]+\.\w{1,10}\Z")
_UNIX_PATH = lazy(
    r"/(?:tmp|var/(?:tmp|www|spool/cron)|home|opt|root|dev/shm|srv|mnt|media|usr/local|Users|Volumes|run)/[^\s\"'*$;,:]+\Z"
)
_ENCODED = lazy(r"\s[-/]e(?:c|nc|nco|ncod\w*)?\s+[\"']?([A-Za-z0-9+/=]{24,})", re.IGNORECASE)
_EXECUTED = lazy(r"<Command>([^<]*)</Command>(?:\s*<Arguments>([^<]*)</Arguments>)?", re.IGNORECASE)
_VERSIONISH = lazy(r"version\Z|(?:\A|[-/_])ver\Z|mask\Z|build\Z", re.IGNORECASE)


def command_line(text: str) -> list[Found]:
    """What a command line names, in the order in which it does."""
    text = text[:LONGEST]
    found = list(_encoded(text))
    rest = _URL.sub(" ", text)
    found.extend(_urls(text))
    found.extend(_outputs(text))
    found.extend(_tokens(rest))
    found.extend(_remotes(rest))
    return list(dict.fromkeys(found))


def windows_command(text: str) -> list[Found]:
    """A command line as Wazuh writes event data: doubled backslashes, escaped quotes, XML entities."""
    return command_line(plain(text))


def plain(text: str) -> str:
    """Event data as Windows had it."""
    if "\\" in text:
        text = text.replace("\\\\", "\\").replace('\\"', '"')
    return entities(text)


def entities(text: str) -> str:
    """The text with the XML entities resolved that Wazuh leaves in."""
    if "&" in text:
        for name, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
            text = text.replace(name, sign)
    return text


def script(text: str) -> list[Found]:
    """A PowerShell script block: as a command line, but what its comments cite is not part of what it does."""
    text = plain(text[:LONGEST])
    return command_line(re.sub(r"(?:^|(?<=\s))#(?!>).*?(?=\s{2}|[\r\n]|\Z)", " ", text))


def task(text: str) -> list[Found]:
    """A scheduled task's definition: only what it executes. Arguments are escaped a second time inside it."""
    executed = _EXECUTED.findall(plain(text[:LONGEST]))
    lines = [entities(f"{program} {arguments}") for program, arguments in executed]
    return [found for line in lines for found in (*_program(line), *command_line(line))]


def _program(line: str) -> Iterator[Found]:
    path = values.file_path(line.split("  ", maxsplit=1)[0])
    if path and _WINDOWS_PATH.match(path) and not values.is_system_binary(path):
        yield Found("filename", path, "", "command")


def _urls(text: str) -> Iterator[Found]:
    if "://" not in text:
        return
    for found in _URL.finditer(text):
        address = values.url(found.group().rstrip(".,:'\""))
        if address and not values.is_reference(address):
            yield Found("url", address, "", "command")


def _outputs(text: str) -> Iterator[Found]:
    if ">" not in text and "-" not in text and "(" not in text:
        return
    for found in _OUTPUT.finditer(" " + text):
        path = found.group(1).strip(_EDGES)
        if _looks_like_file(path):
            yield Found("filename", path, "", "file")


def _looks_like_file(path: str) -> bool:
    if path[:1] in ("$", "&", "-", "%") or "://" in path or path.lower() in ("nul", "/dev/null"):
        return False
    if values.ip_address(path) or values.is_system_binary(path):
        return False
    return re.search(r"[\w~-]\.[A-Za-z][A-Za-z0-9]{0,5}\Z", path) is not None or _UNIX_PATH.match(path) is not None


def _tokens(text: str) -> Iterator[Found]:
    previous = ""
    for found in _TOKEN.finditer(text):
        token = found.group()
        if token[0] in "\"'" and re.search(r"\s", token):
            inner = token[1:-1]
            yield from _file(inner) if _WINDOWS_PATH.match(inner) else _tokens(inner)
            continue
        for piece in _pieces(token):
            if not _VERSIONISH.search(previous):
                yield from _piece(piece)
            previous = piece


def _pieces(token: str) -> Iterator[str]:
    """The token itself, and what stands after the sign that joins an option to its value."""
    token = token.strip(_EDGES)
    option, sign, value = token.partition("=")
    if (sign and option[:1] in "-/") or (sign and option.isidentifier()):
        yield option
        token = value.strip(_EDGES)
    elif token[:1] in ("/", "-") and ":" in token and not token[1:2].isdigit():
        option, _, value = token.partition(":")
        yield option
        token = value.strip(_EDGES)
    elif token[:1] == "@":
        token = token[1:].strip(_EDGES)
    if "," in token or ";" in token or "|" in token:
        yield from (part.strip(_EDGES) for part in re.split(r"[,;|]", token))
    elif token:
        yield token


def _piece(piece: str) -> Iterator[Found]:
    if len(piece) < 4:
        return
    if piece[0].isdigit() or piece[0] == "[":
        address = values.ip_address(piece)
        if address:
            yield Found("ip", address, "", "command")
            return
    if "@" in piece:
        yield from _at(piece)
    elif "\\" in piece or piece[0] == "/":
        yield from _file(piece)


def _at(piece: str) -> Iterator[Found]:
    """`user@example.org`, or `user@192.0.2.1:/path` of ssh and scp."""
    address = values.mail(piece)
    if address:
        yield Found("mail", address, "", "command")
        return
    name, _, host = piece.partition("@")
    remote = values.ip_address(host.partition(":")[0])
    if remote and name:
        yield Found("ip", remote, "", "command")


def _file(path: str) -> Iterator[Found]:
    if path.startswith("\\\\"):
        remote = values.ip_address(path[2:].partition("\\")[0])
        if remote:
            yield Found("ip", remote, "", "command")
    if (_WINDOWS_PATH.match(path) or _UNIX_PATH.match(path)) and not values.is_system_binary(path):
        yield Found("filename", path, "", "command")


def _remotes(text: str) -> Iterator[Found]:
    if "-" not in text and "\\\\" not in text and "/" not in text:
        return
    for found in _REMOTE.finditer(text):
        host = found.group(1)
        if values.ip_address(host):
            yield Found("ip", host, "", "command")
        elif not found.group().startswith("\\\\") and values.host_name(host) and not host.replace(".", "").isdigit():
            yield Found("hostname", host, "", "command")


def _encoded(text: str) -> Iterator[Found]:
    """PowerShell's `-EncodedCommand`: base64 of UTF-16."""
    found = _ENCODED.search(text)
    if found is None:
        return
    from binascii import Error, a2b_base64

    try:
        decoded = a2b_base64(found.group(1) + "==").decode("utf-16-le")
    except (Error, ValueError):
        return
    if decoded.isprintable() or "\n" in decoded:
        yield from (seen for seen in script(decoded))


def mails(text: str) -> list[Found]:
    """The mail address in `serviceAccount:name@project.example` or `user:name@example.org`."""
    address = values.mail(text.partition(":")[2] or text)
    return [Found("mail", address)] if address else []


def docker_action(text: str) -> list[Found]:
    """`exec_create: sh -c ...`: what was run in the container."""
    action, found, line = text.partition(": ")
    return command_line(line) if found and action.startswith("exec") else []

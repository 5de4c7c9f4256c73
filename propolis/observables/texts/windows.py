"""Texts inside Windows events that have a form of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.patterns import lazy
from propolis.observables.texts.command import command_line, plain, windows_command

_SERVICE = lazy(
    r"\"?((?:[A-Za-z]:|%\w+%|\\\\[\w.-]+)\\[^\"]*?\.(?:exe|sys|dll|bat|cmd|ps1|scr|com))(?=[\"\s]|\Z)", re.IGNORECASE
)


def query_results(text: str) -> Iterator[Found]:
    """Sysmon 22: `type:  5 cname.example;192.0.2.1;::ffff:192.0.2.2;`."""
    for part in text.split(";"):
        answer = part.strip()
        if answer.startswith("type:"):
            answer = answer[5:].strip().partition(" ")[2].strip()
        for found in kinds.ip(answer) or kinds.name(answer):
            yield found._replace(role="result")


def stream_contents(text: str) -> Iterator[Found]:
    """Sysmon 15: the mark of the web with `ReferrerUrl=` and `HostUrl=`."""
    for name, address in re.findall(r"(ReferrerUrl|HostUrl)=(\S+)", plain(text)):
        role = "source" if name == "HostUrl" else "referrer"
        yield from (found._replace(role=role) for found in kinds.url(address))


def registry_details(text: str) -> Iterator[Found]:
    """Sysmon 13: the data of a value, which is often a command line."""
    if not text.startswith(("(", "DWORD", "QWORD", "Binary")):
        yield from command_line(plain(text))


def classic_data(text: str) -> Iterator[Found]:
    """Unnamed data of classic events, joined with commas: SQL Server's `[CLIENT: 192.0.2.1]`, an installer's file."""
    text = plain(text)
    client = re.search(r"\[CLIENT: ([^\]]+)\]", text)
    if client:
        yield from (found._replace(role="source") for found in kinds.ip(client.group(1)))
        login = re.search(r"[Ll]ogin (?:failed|succeeded) for user '([^']+)'", text)
        yield from (f._replace(role="target") for f in kinds.user(login.group(1) if login else text.partition(",")[0]))
    for part in text.split(", "):
        if re.match(r"[A-Za-z]:\\[^,]+\.\w{2,4}\Z", part) and not values.is_system_binary(part):
            yield Found("filename", part, "", "file")


def gateway_message(text: str) -> Iterator[Found]:
    """Remote Desktop Gateway writes the user and the client only into its sentence."""
    found = re.search(r'The user "([^"]+)", on client computer "([^"]+)"', text)
    if found:
        yield from (seen._replace(role="subject") for seen in kinds.user(found.group(1)))
        yield from (seen._replace(role="source") for seen in kinds.host(found.group(2)))


def shell_context(text: str) -> Iterator[Found]:
    """PowerShell's context: `User = EXAMPLE\\bob`, `Script Name = C:\\x.ps1`, `Host Application = powershell ...`."""
    for name, value in re.findall(r"^\s*(User|Script Name|Host Application) = (\S.*)$", text, re.MULTILINE):
        if name == "User":
            yield from (found._replace(role="subject") for found in kinds.user(value.strip()))
        elif name == "Script Name":
            yield from (found._replace(role="file") for found in kinds.path(value.strip()))
        else:
            yield from windows_command(value.strip())


def setting(text: str) -> Iterator[Found]:
    """Defender's changed setting: `HKLM\\SOFTWARE\\...\\Exclusions\\Paths\\C:\\Temp = 0x0`."""
    yield from kinds.key(text.partition(" = ")[0])


def unc(text: str) -> Iterator[Found]:
    """The machine in a network path, where it is an address."""
    found = re.match(r"\\\\([^\\]+)\\", plain(text))
    if found:
        yield from (seen._replace(role="destination") for seen in kinds.ip(found.group(1)))


def service_image(text: str) -> Iterator[Found]:
    """The program of a service: its `ImagePath` is a command line that begins with a path, perhaps in quotes."""
    found = _SERVICE.match(plain(text).strip())
    if found:
        yield from kinds.program(found.group(1))


def relative_file(text: str) -> Iterator[Found]:
    """A file within a share; a bare word in its place is a pipe."""
    if re.search(r"[^\\]\.\w{1,5}\Z", text):
        yield from kinds.file(text)


def object_file(text: str) -> Iterator[Found]:
    """A file that was opened; the object may also be a process, which is named by its device path."""
    path = None if any(kinds.key(text)) else values.file_path(text)
    if path and not (path.startswith("\\Device\\") and values.is_system_binary(path)):
        yield from kinds.path(path)


def connection(text: str) -> Iterator[Found]:
    """WinRM: `192.0.2.1/wsman?PSVersion=5.1`."""
    yield from kinds.host(text.partition("/")[0])

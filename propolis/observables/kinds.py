"""Readers of single fields: what a table's row says is in the field, and what that gives.

A kind is a function from the text of a field to what was found in it. Kinds that need a whole grammar (command lines,
access logs, ...) live in `propolis.observables.texts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from propolis.observables import values
from propolis.observables.model import Found

Kind = Callable[[str], Iterable[Found]]


def ip(text: str) -> Iterable[Found]:
    """An address."""
    value = values.ip_address(text)
    return (Found("ip", value),) if value else ()


def endpoint(text: str) -> Iterable[Found]:
    """An address, perhaps followed by port, interface and name, as SonicWall writes it: `192.0.2.1:4507:WAN:pc1`."""
    return ip(text) or (ip(text.partition(":")[0]) if "." in text else ())


def ips(text: str) -> Iterable[Found]:
    """Addresses separated by commas, blanks or semicolons (X-Forwarded-For, DNS answers)."""
    return [found for part in re.split(r"[,;\s]+", text) if part for found in ip(part)]


def host(text: str) -> Iterable[Found]:
    """The remote machine: an address, a domain name or a plain host name."""
    text = text.strip().lstrip("\\")
    address = values.ip_address(text)
    if address:
        return (Found("ip", address),)
    return name(text) or workstation(text)


def name(text: str) -> Iterable[Found]:
    """A domain name."""
    value = values.domain(text)
    return (Found(values.domain_kind(value), value),) if value else ()


def peer(text: str) -> Iterable[Found]:
    """An address or a domain name, perhaps with a port: an HTTP host, a DNS answer."""
    return ip(text) or name(text.rpartition(":")[0] if re.search(r":\d{1,5}\Z", text) else text)


def workstation(text: str) -> Iterable[Found]:
    """The name of a remote machine."""
    value = values.host_name(text)
    return (Found("hostname", value),) if value else ()


def user(text: str) -> Iterable[Found]:
    """An account, also as a distinguished name; one in mail form is a mail address."""
    if "@" in text:
        address = values.mail(text)
        if address:
            return (Found("mail", address),)
    elif "=" in text:
        found = re.match(r"\s*(?:CN|UID)=((?:[^,\\]|\\.)+),", text, re.IGNORECASE)
        text = found.group(1).replace("\\", "") if found else text
    value = values.user_name(text)
    return (Found("other", value, "username"),) if value else ()


def principal(text: str) -> Iterable[Found]:
    """An account that Kerberos may have written with its realm (`alice@EXAMPLE.ORG`), which is no mail address."""
    local, at, realm = text.partition("@")
    return user(local if at and realm.isupper() else text)


def account(text: str) -> Iterable[Found]:
    """An account that is itself the object of the event: a machine account counts too."""
    value = values.user_name(text, machine=True)
    return (Found("other", value, "username"),) if value else ()


def distinguished(text: str) -> Iterable[Found]:
    """An account given as a distinguished name: `CN=alice,CN=Users,DC=example,DC=org`."""
    return user(text) if "=" in text else ()


def mail(text: str) -> Iterable[Found]:
    """One or more mail addresses, with or without names and angle brackets."""
    found = []
    for part in re.split(r"[,;\s]+", text):
        address = values.mail(part.partition("(")[0]) if "@" in part else None
        if address:
            found.append(Found("mail", address))
    return found


def url(text: str) -> Iterable[Found]:
    """A full URL; a link to a vendor's explanation is none."""
    value = values.url(text)
    return (Found("url", value),) if value and not values.is_reference(value) else ()


def uri(text: str) -> Iterable[Found]:
    """What a client asked a server for: a path, or the full URL where a proxy wrote it, perhaps without its scheme."""
    if "://" in text[:12]:
        return url(text)
    if text[:1] != "/":
        host, slash, _ = text.partition("/")
        if slash and values.domain(host):
            return url(f"http://{text}")
        if not slash and "?" not in text:
            return ()
    value = values.uri_path(text)
    return (Found("uri_path", value),) if value else ()


def request_line(text: str) -> Iterable[Found]:
    """`GET /path HTTP/1.1`."""
    method, _, target = text.strip(' "').partition(" ")
    if not 3 <= len(method) <= 10 or not method.isupper():
        return ()
    head, version, _ = target.rpartition(" HTTP/")
    return uri(head if version else target)


def agent(text: str) -> Iterable[Found]:
    """A user agent; one that tries a shellshock or a log4shell is read as the command it is."""
    value = values.user_agent(text)
    if value is None:
        return ()
    found = [Found("user-agent", value)]
    if "() {" in value or "${" in value:
        from propolis.observables.texts.command import command_line

        found += [seen for seen in command_line(value) if seen.data_type == "url"]
    return found


def digest(text: str) -> Iterable[Found]:
    """One hash of a file."""
    value = values.file_hash(text)
    return (Found("hash", value[1], value[0]),) if value else ()


def digests(text: str) -> Iterable[Found]:
    """Sysmon's `SHA1=..,MD5=..,SHA256=..,IMPHASH=..`; the hash of the import table is not one of the file."""
    found: list[Found] = []
    for part in re.split(r"[,;\s|]+", text):
        label, equals, value = part.rpartition("=")
        if not equals or label.strip().upper() != "IMPHASH":
            found.extend(digest(value))
    return found


def file(text: str) -> Iterable[Found]:
    """The file the event is about, whatever it is."""
    value = values.file_path(text)
    return (Found("filename", value),) if value else ()


def program(text: str) -> Iterable[Found]:
    """A program that acted; one that is part of the operating system is no observable."""
    value = values.file_path(text)
    if value is None or values.is_system_binary(value) or ("\\" not in value and "/" not in value and "." not in value):
        return ()
    return (Found("filename", value),)


_DEFENDER_FILES = frozenset(
    ("file", "containerfile", "process", "startup", "internalbehavior", "amsi", "driver", "taskscheduler")
)


def files(text: str) -> Iterable[Found]:
    """Defender's `file:_C:\\evil.exe; containerfile:_C:\\evil.zip; webfile:_C:\\x|http://host/x|pid:1`."""
    found: list[Found] = []
    for resource in re.split(r";\s*(?=[A-Za-z]+:_)", text):
        label, marked, value = resource.strip().partition(":_")
        found.extend(_resource(label, value) if marked else file(resource.rstrip(";")))
    return found


def _resource(label: str, value: str) -> Iterable[Found]:
    if label == "webfile":
        return [seen for piece in value.split("|") for seen in (url(piece) or _path_only(piece))]
    if label == "CmdLine":
        from propolis.observables.texts.command import windows_command

        return windows_command(value)
    if label in ("regkey", "regkeyvalue", "runkey"):
        return key(value)
    return _path_only(value.partition("->")[0].rstrip(";")) if label in _DEFENDER_FILES else ()


def _path_only(text: str) -> Iterable[Found]:
    return file(text) if "\\" in text or text[:1] == "/" else ()


def drive_file(text: str) -> Iterable[Found]:
    """A path with the number of its drive type in front (Panda's `3|PROGRAM_FILESX86|\\Vendor\\x.exe`)."""
    return file(re.sub(r"\A\d\|", "", text.strip()))


def path(text: str) -> Iterable[Found]:
    """A file, but only where the field holds a path and not a bare word."""
    value = values.file_path(text)
    if value is None or not re.match(r"/.|[A-Za-z]:\\|\\\\\w|%\w+%\\|\\Device\\", value):
        return ()
    return (Found("filename", value),)


def key(text: str) -> Iterable[Found]:
    """A registry key."""
    value = values.registry_key(text)
    return (Found("registry", value),) if value else ()


def vulnerability(text: str) -> Iterable[Found]:
    """The CVE numbers a product's text names."""
    if "CVE-" not in text and "cve-" not in text:
        return ()
    numbers = re.findall(r"\bCVE-\d{4}-\d{4,7}\b", text, re.IGNORECASE)
    return [Found("other", number.upper(), "cve", "vulnerability") for number in dict.fromkeys(numbers)]


def _other(subtype: str) -> Kind:
    def read(text: str) -> Iterable[Found]:
        text = text.strip(" \t\r\n\"'")
        if values.is_placeholder(text) or len(text) > 512 or re.match(r"\w+=", text):
            return ()
        return (Found("other", text, subtype),)

    read.__doc__ = f"A {subtype}."
    return read


def indicator(text: str) -> Iterable[Found]:
    """What a threat intelligence platform holds: whatever its form says it is."""
    return ip(text) or url(text) or digest(text) or mail(text) or name(text)


_threat_name = _other("threat-name")
_service = _other("service-name")


def service(text: str) -> Iterable[Found]:
    """The name of a service; a bare number in its place is a time-out or a code."""
    return () if text.strip().isdigit() else _service(text)


cloud_account = _other("cloud-account")


def threat(text: str) -> Iterable[Found]:
    """The name of a threat; where a device has only its number to say (`(9999)`), there is none."""
    return () if re.fullmatch(r"\s*\(?\d+\)?\s*", text) else _threat_name(text)

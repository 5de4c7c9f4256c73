"""Canonical values of observables: what a text must look like to be an address, a hash, a domain, ... and its one form.

Every function takes the text of one field (or one token of a text) and gives the canonical value, or None where the
text is not that kind of thing. Placeholders, loopback, masks, octal forms and the like are not, by design: what comes
out of here may be looked up, and blocked.
"""

from __future__ import annotations

import re

from propolis.observables.names import FILE_EXTENSIONS, SECOND_LEVEL
from propolis.observables.patterns import lazy

EMPTY_HASHES = frozenset(
    (
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
)
_HASH_KINDS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}
_PLACEHOLDERS = frozenset(
    (
        "",
        "-",
        "--",
        "?",
        "*",
        "n/a",
        "na",
        "none",
        "null",
        "(null)",
        "nil",
        "unknown",
        "(unknown)",
        "undefined",
        "not available",
        "not applicable",
        "sanitized",
        "redacted",
        "anonymous logon",
        "anonymous",
        "(empty)",
        "hidden_due_to_security_reasons",
    )
)
_FOLDED = frozenset(("hash", "domain", "fqdn", "mail", "hostname", "registry"))


def is_placeholder(text: str) -> bool:
    """True for what a log writes where it has nothing to say: `-`, `N/A`, `xxx.xxx`, `<blacklisted-ip>`."""
    lowered = text.strip().lower()
    return lowered in _PLACEHOLDERS or not lowered.strip("x.*-_ ") or (lowered[0] == "<" and lowered[-1] == ">")


# --- addresses ---------------------------------------------------------------------------------------------------


def ip_address(text: str) -> str | None:
    """An address that can be the end of a connection: `1.2.3.4`, `1.2.3.4:80`, `[2001:db8::1]:443`, `::FFFF:1.2.3.4`.

    None for CIDR blocks, zone ids, leading zeros, loopback, unspecified, masks and anything from 240.0.0.0 on.
    """
    text = text.strip(" \t\r\n\"'")
    if text[:1] == "[":
        text = _bracketed(text)
    if ":" not in text:
        return _ipv4(text)
    host, _, port = text.rpartition(":")
    if ":" not in host:
        return _ipv4(host) if port.isdecimal() and len(port) <= 5 else None
    if text[:7].lower() == "::ffff:" and "." in text:
        return _ipv4(text[7:])
    return _ipv6(text)


def _bracketed(text: str) -> str:
    host, found, port = text[1:].partition("]")
    return host if found and (not port or (port[0] == ":" and port[1:].isdecimal())) else ""


_IPV4 = lazy(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\Z")


def _ipv4(text: str) -> str | None:
    if _IPV4.match(text) is None:
        return None
    head = int(text.partition(".")[0])
    return text if 1 <= head <= 239 and head != 127 else None


def _ipv6(text: str) -> str | None:
    if not 3 <= len(text) <= 45 or not re.fullmatch(r"[0-9A-Fa-f:.]+", text):
        return None
    from socket import AF_INET6, inet_ntop, inet_pton

    try:
        packed = inet_pton(AF_INET6, text)
    except OSError:
        return None
    if packed[:12] == b"\0" * 10 + b"\xff\xff":
        return _ipv4(".".join(str(byte) for byte in packed[12:]))
    if packed[:12] == b"\0" * 12:  # unspecified, loopback, and the long dead IPv4-compatible form
        return None
    return inet_ntop(AF_INET6, packed)


def is_internal(ip: str) -> bool:
    """True for a canonical address that is not routed on the internet: private, shared (100.64/10) or link-local."""
    if ":" in ip:
        return ip[:2] in ("fc", "fd") or ip[:4] in ("fe80", "fe90", "fea0", "feb0") or ip[:3] in ("fe8", "fe9")
    first, second = (int(part) for part in ip.split(".", 2)[:2])
    return (
        first == 10
        or (first == 172 and 16 <= second <= 31)
        or (first == 192 and second == 168)
        or (first == 169 and second == 254)
        or (first == 100 and 64 <= second <= 127)
        or first >= 224
    )


# --- names ---------------------------------------------------------------------------------------------------------


def domain(text: str) -> str | None:
    """A domain name in lower case without the final dot. Not a file name, an address or a reverse name."""
    text = text.strip(" \t\r\n\"'").rstrip(".").lower()
    if not 4 <= len(text) <= 253 or "." not in text or _ipv4(text):
        return None
    if re.fullmatch(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?:[a-z]{2,24}|xn--[a-z0-9-]{2,59})", text) is None:
        return None
    top = text.rpartition(".")[2]
    return None if top in FILE_EXTENSIONS or top == "arpa" else text


def domain_kind(name: str) -> str:
    """`domain` for what is registered (`example.org`, `example.co.uk`), `fqdn` for a name below that."""
    labels = name.split(".")
    registered = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SECOND_LEVEL else 2
    return "domain" if len(labels) <= registered else "fqdn"


def host_name(text: str) -> str | None:
    """The name of a machine as logs write it: with or without a domain, with leading backslashes, never an address."""
    text = text.strip(" \t\r\n\"'").lstrip("\\").rstrip(".")
    if is_placeholder(text) or text.lower().startswith("localhost") or ip_address(text):
        return None
    return text if re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_-])?", text) else None


def mail(text: str) -> str | None:
    """A mail address without its angle brackets."""
    text = text.strip(" \t\r\n\"'<>")
    if text[:7].lower() == "mailto:":
        text = text[7:]
    local, at, host = text.rpartition("@")
    if not at or len(text) > 254 or re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", local) is None:
        return None
    return f"{local}@{host}" if domain(host) else None


_SYSTEM_DOMAINS = frozenset(
    (
        "nt authority",
        "nt service",
        "iis apppool",
        "window manager",
        "font driver host",
        "nt-autorität",
        "autorite nt",
        "autorité nt",
        "builtin",
    )
)
_SYSTEM_ACCOUNTS = frozenset(
    ("system", "localsystem", "local system", "local service", "network service", "localservice", "networkservice")
)


def user_name(text: str, machine: bool = False) -> str | None:
    """An account's name without its domain. None for system accounts, SIDs and, unless wanted, machine accounts."""
    text = text.strip(" \t\r\n\"'")
    if "\\" in text:
        owner, _, text = text.replace("\\\\", "\\").partition("\\")
        if owner.lower() in _SYSTEM_DOMAINS:
            return None
        text = text.lstrip("\\")
    if is_placeholder(text) or len(text) > 256 or text.lower() in _SYSTEM_ACCOUNTS:
        return None
    if text[:4] in ("S-1-", "DWM-", "UMFD") or text[:2] == "%%" or text == "$":
        return None
    return None if text[-1] == "$" and not machine and text[0] != "$" else text


# --- things ----------------------------------------------------------------------------------------------------------


def file_hash(text: str) -> tuple[str, str] | None:
    """(`md5`, the digest in lower case). None for the hash of nothing and for a digest of one repeated digit."""
    text = text.strip(" \t\r\n\"'").lower()
    kind = _HASH_KINDS.get(len(text))
    if kind is None or text in EMPTY_HASHES or re.fullmatch(r"[0-9a-f]+", text) is None or len(set(text)) == 1:
        return None
    return (kind, text)


_SCHEMES = "https?|ftps?|sftp|ldaps?|rmi|dns|nis|iiop|corba|wss?|tftp|smb|gopher|hxxps?"


def url(text: str) -> str | None:
    """A URL with a scheme and a remote host, as written. Blanks may stand in its path (SharePoint writes them)."""
    text = text.strip(" \t\r\n\"'")
    found = re.match(rf"(?:{_SCHEMES})://([^/?#\s]+)", text, re.IGNORECASE)
    if found is None or len(text) > 8192 or "\n" in text:
        return None
    host = found.group(1).rpartition("@")[2]
    return text if _is_remote(host) else None


def _is_remote(host: str) -> bool:
    name = host if host[:1] == "[" else host.partition(":")[0]
    if ip_address(name):
        return True
    if name[:4] == "127." or name in ("localhost", "[::1]", "0.0.0.0"):  # noqa: S104 - compared, not bound
        return False
    return re.fullmatch(
        r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?", name
    ) is not None and not re.fullmatch(r"[\d.]+", name)


def url_host(address: str) -> str:
    """The host of a URL, without user, port and brackets."""
    host = address.partition("://")[2]
    host = re.split(r"[/?#]", host, maxsplit=1)[0].rpartition("@")[2]
    return host[1:].partition("]")[0] if host[:1] == "[" else host.partition(":")[0]


_REFERENCES = lazy(
    r"https?://(?:(?:[\w-]+\.)*)(?:fortinet\.com/|fortiguard\.com/|go\.microsoft\.com/fwlink|security\.microsoft\.com/"
    r"|schemas\.(?:microsoft|xmlsoap|openxmlformats)\.|(?:www\.)?w3\.org/|docs\.(?:aws\.amazon|microsoft)\.com/|virustotal\.com/|abuseipdb\.com/"
    r"|nvd\.nist\.gov/|cve\.mitre\.org/|cti\.wazuh\.com/|console\.aws\.amazon\.com|doc\.emergingthreats\.net/"
    r"|support\.microsoft\.com/|learn\.microsoft\.com/|technet\.microsoft\.com/|aka\.ms/|attack\.mitre\.org/)",
    re.IGNORECASE,
)


def is_reference(address: str) -> bool:
    """True for a link to a vendor's explanation or console: it says nothing about the attack."""
    return _REFERENCES.match(address) is not None


def uri_path(text: str) -> str | None:
    """Path and query of a request. None for a bare `/` and for what is a full URL."""
    text = text.strip(" \t\r\n")
    return text if len(text) > 1 and not is_placeholder(text) and "://" not in text[:12] else None


def user_agent(text: str) -> str | None:
    """A client's name of itself, as written."""
    text = text.strip(" \t\r\n")
    return None if is_placeholder(text) or len(text) < 3 else text


def single_backslashes(text: str) -> str:
    """Runs of backslashes as one, but for the two that begin a network path (Wazuh doubles them in event data)."""
    if "\\\\" not in text:
        return text
    return ("\\\\" if text.startswith("\\\\") else "") + re.sub(r"\\+", r"\\", text.lstrip("\\"))


def file_path(text: str) -> str | None:
    """The path of a file, or its bare name, with single backslashes."""
    text = single_backslashes(text.strip(" \t\r\n\"'"))
    if text[:8].lower() == "file:///":
        text = text[8:] if text[9:10] == ":" else text[7:]
    if is_placeholder(text) or len(text) < 2 or len(text) > 4096 or "\n" in text:
        return None
    return text.replace("\\\\", "\\", 1) if re.match(r"\\\\(?:device|systemroot)\\", text, re.IGNORECASE) else text


_SYSTEM_WINDOWS = lazy(
    r"(?:[a-z]:\\windows|%(?:windir|systemroot)%|\\systemroot)\\(?:"
    r"(?:system32|syswow64|sysnative)\\(?!spool\\|tasks\\|config\\systemprofile\\)|winsxs\\|microsoft\.net\\|servicing\\"
    r"|systemapps\\|immersivecontrolpanel\\|(?:explorer|regedit|notepad|hh|write|winhlp32|splwow64|bfsvc|helppane|"
    r"sysmon|sysmon64)\.exe\Z)",
    re.IGNORECASE,
)
_SYSTEM_UNIX = lazy(r"/(?:usr/)?(?:s?bin|lib(?:exec|32|64)?)/|/dev/(?:null|tty|pts|std)|/System/|/proc/")


def is_system_binary(path: str) -> bool:
    """True for a program that is part of the operating system: a process of that name is no lead by itself."""
    if path[:1] == "/":
        return _SYSTEM_UNIX.match(path) is not None
    if "\\" not in path:
        return path.lower() in ("system", "registry", "memcompression", "secure system", "idle")
    path = re.sub(r"\A\\Device\\HarddiskVolume\d+\\", r"C:\\", path)
    return _SYSTEM_WINDOWS.match(path.removeprefix("\\??\\").removeprefix("\\\\?\\")) is not None


def registry_key(text: str) -> str | None:
    """A registry key (or key and value name) with single backslashes."""
    text = re.sub(r"\\+", r"\\", text.strip(" \t\r\n\"'"))
    return text if re.match(r"(?:HK|\\REGISTRY\\|Computer\\HK)", text, re.IGNORECASE) else None


def cve(text: str) -> str | None:
    """A vulnerability's number in upper case."""
    text = text.strip().upper()
    return text if re.fullmatch(r"CVE-\d{4}-\d{4,7}", text) else None


def canonical(data_type: str, data: str) -> str:
    """The form in which two values of a data type are compared: an observable with what a report was made about."""
    data = data.strip()
    if data_type == "ip":
        return ip_address(data) or data.lower()
    if data_type in ("filename", "registry"):
        data = re.sub(r"\\+", r"\\", data)
    if data_type in ("domain", "fqdn"):
        data = data.rstrip(".")
    return data.lower() if data_type in _FOLDED else data

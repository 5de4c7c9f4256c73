"""How a responder names a file: by a hash, or by the full path of one file. And the files that must never be taken.

A path is refused where two programs could take it for different files: relative ones, `..`, wildcards, variables,
short names (`PROGRA~1`), streams, device and network paths, and endings that Windows silently drops.
"""

from __future__ import annotations

import re

from propolis.errors import InputError
from propolis.guardrails.names import matching, plain
from propolis.guardrails.refusal import BUILT_IN, Refused

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LOOKS_LIKE_A_HASH = re.compile(r"[0-9a-f]{24,}")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_UNFIT_WINDOWS = re.compile(r"[:*?\"<>|%]|~\d|\\\\|[. ](?:\\|\Z)")
_LONGEST = 1024
EMPTY = (
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
)
"""SHA-1 and SHA-256 of the empty file: countless files have it."""

_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh*", "busybox", "login", "su", "sudo", "mount", "init")
_CORE = (
    "ntoskrnl.exe", "hal.dll", "ci.dll", "ntdll.dll", "kernel32.dll", "kernelbase.dll", "user32.dll", "advapi32.dll",
    "rpcrt4.dll", "sechost.dll", "win32k*.sys", "smss.exe", "csrss.exe", "wininit.exe", "winlogon.exe", "logonui.exe",
    "userinit.exe", "services.exe", "lsass.exe", "lsasrv.dll", "svchost.exe", "conhost.exe", "dwm.exe", "cmd.exe",
    "sihost.exe", "winload.*", "config\\*", "drivers\\ntfs.sys", "drivers\\tcpip.sys", "drivers\\ndis.sys",
    "drivers\\fltmgr.sys", "drivers\\disk.sys", "drivers\\acpi.sys", "drivers\\wd*.sys",
    "windowspowershell\\v1.0\\powershell.exe", "openssh\\*",
)  # fmt: skip
_AGENTS = ("ossec-agent", "windows defender*", "microsoft defender*", "sentinelone", "crowdstrike", "elastic")
NEVER_PATHS: tuple[tuple[str, str], ...] = (
    *((f"{root}/ld-*", "the loader of every program") for root in ("/lib*", "/usr/lib*")),
    *((f"{root}/libc[.-]*", "the library of every program") for root in ("/lib*", "/usr/lib*")),
    *((f"{root}/systemd/systemd*", "the first process and its helpers") for root in ("/lib", "/usr/lib")),
    *((f"{root}/{name}", "a shell, or what logs people on") for name in _SHELLS
      for root in ("/bin", "/sbin", "/usr/bin", "/usr/sbin")),
    *((pattern, "the way in for whoever repairs it") for pattern in
      ("/usr/sbin/sshd", "/sbin/sshd", "/usr/lib*/openssh/*", "/usr/libexec/openssh/*", "/usr/lib/ssh/*",
       "/etc/ssh/*")),
    *((pattern, "who may log on") for pattern in
      ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/sudoers*", "/etc/pam.d/*", "/lib*/security/*",
       "/usr/lib*/security/*", "/etc/nsswitch.conf", "/etc/fstab", "/etc/ld.so*")),
    *((pattern, "the kernel and its start") for pattern in ("/boot/*", "/vmlinuz*", "/initrd*", "/proc/*", "/sys/*")),
    *((pattern, "an agent that protects or manages the host") for pattern in
      ("/var/ossec/*", "/library/ossec/*", "/opt/microsoft/mdatp/*", "/etc/opt/microsoft/mdatp/*", "/opt/sentinelone/*",
       "/opt/crowdstrike/*", "/opt/elastic/*", "/etc/propolis*", "/opt/propolis*")),
    *((pattern, "the system itself") for pattern in ("/system/*", "/sbin/launchd", "/usr/libexec/*")),
    *((rf"?:\windows\{folder}\{name}", "the core of Windows") for name in _CORE
      for folder in ("system32", "syswow64", "sysnative")),
    *((pattern, "the core of Windows") for pattern in
      (r"?:\windows\explorer.exe", r"?:\windows\boot\*", r"?:\bootmgr*", r"?:\boot\*", r"?:\efi\*")),
    *((rf"?:\{root}\{name}\*", "an agent that protects or manages the host") for name in _AGENTS
      for root in ("program files", "program files (x86)", r"programdata\microsoft", "programdata")),
)  # fmt: skip
"""Patterns, as `propolis.guardrails.names` reads them (`*` goes over folders), and why; case does not matter."""


def is_path(text: str) -> bool:
    """True for the full path of a file, on Windows or elsewhere."""
    return text.startswith("/") or _DRIVE.match(text) is not None


def is_hash(text: str, digits: int) -> bool:
    """True for a hash in lower case with so many hexadecimal digits: 40 for SHA-1, 64 for SHA-256."""
    return len(text) == digits and _HASH.fullmatch(text) is not None


def canonical_file(text: str) -> str:
    """A SHA-1 or SHA-256 in lower case, or a full path as it was given. Raises InputError for everything else."""
    folded = text.casefold()
    if _HASH.fullmatch(folded):
        if folded in EMPTY:
            raise InputError("This is the hash of the empty file, which countless files have: name one by its path.")
        return folded
    if _LOOKS_LIKE_A_HASH.fullmatch(folded):
        raise InputError("A file is named by its SHA-1 or its SHA-256; other hashes do not stand for exactly one file.")
    if not text.isprintable() or len(text) > _LONGEST:
        raise InputError("The path of a file must be printable text of at most 1024 characters.")
    if not is_path(text):
        raise InputError(f"{text[:80]!r} is no hash and no full path: a name alone may be many files.")
    return _windows(text) if _DRIVE.match(text) else _posix(text)


def _posix(path: str) -> str:
    steps = path.split("/")[1:]
    if any(step in ("", ".", "..") for step in steps):
        raise InputError(f"{path[:80]!r} does not name one file: write it without `..`, `//` and a slash at the end.")
    return path


def _windows(path: str) -> str:
    path = path[0].upper() + path[1:].replace("/", "\\")
    rest = path[3:]
    if not rest or rest.startswith("\\") or rest.endswith("\\") or _UNFIT_WINDOWS.search(rest):
        raise InputError(
            f"{path[:80]!r} does not name one file: write it in full, without wildcards, variables, short names (~1), "
            "streams, `..`, and dots or blanks at the end of a name."
        )
    return path


def check_path(text: str) -> None:
    """Nothing, if this is no path or a file that may be contained. Raises Refused with the rule that forbids it."""
    if not is_path(text):
        return
    form = plain(text)
    for pattern, why in NEVER_PATHS:
        if matching(pattern, (form,)):
            raise Refused(
                f"{text} is never contained: {pattern} is {why}. {BUILT_IN}", rule=f"files.never: {pattern} ({why})"
            )

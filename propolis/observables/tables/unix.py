"""Unix daemons: log-ins, mail, FTP, DNS, directories, databases; and the audit subsystem."""

from __future__ import annotations

import re
from typing import Any

from propolis.observables import kinds
from propolis.observables.table import Composed, Row, Source, part, rows, text
from propolis.observables.texts import command, syslog

# The static fields of Wazuh's syslog decoders.
STATIC = rows(
    "data",
    (kinds.peer, "source", "srcip"),
    (kinds.peer, "destination", "dstip"),
    (kinds.user, "subject", "srcuser"),
    (kinds.user, "target", "dstuser"),
    (kinds.uri, "request", "url"),
)


def _daemon(name: str, *more: tuple[Any, ...], loose: bool = False) -> Source:
    extra: tuple[Row, ...] = rows("", *more)
    return Source(name, STATIC + extra, loose=loose)


SSHD = _daemon("sshd", (syslog.sshd, "source", "full_log"))
PAM = _daemon("pam", (syslog.pam, "source", "full_log"))
SUDO = Source(
    "sudo",
    rows(
        "data",
        (kinds.user, "subject", "srcuser"),
        (kinds.user, "target", "dstuser"),
        (command.command_line, "command", "command"),
    ),
)
SU = _daemon("su")
MAIL = _daemon("mail server", (syslog.mailer, "source", "full_log"), loose=True)
EXIM = _daemon("exim", (syslog.exim, "source", "full_log"), (kinds.peer, "source", "data.host"), loose=True)
BARRACUDA = _daemon("barracuda mail gateway", (syslog.barracuda, "source", "full_log"))
DOVECOT = _daemon("dovecot", (syslog.dovecot, "source", "full_log"), loose=True)
FTP = _daemon("ftp server", (syslog.ftpd, "source", "full_log"))
NAMED = Source(
    "named",
    rows(
        "",
        (kinds.ip, "source", "data.srcip"),
        (kinds.name, "query", "data.url", "data.query", "data.extra_data"),
        (syslog.named, "query", "full_log"),
    ),
    loose=True,
)
ASTERISK = _daemon("asterisk", (syslog.asterisk, "source", "full_log"), loose=True)


def _arguments(fields: dict[str, Any]) -> Composed:
    """`execve.a0 .. aN` are one command line; an argument with blanks or quotes comes as hexadecimal digits."""
    execve = part(fields, "data", "audit", "execve")
    names = sorted((name for name in execve if re.fullmatch(r"a\d{1,3}", name)), key=lambda name: int(name[1:]))
    words = [_unhex(text(execve, name)) for name in names[:256]]
    for found in command.command_line(" ".join(words)):
        yield found, "data.audit.execve"


def _unhex(word: str) -> str:
    if len(word) < 6 or len(word) % 2 or re.fullmatch(r"[0-9A-F]+", word) is None:
        return word
    decoded = bytes.fromhex(word).decode("utf-8", "replace")
    return decoded if decoded.replace("\0", " ").isprintable() else word


AUDIT = Source(
    "auditd",
    rows(
        "data",
        (kinds.ip, "source", "srcip", "audit.srcip", "audit.addr"),
        (kinds.user, "subject", "srcuser", "audit.acct"),
        (kinds.user, "target", "dstuser"),
        (kinds.path, "file", "audit.file.name"),
        (kinds.program, "process", "audit.exe"),
    )
    + rows("", (syslog.audit, "subject", "full_log")),
    compose=_arguments,
)
APPARMOR = Source("kernel", STATIC + rows("", (syslog.kernel, "file", "full_log")))
RESPONSE_TARGET = "data.parameters.alert.data"
# Feedback of active response. It nests the whole original alert; of that, only what the script acted upon counts, as
# everything else has been reported by the original already.
RESPONSE = Source(
    "active response",
    rows("data", (kinds.ip, "source", "srcip"), (kinds.user, "target", "dstuser", "srcuser"))
    + rows(
        RESPONSE_TARGET,
        (kinds.ip, "source", "srcip", "win.eventdata.ipAddress"),
        (kinds.user, "target", "srcuser", "dstuser", "win.eventdata.targetUserName"),
    ),
)
# Output of local commands and compliance checks: their addresses and paths are the host's own state.
STATE = Source("state of the host", ())
API = Source("wazuh api", rows("data", (kinds.ip, "source", "srcip"), (kinds.user, "target", "dstuser")))

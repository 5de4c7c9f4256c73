"""File integrity monitoring, registry monitoring, rootcheck, and what scanners say of a file."""

from __future__ import annotations

from typing import Any

from propolis.observables import kinds, values
from propolis.observables.model import Found
from propolis.observables.table import Composed, Source, part, rows, text
from propolis.observables.texts import syslog

_SERVICE_ACCOUNTS = frozenset(("root", "www-data", "apache", "nginx", "nobody", "daemon", "bin", "mysql", "postgres"))


def _who(fields: dict[str, Any]) -> Composed:
    """Whodata: who was logged in; else the account of the process, unless it is one that services run under."""
    audit = part(fields, "syscheck", "audit")
    login = text(audit, "login_user", "name")
    if login:
        for found in kinds.user(login):
            yield found._replace(role="subject"), "syscheck.audit.login_user.name"
        return
    name = text(audit, "user", "name")
    if name not in _SERVICE_ACCOUNTS:
        for found in kinds.user(name):
            yield found._replace(role="subject"), "syscheck.audit.user.name"


def _registry(fields: dict[str, Any]) -> Composed:
    """The key, and the key with the name of the value."""
    key = values.registry_key(text(fields, "syscheck", "path"))
    if key is None:
        return
    value = text(fields, "syscheck", "value_name")
    if value:
        yield Found("registry", f"{key}\\{value}".replace("\\\\", "\\"), "", "registry"), "syscheck.value_name"
    yield Found("registry", key, "", "registry"), "syscheck.path"


FILE = Source(
    "file integrity",
    rows(
        "syscheck",
        (kinds.file, "file", "path", "symbolic_path"),
        (kinds.digest, "file", "md5_after", "sha1_after", "sha256_after"),
        (kinds.program, "process", "audit.process.name"),
    ),
    compose=_who,
)
# The hashes of a registry value are of its data: no service knows them.
REGISTRY = Source("registry integrity", (), compose=_registry)
ROOTCHECK = Source(
    "rootcheck",
    rows("", (kinds.path, "file", "data.file"), (syslog.rootcheck, "file", "full_log", "data.title")),
)
VIRUSTOTAL = Source(
    "virustotal",
    rows(
        "data.virustotal",
        (kinds.file, "file", "source.file"),
        (kinds.digest, "file", "source.md5", "source.sha1", "source.sha256", "sha1", "md5", "sha256"),
    ),
)
YARA = Source(
    "yara",
    rows(
        "data",
        (kinds.file, "file", "yara_scanned_file", "YARA.scanned_file"),
        (kinds.threat, "threat", "yara_rule", "YARA.rule_name"),
        (kinds.digest, "file", "yara_hash", "YARA.file_hash"),
    ),
)

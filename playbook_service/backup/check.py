"""Is a backup whole? Everything in it is read: hashes, SQLite's own check, counts, the audit chain and its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.audit.journal import AuditFiles, read_lines
from playbook_service.backup import archive
from playbook_service.backup.database import Copy, too_new
from playbook_service.backup.manifest import DATABASE, Manifest
from playbook_service.store.contract import StoreError
from propolis.errors import PropolisError

_MOST = 20


class Checked(NamedTuple):
    """What a look into a backup found; each is a list of sentences, empty where all is well."""

    manifest: Manifest
    faults: list[str]
    """The backup is not what was written: it cannot be restored."""
    audit: list[str]
    """The backup is as it was written, but the audit chain in it was not sound already then."""


def check(file: Path, folder: Path) -> Checked:
    """Unpack a backup into an empty folder and check all of it. Raises InputError for what is no backup at all."""
    manifest, faults = archive.unpack(file, folder)
    if not faults and not (folder / DATABASE).is_file():
        faults.append(f"{DATABASE} is missing")
    if faults:
        return Checked(manifest, faults, [])
    try:
        return _look(manifest, folder)
    except (StoreError, OSError) as error:
        return Checked(manifest, [str(error)], [])


def _look(manifest: Manifest, folder: Path) -> Checked:
    with Copy(folder / DATABASE) as copy:
        damage, schema = copy.damage(), copy.schema()
        newer = too_new(schema)
        if damage or newer:
            return Checked(manifest, [f"{DATABASE} is damaged: {damage}" if damage else newer], [])
        faults = [
            f"{DATABASE} has another {what} than the manifest says"
            for what, found, said in (
                ("schema", schema, manifest.schema),
                ("count of records", copy.counts(), manifest.counts),
                ("audit head", copy.head(), manifest.audit_head),
            )
            if found != said
        ]
        return Checked(manifest, faults, audit_findings(copy, folder))


def audit_findings(copy: Copy, folder: Path) -> list[str]:
    """What is wrong with the chain in the store, and where its files say something else."""
    found = [f"line {one.number} of the audit chain {one.problem}" for one in copy.audit_findings()]
    for number, (written, line) in enumerate(zip(_written(folder), _forever(copy), strict=False), start=1):
        if written != line:
            found.append(f"line {number} of the audit files is not that of the store")
    return found if len(found) <= _MOST else [*found[:_MOST], f"... and {len(found) - _MOST:,} more"]


def _written(folder: Path) -> Any:
    try:
        yield from read_lines(AuditFiles(folder / "audit").paths())
    except PropolisError:
        yield None


def _forever(copy: Copy) -> Any:
    """The chain, and nothing for ever: lines that only the files have are wrong too."""
    yield from copy.lines()
    while True:
        yield object()

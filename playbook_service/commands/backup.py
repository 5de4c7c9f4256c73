"""`propolis backup`: the service's data, whole and of one moment, while the service runs; and a check of backups."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playbook_service.backup.check import Checked, check
from playbook_service.backup.make import make
from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import add_config, print_json, safe
from playbook_service.settings import Settings, load
from playbook_service.store.moved import refuse_moved
from propolis.clock import SystemClock
from propolis.errors import ConfigurationError

ELSEWHERE = (
    "The store is in PostgreSQL, which is backed up and restored by its own tools: "
    "`pg_dump --format=custom --schema=propolis --file=propolis.dump <database>`, `pg_restore --dbname=<database> "
    "propolis.dump`; docs/operate.md says how. Nothing was done."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--to, or --verify."""
    add_config(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", metavar="DIR", type=Path, help="make a backup in that folder")
    what.add_argument("--verify", metavar="FILE", type=Path, help="check a backup: every file, the store, the chain")
    parser.add_argument(
        "--keep", metavar="N", type=_count, default=0, help="with --to: keep the newest N backups there, remove older"
    )


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, not {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """0: made, or sound. 1: it is damaged, or its audit chain is not sound. Raises PropolisError (2)."""
    if arguments.verify is not None:
        return _verify(arguments.verify, arguments.format)
    settings = load(file=arguments.config)
    refuse_elsewhere(settings)
    refuse_moved(Path(settings["data_dir"]))
    with progress() as say:
        made = make(settings, arguments.config, arguments.to, SystemClock(), arguments.keep, say)
    document = {
        "file": str(made.file), "size": made.size, **_document(made.checked),
        "removed": [str(path) for path in made.removed],
    }  # fmt: skip
    lines = [f"{made.file}: {made.size:,} bytes, read back and sound", *(f"removed {path}" for path in made.removed)]
    return _tell(made.checked, arguments.format, document, lines)


def _verify(file: Path, form: str) -> int:
    with tempfile.TemporaryDirectory(prefix="propolis-verify-") as folder:
        checked = check(file, Path(folder))
    word = "damaged" if checked.faults else "sound"
    lines = [*(f"{file}: {safe(fault)}" for fault in checked.faults), f"{file}: {word}"]
    return _tell(checked, form, {"file": str(file), **_document(checked)}, lines)


def _document(checked: Checked) -> dict[str, Any]:
    manifest = checked.manifest
    return {
        "sound": not checked.faults, "faults": checked.faults, "audit_findings": checked.audit,
        "made_at": manifest.made_at, "version": manifest.version, "schema": manifest.schema,
        "audit_head": manifest.audit_head or None, "counts": manifest.counts, "settings": manifest.settings,
        "files": [one._asdict() for one in manifest.files],
    }  # fmt: skip


def _tell(checked: Checked, form: str, document: dict[str, Any], lines: list[str]) -> int:
    if form == "json":
        print_json(document)
    else:
        print(*lines, sep="\n")
        print(*facts(checked), sep="\n")
    return FINDINGS if checked.faults or checked.audit else DONE


def facts(checked: Checked) -> Iterator[str]:
    """What a backup holds, for people."""
    manifest = checked.manifest
    yield safe(
        f"made {manifest.made_at} by Propolis {manifest.version}, schema {manifest.schema}, audit head "
        f"{manifest.audit_head or 'none'}"
    )
    counts = {name: count for table in manifest.counts.values() for name, count in table.items()}
    yield safe(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "an empty store")
    for finding in checked.audit:
        yield safe(f"NOT SOUND when it was backed up: {finding}")


def refuse_elsewhere(settings: Settings) -> None:
    """Raise ConfigurationError where the store is not a file."""
    if settings["store"] not in ("", "sqlite"):
        raise ConfigurationError(ELSEWHERE, path="store")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """One line that is written over and over, where somebody looks at it."""
    terminal = sys.stderr if sys.stderr.isatty() else None

    def say(text: str) -> None:
        if terminal is not None:
            terminal.write(f"\r\x1b[K{text}")
            terminal.flush()

    yield say
    say("")

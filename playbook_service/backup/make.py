"""Make a backup while the service runs: copy, describe, pack, read it all back, and only then give it its name."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import gmtime, strftime
from typing import NamedTuple

import propolis
from playbook_service.audit.journal import AuditFiles
from playbook_service.backup import archive, config_files, database
from playbook_service.backup.check import Checked, check
from playbook_service.backup.manifest import DATABASE, Manifest
from playbook_service.settings import Settings
from playbook_service.store.contract import StoreError
from propolis.clock import Clock, utc_text
from propolis.errors import ConfigurationError

_NAME = re.compile(r"propolis-(\d{8}T\d{6}Z)\.tar\.gz", re.ASCII)
_PARTIAL = re.compile(r"\.propolis-[0-9TZ]+-\d+\.partial", re.ASCII)

Progress = Callable[[str], None]
"""Hears what is being done, a few words each time."""


class Made(NamedTuple):
    """A backup that was made and read back."""

    file: Path
    size: int
    checked: Checked
    removed: tuple[Path, ...]
    """Older backups that made room."""


def make(settings: Settings, given: Path | None, target: Path, clock: Clock, keep: int, say: Progress) -> Made:
    """A backup of the node with these settings in the folder `target`; at most `keep` of them stay (0: all).

    `given` is the settings file that was named, if one was. Raises PropolisError; then nothing new is left behind.
    """
    data = Path(settings["data_dir"])
    if not (data / DATABASE).is_file():
        raise ConfigurationError(f"There is no store {data / DATABASE} to back up.", path="data_dir")
    moment = strftime("%Y%m%dT%H%M%SZ", gmtime(clock.now()))
    file = target / f"propolis-{moment}.tar.gz"
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file.exists():
            raise ConfigurationError(f"There is {file} already: a backup was made in this very second.")
        with _workplace(target, moment) as place:
            checked = _write(settings, given, place, clock, say)
            size = (place / "archive").stat().st_size
            (place / "archive").rename(file)
            _sync(target)
        return Made(file, size, checked, _rotate(target, file, keep))
    except OSError as error:
        raise ConfigurationError(f"The backup could not be written: {error}.", source=str(target)) from None


def _write(settings: Settings, given: Path | None, place: Path, clock: Clock, say: Progress) -> Checked:
    """The archive, read back from the disk."""
    content, data = place / "content", Path(settings["data_dir"])
    content.mkdir()
    # The audit files first: what they have by now, the store has too when it is copied after them.
    say("copying the audit files")
    _copy_audit(data / "audit", content / "audit")
    database.copy(data / DATABASE, content / DATABASE, lambda part: say(f"copying the store, {part:.0%}"))
    config_files.gather(settings, given, content / "config")
    say("counting")
    archive.pack(content, _manifest(settings, content, clock), place / "archive")
    shutil.rmtree(content)
    say("reading the backup back")
    checked = check(place / "archive", _fresh(place / "read"))
    if checked.faults:
        raise StoreError(f"The backup could not be read back and was not kept: {'; '.join(checked.faults)}.")
    return checked


def _manifest(settings: Settings, content: Path, clock: Clock) -> Manifest:
    with database.Copy(content / DATABASE) as copy:
        return Manifest(
            made_at=utc_text(clock.now()), version=propolis.__version__, schema=copy.schema(), counts=copy.counts(),
            audit_head=copy.head(), files=archive.facts(content), settings=config_files.describe(settings),
        )  # fmt: skip


def _copy_audit(source: Path, target: Path) -> None:
    """Whole lines only: the service may be writing the last one."""
    for path in AuditFiles(source).paths():
        target.mkdir(exist_ok=True)
        shutil.copyfile(path, target / path.name)
    for path in AuditFiles(target).paths()[-1:]:
        raw = path.read_bytes()
        os.truncate(path, raw.rfind(b"\n") + 1)


# the folder of backups ------------------------------------------------------------------------------------------------


@contextmanager
def _workplace(target: Path, moment: str) -> Iterator[Path]:
    """A folder to write in, beside the backups, that is gone at the end. What a dead run left is cleared away."""
    _clear(target)
    place = _fresh(target / f".propolis-{moment}-{os.getpid()}.partial")
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(descriptor)


def _clear(target: Path) -> None:
    for place in target.iterdir():
        if not _PARTIAL.fullmatch(place.name) or not place.is_dir() or place.is_symlink():
            continue
        descriptor = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever works there holds it
            shutil.rmtree(place, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def _fresh(place: Path) -> Path:
    place.mkdir(mode=0o700)
    return place


def _rotate(target: Path, newest: Path, keep: int) -> tuple[Path, ...]:
    """Remove the oldest of our backups beyond `keep`; never the one just made, and nothing that is named otherwise."""
    if keep < 1:
        return ()
    ours = sorted((path for path in target.iterdir() if _NAME.fullmatch(path.name)), key=lambda path: path.name)
    others = [path for path in ours if path != newest]
    removed = others[: max(0, len(others) - (keep - 1))]
    for path in removed:
        path.unlink()
    _sync(target)
    return tuple(removed)


def _sync(folder: Path) -> None:
    """Make names durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

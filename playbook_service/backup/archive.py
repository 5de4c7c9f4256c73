"""The archive: one `.tar.gz` with the manifest first. What is read from it is believed only after it was checked."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from playbook_service.backup.manifest import NAME, FileFact, Manifest, is_ours, read
from propolis.errors import InputError

_CHUNK = 1024 * 1024
_LARGEST_MANIFEST = 16 * 1024 * 1024
_FAST = 1  # of gzip's levels: the store is text, which it makes five times smaller all the same


def facts(folder: Path) -> tuple[FileFact, ...]:
    """Every file below a folder, with its size and hash."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(FileFact(str(path.relative_to(folder)), path.stat().st_size, _digest(path)) for path in paths)


def pack(folder: Path, manifest: Manifest, target: Path) -> None:
    """Write the manifest and the files it names, durably and for the owner only."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with (
            gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=_FAST, filename="") as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            _add_text(tar, NAME, manifest.text())
            for one in manifest.files:
                with (folder / one.name).open("rb") as handle:
                    tar.addfile(_member(one.name, one.size), handle)
        raw.flush()
        os.fsync(raw.fileno())


def unpack(source: Path, target: Path) -> tuple[Manifest, list[str]]:
    """Write what an archive holds into an empty folder; returns its manifest and what is wrong with it.

    Nothing is written that the manifest does not name or that is larger than it says. Raises InputError for what is no
    backup at all.
    """
    with _opened(source) as tar:
        members = iter(tar)
        manifest = read(_first(tar, next(members, None), source), str(source))
        wanted = {one.name: one for one in manifest.files}
        faults = [f"{name} does not belong into a backup" for name in wanted if not is_ours(name)]
        if faults:
            return manifest, faults
        for member in members:
            fact = wanted.pop(member.name, None)
            if fact is None or not member.isreg() or member.size != fact.size:
                faults.append(f"{member.name!r} is not as the manifest says")
                continue
            handle = tar.extractfile(member)
            if handle is None or _write(handle, target / fact.name, fact.size) != fact.sha256:
                faults.append(f"{fact.name} was changed: its SHA-256 is not that of the manifest")
        faults.extend(f"{name} is missing" for name in wanted)
    return manifest, faults


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with gzip.open(source, "rb") as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
            yield tar
            while raw.read(_CHUNK):  # to its end, where gzip keeps its own checksum
                pass
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise InputError(f"cannot be read as a backup: {error or 'it ends too soon'}.", source=str(source)) from None


def _first(tar: tarfile.TarFile, member: tarfile.TarInfo | None, source: Path) -> str:
    handle = None
    if member is not None and member.name == NAME and member.isreg() and member.size <= _LARGEST_MANIFEST:
        handle = tar.extractfile(member)
    if handle is None:
        raise InputError("does not begin with a manifest: this is no backup of Propolis.", source=str(source))
    return handle.read().decode("utf-8", "replace")


def _write(source: IO[bytes], target: Path, size: int) -> str:
    """Copy so many bytes; returns their hash."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        while size > 0 and (chunk := source.read(min(_CHUNK, size))):
            digest.update(chunk)
            handle.write(chunk)
            size -= len(chunk)
        handle.flush()
        os.fsync(handle.fileno())
    return digest.hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    import io

    raw = text.encode("utf-8")
    tar.addfile(_member(name, len(raw)), io.BytesIO(raw))


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Without owner and times: an archive says nothing of the machine."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member

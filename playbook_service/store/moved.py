"""A store that was moved elsewhere says so: a file beside it, so that no service works on with what is out of date.

Two services, one on the old store and one on the new, would each end the other's containments.
"""

from __future__ import annotations

import os
from pathlib import Path

from playbook_service.store.contract import StoreError

DATABASE = "propolis.db"
"""Name of the SQLite store in the data folder."""
_MARK = "propolis.db.moved"


def mark_moved(folder: Path, sentence: str) -> None:
    """Note durably that the store in this folder was moved; the sentence says where to and when."""
    path = folder / _MARK
    with path.open("w", encoding="utf-8") as handle:
        handle.write(sentence + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_moved(folder: Path) -> bool:
    """Is the store in this folder out of date?"""
    return (folder / _MARK).exists()


def refuse_moved(folder: Path) -> None:
    """Raise StoreError where the store in this folder was moved."""
    path = folder / _MARK
    try:
        said = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        said = f"it was moved (its note cannot be read: {error})"
    raise StoreError(
        f"The store in {folder} is out of date: {said}. Set `store` to that database, or, if you mean to go back to "
        f"how things stood then, remove {path}."
    )

"""What a backup says of itself: versions, files with their hashes, counts, and the head of the audit chain."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from propolis.errors import InputError

FORMAT = 1
NAME = "manifest.json"
DATABASE = "propolis.db"
_FILE = re.compile(r"propolis\.db|audit/audit-\d{12}\.jsonl|config/[a-z_]+(/[\w.-]+){1,8}", re.ASCII)
"""What may be in an archive besides the manifest. No part of a path is `..`, see `is_ours`."""


class FileFact(NamedTuple):
    """One file of the archive."""

    name: str
    size: int
    sha256: str


class Manifest(NamedTuple):
    """A backup's manifest. Times are UTC text; counts are `{"work": {...}, "record": {...}, "log": {...}}`."""

    made_at: str
    version: str
    """Of Propolis."""
    schema: int
    """Of the store: `user_version` of the database."""
    counts: Mapping[str, Mapping[str, int]]
    audit_head: str
    """`<number>:<hash>`, empty for an empty chain."""
    files: tuple[FileFact, ...]
    settings: Mapping[str, Any]
    """`mode`, `playbooks` and `policy` (their digests), and the names of the variables that were set."""

    def text(self) -> str:
        """As it stands in the archive."""
        document = {"format": FORMAT, **self._asdict(), "files": [one._asdict() for one in self.files]}
        return json.dumps(document, indent=2, sort_keys=True) + "\n"


def read(text: str, source: str) -> Manifest:
    """The manifest in a text. Raises InputError for one that is none, or of a newer format."""
    try:
        document = json.loads(text)
        number = document.pop("format")
        if number != FORMAT:
            raise InputError(f"is a backup of format {number}, this version knows {FORMAT}: upgrade.", source=source)
        files = tuple(FileFact(str(one["name"]), int(one["size"]), str(one["sha256"])) for one in document.pop("files"))
        found = Manifest(files=files, **document)
        typed = isinstance(found.schema, int) and all(isinstance(one, dict) for one in (found.counts, found.settings))
    except (ValueError, KeyError, TypeError, AttributeError):
        typed = False
    if not typed:
        raise InputError("has no manifest that can be read: this is no backup of Propolis.", source=source)
    return found


def is_ours(name: str) -> bool:
    """May a file of that name be in an archive?"""
    return bool(_FILE.fullmatch(name)) and not any(part.strip(".") == "" for part in name.split("/"))

"""Where the lines before today's are: the files that alerts.json was rotated into, in the order of their lines.

Wazuh links logs/alerts/alerts.json to logs/alerts/YYYY/Mon/ossec-alerts-DD.json (a hard link), begins a new file at
midnight and, where `max_output_size` or `rotate_interval` is set, within the day as ossec-alerts-DD-NNN.json; monitord
packs the files of the day before into .json.gz and then removes them (Wazuh 4.14, src/analysisd/alerts/getloglocation.c
and src/monitord). logrotate makes alerts.json.1 or alerts.json-20261122 beside it, by renaming or by copying and
truncating (`copytruncate`), and may pack them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from playbook_service.follow.checkpoint import Checkpoint
from playbook_service.follow.tape import Tape

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAILY = re.compile(r"ossec-alerts-(\d\d)(?:-(\d{3,}))?\.json(\.gz)?")
_SLACK = 60.0  # seconds; copies and packed files may be given a coarser time

_Rank = tuple[int, ...]


def files(current: Path) -> list[Path]:
    """The rotated files, oldest first, and the current one where it is there. A file stands in it once."""
    now = _inode(current)
    found: dict[_Rank, Path] = {}
    for rank, path in (*_daily(current.parent), *_beside(current)):
        if rank in found and path.suffix == ".gz":
            continue  # being packed: until the packed one is whole, the other stays
        if _inode(path) != now:
            found[rank] = path
    return [found[rank] for rank in sorted(found)] + [current] * (now is not None)


def find(places: Sequence[Path], checkpoint: Checkpoint) -> tuple[int, Tape] | None:
    """Which of the files holds the checkpoint's line, opened; None where none does, or where there is no line yet.

    Only the line itself proves it: the number of a file that was packed is soon another's.
    """

    def likelihood(number: int) -> tuple[bool, bool, int]:
        path = places[number]
        return (_inode(path) != checkpoint.inode, path.suffix == ".gz", -number)

    if not checkpoint.digest:
        return None
    for number in sorted(range(len(places)), key=likelihood):  # the likely ones first
        if _too_old(places[number], checkpoint):
            continue
        try:
            tape = Tape(places[number])
        except FileNotFoundError:
            continue  # packed or removed this very moment: then the next look finds it
        if tape.holds(checkpoint):
            return number, tape
        tape.close()
    return None


def since(places: Sequence[Path], checkpoint: Checkpoint) -> list[Path]:
    """The files that may hold lines from after the checkpoint, for when its own file is not there any more."""
    return [path for path in places if not _too_old(path, checkpoint)]


def _daily(folder: Path) -> Iterator[tuple[_Rank, Path]]:
    for year in folder.glob("[12][0-9][0-9][0-9]"):
        for number, month in enumerate(_MONTHS, start=1):
            for path in (year / month).glob("ossec-alerts-*.json*"):
                match = _DAILY.fullmatch(path.name)
                if match:
                    yield (0, int(year.name), number, int(match[1]), int(match[2] or 0)), path


def _beside(current: Path) -> Iterator[tuple[_Rank, Path]]:
    numbered = re.compile(re.escape(current.name) + r"(?:\.(\d{1,4})|[.-](\d{8}(?:-?\d+)?))(?:\.gz)?")
    for path in current.parent.glob(f"{current.name}[.-]*"):
        match = numbered.fullmatch(path.name)
        if match and match[1]:
            yield (1, -int(match[1])), path  # .2 is older than .1
        elif match:
            yield (1, *(int(part) for part in match[2].split("-"))), path


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _too_old(path: Path, checkpoint: Checkpoint) -> bool:
    """Not written since its lines were dealt with."""
    try:
        return path.stat().st_mtime < checkpoint.written - (_SLACK if checkpoint.digest else 1.0)
    except OSError:
        return True

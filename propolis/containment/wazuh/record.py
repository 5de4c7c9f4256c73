"""The names of the records that the program on an agent leaves: `<verb>~<target>~<until>~<mark>`.

Each part is percent-encoded beyond `A-Z a-z 0-9 @ . + = -`. A record is written after its effect was read back and goes
away after the undo was. `isolating` stands for an isolation on trial, `refused` for what the program would not do
(target: `<verb>.<target>`, until: when it was said, mark: why).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from propolis.containment.mark import is_ours

REFUSED = "refused"
_LONGEST = 190  # bytes of a record's name on Windows, whose whole path holds 260; Linux would take 255
_END = 11  # characters of an end in seconds, for a few thousand years
_UNSAFE = re.compile(r"[^A-Za-z0-9@.+=-]")
_NAME = re.compile(r"([a-z]+)~([^~]+)~([0-9]{1,11})~([^~]*)")
_FOLDERS = (
    "/var/ossec/active-response/propolis",
    r"c:\program files (x86)\ossec-agent\active-response\propolis",
    r"c:\program files\ossec-agent\active-response\propolis",
)
"""Where Wazuh's packages put an agent; FIM shows a Windows path in lower case."""


class Record(NamedTuple):
    """One record."""

    verb: str
    target: str
    until: int
    """Wall time of the agent, seconds; 0 where nothing ends it."""
    mark: str

    @property
    def ours(self) -> bool:
        """Its mark is one of ours."""
        return is_ours(self.mark)

    def lives(self, now: float) -> bool:
        """Whether the kernel has not ended it yet."""
        return self.until == 0 or self.until > now

    def is_about(self, verb: str, target: str) -> bool:
        """Whether it is this verb's record of this target; Windows knows no case."""
        return self.verb == verb and self.target.casefold() == target.casefold()

    @property
    def name(self) -> str:
        """As the file is called."""
        return "~".join((encoded(self.verb), encoded(self.target), str(self.until), encoded(self.mark)))


def encoded(text: str) -> str:
    """One part of a name."""
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def searched(target: str) -> str:
    """A text that the name of every record of a target holds; other names may hold it too."""
    return f"{encoded(target)}~"


def parse(name: str) -> Record | None:
    """The record of this name, or None."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    verb, target, until, mark = found.groups()
    return Record(verb, unquote(target), int(until), unquote(mark))


def records(paths: Iterable[str]) -> list[Record]:
    """The records among files that FIM shows: those that lie in the program's own folder, and nowhere else."""
    found = []
    for path in paths:
        folder, name = _split(path)
        record = parse(name) if folder in _FOLDERS else None
        if record is not None:
            found.append(record)
    return found


def is_watched(folders: Iterable[tuple[str, Iterable[str]]]) -> bool:
    """Whether FIM tells of the records at once, by the agent's own list of watched folders and their options."""
    best, live = "", False
    for folder, options in folders:
        plain = _plain(folder)
        inside = any(own == plain or own.startswith((f"{plain}/", f"{plain}\\")) for own in _FOLDERS)
        if inside and len(plain) > len(best):  # the innermost folder's options hold
            best, live = plain, bool({"realtime", "check_whodata"} & set(options))
    return live


def fitting(mark: str, verb: str, target: str) -> str:
    """The mark without its last facts, as far as a record's name would grow too long with them."""
    room = _LONGEST - len(encoded(verb)) - len(encoded(target)) - _END - 3
    words = mark.split(" ")
    while len(words) > 1 and len(encoded(" ".join(words))) > room:
        words.pop()
    return " ".join(words)


def _split(path: str) -> tuple[str, str]:
    cut = max(path.rfind("/"), path.rfind("\\"))
    return _plain(path[: max(cut, 0)]), path[cut + 1 :]


def _plain(folder: str) -> str:
    """A folder as `_FOLDERS` writes it: Windows knows no case, Linux does."""
    bare = folder.rstrip("/\\")
    return bare if folder.startswith("/") else bare.casefold()

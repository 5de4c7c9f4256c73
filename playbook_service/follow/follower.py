"""The loop: read lines, have the service take them in, note how far it is; then the next file, or wait for more.

The checkpoint moves only past lines that are dealt with: acknowledged by the service, filtered, or set aside on disk.
So after a crash anywhere the lines since then are sent again, and the service knows those that it has by their id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from playbook_service.follow import trail
from playbook_service.follow.aside import Outcast, SetAside
from playbook_service.follow.checkpoint import Checkpoint, Counts, StateFolder
from playbook_service.follow.sender import Delivered, Sender, Stopped
from playbook_service.follow.sieve import Judged, Sieve, judge
from playbook_service.follow.tape import Cutter, Line, Tape
from propolis.clock import Clock

_LOG = logging.getLogger("propolis.follow")
_CHUNK = 256 * 1024  # bytes of a read
_REQUEST_LINES, _REQUEST_BYTES = 500, 512 * 1024  # half of what the service takes by default
_SAVE_EVERY = 5.0  # seconds, while nothing is sent: sent lines are noted at once
_QUIET = 2.0  # seconds after which a file that was rotated away is taken for complete


class Pace(NamedTuple):
    """Seconds between two looks for more, and the bytes of the longest line that is read."""

    poll: float = 0.25
    longest: int = 256 * 1024


class _Rewritten(Exception):
    """The file does not hold any more what was read from it: it was truncated."""


@dataclass
class _Reading:
    """A file that is being read, and how far."""

    tape: Tape
    cutter: Cutter
    anchor: Checkpoint | None
    """The last line of it that is dealt with."""

    def sound(self) -> bool:
        """Whether it still is what was read so far."""
        return self.tape.size() >= self.cutter.place and (self.anchor is None or self.tape.holds(self.anchor))


class Follower:
    """Follows one file. `stopping` tells when to end, `tick` hears of every look at the file."""

    def __init__(
        self,
        file: Path,
        state: StateFolder,
        sieve: Sieve,
        sender: Sender,
        clock: Clock,
        *,
        pace: Pace | None = None,
        stopping: Callable[[], bool] = lambda: False,
        tick: Callable[[Counts, int], None] = lambda counts, behind: None,
    ):
        self._file = file
        self._state = state
        self._sieve = sieve
        self._sender = sender
        self._clock = clock
        self._pace = pace or Pace()
        self._stopping = stopping
        self._tick = tick
        self._aside = SetAside(state.folder, clock)
        self._counts = Counts()
        self._checkpoint = Checkpoint(0, 0, 0, "", 0.0)
        self._saved: tuple[Checkpoint, Counts] | None = None
        self._saved_at = 0.0

    def run(self, *, from_start: bool = False, once: bool = False) -> Counts:
        """Follow until told to stop, with `once` until everything there is was read. Returns the counts of this run.

        Without a checkpoint it begins at the end of the file, or `from_start`. Raises ConfigurationError, OSError.
        """
        before = self._load(from_start)
        try:
            reading = self._resumed(once)
            while reading is not None:
                with reading.tape:
                    reading = self._read(reading, once)
        except Stopped:
            pass
        finally:
            self._save()
        return Counts(*(now - then for now, then in zip(self._counts.numbers(), before.numbers(), strict=True)))

    def _load(self, from_start: bool) -> Counts:
        loaded = self._state.load()
        if loaded is None:
            self._checkpoint = self._first(from_start)
        else:
            self._checkpoint, self._counts = self._saved = loaded
        self._save()
        return self._counts

    def _first(self, from_start: bool) -> Checkpoint:
        """Where to begin: before the first line, or after the last whole one."""
        try:
            with Tape(self._file) as tape:
                return tape.checkpoint(None if from_start else _last_line(tape, self._pace.longest))
        except FileNotFoundError:
            return Checkpoint(0, 0, 0, "", 0.0)  # it will be a new file, and all of it new

    def _resumed(self, once: bool) -> _Reading | None:
        """In the file that the checkpoint lies in; where it is in none, in the oldest that may hold later lines."""
        told = False
        while not self._stopping():
            found = trail.find(trail.files(self._file), self._checkpoint)
            if found is not None:
                return _Reading(found[1], Cutter(self._checkpoint.offset, self._pace.longest), self._checkpoint)
            if self._checkpoint.digest and not told:
                _LOG.warning("the line sent last is in no file any more, so lines after it may be missing")
                told = True
            reading = self._next(None)
            if reading is not None or once:
                return reading
            self._clock.sleep(self._pace.poll)
        return None

    def _next(self, done: Tape | None) -> _Reading | None:
        """At the first line of the file after `done`; None where there is none with something in it.

        The checkpoint stays in the file before until a line of this one is dealt with.
        """
        while (path := self._later(done)) is not None:
            try:
                tape = Tape(path)
            except FileNotFoundError:
                continue
            if (again := self._later(done)) is not None and _inode(again) == tape.inode:
                return _Reading(tape, Cutter(0, self._pace.longest), None)
            tape.close()  # files changed their names between the look and the opening
        return None

    def _later(self, done: Tape | None) -> Path | None:
        places = trail.files(self._file)
        found = trail.find(places, self._checkpoint)
        if found is None:
            later = trail.since(places, self._checkpoint)
        else:
            found[1].close()
            later = places[found[0] + 1 :]
        inodes = [_inode(path) for path in later]
        if done is not None and done.inode in inodes:  # not a line of it was dealt with
            later = later[inodes.index(done.inode) + 1 :]
        return next((path for path in later if _filled(path)), None)

    def _read(self, reading: _Reading, once: bool) -> _Reading | None:
        """Read a file to its end and wait for more, until there is a next one. None: the end."""
        tape, cutter = reading.tape, reading.cutter
        size, quiet_since = -1, self._clock.monotonic()
        while not self._stopping():
            try:
                batch = self._gather(reading)
            except _Rewritten:
                _LOG.info("%s was truncated; going on in its copy, if there is one", tape.path)
                return self._resumed(once)
            if batch:
                for portion in _portions(batch):
                    self._settle(reading, portion)
                continue
            self._tick(self._counts, tape.size() - cutter.place)
            current = self._is_current(tape)
            if current or tape.size() != size:
                size, quiet_since = tape.size(), self._clock.monotonic()
            if current and once:
                return None
            quiet = tape.packed or self._clock.monotonic() - quiet_since >= _QUIET
            if not current and quiet and (once or self._later(tape) is not None):
                if tape.damaged:
                    _LOG.warning("%s is damaged: what cannot be unpacked of it is not sent", tape.path)
                self._settle_rest(reading)
                following = self._next(tape)
                return following if following is not None or once else self._resumed(once)  # it was there just now
            self._clock.sleep(self._pace.poll)
        return None

    def _gather(self, reading: _Reading) -> list[Judged]:
        """The next lines, about a request full; none only at the end. Raises _Rewritten."""
        tape, cutter = reading.tape, reading.cutter
        batch: list[Judged] = []
        size = 0
        while (size < _REQUEST_BYTES or not batch) and not self._stopping():
            data = tape.read(cutter.place, _CHUNK)
            if not tape.packed and not reading.sound():  # looked at after reading: so what was read is sound, too
                raise _Rewritten
            if not data:
                break
            batch += (judge(line, self._sieve) for line in cutter.feed(data))
            size += len(data)
        return batch

    def _settle(self, reading: _Reading, batch: Sequence[Judged]) -> None:
        """Deal with lines for good, then note it."""
        tape = reading.tape
        delivered = self._sender.deliver([each for each in batch if each.body])
        outcasts = [Outcast(str(tape.path), each.line, each.reason) for each in batch if each.reason]
        outcasts += [Outcast(str(tape.path), each.line, why) for each, why in delivered.refused]
        self._aside.add(outcasts)
        if outcasts:
            why = outcasts[0].reason
            _LOG.warning("%d line(s) set aside in %s, the first because %s", len(outcasts), self._aside.path, why)
        self._checkpoint = reading.anchor = tape.checkpoint(batch[-1].line)
        self._counts = self._counts.plus(_counted(batch, delivered, len(outcasts)))
        if delivered.sent or outcasts or self._clock.monotonic() - self._saved_at >= _SAVE_EVERY:
            self._save()
        self._tick(self._counts, tape.size() - self._checkpoint.offset)

    def _settle_rest(self, reading: _Reading) -> None:
        """A last line without a break, of a file that nobody writes any more."""
        rest = reading.cutter.rest()
        if rest is None:
            return
        judged = judge(rest, self._sieve)
        if judged.reason:
            judged = judged._replace(reason=f"the file ended in the middle of a line: {judged.reason}")
        self._settle(reading, [judged])

    def _is_current(self, tape: Tape) -> bool:
        try:
            return self._file.stat().st_ino == tape.inode
        except FileNotFoundError:
            return False

    def _save(self) -> None:
        if self._saved != (self._checkpoint, self._counts):
            self._saved = (self._checkpoint, self._counts)
            self._state.save(*self._saved)
        self._saved_at = self._clock.monotonic()


def _portions(batch: Sequence[Judged]) -> Iterator[Sequence[Judged]]:
    """The lines in their order, cut so that what is to be sent of each portion fits into a request."""
    begin = count = size = 0
    for number, judged in enumerate(batch):
        needed = len(judged.body) + 1 if judged.body else 0
        if count == _REQUEST_LINES or (count and size + needed > _REQUEST_BYTES):
            yield batch[begin:number]
            begin, count, size = number, 0, 0
        count, size = count + bool(needed), size + needed
    yield batch[begin:]


def _counted(batch: Sequence[Judged], delivered: Delivered, set_aside: int) -> Counts:
    filtered = sum(1 for each in batch if not (each.body or each.reason or each.blank))
    return Counts(delivered.sent, delivered.known, filtered, set_aside)


def _last_line(tape: Tape, longest: int) -> Line | None:
    """The last whole line; of one that is longer than `longest`, its end. None where there is none."""
    size = tape.size()
    begin = max(0, size - 2 * longest)
    tail = tape.read(begin, size - begin)
    end = tail.rfind(b"\n") + 1
    if not end:
        return None
    start = tail.rfind(b"\n", 0, end - 1) + 1
    return Line(begin + start, tail[start:end], end - start)


def _filled(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None

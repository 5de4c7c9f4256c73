"""Files that may change while the service runs: read again when they did, and only used when they are sound."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from propolis.clock import Clock, SystemClock
from propolis.errors import PropolisError

_LOG = logging.getLogger("propolis.reload")
_Content = TypeVar("_Content")
_Signature = tuple[tuple[str, int, int], ...]


class Trouble(NamedTuple):
    """Why the files are not used as they are now, and since when that is known (seconds since the epoch)."""

    since: float
    error: PropolisError


class Reloading(Generic[_Content]):
    """The content of a file, or of a folder's files, as it is now.

    `strict`: a faulty change raises until it is mended (a policy: then everything is refused). Otherwise the last sound
    content stays in use and the fault is logged once (playbooks: a slip of the pen must not stop the house). The first
    reading raises in any case.
    """

    def __init__(self, place: Path, read: Callable[[], _Content], *, strict: bool, clock: Clock | None = None):
        self._place = place
        self._clock = clock or SystemClock()
        self._read = read
        self._strict = strict
        self._lock = threading.Lock()
        self._seen: _Signature | None = None
        self._content: _Content | None = None
        self._fault: PropolisError | None = None
        self._faulty_since = 0.0

    def __call__(self) -> _Content:
        """The content. Raises what reading raises, as the class says."""
        with self._lock:
            signature = _signature(self._place)
            if signature != self._seen:
                self._seen = signature
                self._renew()
            if self._content is None or (self._strict and self._fault is not None):
                raise self._fault or PropolisError(f"{self._place} was not read.")
            return self._content

    def trouble(self) -> Trouble | None:
        """What was wrong with the files when they were last looked at; None where nothing was."""
        with self._lock:
            return Trouble(self._faulty_since, self._fault) if self._fault is not None else None

    def _renew(self) -> None:
        sound_before = self._fault is None
        try:
            self._content, self._fault = self._read(), None
            _LOG.info("read %s", self._place)
        except PropolisError as error:
            self._fault = error
            self._faulty_since = self._clock.now() if sound_before else self._faulty_since
            _LOG.error("%s is not used as it is now: %s", self._place, error)


def _signature(place: Path) -> _Signature:
    """Name, time and size of every file concerned; a place that is not there has none."""
    files = sorted(place.glob("*.y*ml")) if place.is_dir() else [place]
    found = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((file.name, status.st_mtime_ns, status.st_size))
    return tuple(found)

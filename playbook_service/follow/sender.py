"""To the service's hook, many alerts a request: waits as long as the service is away or busy, and loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from playbook_service import jsonread
from playbook_service.follow.sieve import Judged
from propolis.clock import Clock
from propolis.errors import ConfigurationError
from propolis.http import Client, HttpError

_DOCUMENT_FAULTS = (400, 413, 422)
_PERSON_FAULTS = (401, 403, 404, 405, 407, 411, 415)
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_ASKED = 1.0, 30.0, 600.0  # seconds
_SLICE = 0.2  # seconds between two looks at whether to stop


class Stopped(Exception):
    """Somebody wants the process to end before the request was through; the lines are sent by the next one."""


class Delivered(NamedTuple):
    """What the service said of a batch."""

    sent: int
    known: int
    refused: tuple[tuple[Judged, str], ...]
    """Lines that it will never take, and what it said."""


class Sender:
    """Delivers batches. `waiting` is told why it waits, and "" when it goes on."""

    def __init__(self, client: Client, path: str, clock: Clock, stopping: Callable[[], bool],
                 waiting: Callable[[str], None]):  # fmt: skip
        self._client = client
        self._path = path
        self._clock = clock
        self._stopping = stopping
        self._waiting = waiting
        self._acknowledged = False

    def greet(self) -> None:
        """Ask whether address and key are right, by sending nothing: `[]` is refused with 400 once the key is good.

        Raises ConfigurationError where a person must put something right. A service that is away is no fault.
        """
        try:
            self._post([])
        except HttpError as error:
            if _is_persons(error):
                raise ConfigurationError(str(error)) from None
            self._acknowledged = error.status in _DOCUMENT_FAULTS

    def deliver(self, batch: Sequence[Judged]) -> Delivered:
        """Returns when the service has committed every line that it ever will.

        Raises Stopped; ConfigurationError where it never took anything and a person must put something right.
        """
        if not batch:
            return Delivered(0, 0, ())
        try:
            return self._persist(batch)
        except HttpError as error:
            if len(batch) == 1:
                return Delivered(0, 0, ((batch[0], f"the service refused it: {error.excerpt or error}"),))
        half = len(batch) // 2
        first, second = self.deliver(batch[:half]), self.deliver(batch[half:])
        return Delivered(first.sent + second.sent, first.known + second.known, first.refused + second.refused)

    def _persist(self, batch: Sequence[Judged]) -> Delivered:
        """Post until it is taken. Raises HttpError where it is refused for what is in it."""
        failed = 0
        while True:
            try:
                known = self._post(batch)
            except HttpError as error:
                if error.status in _DOCUMENT_FAULTS:
                    raise
                if not self._acknowledged and _is_persons(error):
                    raise ConfigurationError(str(error)) from None
                self._waiting(str(error))
                self._wait(error.retry_after, failed)
                failed += 1
                continue
            self._acknowledged = True
            if failed:
                self._waiting("")
            return Delivered(len(batch), known, ())

    def _post(self, batch: Sequence[Judged]) -> int:
        body = b"[" + b",".join(judged.body for judged in batch) + b"]"
        headers = {"Content-Type": "application/json"}
        response = self._client.post(self._path, data=body, headers=headers, retry=False)
        try:
            return min(jsonread.number(jsonread.document(response, "Propolis'"), "known"), len(batch))
        except HttpError:
            return 0  # it took them, and does not say how many it had

    def _wait(self, asked: float | None, failed: int) -> None:
        """Wait as long as the service asks, else longer each time; in slices, as somebody may want to stop."""
        seconds = min(_FIRST_PAUSE * 2 ** min(failed, 10), _LONGEST_PAUSE)
        if asked is not None:
            seconds = min(max(asked, _SLICE), _LONGEST_ASKED)
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            if self._stopping():
                raise Stopped
            self._clock.sleep(min(_SLICE, left))
        if self._stopping():
            raise Stopped


def _is_persons(error: HttpError) -> bool:
    """A fault that waiting does not mend."""
    return error.status in _PERSON_FAULTS or error.kind in ("redirect", "tls")

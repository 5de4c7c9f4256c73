"""What all calls of both adapters stand on: asking, reading back after a write in doubt, setting until it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from playbook_service.hive import query, reading
from playbook_service.hive.contract import Hive
from playbook_service.hive.link import Link
from playbook_service.hive.query import Steps
from playbook_service.jsonread import Document
from propolis.clock import Clock
from propolis.http import HttpError

T = TypeVar("T")
LOOKS = (0.0, 1.0, 3.0)
"""Seconds before each look after a write in doubt: TheHive may still be writing when its answer is already lost."""
REFUSALS = (400, 409)
"""How TheHive refuses a duplicate: 400 in version 4, and one of both in version 5."""


class Base(Hive):
    """The tools; the calls are in the classes that follow."""

    def __init__(self, link: Link, version: str, clock: Clock):
        self._link = link
        self._version = version
        self._clock = clock

    def close(self) -> None:
        self._link.client.close()

    def version(self) -> str:
        return self._version

    def ask(self, steps: Steps) -> list[Document]:
        """The answers to a query."""
        answer = self._link.call(
            "query", "POST", "/api/v1/query", params={"name": "propolis"}, json={"query": steps}, retry=True
        )
        return reading.documents(answer)

    def first(self, *steps: query.Step, extra: tuple[str, ...] = ()) -> Document | None:
        """The first answer to a query, None where there is none or what it begins with does not exist."""
        try:
            answers = self.ask([*steps, query.page(0, 1, extra)])
        except HttpError as error:
            if error.status == 404 and "NotFound" in error.excerpt:
                return None
            raise
        return answers[0] if answers else None

    def find(self, call: str, path: str) -> Document | None:
        """What stands at a path, None where TheHive itself (no proxy's page) says that there is nothing."""
        answer = self._link.call(call, "GET", path, accept=(200, 404))
        found = reading.document(answer)
        return None if answer.status == 404 else found

    def resolved(self, error: HttpError, look: Callable[[], T | None]) -> T | None:
        """What a write that failed has left behind all the same: ours after all, or the one that was in its way."""
        waits = LOOKS if error.ambiguous else LOOKS[:1] if error.status in REFUSALS else ()
        for wait in waits:
            self._clock.sleep(wait)
            try:
                found = look()
            except HttpError:
                return None  # the first error tells more, and says that the write is in doubt
            if found is not None:
                return found
        return None

    def settled(self, write: Callable[[], object], holds: Callable[[], bool], what: str) -> None:
        """Write until it is seen to hold, at most three times: another's write may have come between.

        `write` reads what it builds upon, so that a repetition loses nothing of what others did.
        """
        for _ in range(3):
            if holds():
                return
            try:
                write()
            except HttpError as error:
                if not error.ambiguous or not self.resolved(error, lambda: holds() or None):
                    raise
                return
        if not holds():
            text = f"TheHive took {what} but did not keep it: somebody else writes there at the same time; try again."
            raise HttpError(text, kind="status", status=409)

"""The head of the audit chain, kept where the chain's owner cannot change it: in syslog, in a case of TheHive, or both.

Whoever cuts the end off the chain, or writes it anew from some line on, leaves no wrong hash behind; only an anchor
from elsewhere tells. On a timer the head is written out as one line, `propolis audit head <number>:<hash> at <time>`,
and noted in the store's log `anchor`. `propolis audit verify` takes such lines as they stand in a log file.
"""

from __future__ import annotations

import logging
import re
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from logging.handlers import SYSLOG_UDP_PORT, SysLogHandler
from typing import Any, NamedTuple

from playbook_service.audit.chain import Anchor
from playbook_service.audit.journal import Journal
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import TaskDraft
from playbook_service.store.contract import Store, Transaction
from propolis.clock import utc_text
from propolis.errors import InputError, PropolisError

LOG = "anchor"
"""The store's log of what was written out: `{"place", "number", "hash"}`."""
KIND = "anchor"
"""Records, key = the place: the last head that it has."""
_LINE = re.compile(r"(?:^|\s)(\d{1,15}):([0-9a-f]{64})(?=\s|$)")
_TASK_TITLE = "Propolis: heads of the audit chain"
_BATCH = 1000
_LOG = logging.getLogger("propolis.audit")


class Place(NamedTuple):
    """Where heads go. `write` raises PropolisError or OSError where that did not work."""

    name: str
    write: Callable[[str], None]


class Anchoring:
    """Writes the head to every place that does not have it yet; `round` is for a timer."""

    def __init__(self, store: Store, journal: Journal, now: Callable[[], float], places: Sequence[Place]):
        self._store = store
        self._journal = journal
        self._now = now
        self._places = tuple(places)

    def round(self) -> None:
        """One look. What does not work is logged and tried again the next time; it holds up no other place."""
        head = self._journal.head()
        if head is not None:
            for place in self._places:
                self._anchor(place, head)

    def _anchor(self, place: Place, head: Anchor) -> None:
        with self._store.transaction() as work:
            last = work.get(KIND, place.name)
        if last is not None and last.body["number"] >= head.number:
            return
        try:
            place.write(anchor_line(head, self._now()))
        except (PropolisError, OSError) as error:
            _LOG.error("the head of the audit chain could not be written to %s: %s", place.name, error)
            return
        body = {"place": place.name, "number": head.number, "hash": head.hash}
        with self._store.transaction() as work:
            work.save(KIND, place.name, body)
            work.append(LOG, body)


def anchor_line(head: Anchor, now: float) -> str:
    """The line that is written out."""
    return f"propolis audit head {head.number}:{head.hash} at {utc_text(now)}"


def read_anchor(text: str) -> Anchor:
    """An anchor written `<number>:<hash>`. Raises InputError."""
    found = _LINE.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text[:80]!r} is no anchor: write <number>:<hash>, as `propolis audit head` prints it.")
    return Anchor(int(found[1]), found[2])


def find_anchors(lines: Iterable[str]) -> list[Anchor]:
    """The anchors in lines of a log file; other lines are passed over."""
    found = (_LINE.search(line) for line in lines)
    return [Anchor(int(match[1]), match[2]) for match in found if match is not None]


def noted(work: Transaction) -> list[Anchor]:
    """The anchors that the store itself knows of."""
    found: list[Anchor] = []
    after = 0
    while True:
        batch = work.read(LOG, after=after, limit=_BATCH)
        found += [Anchor(int(entry.body["number"]), str(entry.body["hash"])) for entry in batch]
        if len(batch) < _BATCH:
            return found
        after = batch[-1].number


# places -------------------------------------------------------------------------------------------------------------


def syslog(address: str) -> Place:
    """Syslog at `/dev/log` (or another local socket), `host:514` by UDP, or `tcp:host:514`. Raises InputError."""
    target, kind = _syslog_target(address)

    def write(text: str) -> None:
        handler = _Loud(target, facility=SysLogHandler.LOG_AUTH, socktype=kind)
        try:
            handler.emit(logging.LogRecord("propolis", logging.INFO, "", 0, text, None, None))
        finally:
            handler.close()

    return Place("syslog", write)


def _syslog_target(address: str) -> tuple[str | tuple[str, int], socket.SocketKind | None]:
    if address.startswith("/"):
        return address, None
    host, _, port = address.removeprefix("tcp:").rpartition(":")
    if not host:
        host, port = port, str(SYSLOG_UDP_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"{address!r} is no syslog address: write /dev/log, host:514 or tcp:host:514.")
    kind = socket.SOCK_STREAM if address.startswith("tcp:") else socket.SOCK_DGRAM
    return (host.strip("[]"), int(port)), kind


class _Loud(SysLogHandler):
    """One that raises where the usual one prints to the terminal and goes on."""

    def handleError(self, record: Any) -> None:  # noqa: N802 - the library's name
        error = sys.exc_info()[1]
        raise error if error is not None else OSError("syslog did not take the line")


def case(tools: Tools, case_id: str) -> Place:
    """A case of TheHive: a comment there, or in TheHive 4, which has none, a log line on a task of its own."""

    def write(text: str) -> None:
        if tools.hive.case(case_id) is None:
            raise InputError(f"There is no case {case_id} in TheHive to write the audit chain's head to.")
        if tools.hive.major >= 5:
            tools.hive.comment(case_id, text)
            return
        task = tools.hive.find_task(case_id, _TASK_TITLE)
        if task is None:
            task = tools.hive.create_task(case_id, TaskDraft(_TASK_TITLE, description=_TASK_TITLE))
        tools.hive.log(task.id, text)

    return Place("thehive", write)

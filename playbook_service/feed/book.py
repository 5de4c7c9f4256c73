"""The lists: entries in the store, each with an end, and the pages that are published from them.

What is published is filtered again by the policy as it is then: an entry that has become protected disappears from the
list at once. A list that would suddenly shrink or grow by more than a person allowed is not published: its consumers
keep what they have, and somebody has to say that it is meant.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import NamedTuple

from playbook_service.feed.entry import CHECKS, family, order
from playbook_service.store.contract import Filter, Record, Store, Transaction
from propolis.clock import Clock, utc_text
from propolis.errors import PropolisError
from propolis.guardrails import Policy

_META = "feed"
_STEADY = 100  # entries that may come or go at once whatever the share


class FeedError(PropolisError):
    """A list cannot be changed or published as asked."""


class Bounds(NamedTuple):
    """`entries` at most in a list; `change` is the share, in percent, that may come or go between two pages."""

    entries: int = 50_000
    change: int = 50


class Page(NamedTuple):
    """A list as its consumers read it."""

    body: bytes
    etag: str
    changed_at: float


class Entry(NamedTuple):
    """What a list holds of an entry."""

    text: str
    """Canonical."""
    until: float
    """Wall time, seconds."""
    lease: str
    comment: str
    held: str = ""
    """Why consumers do not get it although it is listed, as a sentence; empty where they do."""


class _Live(NamedTuple):
    entries: dict[str, str]
    """Entry -> comment, of those that are live and allowed."""
    changed_at: float
    fresh_until: float | None
    """When the next entry ends."""
    stamp: tuple[int, str | None]
    """Version of the list and digest of the policy that this was made from."""


class FeedBook:
    """All lists of the service. `kinds` maps their names to `ip`, `domain` or `url`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        policy: Callable[[], Policy],
        kinds: dict[str, str],
        bounds: Bounds = Bounds(),  # noqa: B008 - it is immutable
    ):
        self._store = store
        self._clock = clock
        self._policy = policy
        self._kinds = kinds
        self._bounds = bounds
        self._lock = threading.Lock()
        self._live: dict[str, _Live] = {}
        self._judged: dict[tuple[str, str], bool] = {}
        self._judged_by: str | None = ""

    def kind(self, name: str) -> str:
        """The kind of a list. Raises FeedError for one that is not configured."""
        try:
            return self._kinds[name]
        except KeyError:
            raise FeedError(f"There is no list {name!r}; configured are {', '.join(self._kinds) or 'none'}.") from None

    def put(self, name: str, text: str, *, seconds: int, lease: str = "", comment: str = "") -> tuple[str, float]:
        """List an entry for so long; again: with the new end. Gives its canonical text and its end (wall time).

        Raises Refused for what is protected, InputError for what is no entry, FeedError for a full list.
        """
        entry = CHECKS[self.kind(name)](self._policy(), text)
        until = self._clock.now() + seconds
        with self._store.transaction() as work:
            if work.get(_kind(name), entry) is None and work.count(_kind(name)) >= self._bounds.entries:
                raise FeedError(f"The list {name} is full: it holds {self._bounds.entries:,} entries.")
            body = {"lease": lease, "comment": comment}
            work.save(_kind(name), entry, body, ref=lease, due=until)
            self._touch(work, name)
        return entry, until

    def remove(self, name: str, text: str) -> bool:
        """Take an entry off; False where it was not listed. Never refused by a policy: an undo is always possible."""
        entry = self._listed(name, text)
        with self._store.transaction() as work:
            removed = work.delete(_kind(name), entry)
            if removed:
                self._touch(work, name)
        return removed

    def entry(self, name: str, text: str) -> Entry | None:
        """An entry that has not ended; None where it is not listed."""
        kind, key = self.kind(name), self._listed(name, text)
        with self._store.transaction() as work:
            record, size = work.get(_kind(name), key), work.count(_kind(name))
        if record is None or record.due is None or record.due <= self._clock.now():
            return None
        lease, comment = (str(record.body.get(part, "")) for part in ("lease", "comment"))
        return Entry(key, record.due, lease, comment, self._held(name, kind, key, size))

    def _held(self, name: str, kind: str, key: str, size: int) -> str:
        """Why a listed entry is not published. It only looks: what was published last stays as it is."""
        known = self._live.get(name)
        try:
            CHECKS[kind](self._policy(), key)
            if known is not None and key not in known.entries:
                self._check_change(name, len(known.entries), size)
        except PropolisError as error:
            return str(error)
        return ""

    def page(self, name: str, *, only: int | None = None, comments: bool = False) -> Page:
        """The list as text: a header, then an entry a line. `only` is an address family, `comments` PAN-OS's form.

        Raises StoreError or FeedError when it cannot be published; consumers then keep what they have.
        """
        live = self._read(name)
        entries = [entry for entry in order(self.kind(name), list(live.entries)) if only in (None, family(entry))]
        head = f"# propolis {name}: {len(entries)} entries, changed {utc_text(live.changed_at)}"
        lines = [head, *(_line(entry, live.entries[entry] if comments else "") for entry in entries)]
        body = ("\n".join(lines) + "\n").encode("ascii", "replace")
        return Page(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', live.changed_at)

    def accept(self, name: str) -> int:
        """Publish the list as it is now, however much it changed; gives its length."""
        self.kind(name)
        with self._lock:
            self._live.pop(name, None)
            live = self._made(name, self._policy(), published=None)
            self._live[name] = live
        return len(live.entries)

    def _read(self, name: str) -> _Live:
        self.kind(name)
        policy = self._policy()
        with self._lock:
            known = self._live.get(name)
            if known is not None and self._fresh(name, known, policy):
                return known
            live = self._made(name, policy, known)
            self._live[name] = live
            return live

    def _fresh(self, name: str, known: _Live, policy: Policy) -> bool:
        if known.fresh_until is not None and known.fresh_until <= self._clock.now():
            return False
        with self._store.transaction() as work:
            meta = work.get(_META, name)
        return meta is not None and known.stamp == (meta.version, policy.describe()["digest"])

    def _made(self, name: str, policy: Policy, published: _Live | None) -> _Live:
        digest = policy.describe()["digest"]
        with self._store.transaction() as work:
            meta = self._swept(work, name, digest)
            records = work.find(_kind(name), Filter(limit=self._bounds.entries))
        entries = {
            record.key: str(record.body.get("comment", ""))
            for record in records
            if self._allowed(self._kinds[name], record.key, policy)
        }
        if published is not None:
            self._check_change(name, len(published.entries), len(entries))
        ends = [record.due for record in records if record.due is not None]
        return _Live(entries, meta.updated_at, min(ends, default=None), (meta.version, digest))

    def _swept(self, work: Transaction, name: str, digest: str | None) -> Record:
        """Take off what has ended; a list that changed by that, or by another policy, says so to every node."""
        over = work.find(_kind(name), Filter(due_before=self._clock.now(), limit=self._bounds.entries))
        for record in over:
            work.delete(_kind(name), record.key)
        meta = work.get(_META, name)
        if meta is None or over or meta.body["policy"] != digest:
            meta = work.save(_META, name, {"policy": digest})
        return meta

    def _allowed(self, kind: str, entry: str, policy: Policy) -> bool:
        """The policy's word on an entry, remembered as long as the policy stays: a page of 50,000 must be quick."""
        digest = policy.describe()["digest"]
        if digest != self._judged_by:
            self._judged, self._judged_by = {}, digest
        if (kind, entry) not in self._judged:
            try:
                CHECKS[kind](policy, entry)
                self._judged[kind, entry] = True
            except PropolisError:
                self._judged[kind, entry] = False
        return self._judged[kind, entry]

    def _check_change(self, name: str, before: int, after: int) -> None:
        change = abs(after - before)
        if change > max(_STEADY, before * self._bounds.change // 100):
            raise FeedError(
                f"The list {name} would change from {before:,} to {after:,} entries at once, so it is not published. "
                "Accept it if that is meant."
            )

    def _listed(self, name: str, text: str) -> str:
        """The canonical text of an entry that is to be taken off, also when the policy would refuse it today."""
        kind = self.kind(name)
        try:
            return CHECKS[kind](self._policy(), text)
        except PropolisError:
            return text.strip() if kind == "url" else text.strip().lower()  # a path knows upper and lower case

    def _touch(self, work: Transaction, name: str) -> None:
        """Make every node see that the list changed."""
        work.save(_META, name, {"policy": self._policy().describe()["digest"]})


def _kind(name: str) -> str:
    return f"feed:{name}"


def _line(entry: str, comment: str) -> str:
    cleaned = "".join(letter if letter.isalnum() or letter in "-_.:= " else "_" for letter in comment)[:100]
    return f"{entry} #{cleaned}" if cleaned else entry

"""The lists: entries in the store, each with an end, and the pages that are published from them.

What is published is filtered again by the policy as it is then: an entry that has become protected disappears from the
list at once. A list that would suddenly shrink or grow by more than a person allowed is not published: its consumers
keep what they have, and somebody has to say that it is meant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from playbook_service.feed.entry import CHECKS, order
from playbook_service.feed.page import Form, Page, State, render
from playbook_service.store.contract import Filter, Record, Store, Transaction
from propolis.clock import Clock
from propolis.errors import PropolisError
from propolis.guardrails import Policy

_META = "feed"
_PUBLISHED = "feed-published"  # how many entries the last page of a list had, whichever node made it
_STEADY = 100  # entries that may come or go at once whatever the share


class FeedError(PropolisError):
    """A list cannot be changed or published as asked."""


class Bounds(NamedTuple):
    """`entries` at most in a list; `change` is the share, in percent, that may come or go between two pages."""

    entries: int = 50_000
    change: int = 50


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
    state: State
    """Its entries are those that have not ended and are allowed."""
    fresh_until: float | None
    """When the next entry ends."""
    stamp: tuple[int, str | None]
    """Version of the list and digest of the policy that this was made from."""
    pages: dict[Form, Page]
    """As they were asked for: a hundred consumers get one and the same page."""
    refusal: str = ""
    """Why nothing is published; `state` is then what was published last."""


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
        self._judged: dict[str, tuple[str | None, dict[str, bool]]] = {}

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
            self._touch(work, name, self._policy().describe()["digest"])
        return entry, until

    def remove(self, name: str, text: str) -> bool:
        """Take an entry off; False where it was not listed. Never refused by a policy: an undo is always possible."""
        entry = self._listed(name, text)
        with self._store.transaction() as work:
            removed = work.delete(_kind(name), entry)
            if removed:
                self._touch(work, name, self._policy().describe()["digest"])
        return removed

    def entry(self, name: str, text: str) -> Entry | None:
        """An entry that has not ended; None where it is not listed."""
        kind, key = self.kind(name), self._listed(name, text)
        with self._store.transaction() as work:
            record, size = work.get(_kind(name), key), work.count(_kind(name))
            before = _published(work, name)
        if record is None or record.due is None or record.due <= self._clock.now():
            return None
        lease, comment = (str(record.body.get(part, "")) for part in ("lease", "comment"))
        return Entry(key, record.due, lease, comment, self._held(name, kind, key, (before, size)))

    def _held(self, name: str, kind: str, key: str, sizes: tuple[int | None, int]) -> str:
        """Why a listed entry is not published. It only looks: what was published last stays as it is."""
        known = self._live.get(name)
        try:
            CHECKS[kind](self._policy(), key)
            if known is None or key not in known.state.entries:
                self._check_change(name, *sizes)
        except PropolisError as error:
            return str(error)
        return ""

    def page(self, name: str, form: Form = Form()) -> Page:  # noqa: B008 - it is immutable
        """The list in one of its forms.

        Raises StoreError or FeedError when it cannot be published; consumers then keep what they have.
        """
        self.kind(name)
        policy = self._policy()
        with self._lock:
            live = self._live.get(name)
            if live is None or not self._fresh(name, live, policy):
                live = self._live[name] = self._made(name, policy)
            if live.refusal:
                raise FeedError(live.refusal)
            if form not in live.pages:
                live.pages[form] = render(live.state, form)
            return live.pages[form]

    def accept(self, name: str) -> int:
        """Publish the list as it is now, however much it changed; gives its length."""
        self.kind(name)
        policy = self._policy()
        with self._lock:
            with self._store.transaction() as work:
                self._touch(work, name, policy.describe()["digest"])
            live = self._live[name] = self._made(name, policy, accepted=True)
        return len(live.state.entries)

    def _fresh(self, name: str, known: _Live, policy: Policy) -> bool:
        if known.fresh_until is not None and known.fresh_until <= self._clock.now():
            return False
        with self._store.transaction() as work:
            meta = work.get(_META, name)
        return meta is not None and known.stamp == (meta.version, policy.describe()["digest"])

    def _made(self, name: str, policy: Policy, *, accepted: bool = False) -> _Live:
        digest, kind = policy.describe()["digest"], self._kinds[name]
        with self._store.transaction() as work:
            meta = self._swept(work, name, digest)
            records = work.find(_kind(name), Filter(limit=self._bounds.entries))
            before = _published(work, name)
        comments = {record.key: str(record.body.get("comment", "")) for record in records}
        entries = order(kind, self._allowed(name, comments, policy))
        ends = min((record.due for record in records if record.due is not None), default=None)
        stamp = (meta.version, digest)
        try:
            self._check_change(name, None if accepted else before, len(entries))
        except FeedError as error:
            known = self._live.get(name)
            return _Live(known.state if known else State(name, kind, {}, 0, 0), ends, stamp, {}, str(error))
        if before != len(entries):
            with self._store.transaction() as work:
                work.save(_PUBLISHED, name, {"entries": len(entries)})
        state = State(name, kind, {entry: comments[entry] for entry in entries}, meta.updated_at, meta.body["serial"])
        return _Live(state, ends, stamp, {})

    def _swept(self, work: Transaction, name: str, digest: str | None) -> Record:
        """Take off what has ended; a list that changed by that, or by another policy, says so to every node."""
        over = work.find(_kind(name), Filter(due_before=self._clock.now(), limit=self._bounds.entries))
        for record in over:
            work.delete(_kind(name), record.key)
        meta = work.get(_META, name)
        if meta is None or over or meta.body["policy"] != digest or "serial" not in meta.body:
            meta = self._touch(work, name, digest)
        return meta

    def _allowed(self, name: str, entries: Iterable[str], policy: Policy) -> list[str]:
        """Those that the policy allows. Its word on what is listed is remembered: a page of 50,000 must be quick."""
        digest, check = policy.describe()["digest"], CHECKS[self._kinds[name]]
        judged_by, judged = self._judged.get(name, (None, {}))
        known = judged if judged_by == digest else {}
        words = {entry: known[entry] if entry in known else _passes(check, policy, entry) for entry in entries}
        self._judged[name] = (digest, words)
        return [entry for entry, allowed in words.items() if allowed]

    def _check_change(self, name: str, before: int | None, after: int) -> None:
        if before is not None and abs(after - before) > max(_STEADY, before * self._bounds.change // 100):
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

    def _touch(self, work: Transaction, name: str, digest: str | None) -> Record:
        """Make every node see that the list changed. Its serial number grows, though a clock be set back."""
        known = work.get(_META, name)
        last = int(known.body.get("serial", 0)) if known else 0
        return work.save(_META, name, {"policy": digest, "serial": max(int(self._clock.now()), last + 1)})


def _passes(check: Callable[[Policy, str], str], policy: Policy, entry: str) -> bool:
    try:
        check(policy, entry)
    except PropolisError:
        return False
    return True


def _published(work: Transaction, name: str) -> int | None:
    record = work.get(_PUBLISHED, name)
    return None if record is None else int(record.body["entries"])


def _kind(name: str) -> str:
    return f"feed:{name}"

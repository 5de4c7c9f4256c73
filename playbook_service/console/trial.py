"""Trying an edited playbook: the service's own last days through the set in use and through the edited one.

Record `trial`, key = the playbook's name: what was tried last. Body: `text`, `days`, `by`, `at`, `findings` (severity,
message, line), `sound` (false: it does not load, and nothing was run), `done` and `of` (alerts, while it runs). The run
itself is the errand `trial:<name>`. Nothing is decided, started, or written to a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from playbook_service.console import errand
from playbook_service.console.past import PAGE, Chosen, Memory, newest
from playbook_service.console.visit import Desk
from playbook_service.engine import decided, switch
from playbook_service.judgement.own import Own
from playbook_service.playbook import MODES, Playbook, Playbooks
from playbook_service.playbook.issue import Issue, issue_of
from playbook_service.playbook.lint import lint
from playbook_service.replay.comparison import Comparison, Row, Tally
from playbook_service.replay.edit import edited
from playbook_service.store.contract import Record, Transaction
from propolis.errors import InputError
from propolis.guardrails import Policy

KIND = "trial"
DAYS = (1, 7, 30)
LONGEST_TEXT = 100_000
"""Characters of a text that is tried; the strict loader takes more, a page in a browser should not."""
ROWS = 100
"""Differences that are kept with the alert and the decision they were seen on."""
_EVERY = 10  # pages between two notes of how far it is
_MOST_FINDINGS = 50
_DAY = 86_400.0


class Limits(NamedTuple):
    """How much one trial may be: alerts, and seconds, half of them for finding the alerts."""

    alerts: int = 20_000
    seconds: float = 60.0


LIMITS = Limits()


class Finding(NamedTuple):
    """What the loader or lint says of the text."""

    severity: str
    message: str
    line: int


class Draft(NamedTuple):
    """The text that was tried last, and how far its run is."""

    text: str
    days: int
    by: str
    at: float
    findings: tuple[Finding, ...]
    sound: bool
    done: int
    of: int


def errand_name(name: str) -> str:
    """The errand of a playbook's trial."""
    return f"trial:{name}"


def draft(work: Transaction, name: str) -> Draft | None:
    """What was tried last of a playbook."""
    record = work.get(KIND, name)
    return _draft(record) if record is not None else None


def _draft(record: Record) -> Draft:
    body = record.body
    findings = tuple(Finding(*entry) for entry in body["findings"])
    return Draft(
        body["text"], int(body["days"]), body["by"], float(body["at"]), findings, bool(body["sound"]),
        int(body["done"]), int(body["of"]),
    )  # fmt: skip


def begin(desk: Desk, book: Playbook, text: str, days: int, by: str, limits: Limits = LIMITS) -> Draft:
    """Read the text and, where it loads, have it tried in the background.

    Raises InputError where a trial of this playbook runs already or the text is too long, PolicyError while the policy
    cannot be read.
    """
    if len(text) > LONGEST_TEXT:
        raise InputError(f"The text has {len(text):,} characters; {LONGEST_TEXT:,} are tried at most.")
    if days not in DAYS:
        raise InputError(f"The days are one of {', '.join(map(str, DAYS))}.")
    playbooks, policy = desk.playbooks(), desk.policy()
    loaded = edited(playbooks, book.source, text)
    fresh = Playbooks(tuple(found for found in loaded.playbooks if found.source == book.source))
    sound = not loaded.faults
    findings = [_finding(issue) for issue in [*map(issue_of, loaded.faults), *lint(fresh)]]
    body = {
        "text": text, "days": days, "by": by, "at": desk.clock.now(), "sound": sound, "done": 0, "of": 0,
        "findings": [list(entry) for entry in sorted(findings, key=lambda entry: entry.line)[:_MOST_FINDINGS]],
    }  # fmt: skip
    with desk.store.transaction() as work:
        if errand.standing(work, errand_name(book.name), desk.clock.now()).state == errand.RUNNING:
            raise _busy(book)
        record = work.save(KIND, book.name, body)
        if sound:
            desk.journal.write(work, "playbook tried", playbook=book.name, days=days, operator=by)
    if sound:
        trial = Trial(desk, book, record.body, (playbooks, loaded.playbooks), policy, limits)
        if not desk.errands.start(errand_name(book.name), trial.run, by):
            raise _busy(book)
    return _draft(record)


def _busy(book: Playbook) -> InputError:
    return InputError(f"A trial of {book.name} runs already: wait for its end.")


def _finding(issue: Issue) -> Finding:
    where = f"{issue.path}: " if issue.path else ""
    return Finding(issue.severity, f"{where}{issue.message}"[:600], issue.line)


class Trial:
    """One run; `run` is what the errand does, and gives its result."""

    def __init__(
        self, desk: Desk, book: Playbook, body: dict[str, Any], sets: tuple[Playbooks, Playbooks], policy: Policy,
        limits: Limits,
    ):  # fmt: skip
        self._desk = desk
        self._book = book
        self._body = body
        self._before, self._after = sets
        self._policy = policy
        self._limits = limits
        self._began = desk.clock.monotonic()

    def run(self) -> dict[str, Any]:
        """Find the alerts, decide on each twice, and sum up. Raises StoreError."""
        store, now = self._desk.store, self._desk.clock.now()
        since = now - int(self._body["days"]) * _DAY
        chosen = newest(store, since, self._limits.alerts, self._half_spent, self._looked)
        with store.reading() as work:
            mode = ceiling(work, self._desk, self._policy)
        memory = Memory(store, Own(self._policy))
        prepared = memory.prepare(since, self._spent)
        comparison = Comparison(self._before, self._after, self._policy, mode)
        done = self._compare(chosen.keys, memory, comparison)
        result = self._summed_up(comparison.tally, mode)
        return {**result, **_bounds(chosen, done, prepared=prepared), "since": since}

    def _half_spent(self) -> bool:
        return self._desk.clock.monotonic() - self._began > self._limits.seconds / 2

    def _spent(self) -> bool:
        return self._desk.clock.monotonic() - self._began > self._limits.seconds

    def _compare(self, keys: Sequence[str], memory: Memory, comparison: Comparison) -> int:
        """Returns how many of the alerts were reached."""
        for start in range(0, len(keys), PAGE):
            if self._spent():
                return start
            for past in memory.read(tuple(keys[start : start + PAGE])):
                comparison.take(past)
            if start // PAGE % _EVERY == 0:
                self._tell(start, len(keys))
        return len(keys)

    def _looked(self, number: int) -> None:
        if number // PAGE % _EVERY == 0:
            self._tell(number, 0)

    def _tell(self, done: int, of: int) -> None:
        """How far it is, for the page; a short transaction, seldom."""
        with self._desk.store.transaction() as work:
            work.save(KIND, self._book.name, {**self._body, "done": done, "of": of})

    def _summed_up(self, tally: Tally, mode: str) -> dict[str, Any]:
        ranked = tally.ranked()
        return {
            "text": self._body["text"], "days": self._body["days"], "source": self._book.source,
            "sets": [self._before.digest, self._after.digest], "policy": self._policy.digest, "ceiling": mode,
            "alerts": tally.alerts, "changed": tally.changed, "unknown": tally.unknown, "first": tally.first,
            "last": tally.last, "before": dict(tally.before), "after": dict(tally.after),
            "before_today": dict(tally.before_today), "after_today": dict(tally.after_today),
            "groups": [list(group) for group in tally.groups()[:ROWS]],
            "rows": [self._row(row) for row in ranked[:ROWS]], "more": max(0, len(ranked) - ROWS) + tally.more,
        }  # fmt: skip

    def _row(self, row: Row) -> dict[str, Any]:
        change = row.change
        why = "; ".join(change.why_after or change.why_before)
        return {
            "action": change.action[:200], "target": change.target[:200], "before": change.before,
            "after": change.after, "why": why[:400], "alerts": row.times, "alert": row.alert,
            "decision": self._decision(row),
        }  # fmt: skip

    def _decision(self, row: Row) -> str:
        """The decision that was really made on that alert and target; empty where there was none."""
        with self._desk.store.reading() as work:
            found, _ = decided.newest(work, term=row.alert, limit=20)
        return next((record.key for record in found if _is_on(record, row)), "")


def _is_on(record: Record, row: Row) -> bool:
    decision = record.body["decision"]
    data = str(decision["target"]["data"]) if decision["target"] else ""
    same = row.change.target == data or row.change.target.endswith(f" {data})")
    return bool(data) and same and decision["action"] == row.change.action and record.body["alert"] == row.alert


def _bounds(chosen: Chosen, done: int, *, prepared: bool) -> dict[str, Any]:
    """What was not looked at: a trial never pretends to be more than it was."""
    return {
        "suppressed": chosen.suppressed, "left_out": chosen.left_out, "whole": chosen.whole and prepared,
        "chosen": len(chosen.keys), "reached": done,
    }  # fmt: skip


def ceiling(work: Transaction, desk: Desk, policy: Policy) -> str:
    """The most careful of the service's mode, the policy's, and what a person lowered it to."""
    configured = str(desk.settings["mode"])
    return min(configured, policy.mode or configured, switch.lowered(work).mode or configured, key=MODES.index)

"""The answer in words: what came in, what would be done, asked, stopped, left alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone

from playbook_service.judgement.guard import ACT, ASK, STOPPED
from playbook_service.replay.enrichment import Seen
from playbook_service.replay.run import Result
from playbook_service.replay.summary import ALONE, SUPPRESSED, AlertRow, Row
from propolis.duration import duration_text

ACTS: dict[str, tuple[str, str, str]] = {
    "FirewallBlock": ("block", "address", "addresses"),
    "AccountDisable": ("disable", "account", "accounts"),
    "IsolateHost": ("isolate", "host", "hosts"),
}
"""Responder -> what it does, to one, to several."""

SEVERITIES = {1: "low", 2: "medium", 3: "high", 4: "critical"}


def count(number: int, one: str, several: str = "") -> str:
    """`1 case`, `2,500 cases`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def listed(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    found = list(parts)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else ""


def clock(moment: float | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment in UTC."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime(form) if moment is not None else "at an unknown time"


def span(seconds: int, *, permanent: bool = False) -> str:
    """How long a containment lasts: `24 h`, `7d`, `permanent`."""
    if permanent:
        return "permanent"
    hours = seconds / 3_600
    return f"{hours:.0f} h" if hours == int(hours) and hours <= 72 else duration_text(seconds)


def two_digits(value: float) -> str:
    """Cut and not rounded: .949 must not read as .95, nor .996 as certainty."""
    return f"{int(value * 100 + 1e-9) / 100:.2f}"


def finding(seen: Seen | None) -> str:
    """`malicious 0.98: 203.0.113.17`, or the empty text where no source said anything."""
    if seen is None:
        return ""
    return f"{seen.fields['verdict']} {two_digits(seen.verdict.score)}: {seen.observable.data}"


def doing(row: AlertRow) -> str:
    """What the playbooks want for one alert: `block 203.0.113.17, isolate web02 (host 002)`."""
    return ", ".join(f"{acting(judged.decision.responder)} {judged.target}" for judged in row.decisions)


def acting(responder: str) -> str:
    """`block`, for people."""
    return ACTS.get(responder, (responder, "", ""))[0]


def answer(result: Result) -> list[str]:
    """The answer, a sentence or two a line."""
    summary = result.summary
    if not summary.alerts:
        return [f"No alert of {result.name} was replayed{_outside(result)}."]
    lines = [_came_in(result), _done(summary.rows(ACT)), _asked(summary.rows(ASK)), _stopped(summary.rows(STOPPED))]
    lines.append(_rest(result))
    if result.setup.against is not None:
        lines.append(_compared(result))
    lines.append(standing(result))
    return [line for line in lines if line]


def _outside(result: Result) -> str:
    outside = result.summary.outside
    return f": {count(outside, 'alert')} lie outside of the period" if outside else ""


def _came_in(result: Result) -> str:
    summary = result.summary
    end = "%H:%M" if same_day(summary.first, summary.last) else "%Y-%m-%d %H:%M"
    when = f"{clock(summary.first)} to {clock(summary.last, end)} UTC"
    return (
        f"{count(summary.alerts, 'alert')} from {count(len(summary.sources), 'log source')} and "
        f"{count(len(summary.agents), 'agent')} ({when}) make {count(summary.case_count, 'case')}."
    )


def same_day(one: float | None, other: float | None) -> bool:
    """Do both lie on one day, UTC?"""
    return one is not None and other is not None and one // 86_400 == other // 86_400


def _done(rows: list[Row]) -> str:
    if not rows:
        return "Would contain nothing without asking."
    longest = max(row.judged.decision.seconds for row in rows)
    lasting = f", for {span(longest)} at most" if longest else ""
    return f"Would {_what(rows)} without asking{lasting}: {_names(rows)}."


def _asked(rows: list[Row]) -> str:
    return f"Would ask an analyst whether to {_what(rows)}: {_names(rows)}." if rows else "Would ask about nothing."


def _what(rows: list[Row]) -> str:
    """`block 4 addresses and isolate 2 hosts`."""
    counts = Counter(row.judged.decision.responder for row in rows)
    parts = []
    for responder, number in counts.most_common():
        verb, one, several = ACTS.get(responder, (f"use {responder} on", "target", "targets"))
        parts.append(f"{verb} {count(number, one, several)}")
    return listed(parts)


def _names(rows: list[Row], most: int = 6) -> str:
    names = [_short(row) for row in rows]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _short(row: Row) -> str:
    target = row.judged.decision.target
    return target.label if target is not None and target.label else row.judged.target


def _stopped(rows: list[Row]) -> str:
    if not rows:
        return ""
    why = ", ".join(f"{_short(row)} ({row.judged.rule.partition(':')[0]})" for row in rows[:4])
    more = f" and {len(rows) - 4} more" if len(rows) > 4 else ""
    return f"Guardrails stop {count(len(rows), 'containment')}: {why}{more}."


def _rest(result: Result) -> str:
    summary = result.summary
    parts = []
    if summary.dispositions[SUPPRESSED]:
        parts.append(
            f"Suppressed {count(summary.dispositions[SUPPRESSED], 'alert')} of a kind that analysts keep closing as "
            "false positive."
        )
    parts.append(f"Left alone {count(summary.dispositions[ALONE], 'alert')}.")
    bad = sum(fault.count for fault in result.faults)
    if bad:
        parts.append(f"{count(bad, 'line')} could not be read.")
    return " ".join(parts)


def _compared(result: Result) -> str:
    summary = result.summary
    if not summary.changes:
        return "Both sets of playbooks decide the same for every alert."
    return (
        f"The two sets of playbooks differ in {count(len(summary.changes), 'decision')} on "
        f"{count(summary.changed_alerts, 'alert')}."
    )


def standing(result: Result) -> str:
    """What the modes of today leave of it."""
    modes = Counter(book.mode for book in result.setup.playbooks if book.enabled and book.kind == "respond")
    rows = result.summary.rows(ACT, ASK)
    today = Counter(row.judged.today for row in rows)
    if not rows:
        return "This was a dry run: nothing was done."
    begin = f"This was a dry run: nothing was done. With the modes as they are ({_modes(modes)}, ceiling "
    if not today[ACT] and not today[ASK]:
        return f"{begin}{result.setup.ceiling}) the service would do nothing either, and log this."
    would = f"act {count(today[ACT], 'time')} and ask {count(today[ASK], 'time')}"
    return f"{begin}{result.setup.ceiling}) the service would {would}."


def _modes(modes: Counter[str]) -> str:
    return ", ".join(f"{number} {mode}" for mode, number in modes.most_common()) or "no playbook"


def spoke(result: Result) -> list[tuple[str, str]]:
    """What is what: which profile, policy, playbooks, reports and labels spoke."""
    setup = result.setup
    described = setup.policy.describe()
    policy = (
        f"{described['source']}, {described['digest'][:12]}"
        if described["digest"]
        else "none given: built-in rules only"
    )
    books = setup.playbooks
    enabled = sum(1 for book in books if book.enabled)
    found = [
        ("Input", result.name),
        ("Dry run", "yes: replay starts no analyzer and no responder"),
        ("Verdicts", f"profile {setup.options.profile}, from {count(len(setup.evidence), 'recorded report')}"),
        ("Policy", policy),
        (
            "Responders",
            "; ".join(setup.policy.holds_back()) or "would act under this policy, once dry_run is switched off",
        ),
        ("Playbooks", f"{enabled} of {len(books)} enabled, digest {books.digest[:12]}"),
        ("Mode", f"ceiling {setup.ceiling}; each playbook's own mode below that"),
        ("Labels", count(setup.history.count, "closure")),
    ]
    if setup.against is not None:
        found.append(("Compared with", f"{len(setup.against)} playbooks, digest {setup.against.digest[:12]}"))
    return found

"""The evidence of a verdict as bars: one for each source, to the right for guilt, to the left for innocence.

It is drawn from `Verdict.to_dict()` as records of kind `verdict` keep it (`full`). What is kept may be old, or come
from another program: whatever is missing or of another kind there is left out, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from playbook_service.console.frame import chip
from playbook_service.replay import plot
from playbook_service.replay.words import count, listed, two_digits
from playbook_service.web.html import Child, Html, el, join, said, visible
from propolis.verdict.ledger import Line
from propolis.verdict.report import LEVELS, NONE

LEGEND = (
    "Each bar is one source\u2019s share of the verdict, in log-odds: to the right it speaks for guilt, to the left "
    "for innocence. A source that is missing speaks for neither."
)
_BARS, _NAMED = 60, 30
_NAME = 80
_TOLD = 0.005  # what two digits show


def ledger(full: Mapping[str, Any]) -> Html:
    """The evidence, for a page. `LEGEND` says how to read it, once a page."""
    lines = [entry for entry in _entries(full, "ledger") if _level(entry)]
    lines.sort(key=lambda entry: -abs(_kept(entry) or 0.0))
    more = len(lines) - _BARS
    parts: list[Child] = [
        _summary(full),
        el("div", [_bar(entry) for entry in lines[:_BARS]], class_="bars") if lines else _nothing(full),
        el("p", f"{count(more, 'further source')} weigh less.", class_="note") if more > 0 else None,
        [el("p", note, class_="note") for note in _notes(full)],
    ]
    return el("div", parts, class_="ledger")


# the line above the bars --------------------------------------------------------------------------------------------


def _summary(full: Mapping[str, Any]) -> Html | None:
    kind = "probability" if full.get("calibrated") is True else "score"
    families = _number(full.get("families"))
    words: list[Child] = [
        _word(full.get("verdict")),
        _measure(kind, full.get("score")),
        count(int(families), "independent family", "independent families") if families is not None else None,
        _measure("coverage", full.get("coverage")),
        _measure("conflict", full.get("conflict")),
    ]
    told = [word for word in words if word is not None]
    advice = _advice(full)
    if not told and advice is None:
        return None
    return el("p", join(told, " \u00b7 "), " " if advice else None, advice, class_="sum")


def _measure(name: str, value: Any) -> str | None:
    number = _number(value)
    return None if number is None else f"{name} {two_digits(number)}"


def _word(value: Any) -> Html | None:
    return el("b", said(value, _NAME)) if isinstance(value, str) and value else None


def _advice(full: Mapping[str, Any]) -> Html | None:
    advice = full.get("recommendation")
    return chip(advice, f"advises {advice}") if advice in ("act", "ask", "observe") else None


def _nothing(full: Mapping[str, Any]) -> Html:
    asked = "No source that was asked has judged it." if _entries(full, "ledger") else "No evidence is on record."
    return el("p", asked, class_="note")


# a bar --------------------------------------------------------------------------------------------------------------


def _bar(entry: Mapping[str, Any]) -> Html:
    level, kept = _level(entry), _kept(entry)
    name = _text(entry, "source")[:_NAME] or "a source without a name"
    about = [
        "nothing found" if level == NONE else level,
        f"family {_text(entry, 'family')}" if _text(entry, "family") else "",
        f"grade {_text(entry, 'grade')}" if _text(entry, "grade") else "",
        _age(entry.get("age_hours")),
    ]
    cut = _cut(entry)
    cleared = entry.get("veto")
    return join(
        (
            el(
                "div", said(name), " ", el("small", said(" \u00b7 ".join(word for word in about if word), 300)),
                el("small", cut, class_="cut-by") if cut else None,
                el("small", "clears it: ", said(cleared), class_="cut-by") if cleared else None, class_="k",
            ),
            Html(plot.weight(_line(visible(name), level, kept or 0.0))),
            el("div", "\u2013" if kept is None else f"{kept:+.2f}", class_="v"),
        )
    )  # fmt: skip


def _line(name: str, level: str, kept: float) -> Line:
    """What `plot` draws: the name, the level and the share."""
    return Line(name, "", "", "", 0.0, level, None, kept, kept, kept, kept, None, None, 0.0)


def _age(value: Any) -> str:
    hours = _number(value)
    if hours is None:
        return ""
    if hours < 1:
        return "less than an hour old"
    return f"{hours:,.0f} h old" if hours < 48 else f"{hours / 24:,.0f} days old"


def _cut(entry: Mapping[str, Any]) -> str:
    """What was taken off the source's word, and why."""
    steps = [_number(entry.get(name)) for name in ("raw", "weight", "after_decay", "after_family")]
    reasons = ("for uncertainty", "for age", "because its family had spoken")
    taken = []
    for before, after, why in zip(steps, steps[1:], reasons, strict=False):
        if before is not None and after is not None and abs(before) - abs(after) > _TOLD:
            taken.append(f"{abs(before) - abs(after):.2f} {why}")
    return f"{steps[0]:+.2f}, less {listed(taken)}" if taken and steps[0] is not None else ""


# below the bars -----------------------------------------------------------------------------------------------------


def _notes(full: Mapping[str, Any]) -> Iterator[Html]:
    missing = [entry for entry in _entries(full, "ledger") if not _level(entry)]
    yield from _named("Missing, which speaks neither for nor against it: ", missing, "source", "reason")
    yield from _named("Not rated, and so without weight: ", _entries(full, "unrated"), "source", "level")
    yield from _named("Not used: ", _entries(full, "dropped"), "definition", "why")
    veto = full.get("veto")
    for reason in veto[:_NAMED] if isinstance(veto, list) else ():
        yield join((el("b", "Veto: "), said(reason), "."))


def _named(before: str, entries: list[Mapping[str, Any]], name: str, why: str) -> Iterator[Html]:
    named = [
        join((said(_text(entry, name), _NAME), " (", said(_text(entry, why), 160), ")")) for entry in entries[:_NAMED]
    ]
    more = f" and {len(entries) - _NAMED:,} more" if len(entries) > _NAMED else None
    if named:
        yield join((before, join(named, ", "), more, "."))


# reading ------------------------------------------------------------------------------------------------------------


def _entries(full: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = full.get(name)
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def _level(entry: Mapping[str, Any]) -> str:
    """What the source says; empty for one that is missing."""
    level = entry.get("level")
    return level if isinstance(level, str) and level in LEVELS else ""


def _kept(entry: Mapping[str, Any]) -> float | None:
    """The share in the verdict: after the family's discount, and the calibration where there is one."""
    found = (_number(entry.get(name)) for name in ("contribution", "after_family"))
    return next((number for number in found if number is not None), None)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e9 else None


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""

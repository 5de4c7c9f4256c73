"""The last 24 hours in numbers, each with a bar for every hour, from the sums that are kept of the audit chain.

What came since the sums were kept is added on the way; where that is much, an errand counts it, as it may be that
nobody scrapes the metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from playbook_service.console.frame import ROOT, moment
from playbook_service.console.visit import Visit
from playbook_service.metrics.counting import Counting, lately
from playbook_service.metrics.hours import DECISION_STATES, SECONDS
from playbook_service.store.contract import Store, Transaction
from playbook_service.web.html import Html, el, join
from propolis.clock import utc_text

NAME = "tally"
"""The errand."""
HOURS = 24
MOST, MANY = 500, 250
"""Lines that a page counts at most, and from how many on it has them counted in the background."""
_WIDE, _HIGH = 4, 24  # of an hour's place, and of the highest bar
_ITSELF = "the service"

Hour = Mapping[str, int]


class Kind(NamedTuple):
    """One tile: its style, what it counts, its words, the facts that are told beside it, and where it leads."""

    style: str
    counts: tuple[str, ...]
    words: str
    beside: tuple[str, ...] = ()
    to: str = ""


KINDS = (
    Kind("plain", ("cases",), "cases opened"),
    Kind("suppressed", ("suppressed",), "alerts suppressed", (), f"{ROOT}/false-positives"),
    Kind(
        "alone", tuple(f"decision {state}" for state in DECISION_STATES), "decisions",
        tuple(f"decision {state}" for state in DECISION_STATES), f"{ROOT}/decisions",
    ),
    Kind("stopped", ("refused",), "refused by a guardrail or the budget", (), f"{ROOT}/decisions?state=stopped"),
    Kind("ask", ("asked",), "questions asked", ("granted", "denied", "expired", "withdrawn"), f"{ROOT}/approvals"),
    Kind("act", ("contained",), "contained", (), f"{ROOT}/leases"),
    Kind("safe", ("released",), "released"),
    Kind("failed", ("failed",), "failures", (), "#lately"),
)  # fmt: skip


def section(visit: Visit, work: Transaction, now: float) -> Html:
    """The tiles; a sentence while too much is still to be counted."""
    found = lately(work, MOST)
    left = found.newest - found.upto
    if found.uncounted > MANY:
        visit.desk.errands.start(NAME, lambda: _count(visit.desk.store), _ITSELF)
    if left > 0:
        told = el("p", f"Being counted: {left:,} lines of the audit chain to go.", class_="note empty")
        return el("section", el("h2", "The last 24 hours"), told, data_part="day")
    first = (now // SECONDS - HOURS + 1) * SECONDS
    note = el(
        "p", "From ", moment(first), " on, hour by hour, as the audit chain has it. The highest bar of a tile is its "
        "busiest hour.", class_="note",
    )  # fmt: skip
    hours = found.hours.last(now, HOURS)
    tiles = el("ul", [_tile(kind, hours, first) for kind in KINDS], class_="tiles day")
    return el("section", el("h2", "The last 24 hours"), note, tiles, data_part="day")


def _count(store: Store) -> None:
    counting = Counting(store)
    counting.catch_up(lambda: False)
    counting.keep()


def _tile(kind: Kind, hours: Sequence[Hour], first: float) -> Html:
    numbers = [sum(hour.get(name, 0) for name in kind.counts) for hour in hours]
    sums = [(name.rpartition(" ")[2], sum(hour.get(name, 0) for hour in hours)) for name in kind.beside]
    beside = ", ".join(f"{number:,} {name}" for name, number in sums if number)
    words = join((el("b", f"{sum(numbers):,}"), el("span", f"{kind.words}: {beside}" if beside else kind.words)))
    title = el("a", words, href=kind.to) if kind.to else el("div", words)
    return el("li", title, _bars(kind, numbers, first), class_=kind.style)


def _bars(kind: Kind, numbers: Sequence[int], first: float) -> Html:
    most = max(numbers)
    told = [
        f"{number:,} from {utc_text(first + place * SECONDS)[11:16]}" for place, number in enumerate(numbers) if number
    ]
    says = f"{kind.words} by the hour: {', '.join(told) or 'none'}"
    bars = [_bar(place, number / most) for place, number in enumerate(numbers) if number]
    return el(
        "svg", el("title", says), el("rect", x="0", y=str(_HIGH), width=str(_WIDE * HOURS), height="1", class_="base"),
        bars, viewBox=f"0 0 {_WIDE * HOURS} {_HIGH + 1}", preserveAspectRatio="none", role="img", aria_label=says,
        class_="hours",
    )  # fmt: skip


def _bar(place: int, share: float) -> Html:
    high = max(1.5, share * (_HIGH - 1))
    return el(
        "rect", x=str(place * _WIDE), y=f"{_HIGH - high:.1f}", width=str(_WIDE - 1), height=f"{high:.1f}", class_="hour"
    )

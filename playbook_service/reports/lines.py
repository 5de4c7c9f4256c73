"""Lines of the audit chain: where a period begins and ends, its pages one by one, and the lines that name something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from playbook_service.audit import index
from playbook_service.audit.journal import LOG
from playbook_service.store.contract import Entry, Transaction

PAGE = 500
SLACK = 3600.0
"""Seconds that are read before and after a period: a wall clock that was set back leaves lines out of order."""


def first_from(work: Transaction, moment: float) -> int:
    """The number of the first line that was written at a wall time or later; one above the end where there is none."""
    newest = work.last(LOG)
    low, high = 1, newest.number + 1 if newest else 1
    while low < high:
        middle = (low + high) // 2
        (entry,) = work.read(LOG, after=middle - 1, limit=1)
        low, high = (low, middle) if entry.at >= moment else (middle + 1, high)
    return low


def span(work: Transaction, start: float, end: float) -> tuple[int, int]:
    """The first and the last number among which a period's lines are; the last is below the first where none are."""
    return first_from(work, start - SLACK), first_from(work, end + SLACK) - 1


def page(work: Transaction, after: int, last: int) -> list[Entry]:
    """The next lines above a number, up to the last one."""
    return work.read(LOG, after=after, limit=max(0, min(PAGE, last - after)))


def pages(work: Transaction, first: int, last: int) -> Iterator[list[Entry]]:
    """All of them, within one transaction."""
    after = first - 1
    while after < last:
        found = page(work, after, last)
        if not found:
            return
        yield found
        after = found[-1].number


def naming(work: Transaction, names: Iterable[str], most: int) -> list[Entry]:
    """The lines that name any of these, in their order; of each name at most the newest so many."""
    numbers = {number for name in names for number in index.numbers(work, name, limit=most)}
    return [entry for number in sorted(numbers) for entry in work.read(LOG, after=number - 1, limit=1)]

"""What can be said of conditions without running them: does one imply another, can one ever hold.

Cautious both ways: "implies" and "impossible" are only said where they are certain.
"""

from __future__ import annotations

from collections.abc import Iterator

from playbook_service.playbook.condition import Condition, Test
from playbook_service.playbook.modifier import fold, number_of

SCALAR_FIELDS = frozenset(
    {
        "alert.rule.level",
        "alert.rule.id",
        "alert.agent.id",
        "alert.decoder.name",
        "observable.dataType",
        "observable.role",
        "verdict.verdict",
        "verdict.recommendation",
        "verdict.score",
        "verdict.malicious",
        "verdict.suspicious",
        "verdict.families",
        "verdict.coverage",
        "verdict.conflict",
        "case.severity",
        "case.status",
        "case.resolutionStatus",
    }
)
"""Fields that never hold a list; only there can two tests exclude each other."""
EQUALITY = ("", "in")
LOWER = ("gte", "gt")
UPPER = ("lte", "lt")


def covers(earlier: Condition, later: Condition) -> bool:
    """Does the earlier condition hold wherever the later one does?"""
    if earlier.always:
        return True
    if later.always:
        return False
    return all(
        any(_alternative_implies(mine, theirs) for theirs in earlier.alternatives) for mine in later.alternatives
    )


def _alternative_implies(mine: tuple[Test, ...], theirs: tuple[Test, ...]) -> bool:
    return all(any(implies(test, wanted) for test in mine) for wanted in theirs)


def implies(test: Test, wanted: Test) -> bool:
    """Wherever `test` holds, `wanted` does."""
    if test.field != wanted.field:
        return False
    if (test.modifier, test.negated, test.values) == (wanted.modifier, wanted.negated, wanted.values):
        return True
    if _asks_presence(wanted):
        return needs_field(test)
    return test.negated == wanted.negated and _family(test) == _family(wanted) and _narrower(test, wanted)


def _narrower(test: Test, wanted: Test) -> bool:
    """The same of two tests of one kind and sign, by their values."""
    if _family(test) in ("lower", "upper"):
        return not test.negated and _tighter(test, wanted)
    if test.modifier.endswith("all"):
        return _values(test) >= _values(wanted)
    return _values(test) >= _values(wanted) if test.negated else _values(test) <= _values(wanted)


def impossible(tests: tuple[Test, ...]) -> tuple[Test, Test] | None:
    """Two of these tests that exclude each other, or None where none are known to."""
    for index, first in enumerate(tests):
        for second in tests[index + 1 :]:
            if _exclude(first, second) or _exclude(second, first):
                return first, second
    return None


def _exclude(first: Test, second: Test) -> bool:
    if first.field != second.field or first.negated:
        return False
    if second.negated:
        return implies(first, _positive(second))
    if _asks_absence(second):
        return first.modifier != "exists"
    if first.field not in SCALAR_FIELDS:
        return False
    if _family(first) == _family(second) == "equality":
        return not _values(first) & _values(second)
    return _out_of_range(first, second)


def _out_of_range(first: Test, second: Test) -> bool:
    """`gte: 10` beside `lt: 5`, or beside the plain value 3. (`gt: 4` beside `lt: 5` is let pass: 4.5 is a number.)"""
    numbers = [number for value in second.values if (number := number_of(value)) is not None]
    if _family(first) not in ("lower", "upper") or len(numbers) != len(second.values):
        return False
    if _family(second) not in ("equality", "upper" if _family(first) == "lower" else "lower"):
        return False
    return not any(first.matcher([number]) for number in numbers)


def _positive(test: Test) -> Test:
    return Test(test.field, test.modifier, False, test.values, test.line, test.path, test.lookup, test.matcher)


def _family(test: Test) -> str:
    if test.modifier in EQUALITY:
        return "equality"
    if test.modifier in LOWER:
        return "lower"
    return "upper" if test.modifier in UPPER else test.modifier


def _tighter(test: Test, wanted: Test) -> bool:
    mine, theirs = number_of(test.values[0]) or 0.0, number_of(wanted.values[0]) or 0.0
    if mine == theirs:
        return test.modifier == wanted.modifier or test.modifier in ("gt", "lt")
    return mine > theirs if _family(test) == "lower" else mine < theirs


def _values(test: Test) -> frozenset[str]:
    """The values as comparisons see them; a pattern's case counts."""
    if test.modifier.startswith("re"):
        return frozenset(str(value) for value in test.values)
    return frozenset(fold(value) for value in test.values)


def _asks_presence(test: Test) -> bool:
    return test.modifier == "exists" and test.values[0] is not test.negated


def _asks_absence(test: Test) -> bool:
    return test.modifier == "exists" and test.values[0] is test.negated


def needs_field(test: Test) -> bool:
    """Can this test only hold where the field is there?"""
    return not test.negated if test.modifier != "exists" else _asks_presence(test)


def narrowed(condition: Condition, field: str) -> Iterator[tuple[Test, ...]]:
    """For each alternative, its tests on one field."""
    for tests in condition.alternatives or ((),):
        yield tuple(test for test in tests if test.field == field)

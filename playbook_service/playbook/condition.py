"""Conditions: data in Sigma's `field|modifier` style, compiled once to closures over a context.

A map is AND, a list of maps is OR, a list of values under a field is any of them (`|all`: every one of them). A field
that holds a list passes where one of its elements does. A missing field passes no test; `|not` of it therefore passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from playbook_service.playbook.document import Node
from playbook_service.playbook.event import ROOTS
from playbook_service.playbook.fault import PlaybookError, PlaybookErrors, shorten, unknown
from playbook_service.playbook.field import Context, Lookup, compile_field
from playbook_service.playbook.modifier import MODIFIERS, Matcher, Modifier, Scalar

ALWAYS = "always"
ALL_TAKES = frozenset({"contains", "startswith", "endswith", "re"})
MAX_VALUES = 1_000
SHOWN = 5

MODIFIER_WORDS: dict[str, str] = {
    **{name: modifier.help for name, modifier in MODIFIERS.items() if name},
    "not": "turns the test round; stands right behind the field",
    "all": "every value of the list, not one of them; stands last",
}
"""Every word that may follow a `|`, with its meaning."""


@dataclass(frozen=True)
class Test:
    """One line of a condition: `alert.rule.level|gte: 10`."""

    __test__: ClassVar[bool] = False  # not one of pytest's, for all its name

    field: str
    modifier: str
    negated: bool
    values: tuple[Scalar, ...]
    line: int
    path: str
    lookup: Lookup
    matcher: Matcher

    def holds(self, context: Context) -> bool:
        """Does the line hold in this context?"""
        return self.matcher(self.lookup(context)) is not self.negated

    def check(self, context: Context, alternative: int) -> Check:
        """The same with what was found."""
        found = self.lookup(context)
        held = self.matcher(found) is not self.negated
        return Check(self.text, self.field, held, tuple(found[: SHOWN + 1]), alternative)

    @cached_property
    def text(self) -> str:
        """The line as an author would write it."""
        key = "|".join(part for part in (self.field, "not" if self.negated else "", self.modifier) if part)
        values = ", ".join(_shown(value) for value in self.values[:SHOWN])
        more = f", ... ({len(self.values)} in all)" if len(self.values) > SHOWN else ""
        return f"{key}: {values}{more}" if len(self.values) == 1 else f"{key}: [{values}{more}]"


class Check(NamedTuple):
    """What one line said of one context; `alternative` counts the maps of an OR from 0, `found` is what was there."""

    test: str
    field: str
    held: bool
    found: tuple[Any, ...]
    alternative: int

    @property
    def sentence(self) -> str:
        """`alert.rule.level|gte: 10 does not hold (found 5)`."""
        shown = ", ".join(_shown(value) for value in self.found[:SHOWN]) or "nothing"
        more = ", ..." if len(self.found) > SHOWN else ""
        return f"{self.test} {'holds' if self.held else 'does not hold'} (found {shown}{more})"


@dataclass(frozen=True)
class Condition:
    """Alternatives (OR) of tests (AND). No alternatives at all: it always holds."""

    alternatives: tuple[tuple[Test, ...], ...]
    holds: Callable[[Context], bool]

    @property
    def always(self) -> bool:
        """True where nothing is asked."""
        return not self.alternatives

    @property
    def tests(self) -> tuple[Test, ...]:
        """Every line of every alternative."""
        return tuple(test for tests in self.alternatives for test in tests)

    def explain(self, context: Context) -> tuple[Check, ...]:
        """Which lines hold in this context and which do not, and what was found there."""
        return tuple(test.check(context, number) for number, tests in enumerate(self.alternatives) for test in tests)

    def why(self, context: Context) -> tuple[str, ...]:
        """The decisive sentences: the lines of the first alternative that holds, else every line that fails."""
        for number, tests in enumerate(self.alternatives):
            if all(test.holds(context) for test in tests):
                return tuple(test.check(context, number).sentence for test in tests)
        return tuple(check.sentence for check in self.explain(context) if not check.held)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return shorten(value) if isinstance(value, str) else shorten(str(value))


def always() -> Condition:
    """The condition that asks nothing."""
    return Condition((), lambda _context: True)


def read_condition(node: Node) -> Condition:
    """Compile a condition; raises PlaybookErrors with every fault in it."""
    maps = node.value if isinstance(node.value, list) else [node]
    if not maps:
        raise PlaybookErrors([node.fault("an empty list of alternatives never holds; leave the key out.")])
    faults: list[PlaybookError] = []
    alternatives = tuple(_read_map(entry, faults) for entry in maps)
    if faults:
        raise PlaybookErrors(faults)
    return Condition(alternatives, _disjunction(alternatives))


def _read_map(node: Node, faults: list[PlaybookError]) -> tuple[Test, ...]:
    if not isinstance(node.value, dict) or not node.value:
        faults.append(node.fault(f"a condition is a map of field: value (or a list of such maps), not {node.kind}."))
        return ()
    tests = []
    for key, value in node.value.items():
        try:
            tests.append(_read_test(key, value))
        except PlaybookError as fault:
            faults.append(fault)
    return tuple(tests)


def _read_test(key: str, node: Node) -> Test:
    field, *words = key.split("|")
    _check_field(field, node)
    negated = words[:1] == ["not"]
    words = words[1:] if negated else words
    every = words[-1:] == ["all"]
    name = _modifier_name(words[:-1] if every else words, every, node)
    values = _values(name, MODIFIERS[name], node)
    matcher = _build(MODIFIERS[name], values, every, node)
    shown = "|".join(part for part in (name, "all" if every else "") if part)
    return Test(field, shown, negated, values, node.line, node.path, compile_field(field), matcher)


def _check_field(field: str, node: Node) -> None:
    root, _, rest = field.partition(".")
    if root not in ROOTS:
        raise node.fault(unknown("field root", root, ROOTS))
    if not rest or not all(rest.split(".")):
        raise node.fault(f'"{shorten(field)}" names no field; write for example {root}.{EXAMPLES[root]}.')


EXAMPLES = {"alert": "rule.level", "observable": "dataType", "verdict": "recommendation", "case": "severity"}


def _modifier_name(words: list[str], every: bool, node: Node) -> str:
    for word in words:
        if word not in MODIFIER_WORDS:
            raise node.fault(unknown("modifier", word, MODIFIER_WORDS))
    if "not" in words or "all" in words:
        raise node.fault('"not" stands right behind the field and "all" last: field|not|contains|all.')
    if len(words) > 1:
        raise node.fault(f"one test at a time: {' and '.join(words)} cannot both stand behind one field.")
    name = words[0] if words else ""
    if every and name not in ALL_TAKES:
        raise node.fault(f'"all" goes with {", ".join(sorted(ALL_TAKES))} only.')
    return name


def _values(name: str, modifier: Modifier, node: Node) -> tuple[Scalar, ...]:
    nodes = node.value if isinstance(node.value, list) else [node]
    if not nodes:
        raise node.fault("the list is empty; nothing could ever match.")
    if len(nodes) > MAX_VALUES:
        raise node.fault(f"more than {MAX_VALUES:,} values; use a MISP warning list or a CDB list for these.")
    if isinstance(node.value, list) and modifier.takes == "one":
        raise node.fault(f'"{name}" takes one value, not a list.')
    return tuple(_scalar(entry) for entry in nodes)


def _scalar(node: Node) -> Scalar:
    if node.value is None:
        raise node.fault("there is no value; to ask whether a field is there, use |exists: true or false.")
    if isinstance(node.value, (list, dict)):
        raise node.fault(f"a value is text, a number or true/false, not {node.kind}.")
    return node.value


def _build(modifier: Modifier, values: tuple[Scalar, ...], every: bool, node: Node) -> Matcher:
    try:
        if not every:
            return modifier.build(values)
        return _conjunction([modifier.build((value,)) for value in values])
    except ValueError as error:
        raise node.fault(str(error)) from None


def _conjunction(matchers: Sequence[Matcher]) -> Matcher:
    return lambda found: all(matches(found) for matches in matchers)


def _disjunction(alternatives: tuple[tuple[Test, ...], ...]) -> Callable[[Context], bool]:
    """Closures without attribute look-ups: this runs for every playbook on every event."""
    compiled = [_every([(test.lookup, test.matcher, test.negated) for test in tests]) for tests in alternatives]
    if len(compiled) == 1:
        return compiled[0]

    def any_holds(context: Context) -> bool:
        for holds in compiled:  # noqa: SIM110 - a loop is measurably faster than any() over a generator here
            if holds(context):
                return True
        return False

    return any_holds


def _every(lines: list[tuple[Lookup, Matcher, bool]]) -> Callable[[Context], bool]:
    def holds(context: Context) -> bool:
        for lookup, matches, negated in lines:  # noqa: SIM110
            if matches(lookup(context)) is negated:
                return False
        return True

    return holds

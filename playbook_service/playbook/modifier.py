"""What may follow a field in a condition: the registry of modifiers, each compiled to a test on one field's values.

Comparison, as in Sigma, does not mind case (only `re` does). Beyond Sigma, because of what Wazuh emits: numbers may
come as text (`"10"`), blanks around text do not count (a rule group may be `" powershell"`), and runs of backslashes
count as one (the Windows channel doubles them).
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from playbook_service.playbook.pattern import MAX_INPUT, PatternError, compile_pattern

Scalar = str | int | float | bool
Matcher = Callable[[list[Any]], bool]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SHORT = 64
BACKSLASHES = re.compile(r"\\{2,}")


class Modifier(NamedTuple):
    """`build` makes the test from the author's values; ValueError, with a sentence, for values it cannot take."""

    build: Callable[[Sequence[Scalar]], Matcher]
    takes: str
    """`many` values (any of them), or exactly `one`."""
    help: str


def fold(value: Any) -> str:
    """The text of a value as comparisons see it."""
    if isinstance(value, str) and len(value) <= SHORT:
        return _fold_short(value)
    return plain_text(value).strip().lower()


@lru_cache(maxsize=8_192)
def _fold_short(value: str) -> str:
    """Rule groups, ids and types come back with every alert: looking up is quicker than folding again."""
    return plain_text(value).strip().lower()


def plain_text(value: Any) -> str:
    """The text of a value with runs of backslashes as one; true and false as JSON writes them."""
    if isinstance(value, str):
        return BACKSLASHES.sub(r"\\", value) if "\\\\" in value else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else ""


def number_of(value: Any) -> float | None:
    """A number, or text that is one; None for anything else (true and false are not numbers)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _equals(wanted: Sequence[Scalar]) -> Matcher:
    texts = frozenset(fold(value) for value in wanted)
    numbers = frozenset(
        float(value) for value in wanted if isinstance(value, (int, float)) and not isinstance(value, bool)
    )

    def matches(found: list[Any]) -> bool:
        for value in found:
            if fold(value) in texts:
                return True
            if numbers and number_of(value) in numbers:
                return True
        return False

    return matches


def _texts(wanted: Sequence[Scalar]) -> list[str]:
    texts = [fold(value) for value in wanted]
    if not all(texts):
        raise ValueError("an empty text is part of every value; name something to look for.")
    return texts


def _contains(wanted: Sequence[Scalar]) -> Matcher:
    texts = _texts(wanted)

    def matches(found: list[Any]) -> bool:
        for value in found:
            folded = fold(value)
            for text in texts:
                if text in folded:
                    return True
        return False

    return matches


def _edge(method: Callable[[str, tuple[str, ...]], bool]) -> Callable[[Sequence[Scalar]], Matcher]:
    def build(wanted: Sequence[Scalar]) -> Matcher:
        texts = tuple(_texts(wanted))
        return lambda found: any(method(fold(value), texts) for value in found)

    return build


def _ordered(holds: Callable[[float, float], bool]) -> Callable[[Sequence[Scalar]], Matcher]:
    def build(wanted: Sequence[Scalar]) -> Matcher:
        limit = number_of(wanted[0])
        if limit is None:
            raise ValueError("the value must be a number.")

        def matches(found: list[Any]) -> bool:
            for value in found:
                number = number_of(value)
                if number is not None and holds(number, limit):
                    return True
            return False

        return matches

    return build


def _cidr(wanted: Sequence[Scalar]) -> Matcher:
    networks = [_network(value) for value in wanted]

    def matches(found: list[Any]) -> bool:
        addresses = [address for value in found if (address := _address(plain_text(value))) is not None]
        return any(address in network for address in addresses for network in networks)

    return matches


def _network(value: Scalar) -> Network:
    try:
        return ipaddress.ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"this is not a network such as 10.0.0.0/8 or 2001:db8::/32: {error}.") from None


@lru_cache(maxsize=4_096)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip()[:64])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _regex(wanted: Sequence[Scalar]) -> Matcher:
    if not all(isinstance(value, str) for value in wanted):
        raise ValueError("a pattern must be text; put it in quotes.")
    try:
        patterns = [compile_pattern(str(value)) for value in wanted]
    except PatternError as error:
        raise ValueError(str(error)) from None

    def matches(found: list[Any]) -> bool:
        texts = [plain_text(value)[:MAX_INPUT] for value in found]
        return any(pattern.search(text) for pattern in patterns for text in texts)

    return matches


def _exists(wanted: Sequence[Scalar]) -> Matcher:
    if not isinstance(wanted[0], bool):
        raise ValueError("the value must be true or false.")
    there = wanted[0]
    return lambda found: bool(found) is there


MODIFIERS: dict[str, Modifier] = {
    "": Modifier(_equals, "many", "equals the value, or one of them"),
    "in": Modifier(_equals, "many", "equals one of the values (the same as no modifier; says it aloud)"),
    "contains": Modifier(_contains, "many", "the text holds the value somewhere"),
    "startswith": Modifier(_edge(str.startswith), "many", "the text begins with the value"),
    "endswith": Modifier(_edge(str.endswith), "many", "the text ends with the value"),
    "gte": Modifier(_ordered(float.__ge__), "one", "the number is at least the value"),
    "lte": Modifier(_ordered(float.__le__), "one", "the number is at most the value"),
    "gt": Modifier(_ordered(float.__gt__), "one", "the number is above the value"),
    "lt": Modifier(_ordered(float.__lt__), "one", "the number is below the value"),
    "cidr": Modifier(_cidr, "many", "the address lies in the network"),
    "re": Modifier(_regex, "many", "the regular expression is found in the text (case counts)"),
    "exists": Modifier(_exists, "one", "the field is there (true) or is not (false)"),
}
"""Tests by name; `not` (first) and `all` (last) are written around them and live in `condition`."""

"""Which lines go to the service, by level, rule and group; and which are no alerts at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from playbook_service.follow.tape import Line
from propolis.errors import ConfigurationError, InputError

_Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Sieve:
    """Any of level, rules and groups lets an alert through (none given: all go); the exclusions win over all of them.

    So `level=7, groups={"suricata"}` is: what has level 7, and Suricata's alerts, which all have level 3.
    """

    level: int | None = None
    rules: _Ranges = ()
    groups: frozenset[str] = frozenset()
    without_rules: _Ranges = ()
    without_groups: frozenset[str] = frozenset()

    def lets_through(self, alert: dict[str, Any]) -> bool:
        """Whether the alert is to be sent."""
        rule = alert["rule"]
        groups = {group for group in _list(rule.get("groups")) if isinstance(group, str)}
        number = _number(rule.get("id"))
        if _within(number, self.without_rules) or groups & self.without_groups:
            return False
        if self.level is None and not self.rules and not self.groups:
            return True
        level = _number(rule.get("level")) or 0
        return (
            (self.level is not None and level >= self.level)
            or _within(number, self.rules)
            or bool(groups & self.groups)
        )


class Judged(NamedTuple):
    """What becomes of a line: sent, set aside for a reason, or neither (filtered, or blank)."""

    line: Line
    body: bytes = b""
    """What is sent; empty for nothing."""
    reason: str = ""
    """Why it is set aside; empty where it is not."""
    blank: bool = False


def judge(line: Line, sieve: Sieve) -> Judged:
    """Read one line. The checks are the service's own, so that one bad line does not have a whole request refused."""
    body = line.data.strip()
    if not body:
        return Judged(line, blank=True)
    try:
        if line.overlong:
            raise InputError(f"the line has {line.size:,} bytes; at most {len(line.data):,} are read")
        alert = _alert(body)
    except InputError as error:
        return Judged(line, reason=str(error))
    return Judged(line, body=body if sieve.lets_through(alert) else b"")


def _alert(body: bytes) -> dict[str, Any]:
    try:
        alert = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise InputError("the line is JSON nested too deeply") from None
    except UnicodeDecodeError:
        raise InputError("the line is not UTF-8") from None
    except ValueError as error:
        raise InputError(f"the line is not JSON: {error}") from None
    if not isinstance(alert, dict) or not isinstance(alert.get("rule"), dict) or not alert["rule"].get("id"):
        raise InputError("the line is no Wazuh alert: it has no rule.id")
    return alert


def ranges(texts: Iterable[str], name: str) -> _Ranges:
    """`5710`, `100100-100199`, several with commas, as ranges. Raises ConfigurationError."""
    found = []
    for text in (part.strip() for given in texts for part in given.split(",")):
        first, _, last = text.partition("-")
        if (
            not first.isdigit()
            or (last and not last.isdigit())
            or text.endswith("-")
            or int(last or first) < int(first)
        ):
            raise ConfigurationError(f"{text!r} is no rule; write 5710, or 100100-100199.", path=name)
        found.append((int(first), int(last or first)))
    return tuple(found)


def words(texts: Iterable[str]) -> frozenset[str]:
    """Names of groups, several with commas."""
    return frozenset(part.strip() for text in texts for part in text.split(",") if part.strip())


def _within(number: float | None, found: _Ranges) -> bool:
    return number is not None and any(first <= number <= last for first, last in found)


def _number(value: Any) -> float | None:
    """A rule's id is a text of digits, in other people's data also a number."""
    if isinstance(value, str) and value.isdigit() and value.isascii() and len(value) < 12:
        return int(value)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is larger than any number")
    return number


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")

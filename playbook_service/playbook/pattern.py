"""Regular expressions that an author may write, bounded before they ever run.

Python's `re` backtracks: `(a+)+$` on forty letters takes hours. A pattern is therefore weighed when it is loaded: the
number of ways it can match is estimated from above (a product over its repetitions, times every place it may begin at),
and one that could need more than `MAX_COST` steps on `MAX_INPUT` characters is refused with advice.
"""

from __future__ import annotations

import re
import warnings

MAX_PATTERN = 500
"""Characters of a pattern."""
MAX_INPUT = 4_096
"""Characters of a value that a pattern sees; the rest is not looked at."""
MAX_COST = 8 * (MAX_INPUT + 1) ** 2
"""Two free repetitions, or one that may begin anywhere, and a little beside them."""

REPEAT = re.compile(r"\{(\d*)(,?)(\d*)\}")
GROUP = re.compile(r"\((?:\?(?::|=|!|<=|<!|P<\w+>))?")
SIGNS: dict[str, tuple[int, int]] = {"*": (0, MAX_INPUT), "+": (1, MAX_INPUT), "?": (0, 1)}
ADVICE = "anchor it with ^, use fewer of * and +, or bound them as in .{0,40}"


class PatternError(ValueError):
    """A pattern is refused; the text says why and what to write instead."""


def compile_pattern(text: str) -> re.Pattern[str]:
    """Compile after the checks. Case counts, as in Sigma, unless the pattern begins with `(?i)`.

    Raises PatternError.
    """
    if len(text) > MAX_PATTERN:
        raise PatternError(f"the pattern is longer than {MAX_PATTERN} characters.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "possible nested set": what it means differs between Python versions
            compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        raise PatternError(f"this is not a regular expression: {error}.") from None
    if cost(text) > MAX_COST:
        raise PatternError(f"the pattern could take too long on a hostile value: {ADVICE}.")
    return compiled


def cost(text: str) -> int:
    """An upper estimate of the steps that a search for this pattern may take, capped just above MAX_COST."""
    body = text.removeprefix("(?i)")
    scanner = _Scanner(body)
    ways = scanner.alternatives()
    anchored = body.startswith("^") and not scanner.top_alternatives
    return _cap(ways * (1 if anchored else MAX_INPUT))


def _cap(number: int) -> int:
    return min(number, MAX_COST + 1)


class _Scanner:
    """Walks a pattern that `re` has accepted and multiplies up its ways to match."""

    def __init__(self, text: str):
        self.text = text
        self.at = 0
        self.depth = 0
        self.top_alternatives = False

    def alternatives(self) -> int:
        """Ways of a whole group body: its branches added up."""
        total = self._branch()
        while self._peek() == "|":
            self.at += 1
            self.top_alternatives = self.top_alternatives or self.depth == 0
            total = _cap(total + self._branch())
        return total

    def _branch(self) -> int:
        ways = 1
        while self.at < len(self.text) and self._peek() not in "|)":
            inner = self._atom()
            ways = _cap(ways * self._repeated(inner))
        return ways

    def _atom(self) -> int:
        letter = self._peek()
        if letter == "(":
            return self._group()
        if letter == "[":
            self._set()
        elif letter == "\\":
            self._escape()
        else:
            self.at += 1
        return 1

    def _group(self) -> int:
        opening = GROUP.match(self.text, self.at)
        kind = self.text[self.at : self.at + 4]
        if opening is None or (opening.group() == "(" and kind.startswith("(?")):
            raise PatternError(f'"{kind}" is not taken; of groups only ( ), (?: ), (?= ), (?! ) and (?P<name> ) are.')
        self.at = opening.end()
        self.depth += 1
        ways = self.alternatives()
        self.depth -= 1
        self.at += 1
        return ways

    def _set(self) -> None:
        self.at += 1
        if self._peek() == "^":
            self.at += 1
        first = True
        while first or self._peek() != "]":
            self.at += 2 if self._peek() == "\\" else 1
            first = False
        self.at += 1

    def _escape(self) -> None:
        following = self.text[self.at + 1 : self.at + 2]
        if following.isdigit() and following != "0":
            raise PatternError("a reference to an earlier group (\\1) is not taken.")
        self.at += 2

    def _repeated(self, ways: int) -> int:
        bounds = self._bounds()
        if bounds is None:
            return ways
        least, most = bounds
        if ways == 1:
            return min(most, MAX_INPUT) - min(least, MAX_INPUT) + 1
        if most >= MAX_INPUT:
            raise PatternError("a repetition inside a repetition, or alternatives inside one, are not taken.")
        return _cap(ways ** min(most, 64) + (least == 0))

    def _bounds(self) -> tuple[int, int] | None:
        """How often the atom just read may repeat; None where no quantifier follows."""
        letter = self._peek()
        braces = REPEAT.match(self.text, self.at)
        if letter and letter in SIGNS:
            self.at += 1
            bounds = SIGNS[letter]
        elif braces and any(braces.groups()):
            self.at = braces.end()
            least = int(braces[1] or 0)
            bounds = (least, int(braces[3] or (MAX_INPUT if braces[2] else least)))
        else:
            return None
        self._lazy()
        return bounds

    def _lazy(self) -> None:
        if self._peek() == "?":
            self.at += 1
        elif self._peek() == "+":
            raise PatternError("possessive repetitions (a++) are not taken.")

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

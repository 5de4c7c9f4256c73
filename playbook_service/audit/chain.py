"""The arithmetic of the chain: each line holds the hash of the one before, so that no line can be changed, dropped,
added or moved without all later lines changing too.

Cutting the end off changes no line; that shows only against an anchor (number and hash of a line) kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

GENESIS = "0" * 64
"""What the first line holds in place of a hash."""

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

Line = dict[str, Any]
"""`{"n": 1, "prev": <hash>, "at": <UTC text>, ..., "hash": <hash of all the rest>}`."""


class Anchor(NamedTuple):
    """Number and hash of a line, kept where the chain's owner cannot change it."""

    number: int
    hash: str


class Finding(NamedTuple):
    """One thing that is wrong with a chain."""

    number: int
    problem: str


def digest(line: Mapping[str, Any]) -> str:
    """SHA-256 over the line's canonical JSON without its own hash."""
    bare = {name: value for name, value in line.items() if name != "hash"}
    return hashlib.sha256(_CANONICAL.encode(bare).encode("utf-8", "surrogatepass")).hexdigest()


def seal(previous: Anchor | None, at: str, entry: Mapping[str, Any]) -> Line:
    """The next line. Raises ValueError for an entry that uses one of the chain's own names."""
    taken = {"n", "prev", "hash", "at"} & set(entry)
    if taken:
        raise ValueError(f"an audit entry may not set {', '.join(sorted(taken))}")
    number, before = (previous.number + 1, previous.hash) if previous else (1, GENESIS)
    line: Line = {"n": number, "prev": before, "at": at, **entry}
    line["hash"] = digest(line)
    return line


def anchor_of(line: Mapping[str, Any]) -> Anchor:
    """The anchor of a line."""
    return Anchor(int(line["n"]), str(line["hash"]))


def verify(lines: Iterable[Any], anchors: Iterable[Anchor] = (), *, start: Anchor | None = None) -> list[Finding]:
    """What is wrong with a chain, in order; an empty list when nothing is.

    `start` is the line before the first one given, for a chain that is checked in parts. Each anchor must be found in
    the chain with its hash; one beyond its end means that the end was cut off.
    """
    findings: list[Finding] = []
    expected = start or Anchor(0, GENESIS)
    wanted = {anchor.number: anchor.hash for anchor in anchors if anchor.number > expected.number}
    for line in lines:
        findings.extend(_faults(line, expected))
        number = line.get("n") if isinstance(line, dict) else None
        if not isinstance(number, int):
            expected = Anchor(expected.number + 1, "")
            continue
        if wanted.pop(number, line.get("hash")) != line.get("hash"):
            findings.append(Finding(number, "differs from the anchor kept for it: it was rewritten"))
        expected = Anchor(number, str(line.get("hash")))
    findings.extend(
        Finding(number, f"is missing: the chain ends at {expected.number}, an anchor says it went on")
        for number in sorted(wanted)
        if number > expected.number
    )
    return findings


def disagreeing(anchors: Iterable[Anchor]) -> list[Finding]:
    """Two anchors of one line cannot both be right, whichever the chain agrees with."""
    known: dict[int, str] = {}
    wrong = {one.number for one in anchors if known.setdefault(one.number, one.hash) != one.hash}
    return [Finding(number, "has two anchors that differ: one of them was not kept safe") for number in sorted(wrong)]


def _faults(line: Any, expected: Anchor) -> list[Finding]:
    after = expected.number + 1
    if not isinstance(line, dict) or not isinstance(line.get("n"), int):
        return [Finding(after, "is no audit line")]
    found = []
    if line["n"] != after:
        found.append(Finding(after, f"is missing or moved: line {line['n']} stands in its place"))
    if line.get("hash") != digest(line):
        found.append(Finding(line["n"], "was altered: its hash does not fit its content"))
    if line["n"] == after and expected.hash and line.get("prev") != expected.hash:
        found.append(Finding(line["n"], "does not follow the line before it"))
    return found

"""What would have changed a decision: worked out, not guessed, by deciding again with one thing changed at a time.

The evidence is what the store kept of it, the playbooks are those of today (`again`). So it is decided unchanged first,
and where that does not give what was decided, it is said before everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from playbook_service.console import rebuilt
from playbook_service.console.again import AGAIN, ENFORCE, NOTHING, Evidence, Rules, World, as_it_was, became, said_then
from playbook_service.engine import ruling
from playbook_service.judgement.guard import OBSERVE, STOPPED, Word
from playbook_service.playbook import MODES, Playbooks
from propolis.verdict import Verdict
from propolis.verdict.ledger import Line
from propolis.verdict.report import MALICIOUS, POSITIVE, SAFE

__all__ = ["Change", "Evidence", "Rules", "WhatIf", "what_if"]

MOST_SOURCES = 40
"""Sources of a verdict whose words are changed; those that weigh most come first."""


class Change(NamedTuple):
    """One thing that was otherwise, and what would have become of the decision then."""

    if_: str
    then: str
    instead_of: str

    @property
    def sentence(self) -> str:
        """`If AbuseIPDB had not answered: ask instead of act.`"""
        return f"If {self.if_}: {self.then} instead of {self.instead_of}."


class WhatIf(NamedTuple):
    """All that would have changed it. `notes` say what to keep in mind. `without_modes` are the changes that count
    where a mode held everything back: what it would have come to then is `unbound`, else empty."""

    changes: tuple[Change, ...]
    unbound: str
    without_modes: tuple[Change, ...]
    notes: tuple[str, ...]


def what_if(evidence: Evidence, rules: Rules) -> WhatIf:
    """Decide again and again."""
    world = as_it_was(evidence, rules)
    before = became(evidence, world)
    changes = [*_modes(evidence, world), *_hurdles(evidence, world)]
    unbound, free = "", _unbound(evidence, world)
    base = became(evidence, free)
    if before in (OBSERVE, ruling.IGNORE) and base not in (before, NOTHING):
        unbound = base
    without = _words(evidence, free, base) if unbound else ()
    if not unbound:
        changes += _words(evidence, world, before)
    return WhatIf(tuple(changes), unbound, tuple(without), tuple(_notes(evidence, rules, world, before)))


# what can be otherwise ----------------------------------------------------------------------------------------------


def _unbound(evidence: Evidence, world: World) -> World:
    """Without any mode that holds back."""
    books = world.playbooks
    for name in _names(evidence):
        books = _in_mode(books, name, ENFORCE)
    return replace(world, playbooks=books, ceiling=ENFORCE)


def _names(evidence: Evidence) -> list[str]:
    return [str(origin["name"]) for origin in evidence.body["decision"]["playbooks"]]


def _in_mode(books: Playbooks, name: str, mode: str) -> Playbooks:
    return Playbooks(tuple(replace(book, mode=mode) if book.name == name else book for book in books))


def _modes(evidence: Evidence, world: World) -> list[Change]:
    before = became(evidence, world)
    found = [
        Change(f"the mode in force had been {mode}", became(evidence, replace(world, ceiling=mode)), before)
        for mode in MODES
        if mode != world.ceiling
    ]
    for name in _names(evidence):
        book = world.playbooks.named(name)
        for mode in MODES if book is not None else ():
            other = replace(world, playbooks=_in_mode(world.playbooks, name, mode))
            found.append(Change(f"the playbook {name} had been in mode {mode}", became(evidence, other), before))
    single = {change.then for change in found}
    free = became(evidence, _unbound(evidence, world))
    if free not in single:
        found.append(Change("neither the mode in force nor a playbook's own had held it back", free, before))
    return [change for change in found if change.then != before]


def _hurdles(evidence: Evidence, world: World) -> list[Change]:
    """What stood in the way, taken away: a guardrail, the budget, a containment that was there already."""
    before, found = became(evidence, world), []
    if any(world.hurdle):
        found.append(Change(_way(evidence), became(evidence, replace(world, hurdle=("", ""))), before))
    if world.word.stop or world.word.ask:
        rule = f" ({world.word.rule})" if world.word.rule else ""
        word = "forbidden it" if world.word.stop else "wanted an analyst's grant"
        free = replace(world, word=Word())
        found.append(Change(f"no guardrail had {word}{rule}", became(evidence, free), before))
    return [change for change in found if change.then != before]


def _way(evidence: Evidence) -> str:
    return {
        ruling.HELD: "there had been room in the budget and no breaker open",
        ruling.COVERED: "it had not been contained or asked about already",
        "no case": "there had been a case to act in",
        "policy": "the policy had not held everything back",
        "released": "nobody had released it early before",
        "firewall.permanent: human": "it had been for a time and not for good",
    }.get(evidence.state if evidence.state in (ruling.HELD, ruling.COVERED) else str(evidence.body["rule"]), "")


def _words(evidence: Evidence, world: World, before: str) -> list[Change]:
    """Other words of the sources, one at a time; and of those only what changes the outcome."""
    verdict = world.verdict
    if verdict is None:
        return []

    def then(other: Verdict) -> str:
        return became(evidence, replace(world, verdict=other))

    ranked = sorted(verdict.lines, key=lambda line: (line.level is None, -abs(line.kept)))[:MOST_SOURCES]
    found = [change for line in ranked for change in _of_source(verdict, line, then, before)]
    more = Change("one more independent source (grade B) had said malicious", then(rebuilt.one_more(verdict)), before)
    found.append(more)
    if verdict.basis.never is not None:
        listed = "the operator's never-list of the verdict had not held it"
        found.append(Change(listed, then(rebuilt.allowed(verdict)), before))
    return [change for change in found if change.then != before]


def _of_source(verdict: Verdict, line: Line, then: Callable[[Verdict], str], before: str) -> Iterator[Change]:
    """What is said in one sentence where two changes come to the same."""
    other = SAFE if line.level in POSITIVE else MALICIOUS
    turned = then(rebuilt.saying(verdict, line, other))
    gone = then(rebuilt.silent(verdict, line)) if line.level is not None else before
    if gone == turned != before:
        yield Change(f"{line.source} had not answered, or had said {other}", gone, before)
        return
    if gone != before:
        yield Change(f"{line.source} had not answered", gone, before)
    if turned != before:
        yield Change(f"{line.source} had said {other}", turned, before)


# what to keep in mind -----------------------------------------------------------------------------------------------


def _notes(evidence: Evidence, rules: Rules, world: World, before: str) -> Iterator[str]:
    body = evidence.body
    differ = [name for name, digest in _origins(evidence) if _digest(rules.playbooks, name) != digest]
    if differ:
        verb = "reads" if len(differ) == 1 else "read"
        yield f"Worked out with the playbooks of today: {', '.join(differ)} {verb} otherwise now, or is gone."
    if before != evidence.state:
        yield (f"Today the same evidence gives {before}, not {evidence.state}: what follows is what would change that.")
    if evidence.full and world.verdict is None:
        yield (
            "The verdict's numbers cannot be rebuilt from what is stored, so the words of single sources are not "
            "turned here; the verdict's own explanation has what a change would have meant."
        )
    if body["decision"]["event"] not in AGAIN:
        yield "What the playbooks saw of the case is kept by TheHive alone: only modes and guardrails are changed here."
    asked_today = said_then(evidence, any(world.hurdle)) is None
    if rules.policy is None:
        yield "The policy is not valid at this moment, so guardrails that were not asked then are not asked here."
    elif asked_today and rules.policy.digest != body["policy"]:
        yield "Guardrails that were not asked then are asked as the policy reads today; it has changed since."
    if evidence.state in (OBSERVE, ruling.IGNORE, STOPPED):
        yield "The budget, and what was contained already, were not looked at then and are not looked at here."


def _origins(evidence: Evidence) -> list[tuple[str, str]]:
    return [(str(origin["name"]), str(origin["digest"])) for origin in evidence.body["decision"]["playbooks"]]


def _digest(books: Playbooks, name: str) -> str:
    book = books.named(name)
    return book.digest if book is not None and book.enabled else ""

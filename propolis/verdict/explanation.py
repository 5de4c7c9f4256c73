"""Say in sentences what the ledger says in numbers, and what would change the decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from propolis.verdict.ledger import Line, with_families
from propolis.verdict.recommendation import ACT, ACT_AT, ASK, ASK_AT, OBSERVE, Tally, lacking, tally
from propolis.verdict.reliability import reliability
from propolis.verdict.report import MALICIOUS, NONE, SAFE, SUSPICIOUS
from propolis.verdict.score import probability

if TYPE_CHECKING:
    from propolis.verdict.verdict import Verdict

_RANK = {OBSERVE: 0, ASK: 1, ACT: 2}
_MOST_LINES = 12


def explain(verdict: Verdict) -> list[str]:
    """The explanation, most important first."""
    return [
        _summary(verdict),
        *_advice(verdict),
        *_voices(verdict.lines),
        *_missing(verdict.lines),
        *_changes(verdict),
        *_outside(verdict),
        _basis(verdict),
    ]


def _summary(verdict: Verdict) -> str:
    kind = "probability" if verdict.basis.calibration else "score"
    voices = ", ".join(
        f"{count} {word}"
        for word, count in (
            ("malicious", verdict.count(MALICIOUS)),
            ("suspicious", verdict.count(SUSPICIOUS)),
            ("safe", verdict.count(SAFE)),
            ("without a finding", verdict.count(NONE)),
            ("missing", verdict.count(None)),
        )
    )
    return (
        f"{verdict.data_type} {verdict.data}: {verdict.verdict}, {kind} {two_digits(verdict.score)}, from "
        f"{_number(len(verdict.lines), 'source')} ({voices}); {_number(verdict.families, 'independent family')} "
        f"{'says' if verdict.families == 1 else 'say'} malicious; coverage {verdict.tally.coverage:.2f}, "
        f"conflict {verdict.tally.conflict:.2f}."
    )


def two_digits(score: float) -> str:
    """A score with two digits, cut and not rounded: 0.949 must not read as 0.95, nor 0.996 as certainty."""
    return f"{int(score * 100 + 1e-9) / 100:.2f}"


def _number(count: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{count} {noun if count == 1 else plural}"


def _advice(verdict: Verdict) -> list[str]:
    found, score = verdict.tally, verdict.score
    if found.recommendation == ACT:
        return [f"Recommendation: act. The score reaches {ACT_AT:.2f} and every other condition for acting holds."]
    if score >= ACT_AT:
        needs = lacking(verdict.lines, verdict.basis, found.families, found.positive, found.negative, found.veto)
        return [f"Recommendation: ask. The score reaches {ACT_AT:.2f}, but acting also needs {'; '.join(needs)}."]
    sentences = [f"Veto: {reason}." for reason in found.veto]
    if found.recommendation == ASK:
        return [f"Recommendation: ask. The score reaches {ASK_AT:.2f} but not {ACT_AT:.2f}.", *sentences]
    return [f"Recommendation: observe. The score does not reach {ASK_AT:.2f}.", *sentences]


def _voices(lines: Sequence[Line]) -> list[str]:
    spoken = [line for line in lines if line.level is not None]
    sentences = [_voice(line) for line in spoken[:_MOST_LINES]]
    if len(spoken) > _MOST_LINES:
        sentences.append(f"{len(spoken) - _MOST_LINES} further sources weigh less; the ledger has them.")
    return sentences


def _voice(line: Line) -> str:
    says = "has nothing on it" if line.level == NONE else f"says {line.level}"
    if line.clears:
        says += f" and clears it ({line.clears})"
    copies = (
        f", {line.decayed:+.2f} before its family {line.family} was discounted" if line.kept != line.decayed else ""
    )
    return (
        f"{line.source} (grade {line.grade}, family {line.family}) {says}, {_age(line.age)}: {line.kept:+.2f}{copies}."
    )


def _age(seconds: float | None) -> str:
    hours = (seconds or 0.0) / 3600.0
    if hours < 1:
        return "less than an hour ago"
    return f"{hours:.0f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def _missing(lines: Sequence[Line]) -> list[str]:
    missing = [f"{line.source} ({line.reason})" for line in lines if line.level is None]
    if not missing:
        return []
    return [f"Missing, which speaks neither for nor against it: {', '.join(sorted(missing)[:30])}."]


def _changes(verdict: Verdict) -> list[str]:
    sentences = _without_each_family(verdict)
    if not sentences and verdict.tally.recommendation != OBSERVE:
        sentences.append("No single family decides: without any one of them the recommendation stays the same.")
    more = _one_more(verdict)
    return [*sentences, *([more] if more else [])]


def _without_each_family(verdict: Verdict) -> list[str]:
    """Leave one family out at a time; say where that would change the recommendation."""
    sentences = []
    for family in sorted({line.family for line in verdict.lines if line.level is not None}):
        rest = [line for line in verdict.lines if line.family != family]
        other = tally(rest, verdict.basis)
        if other.recommendation != verdict.recommendation:
            members = ", ".join(line.source for line in verdict.lines if line.family == family and line.level)
            sentences.append(
                f"Without family {family} ({members}) this would be {other.recommendation} ({two_digits(other.score)})."
            )
    return sentences


def _one_more(verdict: Verdict) -> str | None:
    """How many further independent sources of grade B it takes to reach the next step."""
    if verdict.recommendation == ACT:
        return None
    for count in range(1, 7):
        other = with_more(verdict, count)
        if _RANK[other.recommendation] > _RANK[verdict.recommendation]:
            said = (
                "One more independent grade-B source that says"
                if count == 1
                else f"{_WORDS[count]} more independent grade-B sources that say"
            )
            return f"{said} malicious would make this {other.recommendation} ({two_digits(other.score)})."
    if verdict.tally.veto:
        return "No further source would make this act while the veto stands."
    return None


_WORDS = ("No", "One", "Two", "Three", "Four", "Five", "Six")


def with_more(verdict: Verdict, count: int) -> Tally:
    """The numbers with so many further, fresh, independent grade-B sources that say malicious."""
    profile = verdict.basis.profile
    weights = profile.vote or reliability("B")
    weight = weights.weight[MALICIOUS]
    extra = [
        Line(
            f"+{index}", "", f"+{index}", "B", 0.0, MALICIOUS, 0.0, weight, weight, weight, weight, None, None,
            weights.capacity,
        )
        for index in range(count)
    ]  # fmt: skip
    return tally(with_families([*verdict.lines, *extra], profile.rho), verdict.basis)


def _outside(verdict: Verdict) -> list[str]:
    sentences = []
    if verdict.unrated:
        names = ", ".join(f"{entry['source']} ({entry['level']})" for entry in verdict.unrated[:20])
        sentences.append(f"Unrated, and so without weight until the source file rates them: {names}.")
    if verdict.dropped:
        names = "; ".join(f"{entry.definition} {entry.why}" for entry in verdict.dropped[:10])
        sentences.append(f"Not used: {names}.")
    return sentences


def _basis(verdict: Verdict) -> str:
    days = verdict.options.window_hours / 24
    profile = verdict.basis.profile
    how = "counts sources" if profile.every_source_a_family else "weighs evidence"
    return (
        f"Profile {profile.name} ({how}), prior {probability(verdict.basis.prior):.1%}, window {days:g} days, "
        f"sources: {verdict.origin}. A verdict that was started by hand is for display; it starts nothing."
    )

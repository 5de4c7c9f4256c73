"""The story of a case in sentences, for every form of the report. Texts from outside go in as they are: whoever shows
them makes them harmless."""

from __future__ import annotations

from collections.abc import Iterator

from playbook_service.reports import story
from playbook_service.reports.incident_model import Evidence, Incident, Measure
from playbook_service.reports.words import count, moment, span

SOURCE = "the store of the service alone: its records and its audit chain; TheHive was not asked"
LEVELS = {"none": "nothing found", "missing": "no answer"}
"""A source's word -> how it is shown, where that differs."""


def answer(found: Incident) -> Iterator[str]:
    """The story in a few sentences."""
    yield _came_in(found)
    yield _done(found)
    if found.questions:
        words = [one.state for one in found.questions]
        parts = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
        yield f"Analysts were asked {count(len(words), 'time')}: {', '.join(parts)}."
    if found.not_done:
        yield f"{count(len(found.not_done), 'wish', 'wishes')} to contain something came to nothing, as told below."
    yield _closing(found)


def _came_in(found: Incident) -> str:
    if found.began is None:
        return "No alert of ours is on record for it."
    decided = found.first(story.DECISION)
    when = f"{count(len(found.alerts), 'alert')} came in, the first at {moment(found.began)} UTC"
    return f"{when}; the first decision followed after {span(decided - found.began)}." if decided else f"{when}."


def _done(found: Incident) -> str:
    measures = found.contained
    if not measures:
        return "Nothing was contained."
    first = found.first(story.CONTAINED)
    speed = f", the first {span(first - found.began)} after the alert" if first and found.began is not None else ""
    ended = sum(one.over for one in measures)
    left = len(measures) - ended
    state = f"{ended} of them undone, {left} not" if ended and left else "all undone" if ended else "none undone yet"
    return f"{count(len(measures), 'containment')}{speed}; {state} when this was made."


def _closing(found: Incident) -> str:
    closed = found.closed
    if closed is None:
        return "The case is not known to be closed."
    if closed.reopened:
        return f"It was closed as {closed.resolution} and opened again."
    by = f" by {closed.by}" if closed.by else ""
    return f"Closed as {closed.resolution}{by} at {moment(closed.at)} UTC."


def numbers(one: Evidence) -> str:
    """A verdict's numbers."""
    families = count(one.families, "family", "families")
    shares = f"coverage {one.coverage:.2f}, conflict {one.conflict:.2f}"
    return f"score {one.score:.2f}, {families}, {shares}; recommendation {one.recommendation}"


def until(one: Measure) -> str:
    """Until when a containment was to last."""
    return "until somebody releases it" if one.permanent else moment(one.until) if one.until else "never in force"


def standing(one: Measure) -> str:
    """How a containment stands, in a word or two."""
    return "undone" if one.over else "left to a person" if one.state == "ended" else one.state


def end(one: Measure) -> str:
    """How a containment ended, or stands."""
    tries = f", after {count(one.failed_undos, 'failed try', 'failed tries')}" if one.failed_undos else ""
    if one.over:
        return f"undone {moment(one.ended_at)}{f' by {one.ended_by}' if one.ended_by else ' at its time'}{tries}"
    if one.state == "ended":
        return f"left to a person: whether it was undone is not known{tries}"
    return f"{one.state}{'; whether it is in force is in doubt' if one.doubtful else ''}{tries}"


def offset(at: float, began: float | None) -> str:
    """How long after the first alert."""
    if began is None or at - began < 0.5:
        return ""
    return f"+{span(at - began)}"

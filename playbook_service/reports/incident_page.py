"""The report of one case as one page."""

from __future__ import annotations

from collections.abc import Iterator

from playbook_service.replay import plot
from playbook_service.reports.incident_model import Asked, Evidence, Incident, Measure, Moment, Word
from playbook_service.reports.incident_words import LEVELS, SOURCE, answer, end, numbers, offset, standing, until
from playbook_service.reports.paper import chip, facts, note, pair, paper, section, table, tiles
from playbook_service.reports.story import CONTAINED
from playbook_service.reports.words import moment, number, span, what
from playbook_service.web.html import Child, Html, code, el, join, said, visible
from propolis.verdict.ledger import Line

_LONG = 1_000
_MOST_WORDS = 60
_SHADES = {
    "stopped": "stopped",
    "held": "stopped",
    "choose": "ask",
    "denied": "safe",
    "granted": "act",
    "not contained": "stopped",
}
"""State of what was not done -> the colour it is shown in; the rest was only observed."""


def incident_html(found: Incident) -> str:
    """The whole page."""
    heading = join((said(found.name), ": ", said(found.title) if found.title else "an incident"))
    sentences = [said(sentence, _LONG) for sentence in answer(found)]
    title = f"Propolis incident report: {visible(found.name)}"
    return paper(title, "Propolis incident report", heading, sentences, join(_body(found)), _footer(found))


def _body(found: Incident) -> Iterator[Html]:
    yield _tiles(found)
    yield from (note(gap) for gap in found.gaps)
    yield _timeline(found)
    yield _evidence(found)
    yield _measures(found)
    yield _questions(found)
    yield _not_done(found)


def _tiles(found: Incident) -> Html:
    first = found.first(CONTAINED)
    lag = span(first - found.began) if first is not None and found.began is not None else "\u2013"
    return tiles(
        ("plain", number(len(found.alerts)), "alerts"), ("act", number(len(found.contained)), "containments"),
        ("act", lag, "first alert to first containment"), ("ask", number(len(found.questions)), "questions"),
        ("stopped", number(len(found.not_done)), "wanted and not done"),
    )  # fmt: skip


# --- what happened -------------------------------------------------------------------------------------------------


def _timeline(found: Incident) -> Html:
    if not found.moments:
        return section("Timeline", "Nothing of it is on record any more.")
    words = "Counted from the first alert. The number is that of the line in the audit chain, which can be verified."
    entries = facts((_when(one, found.began), _words(one)) for one in found.moments)
    return section("Timeline", words, el("div", entries, class_="card"))


def _when(one: Moment, began: float | None) -> str:
    return f"{moment(one.at)} {offset(one.at, began)}".rstrip()


def _words(one: Moment) -> Html:
    line = el("small", f" audit line {one.line:,}", class_="note") if one.line else None
    return join((chip(one.kind, one.what), " ", said(one.text, _LONG), line))


def _evidence(found: Incident) -> Html:
    if not found.evidence:
        return section("Evidence", "No verdict of it is on record.")
    words = (
        "Each bar is one source\u2019s share of the verdict, in log-odds: to the right it speaks for guilt, to the "
        "left for innocence. A source that did not answer speaks for neither."
    )
    return section("Evidence", words, pair(map(_card, found.evidence)))


def _card(one: Evidence) -> Html:
    spoken = [word for word in one.words if word.level != "missing"][:_MOST_WORDS]
    missing = [word for word in one.words if word.level == "missing"][:_MOST_WORDS]
    silent = [join((said(word.source, 80), " (", said(word.reason or "no answer", 80), ")")) for word in missing]
    advice = chip(_shade(one.recommendation), visible(one.recommendation[:40]))
    return el(
        "section", el("div", el("span", said(one.data), class_="mono"), advice, class_="head"),
        note(said(one.data_type, 40), ", ", said(one.verdict, 40), f" \u00b7 {numbers(one)} \u00b7 {moment(one.at)}"),
        el("div", map(_bar, spoken), class_="bars"),
        note("No answer: ", join(silent, ", "), ".") if silent else None,
        [note("Veto: ", said(veto), ".") for veto in one.vetoes[:_MOST_WORDS]],
        note(said(one.how)), class_="card",
    )  # fmt: skip


def _shade(recommendation: str) -> str:
    return recommendation if recommendation in ("act", "ask") else "observe"


def _bar(word: Word) -> Html:
    level = word.level if word.level in ("malicious", "suspicious", "safe", "none") else "none"
    name = visible(word.source[:80])
    shares = (word.weight,) * 4
    line = Line(name, name, "", "", 0.0, level, None, *shares, None, None, 0.0)
    says = el("small", said(LEVELS.get(word.level, word.level), 40))
    return join((
        el("div", said(word.source, 80), " ", says, class_="k"), Html(plot.weight(line)),
        el("div", f"{word.weight:+.2f}", class_="v"),
    ))  # fmt: skip


# --- what was done -------------------------------------------------------------------------------------------------


def _measures(found: Incident) -> Html:
    if not found.contained:
        return section("Containments", "Nothing was contained.")
    return section("Containments", None, pair(map(_measure, found.contained)))


def _measure(one: Measure) -> Html:
    hand = ", by hand in TheHive" if one.by_hand else ""
    undone = one.undo_verified or one.undone
    entries: list[tuple[str, Child]] = [
        ("By", join((said(one.responder), ", at ", said(one.where)) if one.where else (said(one.responder),))),
        ("Granted by", join((said(one.by), hand))), ("Because", said(one.why, _LONG)), ("Until", until(one)),
        ("Verified", said(one.verified or one.message or "nothing is on record", _LONG)),
        ("Its end", join((said(end(one), _LONG), join((": ", said(undone, _LONG))) if undone else None))),
    ]  # fmt: skip
    state = chip("safe" if one.over else "stopped" if one.doubtful else "act", visible(standing(one)))
    head = el("div", el("span", said(one.target), class_="mono"), state, class_="head")
    return el("section", head, facts(entries), class_="card")


def _questions(found: Incident) -> Html:
    if not found.questions:
        return section("Questions", "Nobody was asked about anything.")
    heads = ("!Asked", "~Whether to", "~Answer")
    return section("Questions", None, table("What analysts were asked", heads, map(_question, found.questions)))


def _question(one: Asked) -> tuple[Child, ...]:
    by = join((" by ", said(", ".join(one.answered_by)))) if one.answered_by else None
    why = join((": ", said(one.why, _LONG))) if one.why else None
    asked = join((said(what(one.responder)), " ", code(one.target)))
    return (moment(one.asked_at), asked, join((chip(_SHADES.get(one.state, "ask"), visible(one.state)), by, why)))


def _not_done(found: Incident) -> Html:
    if not found.not_done:
        return section("What was not done", "Everything that was wanted was done.")
    rows = [
        (chip(_SHADES.get(one.state, "observe"), one.state), said(one.responder), code(one.target),
         said(one.why or "no reason is on record", _LONG))
        for one in found.not_done
    ]  # fmt: skip
    return section("What was not done, and why", None,
                   table("Wanted and not done", ("What", "Responder", "~Target", "~Why"), rows))  # fmt: skip


def _footer(found: Incident) -> Html:
    closed = found.closed
    entries: list[tuple[str, Child]] = [
        ("Case", join((said(found.name), ", id ", code(found.case_id)))), ("Made", f"{moment(found.made_at)} UTC"),
        ("From", SOURCE),
    ]  # fmt: skip
    entries += [("Alert", code(one.key)) for one in found.alerts[:10]]
    if closed is not None and closed.why:
        entries.append(("Taught nothing", said(closed.why)))
    return join((el("h2", "What is what"), facts(entries)))

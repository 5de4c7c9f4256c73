"""The report of a period as one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from playbook_service.reports.document import ordered
from playbook_service.reports.figures import Figures
from playbook_service.reports.measure import Spread
from playbook_service.reports.page_quality import MOST, books, chain, failures, refused, saved, shown, sources
from playbook_service.reports.paper import facts, note, pair, paper, section, table, tiles
from playbook_service.reports.tally import ALONE, AT_PRODUCT, BY_HAND, CLOSED, EARLY, EXPIRED, GRANTED, UNKNOWN
from playbook_service.reports.words import TENTHS, count, middle, moment, number, rate, span
from playbook_service.web.html import Child, Html, el, join, said

_DAY = "%Y-%m-%d %H:%M"
_HOW = {
    ALONE: "by a playbook alone", GRANTED: "after an analyst\u2019s grant", BY_HAND: "by an analyst, in TheHive",
    UNKNOWN: "no longer known how",
}  # fmt: skip
_ENDED = {
    EXPIRED: "at their time", EARLY: "released early by a person", CLOSED: "with their case",
    AT_PRODUCT: "by somebody else, by hand",
}  # fmt: skip


def page(found: Figures) -> str:
    """The whole page. It says so where nothing happened."""
    title = f"Propolis report, {moment(found.start, _DAY)} to {moment(found.end, _DAY)} UTC"
    heading = "What was done, and how well"
    body = join(_empty(found) if found.empty else _body(found))
    return paper(title, "Propolis report", heading, _answer(found), body, _footer(found))


def _period(found: Figures) -> str:
    return f"{moment(found.start, _DAY)} to {moment(found.end, _DAY)} UTC"


def _empty(found: Figures) -> Iterator[Html]:
    yield note("There is nothing to count: no alert, no case, no decision in this period.")
    yield chain(found)


def _body(found: Figures) -> Iterator[Html]:
    yield _tiles(found)
    yield from (part(found) for part in (_incoming, _speed, _contained, _blocks, _questions))
    yield from (part(found) for part in (books, sources, saved, refused, failures, chain))


# --- headline ------------------------------------------------------------------------------------------------------


def _answer(found: Figures) -> Iterator[str]:
    incoming, speed = found.incoming, found.speed
    if found.empty:
        yield f"{_period(found)}: nothing came in."
        return
    yield (
        f"{_period(found)}: {count(incoming.alerts, 'alert')} came in and made {count(incoming.cases, 'case')}; "
        f"{count(found.total, 'containment')} in all."
    )
    alone, granted = speed.contained[ALONE], speed.contained[GRANTED]
    parts = [f"{span(spread.median)} {text} ({middle(spread)})"
             for spread, text in ((alone, "alone"), (granted, "after a grant")) if spread.of]  # fmt: skip
    if parts:
        yield f"From alert to contained: {', '.join(parts)}."
    blocks = found.blocks
    if blocks.containments.of:
        yield f"False blocks among those that analysts judged: {rate(blocks.containments)}."
    elif found.total:
        yield "Whether any containment was wrong is not known: no case of them was closed as true or false positive."
    if found.chain.findings:
        yield "The audit chain of this period is NOT sound: nothing below can be relied on until that is explained."


def _tiles(found: Figures) -> Html:
    alone, share = found.speed.contained[ALONE], found.blocks.containments
    kept = ", as far as on record" if found.incoming.kept_from is not None else ""
    wrong = f"{share.hits:,} of {share.of:,}" if share.of else "\u2013"
    return tiles(
        ("plain", number(found.incoming.alerts), f"alerts in{kept}"),
        ("suppressed", number(found.incoming.suppressed), "alerts suppressed"),
        ("plain", number(found.incoming.cases), "cases"),
        ("act", number(found.total), "containments"),
        ("plain", span(alone.median) if alone.of else "\u2013", f"alert to contained, alone ({middle(alone)})"),
        ("ask", number(found.questions.asked), "questions to analysts"),
        ("stopped" if share.hits else "safe" if share.of else "plain", wrong, "judged containments were wrong"),
    )  # fmt: skip


# --- what came in, how quickly -------------------------------------------------------------------------------------


def _incoming(found: Figures) -> Html:
    incoming = found.incoming
    seen = incoming.alerts - incoming.cased - incoming.loose - incoming.waiting
    rows = [
        ("Alerts that came in", incoming.alerts), ("\u2026 in a case", incoming.cased),
        ("\u2026 no playbook wanted a case", incoming.loose), ("\u2026 still under way", incoming.waiting),
        ("\u2026 suppressed", seen),
    ]  # fmt: skip
    cases = [("Cases begun", incoming.cases)]
    cases += [(f"Closed as {word}", times) for word, times in ordered(incoming.closed.items())]
    parts = [pair(_counts("Alerts", rows), _counts("Cases, by what happened in the period", cases))]
    if incoming.kept_from is not None:
        parts.append(note(
            f"Alerts are counted by their records, which are kept for a while (setting retention): before "
            f"{moment(incoming.kept_from, _DAY)} UTC some may be missing. All else is counted by the audit chain, "
            f"which forgets nothing; by it {count(incoming.suppressed, 'alert')} were suppressed."
        ))  # fmt: skip
    return section("What came in", None, *parts)


def _counts(caption: str, rows: Iterable[tuple[str, int]]) -> Html:
    return table(caption, ("#How many", "What"), [(number(times), said(text)) for text, times in rows])


def _speed(found: Figures) -> Html:
    speed = found.speed
    answers = [
        ("the first answer, whoever gave it (MTTA)", speed.answer),
        ("the service\u2019s first decision", speed.decision),
        ("a person\u2019s first word", speed.person),
    ]  # fmt: skip
    contained = [("contained, all together (time to contain, MTTR)", speed.all_contained)]
    contained += [(f"contained {_HOW[how]}", spread) for how, spread in speed.contained.items() if spread.of]
    words = (
        "An answer is a decision that the service recorded, or a person\u2019s word: an approval, a tag that asks for "
        "something, a containment by hand, the closing of the case. Counted for each case from the moment in which its "
        "first alert came in; containments from the alert that led to them. Each figure is one that occurred. Medians "
        "stand where the names MTTA and MTTR mean averages: one case that waited over a weekend would outweigh a "
        f"hundred. 90 % is told of {TENTHS} and more; of fewer it would be the longest."
    )
    left = [
        f"{count(speed.undecided, 'case')} without a decision by the end of the period" if speed.undecided else "",
        f"{count(speed.unmet, 'case')} without a person\u2019s word" if speed.unmet else "",
        f"{count(speed.cases_unknown, 'case')} and {count(speed.contained_unknown, 'containment')} whose alert is no "
        "longer on record" if speed.cases_unknown or speed.contained_unknown else "",
    ]  # fmt: skip
    named = "; ".join(text for text in left if text)
    return section(
        "How quickly", words,
        table("From the alert to \u2026", ("~To", "#Of", "#Median", "#90 % within", "#Longest"),
              [(text, *_spread(spread)) for text, spread in [*answers, *contained]]),
        note(f"Not in these figures: {named}.") if named else None,
    )  # fmt: skip


def _spread(spread: Spread) -> tuple[Child, ...]:
    if not spread.of:
        return ("0", "\u2013", "\u2013", "\u2013")
    most = span(spread.p90) if spread.of >= TENTHS else "\u2013"
    return (number(spread.of), span(spread.median), most, span(spread.longest))


# --- containments --------------------------------------------------------------------------------------------------


def _contained(found: Figures) -> Html:
    if not found.contained and not found.ended:
        return section("What was contained", "Nothing was contained, and nothing was released.")
    rows = [
        (number(row.times), said(row.responder), row.kind or "?", _HOW[row.how],
         said(row.playbook) if row.playbook else "\u2013")
        for row in found.contained[:MOST]
    ]  # fmt: skip
    ends = [(text, found.ended.get(how, 0)) for how, text in _ENDED.items()]
    more = [("made permanent by a person", found.permanent), ("renewed by a person", found.renewed),
            ("in force when this was made", found.in_force)]  # fmt: skip
    caption = shown(len(found.contained), f"{count(found.total, 'containment')} by responder and playbook")
    return section(
        "What was contained", None,
        table(caption, ("#How many", "Responder", "Kind of target", "How", "~Playbook"), rows) if rows else None,
        pair(_counts("How containments ended in the period, whenever they began", ends),
             _counts("What else became of them", more)),
    )  # fmt: skip


def _blocks(found: Figures) -> Html:
    blocks = found.blocks
    words = (
        "A containment in a case that an analyst closed as false positive was wrong, one in a case closed as true "
        "positive was right. All containments of a case share one judgement, so the row of cases is the careful one. "
        "The interval is Wilson\u2019s; closings count as they stand today."
    )
    rows = [("containments", rate(blocks.containments)), ("cases with containments", rate(blocks.cases))]
    return section(
        "False blocks", words, table("Wrong among the judged", ("Of", "Wrong"), rows),
        note(f"Judged by nobody, and in neither row: {count(blocks.open, 'containment')} in open cases and "
             f"{blocks.otherwise:,} in cases closed as something else."),
    )  # fmt: skip


def _questions(found: Figures) -> Html:
    asked = found.questions
    if not asked.asked and not asked.waited.of and not asked.waiting:
        return section("Questions to analysts", "Nobody was asked about anything.")
    rows = [
        ("asked", asked.asked), ("granted", asked.granted), ("denied by a person", asked.denied),
        ("expired without an answer", asked.expired), ("withdrawn and asked anew on other evidence", asked.withdrawn),
        ("void: the case was closed, or something spoke against it", asked.void),
        ("waiting when this was made", asked.waiting),
    ]  # fmt: skip
    waited = asked.waited
    most = f", 90 % within {span(waited.p90)}" if waited.of >= TENTHS else ""
    times = f"{span(waited.median)} ({middle(waited)}){most}, the longest {span(waited.longest)}"
    return section(
        "Questions to analysts", None,
        _counts("Approvals", rows),
        note(f"From the question to a person\u2019s answer: {times}.") if waited.of else None,
    )  # fmt: skip


def _footer(found: Figures) -> Html:
    chain = found.chain
    lines = f"{chain.first:,} to {chain.last:,}" if chain.last >= chain.first else "none"
    entries: list[tuple[str, Child]] = [
        ("Period", _period(found)), ("Made", f"{moment(found.made_at)} UTC"), ("Audit lines read", lines),
        ("From", "the service\u2019s own store: its audit chain, its records, its log of closings"),
    ]  # fmt: skip
    return join((el("h2", "What is what"), facts(entries)))

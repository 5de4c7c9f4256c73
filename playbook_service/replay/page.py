"""The result as one self-contained page: no script, nothing loaded, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from playbook_service.judgement.guard import ACT, ASK, OUTCOMES, STOPPED, Judged
from playbook_service.replay import plot
from playbook_service.replay.casebook import Case, Event
from playbook_service.replay.enrichment import Seen
from playbook_service.replay.run import Result
from playbook_service.replay.summary import ALONE, DISPOSITIONS, SUPPRESSED, AlertRow, Row
from playbook_service.replay.words import (
    SEVERITIES,
    acting,
    answer,
    clock,
    count,
    doing,
    finding,
    listed,
    same_day,
    span,
    spoke,
    two_digits,
)
from playbook_service.web.style import CSS, POLICY
from propolis.duration import duration_text
from propolis.verdict.ledger import Line

LEDGERS, TARGETS, LISTED, OPEN = 10, 60, 500, 3
_BEE = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path fill="currentColor" d="M12 1l9.5 5.5v11L12 23l-9.5-5.5v-11z'
    'M12 5.6L6.5 8.8v6.4l5.500 3.200 5.500-3.200V8.800z" fill-rule="evenodd"/></svg>'
)


def page(result: Result, *, stories: int) -> str:
    """The whole page; `stories` cases are told. What is no Unicode (half a surrogate pair) becomes a question mark."""
    return "".join(_parts(result, stories)).encode("utf-8", "replace").decode("utf-8")


def _parts(result: Result, stories: int) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    yield f"<title>Propolis replay: {escape(result.name)}</title><style>{CSS}</style></head><body>"
    yield from _header(result)
    yield "<main>"
    if result.summary.alerts:
        told = frozenset(case.number for case in result.summary.ranked_cases()[:stories])
        yield from _tiles(result)
        yield from _when(result)
        yield from _containments(result, told)
        yield from _playbooks(result)
        yield from _ledgers(result)
        yield from _stories(result, stories)
        yield from _suppressed(result)
        yield from _differences(result)
        yield from _alerts(result, told)
    yield from _unread(result)
    yield "</main>"
    yield from _footer(result)
    yield "</body></html>\n"


def _header(result: Result) -> Iterator[str]:
    yield f'<header><p class="eyebrow">{_BEE}Propolis replay \u00b7 dry run</p>'
    yield "<h1>What would have been done</h1>"
    yield f'<div class="answer">{_paragraphs(answer(result))}</div></header>'


def _paragraphs(sentences: Iterable[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


# --- headline and time ---------------------------------------------------------------------------------------------


def _tiles(result: Result) -> Iterator[str]:
    summary = result.summary
    tiles = (
        ("plain", summary.alerts, "alerts in"),
        ("plain", summary.case_count, "cases"),
        (ACT, len(summary.rows(ACT)), "targets contained without asking"),
        (ASK, len(summary.rows(ASK)), "targets an analyst is asked about"),
        (STOPPED, len(summary.rows(STOPPED)), "stopped by a guardrail"),
        (SUPPRESSED, summary.dispositions[SUPPRESSED], "alerts suppressed"),
        (plot.css(ALONE), summary.dispositions[ALONE], "alerts left alone"),
    )
    yield '<ul class="tiles">'
    yield from (f'<li class="{kind}"><b>{number:,}</b><span>{text}</span></li>' for kind, number, text in tiles)
    yield "</ul>"


def _when(result: Result) -> Iterator[str]:
    summary = result.summary
    bins = summary.timeline
    yield "<h2>When</h2>"
    step, peak = duration_text(bins.width), count(plot.peak(bins), "alert")
    yield f'<p class="note">Alerts in steps of {step}, at most {peak} in one, by what becomes of them; UTC.</p>'
    yield f'<div class="card">{plot.timeline(bins, "when")}<div class="axis" aria-hidden="true">'
    yield "".join(f"<span>{escape(label)}</span>" for label in plot.axis(bins))
    yield '</div><ul class="legend">'
    for kind in DISPOSITIONS:
        if summary.dispositions[kind]:
            text = f"{LEGEND[kind]} ({summary.dispositions[kind]:,})"
            yield f'<li class="{plot.css(kind)}"><i></i>{text}</li>'
    yield "</ul></div>"


LEGEND = {
    ACT: "something would be contained",
    ASK: "an analyst would be asked",
    STOPPED: "stopped by a guardrail",
    SUPPRESSED: "suppressed",
    ALONE: "left alone",
}


# --- containments --------------------------------------------------------------------------------------------------


def _containments(result: Result, told: frozenset[int]) -> Iterator[str]:
    rows = result.summary.rows(ACT, ASK, STOPPED)
    yield "<h2>What would be contained</h2>"
    if not rows:
        yield '<p class="note">Nothing: no playbook asked for a containment.</p>'
        return
    caption = _shown(len(rows), TARGETS, "target") + ", each once, however many alerts led to it."
    heads = ("What", "!Do", "!Target", "!For", "!Case", "#Alerts", "~Because")
    yield from _table(caption, heads, [_containment(row, told) for row in rows[:TARGETS]])


def _shown(total: int, most: int, noun: str) -> str:
    return f"The first {most:,} of {count(total, noun)}" if total > most else count(total, noun)


def _containment(row: Row, told: frozenset[int]) -> list[str]:
    judged, decision = row.judged, row.judged.decision
    why = escape(judged.why) if judged.outcome == STOPPED else _because(row)
    lasting = span(decision.seconds, permanent=decision.permanent)
    case = _case_link(row.case, told)
    return [
        _chip(judged.outcome), escape(acting(decision.responder)), f"<code>{escape(judged.target)}</code>",
        escape(lasting), case, f"{row.count:,}", why,
    ]  # fmt: skip


def _case_link(number: int, told: frozenset[int]) -> str:
    """The case's number, a link where its story is on the page."""
    if not number:
        return ""
    return f'<a href="#case-{number}">#{number}</a>' if number in told else f"#{number}"


def _because(row: Row) -> str:
    numbers = dict(row.judged.decision.numbers)
    parts = [f"playbook {escape(listed(row.playbooks))}"]
    if numbers:
        families = count(int(numbers["families"]), "family", "families")
        parts.append(f"score {two_digits(numbers['score'])}, {families}, coverage {two_digits(numbers['coverage'])}")
    if row.judged.why:
        parts.append(escape(row.judged.why))
    return "; ".join(parts)


def _chip(kind: str, text: str = "") -> str:
    return f'<span class="chip {plot.css(kind)}">{escape(text or kind)}</span>'


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of cells that are HTML already.

    A head with # is a column of numbers, one with ! is not wrapped, one with ~ holds text and may be wrapped anywhere.
    """
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
    yield f"<caption>{escape(caption)}</caption><thead><tr>"
    yield "".join(f'<th scope="col"{_column(head)}>{escape(head.lstrip("#!~"))}</th>' for head in heads)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield (
            "<tr>" + "".join(f"<td{_column(head)}>{cell}</td>" for head, cell in zip(heads, row, strict=True)) + "</tr>"
        )
    yield "</tbody></table></div>"


def _column(head: str) -> str:
    return {"#": ' class="n"', "!": ' class="t"', "~": ' class="w"'}.get(head[:1], "")


# --- playbooks and ledgers -----------------------------------------------------------------------------------------


def _playbooks(result: Result) -> Iterator[str]:
    found = result.summary.playbooks
    if not found:
        return
    modes = {book.name: book.mode for book in result.setup.playbooks}
    full = max(sum(counts.values()) for counts in found.values())
    yield "<h2>Decisions by playbook</h2>"
    yield '<p class="note">How often each playbook that contains something had its say: one count an alert and target.'
    yield "</p>"
    yield '<div class="card"><div class="bars">'
    for name, counts in sorted(found.items(), key=lambda pair: (-pair[1][ACT], -pair[1][ASK], pair[0])):
        told = ", ".join(f"{counts[kind]:,} {kind}" for kind in OUTCOMES if counts[kind])
        yield f'<div class="k">{escape(name)} <small>mode {escape(modes.get(name, "?"))}</small></div>'
        yield plot.stacked(counts, OUTCOMES, full, f"{name}: {told}")
        yield f'<div class="v">{escape(told)}</div>'
    yield "</div></div>"


def _ledgers(result: Result) -> Iterator[str]:
    found = [seen for seen in result.summary.top(LEDGERS) if seen.verdict.lines]
    if not found:
        return
    yield "<h2>The evidence</h2>"
    yield (
        '<p class="note">The observables with the highest scores. Each bar is one source\u2019s share of the verdict, '
        "in log-odds: to the right it speaks for guilt, to the left for innocence. A missing source speaks for "
        "neither.</p>"
    )
    yield '<div class="pair">'
    yield from (_ledger(seen) for seen in found)
    yield "</div>"


def _ledger(seen: Seen) -> str:
    verdict, entry = seen.verdict, seen.observable
    spoken = [line for line in verdict.lines if line.level]
    missing = [f"{line.source} ({line.reason})" for line in verdict.lines if not line.level]
    facts = (
        f"score {two_digits(verdict.score)} \u00b7 {count(verdict.families, 'family', 'families')} \u00b7 "
        f"coverage {two_digits(verdict.tally.coverage)} \u00b7 conflict {two_digits(verdict.tally.conflict)}"
    )
    notes = [f"Missing: {', '.join(missing)}."] if missing else []
    notes += [f"Veto: {reason}." for reason in verdict.tally.veto]
    return (
        f'<section class="card"><div class="head"><span class="mono">{escape(entry.data)}</span>'
        f"{_chip(verdict.recommendation)}</div>"
        f'<p class="note">{escape(entry.data_type)}, {escape(verdict.verdict)} \u00b7 {facts}</p>'
        f'<div class="bars">{"".join(_bar(line) for line in spoken)}</div>'
        + "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
        + "</section>"
    )


def _bar(line: Line) -> str:
    says = "nothing found" if line.level == "none" else line.level or ""
    return (
        f'<div class="k">{escape(line.source)} <small>{escape(says)}</small></div>{plot.weight(line)}'
        f'<div class="v">{line.kept:+.2f}</div>'
    )


# --- stories -------------------------------------------------------------------------------------------------------


def _stories(result: Result, most: int) -> Iterator[str]:
    cases = result.summary.ranked_cases()
    if not cases:
        return
    yield "<h2>Case by case</h2>"
    yield f'<p class="note">{_shown(result.summary.case_count, most, "case")}, the gravest first.</p>'
    for number, case in enumerate(cases[:most]):
        yield _story(case, opened=number < OPEN)


def _story(case: Case, *, opened: bool) -> str:
    severity = SEVERITIES[case.severity] + (", flagged" if case.flagged else "")
    meta = f"#{case.number} \u00b7 {clock(case.opened)} \u00b7 {count(case.alerts, 'alert')} \u00b7 {severity}"
    return (
        f'<details id="case-{case.number}" class="{plot.css(case.outcome)}"{" open" if opened else ""}>'
        f'<summary><span class="title">{escape(case.title)}</span>{_chip(case.outcome)}'
        f'<span class="meta">{escape(meta)}</span></summary><div class="story">'
        f"<p>{escape(_told(case))}</p>{_events(case)}{_decisions(case)}{_tasks(case)}</div></details>"
    )


def _told(case: Case) -> str:
    where = f"on {case.agent}" if case.agent else "without an agent"
    source = f", from {case.source}" if case.source else ""
    lasted = case.last - case.opened
    when = f"within {duration_text(lasted)}" if lasted >= 1 else "at once"
    rules = listed(f"{rule} ({number}x)" if number > 1 else rule for rule, number in list(case.rules.items())[:12])
    return f"{count(case.alerts, 'alert')} {where}{source}, {when}; rule {rules}." if case.alerts else ""


def _events(case: Case) -> str:
    shown = _folded(case.events)
    more = case.alerts - len(case.events)
    items = [
        f'<li><span class="time">{escape(clock(event.time, "%H:%M:%S"))}</span>level {event.level}: '
        f"{escape(event.description)}{f' ({times} times)' if times > 1 else ''}</li>"
        for event, times in shown
    ]
    items += [f"<li>and {count(more, 'further alert')}</li>"] if more > 0 else []
    return f"<h4>What came in</h4><ol>{''.join(items)}</ol>"


def _folded(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """Equal alerts in a row are told once."""
    folded: list[tuple[Event, int]] = []
    for event in events:
        if folded and (folded[-1][0].rule_id, folded[-1][0].description) == (event.rule_id, event.description):
            folded[-1] = (folded[-1][0], folded[-1][1] + 1)
        else:
            folded.append((event, 1))
    return folded


def _decisions(case: Case) -> str:
    if not case.decisions:
        return ""
    order = sorted(case.decisions.values(), key=lambda judged: OUTCOMES.index(judged.outcome))
    return f"<h4>What the playbooks decide</h4><ul>{''.join(_decision(judged) for judged in order)}</ul>"


def _decision(judged: Judged) -> str:
    decision = judged.decision
    reason = (judged.why or next(iter(decision.reasons), "")).rstrip(".")
    today = "" if judged.today == judged.outcome else f" Today: {judged.today} ({decision.capped_by})."
    return (
        f"<li>{_chip(judged.outcome)} {escape(acting(decision.responder))} <code>{escape(judged.target)}</code>. "
        f'<span class="note">{escape(reason)}.{escape(today)}</span></li>'
    )


def _tasks(case: Case) -> str:
    items = "".join(f"<li>{escape(step)}</li>" for step in case.steps)
    return f"<h4>Tasks in the case</h4><ul>{items}</ul>" if items else ""


# --- the rest ------------------------------------------------------------------------------------------------------


def _suppressed(result: Result) -> Iterator[str]:
    found = result.summary.suppressions
    if not found:
        return
    yield "<h2>Suppressed</h2>"
    caption = "Alerts that analysts keep closing as false positive; counted, but no case and no question."
    yield from _table(
        caption, ("#Alerts", "~Because"), [(f"{n:,}", escape(why)) for why, n in found.most_common(TARGETS)]
    )


def _differences(result: Result) -> Iterator[str]:
    if result.setup.against is None:
        return
    rows = list(result.summary.changes.values())
    yield "<h2>Decided differently</h2>"
    if not rows:
        yield '<p class="note">Nothing: both sets of playbooks decide the same for every alert.</p>'
        return
    caption = _shown(len(rows), TARGETS, "difference") + "; before is --against, after is --playbooks."
    heads = ("Before", "After", "Action", "!Target", "#Alerts", "!First alert", "~Why before", "~Why after")
    cells = [
        [
            _side(row.change.before), _side(row.change.after), escape(row.change.action),
            f"<code>{escape(row.change.target)}</code>", f"{row.times:,}", f"<code>{escape(row.alert)}</code>",
            escape("; ".join(row.change.why_before)), escape("; ".join(row.change.why_after)),
        ]
        for row in rows[:TARGETS]
    ]  # fmt: skip
    yield from _table(caption, heads, cells)


def _alerts(result: Result, told: frozenset[int]) -> Iterator[str]:
    rows = result.summary.listed[:LISTED]
    yield "<h2>Alert by alert</h2>"
    caption = _shown(result.summary.alerts, LISTED, "alert") + ", in order of the input."
    heads = ("#Line", "!Time", "#Level", "~Rule", "!Agent", "What", "!Case", "Wanted", "~Gravest verdict")
    form = "%H:%M:%S" if same_day(result.summary.first, result.summary.last) else "%m-%d %H:%M:%S"
    yield f'<details><summary><span class="title">{escape(caption)}</span></summary>'
    yield from _table(caption, heads, [_alert(row, form, told) for row in rows])
    yield "</details>"


def _alert(row: AlertRow, form: str, told: frozenset[int]) -> list[str]:
    case = _case_link(row.case, told)
    return [
        f"{row.line:,}", escape(clock(row.time, form) if row.time else "-"), str(row.level),
        f"{escape(row.rule_id)} {escape(row.description)}", escape(row.agent), _chip(row.disposition), case,
        escape(doing(row)).replace(", ", "<br>"), escape(finding(row.gravest)),
    ]  # fmt: skip


def _side(text: str) -> str:
    """One side of a difference: the outcome as a chip, what the modes leave of it as a note."""
    outcome, _, today = text.partition(", ")
    note = f'<br><small class="note">{escape(today)}</small>' if today else ""
    return f"{_chip(outcome)}{note}"


def _unread(result: Result) -> Iterator[str]:
    sentences = [sentence for faults in result.faults for sentence in faults.sentences()]
    if sentences:
        yield "<h2>Could not be read</h2><ul>"
        yield from (f"<li><code>{escape(sentence)}</code></li>" for sentence in sentences)
        yield "</ul>"


def _footer(result: Result) -> Iterator[str]:
    yield "<footer><h2>What is what</h2><dl>"
    yield from (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in spoke(result))
    yield "</dl></footer>"

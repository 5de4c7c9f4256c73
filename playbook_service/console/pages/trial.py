"""Trying another text of a playbook on the service's own last days: the editor, how far it is, what would change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playbook_service.console import errand, trial
from playbook_service.console.errand import Errand
from playbook_service.console.frame import ROOT, chip, facts, moment, table
from playbook_service.console.person import Role
from playbook_service.console.shelf import SEVERITIES, named, path_to, text_to_edit
from playbook_service.console.source import difference, numbered
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.playbook import Playbook
from playbook_service.replay.comparison import ALONE, GRAVEST
from playbook_service.store.contract import Transaction
from playbook_service.web.html import Child, Html, address, code, el, join, said, visible
from propolis.errors import InputError, PropolisError

_LIVE = 2
_CHIPS = {"left alone": "alone", "nothing": "alone"}


def show(visit: Visit, work: Transaction) -> Page:
    """The editor, and the last trial."""
    book = named(visit.desk.playbooks(), visit.parts["name"])
    stands = errand.standing(work, trial.errand_name(book.name), visit.desk.clock.now())
    draft = trial.draft(work, book.name)
    running = stands.state == errand.RUNNING
    before = text_to_edit(work, book)
    body = (
        _about(book),
        el("div", _last(visit, book, draft, stands, before), data_part="trial"),
        _editor(visit, book, draft, before),
    )
    return Page(f"Try {book.name}", join(body), live=_LIVE if running else 0)


def _about(book: Playbook) -> Html:
    told = (
        "The text is read as the service would read it, and the alerts of the last days are decided upon twice: with "
        "the playbooks in use, and with this text in place of its file. Nothing is decided, started or written. "
        "Verdicts count as they were recorded."
    )
    why = (
        "The console never writes playbooks: they are yours to review and to keep under version control. What you like "
        f"you copy into {Path(book.source).name}; the service takes it up within seconds."
    )
    back = el("p", el("a", f"Playbook {book.name}", href=path_to(book.name), class_="button"), class_="acts")
    return join((back, el("p", told, class_="note"), el("p", said(why, 600), class_="note")))


# the last trial -----------------------------------------------------------------------------------------------------


def _last(visit: Visit, book: Playbook, draft: trial.Draft | None, stands: Errand, before: str) -> Html | None:
    if stands.state == errand.RUNNING:
        return _running(draft, stands)
    if draft is not None and not draft.sound:
        return _unsound(book, draft)
    if stands.state == errand.FAILED:
        sentence = f"The trial of {book.name} did not come to its end: {stands.error}."
        return el("section", el("p", said(sentence, 600), class_="notice bad"))
    if not isinstance(stands.result, dict):
        return None
    return _result(visit, book, draft, stands, before)


def _running(draft: trial.Draft | None, stands: Errand) -> Html:
    done, of = (draft.done, draft.of) if draft is not None else (0, 0)
    far = f"{done:,} of {of:,} alerts" if of else f"looking for the alerts, {done:,} so far"
    bar = el("progress", value=str(done), max=str(of), aria_label="How far it is") if of else None
    told = el("p", "Trying since ", moment(stands.began), f": {far}.", role="status")
    hint = el("p", "This page looks again by itself; without script, load it again.", class_="note")
    return el("section", el("h2", "It is being tried"), told, bar, hint, class_="card")


def _unsound(book: Playbook, draft: trial.Draft) -> Html:
    count = sum(finding.severity == "error" for finding in draft.findings)
    told = el(
        "p", said(draft.by, 80), " tried this text ", moment(draft.at),
        f". It does not load, so nothing was run: {count} fault{'' if count == 1 else 's'}.",
    )  # fmt: skip
    name = f"The text with its faults, for {Path(book.source).name}"
    shown = numbered(draft.text, name, _notes(draft), "T")
    return el("section", el("h2", "The text does not load"), told, _findings(draft), shown, class_="card trouble")


def _findings(draft: trial.Draft) -> Html | None:
    if not draft.findings:
        return el("p", "Lint finds nothing in the text.", class_="note")
    rows: list[list[Child]] = [
        [
            el("a", f"line {found.line}", href=f"#T{found.line}") if found.line else None,
            chip(SEVERITIES[found.severity], found.severity),
            said(found.message, 600),
        ]
        for found in draft.findings
    ]
    return table("What the loader and lint say of the text", ("!Where", "What", "~Finding"), rows, "")


def _notes(draft: trial.Draft) -> dict[int, list[Child]]:
    notes: dict[int, list[Child]] = {}
    for found in draft.findings:
        notes.setdefault(found.line, []).append(said(f"{found.severity}: {found.message}", 600))
    return notes


def _result(visit: Visit, book: Playbook, draft: trial.Draft | None, stands: Errand, before: str) -> Html:
    result = stands.result
    name = Path(book.source).name
    told = draft if draft is not None and draft.text == result["text"] else None
    text = numbered(result["text"], f"The text tried for {name}", _notes(told) if told else {}, "T")
    parts: list[Html | None] = [
        el("h2", "What would change"),
        _answer(result),
        _stands_on(result, stands),
        _outcomes(result),
        _groups(result),
        _rows(result),
        _limits(visit, book, result),
        el("h3", "The text against the one in use"),
        difference(before, result["text"], (f"{name} in use", f"{name} as tried")),
        _findings(told) if told else None,
        el("details", el("summary", "The whole text that was tried"), text),
    ]
    return el("section", parts, id="result")


def _stands_on(result: Mapping[str, Any], stands: Errand) -> Html:
    modes = f"as written, under the service's mode {result['ceiling']}; and as if all could do what they want"
    return facts(
        ("as of", join((moment(stands.ended), ", by ", said(stands.by, 80)))),
        ("alerts", _period(result)),
        ("modes", modes),
        ("guardrails", join(("policy ", code(result["policy"][:12]))) if result["policy"] else "the built-in rules"),
    )


def _answer(result: Mapping[str, Any]) -> Html:
    days = f"{result['days']} day{'' if result['days'] == 1 else 's'}"
    if not result["alerts"]:
        return el("div", el("p", f"No alert of the last {days} is on record to try it on."), class_="answer")
    changed = result["changed"]
    first = f"Of {result['alerts']:,} alerts of the last {days}, the text decides "
    first += f"{changed:,} otherwise." if changed else "all as it is decided now."
    return el("div", el("p", first), el("p", "Nothing was done, and no file was changed."), class_="answer")


def _outcomes(result: Mapping[str, Any]) -> Html | None:
    if not result["alerts"]:
        return None
    rows: list[list[Child]] = []
    for outcome in (*GRAVEST, ALONE):
        counts = [int(result[name].get(outcome, 0)) for name in ("before_today", "after_today", "before", "after")]
        today, wanted = counts[1] - counts[0], counts[3] - counts[2]
        rows.append(
            [_chip(outcome), f"{counts[0]:,}", _more(counts[1], today), f"{counts[2]:,}", _more(counts[3], wanted)]
        )
    heads = (
        "The gravest of an alert",
        "#Now, modes as written",
        "#With the text",
        "#Now, if all enforce",
        "#With the text",
    )
    return table("Alerts by what becomes of them", heads, rows, "")


def _more(number: int, difference: int) -> Html:
    return join((f"{number:,}", el("small", f" ({difference:+,})") if difference else None))


def _chip(text: str) -> Html:
    """An outcome with its colour, and what the modes leave of it."""
    outcome, _, rest = text.partition(",")
    return join((chip(_CHIPS.get(outcome, outcome), outcome), el("small", rest) if rest else None))


def _groups(result: Mapping[str, Any]) -> Html | None:
    rows: list[list[Child]] = [
        [said(action, 200), _chip(before), _chip(after), f"{alerts:,}", f"{targets:,}"]
        for action, before, after, alerts, targets in result["groups"]
    ]
    heads = ("~Action", "Now", "With the text", "#Alerts", "#Targets")
    return table("What changes, by action", heads, rows, "") if rows else None


def _rows(result: Mapping[str, Any]) -> Html | None:
    rows: list[list[Child]] = [
        [
            said(row["action"], 200), code(row["target"], 200) if row["target"] else None,
            join((_chip(row["before"]), " \u2192 ", _chip(row["after"]))), said(row["why"], 400),
            f"{row['alerts']:,}", _example(row),
        ]
        for row in result["rows"]
    ]  # fmt: skip
    heads = ("~Action", "~Target", "What changes", "~Why", "#Alerts", "~For example")
    if not rows:
        return None
    more = el("p", f"{result['more']:,} more differences are not listed.", class_="note") if result["more"] else None
    return join((table("What changes, by target; the gravest first", heads, rows, ""), more))


def _example(row: Mapping[str, Any]) -> Html:
    """The decision that was made then, or where those on the alert are found."""
    alert = code(row["alert"], 80)
    if row["decision"]:
        words = el("span", "What was decided then on ", class_="unseen")
        return el("a", words, alert, href=f"{ROOT}/decisions/{row['decision']}")
    words = el("span", "Decisions on the alert ", class_="unseen")
    return el("a", words, alert, href=address(f"{ROOT}/decisions", q=row["alert"]))


def _period(result: Mapping[str, Any]) -> Html:
    if not result["alerts"]:
        return el("span", "none")
    return join((f"{result['alerts']:,}, from ", moment(result["first"]), " to ", moment(result["last"])))


def _limits(visit: Visit, book: Playbook, result: Mapping[str, Any]) -> Html:
    """What the trial does not know; it never pretends to be more than it was."""
    lines = list(_bounds(result)) + list(_kinds(book))
    if result["sets"][0] != visit.desk.playbooks().digest:
        lines.insert(0, "The playbooks in use have changed since: try the text again.")
    lines.append("Budgets, leases in force and what is told of a case in TheHive are not played back.")
    return join((el("h3", "What it does not know"), el("ul", [el("li", line) for line in lines])))


def _bounds(result: Mapping[str, Any]) -> list[str]:
    found = []
    if not result["whole"]:
        found.append("Time was up before all alerts on record had been looked at: this is a part of the period.")
    if result["left_out"]:
        found.append(
            f"Only the newest {result['chosen']:,} alerts were taken; {result['left_out']:,} older are left out."
        )
    if result["reached"] < result["chosen"]:
        missed = result["chosen"] - result["reached"]
        found.append(f"Time was up before the oldest {missed:,} alerts were reached.")
    if result["suppressed"]:
        found.append(f"{result['suppressed']:,} alerts were suppressed when they came in, and are left out.")
    if result["unknown"]:
        found.append(
            f"On {result['unknown']:,} observables no verdict is on record: what would be decided on one is not known."
        )
    return found


def _kinds(book: Playbook) -> list[str]:
    if book.on == "case_closed":
        return ["A playbook on closed cases has nothing to do here: how cases were closed is not played back."]
    if book.kind == "enrich":
        return [
            "What other analyzers would have said is not known: only whom a verdict is asked about can change here."
        ]
    return []


# the editor ---------------------------------------------------------------------------------------------------------


def _editor(visit: Visit, book: Playbook, draft: trial.Draft | None, before: str) -> Html:
    if not visit.person.may(Role.ADMIN):
        sentence = "Trying a text takes the role admin: the setting console_admins names who has it."
        return el("section", el("h2", "Another text"), el("p", sentence, class_="note"))
    again = draft is not None and visit.query.get("text") == "tried"
    text = draft.text if draft is not None and again else before
    other = _other(book, again) if draft is not None else None
    hidden = visible(text.replace("\n", "").replace("\t", "")) != text.replace("\n", "").replace("\t", "")
    warning = el("p", "The text holds characters that nobody sees; its numbered lines show them.", class_="notice bad")
    days = [el("option", _days(number), value=str(number), selected=number == 7) for number in trial.DAYS]
    fields = (
        el(
            "label", f"The text of {Path(book.source).name}",
            el("textarea", "\n", text, name="text", rows="28", spellcheck="false", autocapitalize="off", wrap="off"),
        ),
        el("label", "Tried on", el("select", days, name="days")),
    )  # fmt: skip
    form = visit.form(path_to(book.name, "/try"), fields, button="Try this text", kind="go", class_="editor")
    return el("section", el("h2", "Another text"), other, warning if hidden else None, form, id="editor")


def _days(number: int) -> str:
    return "the last day" if number == 1 else f"the last {number} days"


def _other(book: Playbook, again: bool) -> Html:
    place = path_to(book.name, "/try")
    if again:
        link = el("a", "begin with the text in use", href=f"{place}#editor")
        return el("p", "This is the text that was tried last; ", link, ".", class_="note")
    link = el("a", "go on with the one that was tried last", href=f"{address(place, text='tried')}#editor")
    return el("p", "This is the text in use; ", link, ".", class_="note")


def try_text(visit: Visit, form: Mapping[str, str]) -> Told:
    """Have a text tried; nothing else comes of it."""
    book = named(visit.desk.playbooks(), visit.parts["name"])
    place = address(path_to(book.name, "/try"), text="tried")
    text = form.get("text", "").replace("\r\n", "\n")
    try:
        draft = trial.begin(visit.desk, book, text, _number(form.get("days", "")), visit.person.login)
    except PropolisError as error:
        return Told(place, str(error), False)
    if not draft.sound:
        return Told(place, "The text does not load, so nothing was run: its faults stand beside it.", False)
    return Told(place, f"The text is tried on {_days(draft.days)}.")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 3:
        raise InputError("The days are a whole number.")
    return int(text)


PLACES = (
    Place("/playbooks/{name}/try", show),
    Place("/playbooks/{name}/try", act=try_text, role=Role.ADMIN),
)

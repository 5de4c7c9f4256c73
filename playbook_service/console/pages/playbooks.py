"""Playbooks: those in use, what is wrong with their files, one with its text and findings, and its versions."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

from playbook_service.console import wording
from playbook_service.console.contained import path_of
from playbook_service.console.decision_words import newest, state_chip, target_of
from playbook_service.console.frame import ROOT, chip, facts, moment, table
from playbook_service.console.pages import trial
from playbook_service.console.shelf import PLACE, SEVERITIES, named, path_to, text_in_use
from playbook_service.console.source import difference, numbered
from playbook_service.console.visit import Page, Place, Visit
from playbook_service.engine.version import Version, versions
from playbook_service.playbook import Playbook, PlaybookErrors
from playbook_service.playbook.issue import Issue
from playbook_service.playbook.lint import lint
from playbook_service.reload import Reloading
from playbook_service.store.contract import Record, Transaction
from playbook_service.web.html import Child, Html, address, code, el, join, said
from playbook_service.web.message import Failure

_FAULTS = 20
_LATELY = 5
_MODES = {"observe": "safe", "approve": "ask", "enforce": "act"}


def show(visit: Visit, work: Transaction) -> Page:
    """All playbooks in use."""
    playbooks = visit.desk.playbooks()
    findings = lint(playbooks)
    enabled = sum(book.enabled for book in playbooks)
    told = el(
        "p", f"{enabled} of {len(playbooks)} are enabled. The set is ", code(playbooks.digest[:12]),
        " (the beginning of the SHA-256 of its content, as decisions and the audit chain name it).", class_="note",
    )  # fmt: skip
    rows = [_row(work, book, [found for found in findings if found.playbook == book.name]) for book in playbooks]
    heads = ("~Playbook", "Kind and mode", "~Applies", "!Version and file", "~Decided last", "Findings")
    listed = table("Playbooks in the order of their files", heads, rows, "There is no playbook.")
    return Page("Playbooks", join((_banner(visit), told, listed)))


def _row(work: Transaction, book: Playbook, findings: list[Issue]) -> list[Child]:
    name = el("a", book.name, href=path_to(book.name))
    return [
        join((el("strong", name), el("p", said(book.description, 200), class_="note"))),
        _kind(book),
        said(f"on {book.on}: {wording.briefly(book.when)}", 200),
        join((code(book.version), el("br"), el("small", said(Path(book.source).name, 80), f":{book.line}"))),
        _last(work, book),
        _counted(findings),
    ]


def _kind(book: Playbook) -> Html:
    if not book.enabled:
        return join((book.kind, " ", chip("alone", "off")))
    return join((book.kind, " ", chip(_MODES[book.mode], book.mode) if book.kind == "respond" else None))


def _last(work: Transaction, book: Playbook) -> Child:
    if book.kind != "respond":
        return el("span", "asks analyzers", class_="none")
    found, _ = newest(work, playbook=book.name, limit=1)
    if not found:
        return el("span", "nothing on record", class_="none")
    record = found[0]
    return join((state_chip(record.state), " ", _decided_on(record), el("br"), el("small", moment(_at(record)))))


def _decided_on(record: Record) -> Html:
    word = said(target_of(record.body["decision"]), 80)
    return el("a", el("span", "Decision on ", class_="unseen"), word, href=path_of("decisions", record.key))


def _at(record: Record) -> float:
    return float(record.body["at"])


def _counted(findings: list[Issue]) -> Child:
    counts = [(severity, sum(one.severity == severity for one in findings)) for severity in SEVERITIES]
    shown = [chip(SEVERITIES[severity], f"{number} {severity}") for severity, number in counts if number]
    return join(shown, " ") if shown else el("span", "none", class_="none")


def _banner(visit: Visit) -> Html | None:
    """What is wrong with the files, where the service goes on with the set that was sound."""
    playbooks = visit.desk.playbooks
    trouble = playbooks.trouble() if isinstance(playbooks, Reloading) else None
    if trouble is None:
        return None
    error = trouble.error
    faults = [str(fault) for fault in error.faults] if isinstance(error, PlaybookErrors) else [str(error)]
    more = len(faults) - _FAULTS
    return el(
        "section",
        el("h2", "The files on disk are not used"),
        el(
            "p", "Since ", moment(trouble.since), " they do not load. The service goes on with the set below, which is "
            "the last that did. It takes the files again as soon as all of them are sound:",
        ),
        el("ul", [el("li", code(fault, 600)) for fault in faults[:_FAULTS]]),
        el("p", f"and {more} more: propolis lint lists them all.") if more > 0 else None,
        class_="card trouble", role="alert",
    )  # fmt: skip


# one playbook -------------------------------------------------------------------------------------------------------


def show_one(visit: Visit, work: Transaction) -> Page:
    """One playbook: what it does, in words and as it is written."""
    playbooks = visit.desk.playbooks()
    book = named(playbooks, visit.parts["name"])
    findings = [found for found in lint(playbooks) if found.playbook == book.name]
    body = (
        _banner(visit), _ways(book), _about(book), _decisions(work, book), _findings(book, findings),
        _text(work, book, findings), _history(work, book.name),
    )  # fmt: skip
    return Page(f"Playbook {book.name}", join(body))


def _ways(book: Playbook) -> Html:
    decisions = el("a", "Its decisions", href=address(f"{ROOT}/decisions", playbook=book.name), class_="button")
    return el(
        "p",
        el("a", "Try another text", href=path_to(book.name, "/try"), class_="button"),
        decisions if book.kind == "respond" else None,
        el("a", "All playbooks", href=PLACE, class_="button"),
        class_="acts",
    )


def _about(book: Playbook) -> Html:
    name = Path(book.source).name
    told = facts(
        ("what for", said(book.description) if book.description else None),
        ("kind and mode", _kind(book)),
        ("looked at when", f"{wording.occasion(book)} (on: {book.on})"),
        ("applies where", _when(book)),
        ("asks", said(", ".join(book.analyzers), 600) if book.kind == "enrich" else None),
        ("decides", _outcomes(book) if book.kind == "respond" else None),
        (
            "does",
            el("ul", [el("li", said(wording.action(step), 300)) for step in book.actions]) if book.actions else "",
        ),
        ("version", join((code(book.digest, 64), el("small", " SHA-256 of its content")))),
        ("file", join((code(name, 120), f", line {book.line}"))),
    )
    return el("section", el("h2", "What it does"), told, class_="card words")


def _when(book: Playbook) -> Child:
    lists = wording.alternatives(book.when)
    if not lists:
        return "always"
    found = [el("ul", [el("li", said(line, 300)) for line in lines]) for lines in lists]
    return join(
        (el("p", "all of:" if len(found) == 1 else "one of these, and in it all of:"), join(found, "<p>or</p>"))
    )


def _outcomes(book: Playbook) -> Html:
    lines = [el("li", state_chip(outcome), " ", said(when, 400)) for outcome, when in wording.outcomes(book)]
    return el("ol", lines)


def _decisions(work: Transaction, book: Playbook) -> Html | None:
    if book.kind != "respond":
        return None
    found, _ = newest(work, playbook=book.name, limit=_LATELY)
    rows: list[list[Child]] = [
        [moment(_at(record)), state_chip(record.state), _decided_on(record), _version_then(book, record)]
        for record in found
    ]
    heads = ("!When", "What", "~Target", "~Version that decided")
    listed = table(f"Its newest {_LATELY} decisions", heads, rows, "No decision of it is on record.")
    return el("section", el("h2", "What it decided lately"), listed)


def _version_then(book: Playbook, record: Record) -> Html:
    origins = record.body["decision"]["playbooks"]
    digest = next((str(one["digest"]) for one in origins if one["name"] == book.name), "")
    return join((code(digest[:12]), " as now" if digest == book.digest else " another than now"))


def _findings(book: Playbook, findings: list[Issue]) -> Html:
    rows: list[list[Child]] = [
        [
            el("a", f"line {found.line}", href=f"#L{found.line}"),
            chip(SEVERITIES[found.severity], found.severity),
            said(f"{found.path}: {found.message}" if found.path else found.message, 600),
            code(found.code),
        ]
        for found in findings
    ]
    listed = table("What lint says", ("!Where", "What", "~Finding", "Check"), rows, "Lint finds nothing.")
    live = "Whether TheHive has the analyzers and responders that it names is checked by propolis doctor."
    return el("section", el("h2", "Findings"), listed, el("p", live, class_="note"), id="findings")


def _text(work: Transaction, book: Playbook, findings: list[Issue]) -> Html:
    text = text_in_use(work, book)
    name = Path(book.source).name
    if not text:
        sentence = f"{name} was changed since it was read, and the text that is in use was not kept."
        return el("section", el("h2", "Text"), el("p", said(sentence), class_="note"))
    notes: dict[int, list[Child]] = {}
    for found in findings:
        notes.setdefault(found.line, []).append(said(f"{found.severity}: {found.message}", 400))
    return el("section", el("h2", "Text"), numbered(text, f"The text of {name}", notes))


# its versions -------------------------------------------------------------------------------------------------------


def _history(work: Transaction, name: str) -> Html:
    found = versions(work, name)
    rows: list[list[Child]] = [_version_row(name, found, number) for number in range(len(found))]
    heads = ("!In use from", "~Version", "File", "Look at")
    listed = table("Its versions, newest first", heads, rows, "No version has been kept yet.")
    return el("section", el("h2", "Versions"), listed, id="versions")


def _version_row(name: str, found: list[Version], number: int) -> list[Child]:
    one = found[number]
    older = found[number + 1].key if number + 1 < len(found) else ""
    place = path_to(name, "/versions")
    when = el("span", " of ", moment(one.at), class_="unseen")
    links = [
        el("a", "Text", when, href=address(place, of=one.key)) if one.text else None,
        el("a", "What changed", when, href=address(place, of=one.key, against=older)) if older else None,
    ]
    return [
        moment(one.at),
        code(one.digest[:12]) if one.digest else "removed",
        said(Path(one.source).name, 80) if one.source else None,
        join([link for link in links if link is not None], " \u00b7 "),
    ]


def show_versions(visit: Visit, work: Transaction) -> Page:
    """One version's text, or what differs between two (`of` and `against` are their keys)."""
    name = visit.parts["name"]
    known = {one.key: one for one in versions(work, name)}
    one, other = known.get(visit.query.get("of", "")), known.get(visit.query.get("against", ""))
    if one is None:
        sentence = f"No such version of {name[:80]!r} has been kept: its page lists those that have."
        raise Failure(HTTPStatus.NOT_FOUND, sentence)
    back = el("p", el("a", f"Playbook {name}", href=path_to(name), class_="button"), class_="acts")
    told = facts(
        ("in use from", moment(one.at)),
        ("version", code(one.digest, 64) if one.digest else "removed"),
        ("compared with", join((code(other.digest[:12]), " in use from ", moment(other.at))) if other else None),
    )
    if other is not None:
        names = (f"{name} {other.digest[:12]}", f"{name} {one.digest[:12]}")
        shown = difference(other.text, one.text, names)
    else:
        shown = numbered(one.text, f"The text of {name} then")
    title = f"What changed in {name}" if other is not None else f"A version of {name}"
    return Page(title, join((back, told, shown)))


PLACES = (
    Place("/playbooks", show),
    Place("/playbooks/{name}", show_one),
    Place("/playbooks/{name}/versions", show_versions),
    *trial.PLACES,
)

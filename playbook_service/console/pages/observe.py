"""Observe: what would have been done, held against how analysts closed the cases, and whether a promotion is earned."""

from __future__ import annotations

from typing import Any

from playbook_service.console.contained import path_of
from playbook_service.console.errand import RUNNING
from playbook_service.console.frame import chip, table
from playbook_service.console.kept import anew, kept, shown
from playbook_service.console.person import Role
from playbook_service.console.shelf import path_to
from playbook_service.console.visit import Page, Place, Visit
from playbook_service.feedback.observation import NEEDED, RIGHT, UNKNOWN, WRONG
from playbook_service.feedback.survey import survey
from playbook_service.replay.words import count
from playbook_service.store.contract import Transaction
from playbook_service.web.html import Child, Html, code, el, join, said

NAME = "observe"
_KINDS = {RIGHT: "safe", WRONG: "act", UNKNOWN: "plain"}


def _make(visit: Visit) -> Any:
    return survey(visit.desk.store)


def show(visit: Visit, work: Transaction) -> Page:
    """The page; while a new result is being made it looks again."""
    found = kept(visit, work, NAME, _make)
    body = join((_what(), shown(visit, found, "/observe/again"), _result(visit, found.result)))
    return Page("Observe", body, live=3 if found.state == RUNNING else 0)


def _what() -> Html:
    return el(
        "p",
        "Containments that a mode alone held back. One in a case closed TruePositive would have been right, in one "
        "closed FalsePositive wrong; of all others nobody knows. Cases count, not containments. A playbook earns to "
        "act alone when the lower end of Wilson\u2019s 95 % interval reaches "
        f"{NEEDED:.0%}: with nothing wrong, 73 cases.",
        class_="note",
    )


def _result(visit: Visit, result: Any) -> Html:
    if result is None:
        return el("div", data_part="result")
    scores = result["scores"]
    nothing = el("p", "Nothing was held back by a mode yet: there is nothing to score.", class_="note empty")
    told = join([_score(visit, score) for score in scores]) if scores else nothing
    return el("div", told, data_part="result")


def _score(visit: Visit, score: dict[str, Any]) -> Html:
    title = join((said(score["playbook"], 80), " would have ", "acted alone" if score["outcome"] == "act" else "asked"))
    earned = chip("safe", "promotion earned") if score["earned"] else None
    judged = score["right"] + score["wrong"]
    counts = (
        f"{score['right']} right, {score['wrong']} wrong, {score['unknown']} unknown; "
        f"{count(score['containments'], 'containment')} in all, by "
        f"{count(score['versions'], 'version')} of the playbook."
    )
    known = f"{score['precision']:.1%} of {judged} judged cases right, at least {score['bound']:.1%}." if judged else ""
    return el(
        "section",
        el("div", el("h2", title), earned, class_="head"),
        _bar(score) if judged else None,
        el("p", join((counts, " ", known)), class_="note"),
        el("p", el("b", f"{score['advice'][:1].upper()}{score['advice'][1:]}."), " ", _how(visit, score)),
        _cases(score),
        class_="card",
    )


def _how(visit: Visit, score: dict[str, Any]) -> Child:
    if not score["earned"]:
        return None
    name = score["playbook"]
    return join(
        (
            "To do so, set ", code("mode: enforce"), " in its file and see that the service\u2019s mode and the policy "
            "allow it. ",
            el("a", "The playbook", href=path_to(name)) if visit.desk.playbooks().named(name) else None,
        )
    )  # fmt: skip


def _bar(score: dict[str, Any]) -> Html:
    """From 0 to 100 %: what is certain is full, what is only seen is pale, and the line is what a promotion needs."""
    bound, seen = score["bound"] * 100, score["precision"] * 100
    says = f"at least {bound:.1f} %, seen {seen:.1f} %; a promotion needs {NEEDED:.0%}"
    return el(
        "svg",
        el("title", says),
        el("rect", x="0", y="2", width=f"{seen:.2f}", height="10", class_="seen"),
        el("rect", x="0", y="2", width=f"{bound:.2f}", height="10", class_="bound"),
        el("rect", x=f"{NEEDED * 100:.2f}", y="0", width="0.4", height="14", class_="needed"),
        viewBox="0 0 100 14", preserveAspectRatio="none", role="img", aria_label=says, class_="interval",
    )  # fmt: skip


def _cases(score: dict[str, Any]) -> Html:
    rows: list[list[Child]] = [
        [
            chip(_KINDS[entry["result"]], entry["result"]),
            f"#{entry['number']}" if entry["number"] else code(entry["case"], 40),
            said(entry["resolution"] or "open", 40),
            join((said(entry["what"], 120), f" and {entry['more']} more" if entry["more"] else None)),
            el("a", "the decision", el("span", f" on case {entry['number']}", class_="unseen"),
               href=path_of("decisions", entry["decision"])),
        ]
        for entry in score["cases"]
    ]  # fmt: skip
    heads = ("It would have been", "!Case", "!Closed as", "~What", "Why")
    caption = f"The cases behind {score['playbook'][:80]} ({score['outcome']}), the wrong ones first"
    listed = table(caption, heads, rows, "There are none.")
    return el("details", el("summary", "The cases behind it"), listed)


PLACES = (
    Place("/observe", show),
    Place("/observe/again", act=anew(NAME, _make, "/observe"), role=Role.OPERATOR, recheck=False),
)

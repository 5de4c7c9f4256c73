"""Sources: what analysts' closings taught of each, who is in whose family, and which agree as copies do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.console.errand import RUNNING, standing
from playbook_service.console.frame import ROOT, chip, facts, moment, table
from playbook_service.console.kept import Make, anew, kept, shown
from playbook_service.console.person import Role
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.feedback import drift, learning
from playbook_service.feedback.learning import Learned, Reason
from playbook_service.feedback.survey import judgements
from playbook_service.parts import options_of
from playbook_service.replay.words import count
from playbook_service.store.contract import Transaction
from playbook_service.web.html import Child, Html, address, el, join, said
from propolis.errors import ConfigurationError, InputError
from propolis.verdict.calibration import ENOUGH
from propolis.verdict.reliability import reliability
from propolis.verdict.report import LEVELS
from propolis.verdict.sources import Sources, fold, shipped

NAME = "sources"
_REASONS = 100
_NOTHING = "Nothing was learned of a source of that name, or it is not computed yet: the page Sources lists all."
_WORDS = {"malicious": "malicious", "suspicious": "suspicious", "safe": "safe", "none": "nothing found"}


def _make(visit: Visit) -> Any:
    """What is learned of every source, and which pairs agree: plain data."""
    desk = visit.desk
    closed, now = judgements(desk.store), desk.clock.now()
    lesson = learning.learn(closed, now)
    known = options_of(desk.settings).sources or shipped()
    spoken = drift.looked_at(desk.store)
    fitted = lesson.calibration
    return {
        "sources": [_source(entry, known) for _, entry in sorted(lesson.sources.items())],
        "pairs": [
            {**pair._asdict(), "inside": pair.inside, "suggestion": pair.suggestion}
            for pair in drift.pairs(spoken, known)
        ],
        "observables": len(spoken), "true": lesson.true, "false": lesson.false, "prior": lesson.prior,
        "decisions": lesson.decisions, "calibration": list(fitted) if fitted else None,
    }  # fmt: skip


def _source(entry: Learned, known: Sources) -> dict[str, Any]:
    source = known.find(entry.source)
    malicious, benign = entry.mass
    plain: dict[str, Any] = {
        "name": entry.source, "labels": entry.labels, "malicious": malicious, "benign": benign,
        "grade": source.grade if source else "", "family": source.family if source else "",
    }  # fmt: skip
    if source is not None:
        before, after = reliability(source.grade), reliability(source.grade, entry.counts)
        plain["weights"] = [[level, before.weight[level], after.weight[level]] for level in LEVELS]
    return plain


def show(visit: Visit, work: Transaction) -> Page:
    """The page; while a new result is being made it looks again."""
    found = kept(visit, work, NAME, _make)
    told = _result(visit, found.result) if found.result is not None else None
    body = join(
        (
            el(
                "p",
                "Each source begins with the weight of its grade. Cases that analysts close move that weight, by how "
                "often the source was right about what the case was about. A label counts half after 138 days.",
                class_="note",
            ),
            shown(visit, found, "/sources/again"),
            el("div", told, data_part="result"),
        )
    )
    return Page("Sources", body, live=3 if found.state == RUNNING else 0)


def _result(visit: Visit, result: Mapping[str, Any]) -> Html:
    return join((_basis(result), _learned(result["sources"]), _pairs(result), _families(visit)))


def _basis(result: Mapping[str, Any]) -> Html:
    prior = result["prior"]
    fitted = result["calibration"]
    rate = f"{prior:.1%}, from the cases" if prior is not None else "the built-in one: no case was judged yet"
    line = (
        f"slope {fitted[0]:.2f}, offset {fitted[1]:+.2f}, from {result['decisions']} labelled verdicts"
        if fitted
        else f"none yet: {result['decisions']} of {ENOUGH} labelled verdicts; a score is a score"
    )
    cases = f"{result['true']} closed TruePositive, {result['false']} FalsePositive"
    return facts(("cases judged", cases), ("base rate", rate), ("calibration", line))


def _learned(found: list[dict[str, Any]]) -> Html:
    rows: list[list[Child]] = [
        [
            el("a", said(entry["name"], 60), href=address(f"{ROOT}/sources/one", name=entry["name"])),
            said(entry["family"] or "\u2013", 40),
            entry["grade"] or chip("ask", "unrated"),
            f"{entry['labels']:,}",
            f"{entry['malicious']:.1f}",
            f"{entry['benign']:.1f}",
            _weights(entry.get("weights")),
        ]
        for entry in found
    ]
    heads = ("~Source", "!Family", "!Grade", "#Labels", "#On the malicious", "#On the harmless", "Weight of its words")
    listed = table("What was learned of each source", heads, rows, "No closing has taught anything of a source yet.")
    return el("section", el("h2", "Reliability"), listed)


def _weights(found: list[list[Any]] | None) -> Html:
    if not found:
        return el("span", "weighs nothing until the setting sources rates it", class_="note")
    return el("ul", [_weight(*entry) for entry in found], class_="weights")


def _weight(level: str, before: float, after: float) -> Html:
    """The weight of one word: the grade's as a line, the learned one as a bar from the middle."""
    width = min(50.0, abs(after) * 12.0)
    start = 50.0 if after >= 0 else 50.0 - width
    kind = "guilt" if after >= 0 else "innocence"
    picture = el(
        "svg",
        el("rect", x=f"{start:.1f}", y="1", width=f"{width:.1f}", height="8", class_=kind),
        el("rect", x=f"{50.0 + max(-50.0, min(50.0, before * 12.0)):.1f}", y="0", width="0.8", height="10",
           class_="grade"),
        viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true",
    )  # fmt: skip
    words = f"{_WORDS.get(level, level)} {before:+.2f} \u2192 {after:+.2f}"
    return el("li", el("span", words), picture)


def _pairs(result: Mapping[str, Any]) -> Html:
    """Pairs across families that agree as copies do are an alarm; pairs within one are as expected."""
    alarms = [pair for pair in result["pairs"] if pair["suggestion"]]
    rows: list[list[Child]] = [
        [
            chip("ask", "look at it") if pair["suggestion"] else chip("safe", "one family") if pair["inside"] else None,
            join((said(pair["left"], 60), " and ", said(pair["right"], 60))),
            said(" and ".join(dict.fromkeys(pair["families"])), 80),
            f"{pair['seen']:,}",
            f"{pair['both']:,}",
            f"{pair['phi']:+.2f}",
        ]
        for pair in result["pairs"]
    ]
    heads = ("Finding", "~Sources", "~Families", "#Both answered", "#Both positive", "#Correlation (phi)")
    caption = f"Pairs with at least {drift.JOINT_HITS} joint hits, over {result['observables']:,} observables"
    listed = table(caption, heads, rows, f"No pair has {drift.JOINT_HITS} joint hits yet.")
    told = el("ul", [el("li", said(pair["suggestion"]), ".") for pair in alarms]) if alarms else None
    sentence = "Sources that copy each other count once. Nothing is moved by itself: move one in the file of sources."
    return el("section", el("h2", "Who agrees with whom"), el("p", sentence, class_="note"), told, listed)


def _families(visit: Visit) -> Html:
    """Who is in which family, by the files that rate them."""
    try:
        known = options_of(visit.desk.settings).sources or shipped()
    except ConfigurationError as error:
        nothing = el("p", "The file of sources cannot be used: ", said(error), class_="note")
        return el("section", el("h2", "Families"), nothing)
    families: dict[str, list[str]] = {}
    for name, source in known.rated():
        families.setdefault(source.family, []).append(f"{name} ({source.grade})")
    rows: list[list[Child]] = [
        [said(family, 60), ", ".join(members)]
        for family, members in sorted(families.items())
        if len(members) > 1 or visit.query.get("families") == "all"
    ]
    more = None
    if visit.query.get("families") != "all":
        single = sum(len(members) == 1 for members in families.values())
        href = address(f"{ROOT}/sources", families="all")
        more = el("p", el("a", f"Show the {single} families of one source too", href=href))
    listed = table("Families, and the grade of each source", ("!Family", "~Sources"), rows, "No source is rated.")
    return el("section", el("h2", "Families"), listed, more)


def one(visit: Visit, work: Transaction) -> Page:
    """One source that something was learned of: every label that counts. Finding them takes the whole log of closings,
    so they are found as an errand."""
    name = visit.query.get("name", "")
    back = el("p", el("a", "All sources", href=f"{ROOT}/sources", class_="button"), class_="acts")
    title = el("h2", "What is known of ", said(name, 60))
    if not _is_learned(visit, work, name):
        return Page("A source", join((back, title, el("p", _NOTHING, class_="card"))))
    found = kept(visit, work, _errand(name), _why(name))
    again = shown(visit, found, address("/sources/one/again", name=fold(name)))
    listed = _labels(found.result) if found.result is not None else None
    body = join((back, title, again, el("div", listed, data_part="labels"), _reset(visit, name)))
    return Page("A source", body, live=3 if found.state == RUNNING else 0)


def _is_learned(visit: Visit, work: Transaction, name: str) -> bool:
    """Is it among what the page Sources shows? Nothing is computed for other names."""
    known = standing(work, NAME, visit.desk.clock.now()).result
    return bool(known) and fold(name) in {fold(str(entry["name"])) for entry in known["sources"]}


def _errand(name: str) -> str:
    return f"source:{fold(name)}"[:200]


def _why(name: str) -> Make:
    """Makes the labels behind what was learned of a source: the newest of them, and how many there are."""

    def make(visit: Visit) -> Any:
        found = learning.reasons(judgements(visit.desk.store), name, visit.desk.clock.now())
        return {"of": len(found), "labels": [list(entry) for entry in found[:_REASONS]]}

    return make


def _labels(result: Mapping[str, Any]) -> Html:
    of, labels = int(result["of"]), [Reason(*entry) for entry in result["labels"]]
    rows: list[list[Child]] = [
        [
            moment(entry.at), f"#{entry.case}", said(entry.closed_as, 40), said(entry.by, 60),
            chip("act" if entry.word == "malicious" else "plain", _WORDS.get(entry.word, entry.word)),
            join((said(entry.data, 100), el("small", f" {entry.data_type}"))),
            chip("act", "malicious") if entry.malicious else chip("safe", "harmless"), f"{entry.left:.2f}",
        ]
        for entry in labels
    ]  # fmt: skip
    heads = ("!Closed", "!Case", "!As", "!By", "It said", "~Of", "Which was", "#Counts")
    caption = f"The newest {len(labels)} of {of:,} labels" if of > len(labels) else count(of, "label")
    return table(caption, heads, rows, "No label counts for it any more.")


def why_again(visit: Visit, form: Mapping[str, str]) -> Told:
    """`Compute again` of one source."""
    name = visit.query.get("name", "")
    with visit.desk.store.reading() as work:
        if not _is_learned(visit, work, name):
            raise InputError(_NOTHING)
    visit.desk.errands.start(_errand(name), lambda: _why(name)(visit), visit.person.login)
    return Told(address(f"{ROOT}/sources/one", name=name), "It is being computed.")


def _reset(visit: Visit, name: str) -> Html | None:
    if not visit.person.may(Role.OPERATOR):
        return None
    hidden = el("input", type="hidden", name="name", value=name)
    sentence = "Its grade alone speaks again, and what is closed from now on teaches anew. The closings stay on record."
    form = visit.form(f"{ROOT}/sources/reset", hidden, button=join(("Reset ", said(name, 60))))
    return el("details", el("summary", "Forget what was learned\u2026"), el("p", sentence), form, class_="small")


def reset(visit: Visit, form: Mapping[str, str]) -> Told:
    """Forget what was learned of a source. Raises InputError."""
    desk, name = visit.desk, form.get("name", "")
    with desk.store.transaction() as work:
        learning.reset(work, desk.journal, name, visit.person.login, desk.clock.now())
    desk.errands.start(NAME, lambda: _make(visit), visit.person.login)
    desk.errands.start(_errand(name), lambda: _why(name)(visit), visit.person.login)
    return Told(f"{ROOT}/sources", f"{name[:80]} is weighed by its grade alone again.")


PLACES = (
    Place("/sources", show),
    Place("/sources/again", act=anew(NAME, _make, "/sources"), role=Role.OPERATOR, recheck=False),
    Place("/sources/one", one),
    Place("/sources/one/again", act=why_again, role=Role.OPERATOR, recheck=False),
    Place("/sources/reset", act=reset, role=Role.OPERATOR),
)

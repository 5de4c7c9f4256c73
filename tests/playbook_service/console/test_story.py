"""One decision's whole story, and what would have changed it: worked out on what is stored, and never guessed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from console_house import ANALYST, House
from counted import Counted
from feedback_shop import ANNA
from filled import ATTACKER, SAMPLES, SECOND, Filled

from playbook_service.console import rebuilt, story
from playbook_service.console.what_if import Rules, WhatIf, what_if
from playbook_service.engine import ruling
from playbook_service.engine.context import ceiling
from playbook_service.judgement.guard import Guard
from playbook_service.playbook import Playbooks, decide
from playbook_service.store.contract import Record
from propolis.alert import Alert
from propolis.verdict import Options, assess
from propolis.verdict.reading import read_jobs
from propolis.verdict.report import MALICIOUS, SAFE
from propolis.verdict.score import Calibration
from propolis.verdict.sources import shipped

JOBS = [json.loads(line) for line in (SAMPLES / "reports.jsonl").read_text().splitlines()]
OBSERVABLES = sorted({(job["dataType"], job["data"]) for job in JOBS})
NOW = 1_795_000_000.0


class Deciding(Filled):
    """Decides as the engine does: playbooks, guardrails, modes, ruling."""

    def book_mode(self, mode: str, name: str = "malicious-ip") -> None:
        books = (replace(book, mode=mode) if book.name == name else book for book in self.books)
        self.books = Playbooks(tuple(books))

    def judge(self, number: int, target: str = ATTACKER, *, like: str = ATTACKER) -> Record:
        """From an alert to the decision on its source."""
        alert_key = self.alert(target)
        case_id = self.case(number, target, alert_key)
        verdict = self.record("verdict", self.verdict(case_id, target, like))
        alert = Alert(self.record("alert", alert_key).body["alert"])
        context = {"alert": alert.fields, "observable": verdict.body["observable"], "verdict": verdict.body["full"]}
        policy = self.policy()
        (made,) = [
            one
            for one in decide(self.books, "verdict", context, ceiling_mode=ceiling(self.tools, policy))
            if one.responder == "FirewallBlock"
        ]
        scene = ruling.Scene("verdict", case_id, alert_key, f"~{target}", verdict.key, (), self.books.digest)
        with self.store.transaction() as work:
            before = {entry.key for entry in work.find(ruling.KIND)}
            ruling.Ruling(self.tools, self.ask).rule(work, policy, Guard(policy).judge(made, alert), scene, "~entity")
            (found,) = [entry for entry in work.find(ruling.KIND) if entry.key not in before]
        return found

    def what_if(self, record: Record, **rules: Any) -> WhatIf:
        with self.store.reading() as work:
            found = story.known(work, record.key)
        assert found is not None
        given = {"playbooks": self.books, "policy": self.policy(), **rules}
        return what_if(found.evidence, Rules(**given))


def sentences(told: WhatIf) -> list[str]:
    return [change.sentence for change in told.changes]


@pytest.fixture
def scene() -> Deciding:
    """A service that may act alone."""
    deciding = Deciding()
    deciding.book_mode("enforce")
    return deciding


# the verdict made again ---------------------------------------------------------------------------------------------


def reports(observable: tuple[str, str]) -> list[Any]:
    mine = [job for job in JOBS if (job["dataType"], job["data"]) == observable]
    return read_jobs(mine, observable, shipped()).reports


@pytest.mark.parametrize("profile", ["evidence", "count"])
@pytest.mark.parametrize("observable", OBSERVABLES)
def test_a_verdict_is_made_again_from_its_report(observable: tuple[str, str], profile: str) -> None:
    full = json.loads(json.dumps(assess(*observable, reports(observable), now=NOW, options=Options(profile)).to_dict()))
    made = rebuilt.rebuilt(full)
    assert made is not None
    again = rebuilt.fields_of(made, full)
    assert {**again, "conflict": 0, "score": 0, "log_odds": 0} == {**full, "conflict": 0, "score": 0, "log_odds": 0}
    for name in ("conflict", "score", "log_odds"):
        assert again[name] == pytest.approx(full[name], abs=0.001)


@pytest.mark.parametrize(
    "options",
    [Options(prior=0.2), Options(calibration=Calibration(1.3, -0.4)), Options(never=("203.0.113.0/24",)),
     Options(asked=("AbuseIPDB_1_0", "Silent_1_0"))],
)  # fmt: skip
def test_a_verdict_is_made_again_whatever_it_was_made_with(options: Options) -> None:
    observable = ("ip", ATTACKER)
    verdict = assess(*observable, reports(observable), now=NOW, options=options)
    made = rebuilt.rebuilt(verdict.to_dict())
    assert made is not None
    for line, other in zip(made.lines, verdict.lines, strict=True):
        gone = assess(*observable, [one for one in reports(observable) if one.source != line.source], now=NOW,
                      options=options._replace(asked=(*(options.asked or ()), other.definition)))  # fmt: skip
        assert rebuilt.silent(made, line).score == pytest.approx(gone.score, abs=0.001)
    assert rebuilt.allowed(made).tally.veto == ()


@pytest.mark.parametrize("observable", OBSERVABLES)
def test_a_source_that_had_not_answered_gives_what_the_verdict_itself_gives_then(observable: tuple[str, str]) -> None:
    said = reports(observable)
    made = rebuilt.rebuilt(assess(*observable, said, now=NOW).to_dict())
    assert made is not None
    for line in made.lines:
        other = [
            report._replace(level=None, reason="no answer", success=False, clears=None)
            if report.source == line.source
            else report
            for report in said
        ]
        told = rebuilt.silent(made, line)
        wanted = assess(*observable, other, now=NOW)
        assert told.score == pytest.approx(wanted.score, abs=0.001)
        if not (line.level is None and not line.counted):  # one of context that did not judge is counted by neither
            assert (told.recommendation, told.families) == (wanted.recommendation, wanted.families)


@pytest.mark.parametrize("level", [MALICIOUS, SAFE])
@pytest.mark.parametrize("observable", OBSERVABLES)
def test_a_source_that_had_said_otherwise_gives_what_the_verdict_itself_gives_then(
    observable: tuple[str, str], level: str
) -> None:
    said = reports(observable)
    made = rebuilt.rebuilt(assess(*observable, said, now=NOW).to_dict())
    assert made is not None
    for line in made.lines:
        if line.level is None or not line.weight:
            continue  # the age of what was never said, or weighed nothing, does not stand in the report
        other = [
            report._replace(level=level, reason=None, clears=None) if report.source == line.source else report
            for report in said
        ]
        told, wanted = rebuilt.saying(made, line, level), assess(*observable, other, now=NOW)
        assert told.score == pytest.approx(wanted.score, abs=0.001)
        assert (told.recommendation, told.verdict) == (wanted.recommendation, wanted.verdict)


@pytest.mark.parametrize(
    "change",
    [{"ledger": None}, {"ledger": [1]}, {"profile": "mine"}, {"score": 0.2}, {"recommendation": "observe"}, {"veto": 7},
     {"families": 9}, {"log_odds": "much"}, {"observable": None}, {"coverage": 0.1},
     {"calibrated": True, "score": 1.0}],
)  # fmt: skip
def test_what_does_not_give_its_own_numbers_back_is_not_turned(change: dict[str, Any]) -> None:
    observable = ("ip", ATTACKER)
    full = assess(*observable, reports(observable), now=NOW).to_dict()
    assert rebuilt.rebuilt(full) is not None
    assert rebuilt.rebuilt({**full, **change}) is None
    assert rebuilt.rebuilt({}) is None


# what would have changed it -----------------------------------------------------------------------------------------


def test_what_was_decided_is_what_comes_out_when_nothing_is_changed(scene: Deciding) -> None:
    told = scene.what_if(scene.judge(1))
    assert told.notes == ()
    assert {change.instead_of for change in told.changes} == {"act"}


def test_each_source_without_which_it_would_have_been_otherwise_is_named(scene: Deciding) -> None:
    record = scene.judge(1)
    assert record.state == "act"
    found = sentences(scene.what_if(record))
    assert "If AbuseIPDB had not answered, or had said safe: ask instead of act." in found
    assert not [sentence for sentence in found if "Shodan" in sentence]


def test_the_modes_that_would_have_held_it_back_are_named(scene: Deciding) -> None:
    found = sentences(scene.what_if(scene.judge(1)))
    assert "If the mode in force had been observe: observe instead of act." in found
    assert "If the mode in force had been approve: ask instead of act." in found
    assert "If the playbook malicious-ip had been in mode approve: ask instead of act." in found


def test_two_modes_that_hold_it_back_together_are_named_together() -> None:
    observing = Deciding()  # the shipped playbook observes
    observing.mode = "observe"
    record = observing.judge(1)
    told = observing.what_if(record)
    assert record.state == "observe"
    assert sentences(told) == [
        "If neither the mode in force nor a playbook's own had held it back: act instead of observe."
    ]
    assert told.unbound == "act"
    assert "If AbuseIPDB had not answered, or had said safe: ask instead of act." in [
        change.sentence for change in told.without_modes
    ]


def test_one_more_source_may_have_made_the_difference(scene: Deciding) -> None:
    for like in sorted({data for kind, data in OBSERVABLES if kind == "ip"}):
        full = assess("ip", like, reports(("ip", like)), now=NOW).to_dict()
        if full["recommendation"] == "ask" and "One more independent grade-B" in " ".join(full["explanation"]):
            break
    else:
        pytest.fail("no sample address lacks exactly one source")
    record = scene.judge(1, like, like=like)
    found = sentences(scene.what_if(record))
    assert "If one more independent source (grade B) had said malicious: act instead of ask." in found


def test_the_guardrail_that_forbade_it_is_named(scene: Deciding) -> None:
    scene.policy_text = "firewall: {own: [198.51.100.0/24], never: [203.0.113.17]}"
    record = scene.judge(1)
    assert record.state == "stopped"
    found = sentences(scene.what_if(record))
    assert any(
        sentence.startswith("If no guardrail had forbidden it (firewall.never: 203.0.113.17") for sentence in found
    )
    assert all(sentence.endswith("instead of stopped.") for sentence in found)


def test_the_policy_that_wanted_a_grant_is_named(scene: Deciding) -> None:
    scene.policy_text = "{firewall: {own: [198.51.100.0/24]}, approval: {required_for: [firewall]}}"
    record = scene.judge(1)
    assert record.state == "ask"
    found = sentences(scene.what_if(record))
    assert "If no guardrail had wanted an analyst's grant (approval.required_for): act instead of ask." in found


def test_the_budget_that_was_spent_is_named(scene: Deciding) -> None:
    scene.policy_text = "{firewall: {own: [198.51.100.0/24]}, limits: {per_hour: {firewall: 1}}}"
    scene.judge(1)
    record = scene.judge(2, SECOND)
    assert record.state == "held"
    found = sentences(scene.what_if(record))
    assert "If there had been room in the budget and no breaker open: act instead of held." in found
    assert "If the mode in force had been approve: ask instead of held." in found


def test_what_contained_it_already_is_named(scene: Deciding) -> None:
    scene.judge(1)
    record = scene.judge(2)
    assert record.state == "covered"
    found = sentences(scene.what_if(record))
    assert "If it had not been contained or asked about already: act instead of covered." in found


def test_a_release_by_a_person_that_made_it_a_question_is_named(scene: Deciding) -> None:
    scene.ended(scene.contained(scene.judge(1)), by=ANNA)
    record = scene.judge(2)
    assert record.state == "ask"
    assert "If nobody had released it early before: act instead of ask." in sentences(scene.what_if(record))


def test_playbooks_that_have_changed_since_are_said(scene: Deciding) -> None:
    record = scene.judge(1)
    books = Playbooks(
        tuple(replace(book, digest="0" * 64, decide=book.decide[1:]) if book.name == "malicious-ip" else book
              for book in scene.books)
    )  # fmt: skip
    told = scene.what_if(record, playbooks=books)
    assert told.notes == (
        "Worked out with the playbooks of today: malicious-ip reads otherwise now, or is gone.",
        "Today the same evidence gives ask, not act: what follows is what would change that.",
    )


def test_a_playbook_that_is_gone_says_nothing(scene: Deciding) -> None:
    told = scene.what_if(scene.judge(1), playbooks=Playbooks(()))
    assert "gives nothing, not act" in told.notes[1]
    assert told.changes == ()


def test_while_the_policy_is_not_valid_what_was_recorded_still_counts(scene: Deciding) -> None:
    told = scene.what_if(scene.judge(1), policy=None)
    assert "If AbuseIPDB had not answered, or had said safe: ask instead of act." in sentences(told)
    assert "The policy is not valid at this moment" in told.notes[0]


def test_a_verdict_that_cannot_be_made_again_is_not_guessed_about(scene: Deciding) -> None:
    record = scene.judge(1)
    with scene.store.transaction() as work:
        verdict = work.get("verdict", record.body["verdict"])
        assert verdict is not None
        full = {**verdict.body["full"], "ledger": verdict.body["full"]["ledger"][:2]}
        work.save("verdict", verdict.key, {**verdict.body, "full": full}, ref=verdict.ref)
    told = scene.what_if(record)
    assert "cannot be rebuilt from what is stored" in told.notes[0]
    assert not [sentence for sentence in sentences(told) if "AbuseIPDB" in sentence]


def test_of_a_decision_on_a_case_only_modes_and_guardrails_are_changed(scene: Deciding) -> None:
    record = scene.judge(1)
    body = {**record.body, "decision": {**record.body["decision"], "event": "case"}}
    evidence = story.Evidence("act", body, Alert({}), {}, {}, 1)
    told = what_if(evidence, Rules(scene.books, scene.policy()))
    assert "is kept by TheHive alone" in told.notes[0]
    assert "If the mode in force had been observe: observe instead of act." in sentences(told)


# the page -----------------------------------------------------------------------------------------------------------


def key_of(world: Filled, target: str) -> str:
    with world.store.reading() as work:
        (key,) = [one.key for one in work.find(ruling.KIND) if one.body["decision"]["target"]["data"] == target]
    return key


def test_the_story_goes_from_the_alert_to_the_undo_with_the_time_between(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/decisions/" + key_of(house.world, "203.0.113.99"))
    text = page.text.partition("From the alert to the undo")[2].partition("The alert")[0]
    words = ["came in: Wazuh 5712", "+9 s verdict", "+3 s decision", "+2 s contained", "release wished", "undone"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    for part in ("T1110", "Credential Access", "data.srcip", "AbuseIPDB", "Contained 203.0.113.99 at fw1",
                 "Released; verified.", "case #132", "f" * 12):  # fmt: skip
        assert part in page.text


def test_a_question_shows_who_may_answer_and_a_closing_its_label(house: House) -> None:
    visitor = house.visitor(ANALYST)
    page = visitor.get("/console/decisions/" + key_of(house.world, SECOND))
    assert re.search(r"stands 3h\d+m left", page.text)
    assert any(link.startswith("/console/approvals/P") for link in page.links)
    assert "who may answer anna@soc.example, ben@soc.example" in page.text
    page = visitor.get("/console/decisions/" + key_of(house.world, "203.0.113.138"))
    assert "closed as FalsePositive by anna@soc.example" in page.text
    assert "label FalsePositive" in page.text


def test_it_leads_to_the_audit_and_to_the_incident_report(house: House) -> None:
    key = key_of(house.world, ATTACKER)
    page = house.visitor(ANALYST).get(f"/console/decisions/{key}")
    for link in (f"/console/audit?of={key}", "/console/audit?of=~128", "/console/cases/~128/report",
                 "/console/cases/~128/report?format=markdown"):  # fmt: skip
        assert link in page.links
        assert house.visitor(ANALYST).get(link).status == 200


def test_one_that_is_not_there_says_why(house: House) -> None:
    page = house.visitor(ANALYST).get("/console/decisions/P4711")
    assert page.status == 404
    assert "There is no decision of this id, or it is forgotten" in page.text
    with house.world.store.transaction() as work:
        work.save("lease", "H1", {})
    assert "was begun by a person" in house.visitor(ANALYST).get("/console/decisions/H1").text


def test_what_is_forgotten_of_it_is_said_and_the_rest_is_told(world: Filled) -> None:
    key = key_of(world, ATTACKER)
    record = world.record(ruling.KIND, key)
    with world.store.transaction() as work:
        for kind, other in (("alert", record.body["alert"]), ("verdict", record.body["verdict"]), ("case", record.ref)):
            assert work.delete(kind, other)
    with House(world) as house:
        page = house.visitor(ANALYST).get(f"/console/decisions/{key}")
    assert "It is not kept any more." in page.text
    assert "The verdict is not kept any more." in page.text
    assert "Contained 203.0.113.17 at fw1" in page.text


def test_what_an_attacker_wrote_is_inert(world: Filled) -> None:
    evil = "<script>alert(1)</script>\u202e\x07"
    alert = world.alert("203.0.113.5", what=evil + "x" * 1_000_000, agent=evil)
    case_id = world.case(900, "203.0.113.5", alert)
    record = world.decide(case_id, evil, alert=alert, why=evil, rule=evil)
    with world.store.transaction() as work:
        arrived = work.get("alert", alert)
        assert arrived is not None
        document = {**arrived.body["alert"], "data": {f"{evil}{number}": evil for number in range(2000)}}
        body = {**arrived.body, "alert": document, "observables": [["ip", evil, evil, evil, [], ""]] * 300}
        work.save("alert", alert, body, ref=case_id)
    with House(world) as house:
        page = house.visitor(ANALYST).get(f"/console/decisions/{record.key}")
    assert page.status == 200
    assert page.tags.count("script") == 1
    assert "\u202e" not in page.html
    assert "\x07" not in page.html
    assert len(page.html) < 300_000


def test_a_story_costs_the_same_however_often_its_undo_failed(world: Filled) -> None:
    key = key_of(world, ATTACKER)
    world.store = counted = Counted(world.store)
    with House(world) as house:
        visitor = house.visitor(ANALYST)
        costs = []
        for _ in range(2):
            with world.store.transaction() as work:
                for tries in range(300):
                    world.journal.write(work, "release failed", lease=key, tries=tries, why="no route")
            costs.append(counted.during(lambda: visitor.get(f"/console/decisions/{key}")))
        page = visitor.get(f"/console/decisions/{key}")
    assert (costs[0].calls, costs[0].rows) == (costs[1].calls, costs[1].rows)
    assert "Only the newest audit lines are told" in page.text

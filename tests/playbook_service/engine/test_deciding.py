"""What becomes of a verdict: acted upon, asked, or only noted, and each with its reason on record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from case_hive import CaseHive
from engine_lab import Service, sample

from playbook_service.engine import approval, launch, lease, ruling
from playbook_service.engine.pipeline import Seams
from playbook_service.playbook import Playbooks, load
from playbook_service.store.contract import Record
from propolis.clock import ManualClock, utc_text
from propolis.guardrails import Policy

ABUSE, GREY, CROWD, VIRUS = "AbuseIPDB_2_0", "GreyNoise_3_1", "Crowdsec_Analyzer_1_1", "VirusTotal_GetReport_3_1"
MALICIOUS = {name: {"level": "malicious"} for name in ("AbuseIPDB", "GreyNoise", "Crowdsec", "VirusTotal")}
BRUTE_FORCE, GUESSED, MALWARE = "1794881684.25339", "1794884571.44829", "1794905102.106255"
DAY = 86_400


class Plant:
    """A service with a hive on whose address everybody agrees, in enforce mode."""

    def __init__(self, **seams: Any) -> None:
        self.clock = ManualClock()
        self.hive = CaseHive(self.clock)
        self.hive.enabled = dict.fromkeys((ABUSE, GREY, CROWD, VIRUS), ("ip",))
        self.hive.answers = dict(MALICIOUS)
        for name in ("FirewallBlock", "AccountDisable", "IsolateHost"):
            self.hive.reports[name] = [contained(self.clock.now() + DAY)] * 20
        for name in ("FirewallUnblock", "AccountEnable", "ReleaseHost"):
            self.hive.reports[name] = [{"success": True, "full": {"result": "released"}}] * 20
        self.service = Service(self.hive, clock=self.clock, seams=Seams(**seams))
        self.mode("enforce")

    def mode(self, mode: str, playbooks: str = "enforce") -> None:
        self.service.mode = mode
        self.service.books = Playbooks(tuple(replace(book, mode=playbooks) for book in self.service.books))

    def policy(self, text: str) -> None:
        self.service.policy_text = text

    def alert(self, number: int = 1, source: str = "203.0.113.17", **rule: Any) -> dict[str, Any]:
        document = sample(BRUTE_FORCE)
        document["id"] = f"1794881684.{number}"
        document["data"]["srcip"] = source
        document["full_log"] = document["previous_output"] = ""
        document["rule"].update(rule)
        return document

    def receive(self, *alerts: dict[str, Any], seconds: float = 40) -> None:
        self.service.receive(*alerts)
        self.service.run(seconds)
        assert self.service.buried == []

    def decisions(self, action: str = "") -> list[Record]:
        found = self.service.records(ruling.KIND)
        return [record for record in found if action in record.body["decision"]["action"]]

    def decision(self, action: str = "FirewallBlock") -> Record:
        (found,) = self.decisions(action)
        return found

    @property
    def starts(self) -> list[str]:
        return [name for name, _, _ in self.hive.started]


def contained(until: float) -> dict[str, Any]:
    return {"success": True, "full": {"result": "contained", "until": utc_text(until), "where": "fw1"}}


@pytest.fixture
def plant() -> Plant:
    return Plant()


# act, ask, observe


def test_a_malicious_address_is_blocked_and_everything_is_on_record(plant: Plant) -> None:
    plant.receive(plant.alert())
    record = plant.decision()
    assert record.state == ruling.ACT
    (granted,) = plant.service.records(lease.KIND)
    assert (granted.key, granted.state) == (record.key, lease.ACTIVE)
    ((name, entity, parameters),) = plant.hive.started
    assert (name, parameters) == ("FirewallBlock", {"lease": record.key, "duration_seconds": DAY})
    home, blocked = plant.hive.things[entity]
    assert (blocked.data, home) == ("203.0.113.17", record.ref)
    (line,) = plant.service.said("decision")
    assert (line["result"], line["playbook"], line["case"]) == ("act", "brute-force", record.ref)
    assert line["version"] == record.body["decision"]["playbooks"][0]["digest"]
    assert "verdict.recommendation: act holds" in line["reasons"][0]
    assert plant.service.journal.verify() == []


def test_in_observe_mode_nothing_is_started_and_the_log_says_what_would_have_been(plant: Plant) -> None:
    plant.mode("observe")
    plant.receive(plant.alert())
    record = plant.decision()
    assert (record.state, record.body["outcome"], record.body["why"]) == ("observe", "act", "service mode observe")
    assert (plant.hive.started, plant.service.records(lease.KIND)) == ([], [])


def test_the_policys_mode_is_a_ceiling_too(plant: Plant) -> None:
    plant.policy(plant.service.policy_text + "\nmode: observe\n")
    plant.receive(plant.alert())
    assert (plant.decision().state, plant.hive.started) == ("observe", [])


def test_in_approve_mode_an_analyst_is_asked_with_the_evidence(plant: Plant) -> None:
    plant.mode("approve")
    plant.receive(plant.alert())
    assert plant.decision().state == ruling.ASK
    (question,) = plant.service.records(approval.KIND)
    assert question.key == plant.decision().key
    assert "families 4" in question.body["evidence"][0]
    assert len(question.body["evidence"]) > 1
    assert question.body["grant"]["seconds"] == DAY
    assert plant.hive.started == []
    assert any(title.startswith("APPROVE? FirewallBlock") for title in plant.hive.titles(plant.decision().ref))


def test_the_seam_for_asking_gets_the_decision() -> None:
    asked: list[Record] = []
    plant = Plant(ask=lambda work, record: asked.append(record))
    plant.mode("approve")
    plant.receive(plant.alert())
    assert [record.state for record in asked] == ["ask"]
    assert lease.Grant(**asked[0].body["grant"]).target == "203.0.113.17"


def test_whoever_wants_to_know_of_decisions_is_told_of_each_once() -> None:
    told: list[str] = []
    plant = Plant(considered=lambda work, record: told.append(record.key))
    plant.mode("observe")
    plant.receive(plant.alert(1))
    plant.receive(plant.alert(2))
    assert told == [plant.decision().key]


def test_the_mode_that_is_lowered_at_the_last_moment_holds(plant: Plant) -> None:
    settle = plant.service.engine.deciding.settle

    def lowered(*args: Any) -> Any:
        commit = settle(*args)
        if args[0].scene.event == "verdict":
            plant.service.mode = "observe"
        return commit

    plant.service.engine.deciding.settle = lowered  # type: ignore[method-assign]
    plant.receive(plant.alert())
    record = plant.decision()
    assert (record.state, record.body["why"]) == ("observe", "service mode observe holds it back")
    assert plant.hive.started == []


# guardrails


def test_what_is_protected_is_never_contained_and_somebody_is_told(plant: Plant) -> None:
    plant.receive(plant.alert(source="198.51.100.80"))
    record = plant.decision()
    assert (record.state, record.body["outcome"]) == (ruling.STOPPED, "stopped")
    assert "firewall.infrastructure: 198.51.100.80/30" in record.body["rule"]
    assert plant.hive.started == []
    (told,) = plant.service.told
    assert (told["do"], told["decision"], told["what"]) == ("tell", record.key, "stopped")


def test_without_own_networks_nothing_is_contained(plant: Plant) -> None:
    plant.policy("")
    plant.receive(plant.alert())
    assert plant.decision().state == ruling.STOPPED
    assert "set firewall.own" in plant.decision().body["why"]


def test_the_kill_switch_stops_what_is_to_come(plant: Plant, tmp_path: Path) -> None:
    switch = tmp_path / "STOP"
    switch.write_text("")
    plant.policy(f"{plant.service.policy_text}\nkill_switch: {switch}\n")
    plant.receive(plant.alert())
    assert (plant.decision().state, plant.hive.started) == (ruling.STOPPED, [])
    assert "kill switch" in plant.decision().body["why"]


def test_accounts_and_hosts_need_somebodys_grant_whatever_the_playbook_says(plant: Plant) -> None:
    plant.policy(plant.service.policy_text + "\napproval: {required_for: [firewall]}\n")
    plant.receive(plant.alert())
    assert plant.decision().state == ruling.ASK
    assert "an analyst's grant for firewall" in plant.decision().body["why"]


def test_the_budget_holds_back_what_is_too_much(plant: Plant) -> None:
    plant.policy(plant.service.policy_text + "\nlimits: {per_hour: {firewall: 2}}\n")
    plant.receive(*(plant.alert(number, f"203.0.113.{number}") for number in range(1, 5)), seconds=90)
    states = sorted(record.state for record in plant.decisions())
    assert states == [ruling.ACT, ruling.ACT, ruling.HELD, ruling.HELD]
    assert len(plant.hive.started) == 2
    held = next(record for record in plant.decisions() if record.state == ruling.HELD)
    assert "2 firewall containments in the last hour" in held.body["why"]
    assert {told["what"] for told in plant.service.told if "decision" in told} == {"held"}


# one target


def test_the_same_verdict_for_another_alert_does_not_contain_again(plant: Plant) -> None:
    plant.receive(plant.alert(1))
    plant.receive(plant.alert(2))
    plant.receive(plant.alert(3))
    assert (plant.starts, len(plant.decisions())) == (["FirewallBlock"], 1)


def test_an_address_that_is_contained_for_another_case_is_not_contained_again(plant: Plant) -> None:
    plant.receive(plant.alert(1))
    other = plant.alert(2)
    other["agent"] = {"id": "008", "name": "db01", "ip": "192.0.2.30"}
    plant.receive(other)
    states = {record.ref: record.state for record in plant.decisions()}
    assert sorted(states.values()) == [ruling.ACT, ruling.COVERED]
    covered = next(record for record in plant.decisions() if record.state == ruling.COVERED)
    assert "contains it already until" in covered.body["why"]
    assert plant.starts == ["FirewallBlock"]


def test_an_attacker_who_comes_back_after_the_lease_is_met_again(plant: Plant, tmp_path: Path) -> None:
    own_playbooks(plant, tmp_path, "1h")
    plant.hive.reports["FirewallBlock"] = [contained(plant.clock.now() + 3600), contained(plant.clock.now() + 9000)]
    plant.receive(plant.alert(1))
    plant.service.run(3700, step=100)
    assert plant.starts == ["FirewallBlock", "FirewallUnblock"]
    plant.receive(plant.alert(2))
    assert plant.starts == ["FirewallBlock", "FirewallUnblock", "FirewallBlock"]


def test_what_a_person_released_is_not_contained_again_without_asking(plant: Plant) -> None:
    plant.receive(plant.alert(1))
    key = plant.decision().key
    with plant.service.store.transaction() as work:
        lease.end(work, plant.service.tools, key, "anna@soc.example")
    plant.service.run(60)
    plant.receive(plant.alert(2))
    last = max(plant.decisions(), key=lambda record: record.body["at"])
    assert (last.state, "anna@soc.example released it early" in last.body["why"]) == (ruling.ASK, True)
    assert plant.starts == ["FirewallBlock", "FirewallUnblock"]


def own_playbooks(plant: Plant, place: Path, duration: str, target: str = "observable") -> None:
    (place / "own.yml").write_text(
        "kind: enrich\nname: look\non: observable\nwhen: {observable.dataType: ip}\n"
        "analyzers: [AbuseIPDB, GreyNoise, Crowdsec_Analyzer, VirusTotal_GetReport]\ndeadline: 1m\n"
        "---\nkind: respond\nname: block\nmode: approve\non: verdict\nwhen: {observable.dataType: ip}\n"
        f'actions: [{{do: respond, with: FirewallBlock, target: "{target}", for: {duration}}}]\n',
        encoding="utf-8",
    )
    plant.service.books = load(place)
    plant.mode("enforce")


def test_what_has_no_end_needs_a_person(plant: Plant, tmp_path: Path) -> None:
    own_playbooks(plant, tmp_path, "permanent")
    plant.receive(plant.alert())
    record = plant.decision()
    assert (record.state, record.body["grant"]["seconds"]) == (ruling.ASK, 7 * DAY)
    assert "only a person" in record.body["why"]


def test_no_containment_lasts_longer_than_the_policy_lets_it(plant: Plant, tmp_path: Path) -> None:
    plant.policy(plant.service.policy_text.replace("max_ttl: 7d", "max_ttl: 2h").replace("24h", "1h"))
    own_playbooks(plant, tmp_path, "24h")
    plant.receive(plant.alert())
    assert plant.hive.started[0][2]["duration_seconds"] == 7200


def test_several_targets_are_a_question_to_a_person(plant: Plant, tmp_path: Path) -> None:
    own_playbooks(plant, tmp_path, "1h", "case.observables[ip]")
    document = plant.alert()
    document["full_log"] = "Failed password for root from 203.0.113.21 port 22 ssh2"
    document["data"]["dstip"] = "203.0.113.22"
    plant.receive(document)
    assert {record.state for record in plant.decisions()} == {ruling.CHOOSE}
    (task,) = [task for task in plant.hive.work.values() if task.title == "Choose a target for FirewallBlock"]
    assert task.flag
    assert "`203.0.113.17`" in task.description
    assert "`203.0.113.22`" in task.description
    assert plant.hive.started == []


# hosts and accounts


def test_a_host_that_is_no_observable_becomes_one_that_the_responder_takes(plant: Plant) -> None:
    plant.policy(plant.service.policy_text + "\napproval: {required_for: []}\n")
    plant.receive(sample(MALWARE))
    record = plant.decision("IsolateHost")
    assert record.state == ruling.ASK
    target = plant.hive.things[record.body["entity"]][1]
    assert (target.data_type, target.data) == ("hostname", "FIN-WS07")
    assert "agent:006" in target.tags


def test_an_account_gets_the_tag_by_which_the_responder_knows_it(plant: Plant) -> None:
    plant.receive(sample(GUESSED))
    record = plant.decision("AccountDisable")
    assert record.state == ruling.ASK
    target = plant.hive.things[record.body["entity"]][1]
    assert (target.data_type, target.data) == ("other", "backup")
    assert "subtype:username" in target.tags


def test_one_question_about_a_host_is_enough_for_all_alerts_and_hashes(plant: Plant) -> None:
    plant.receive(sample(MALWARE))
    plant.receive({**sample(MALWARE), "id": "1794905199.1"}, {**sample(MALWARE), "id": "1794905199.2"})
    states = sorted(record.state for record in plant.decisions("IsolateHost"))
    assert (states.count(ruling.ASK), states.count(ruling.COVERED)) == (1, 2)
    assert len(plant.service.records(approval.KIND)) == 1


def test_a_denial_stands_for_the_case(plant: Plant) -> None:
    plant.receive(sample(MALWARE))
    (question,) = plant.service.records(approval.KIND)
    with plant.service.store.transaction() as work:
        work.save(approval.KIND, question.key, {**question.body, "why": "it is a test machine"},
                  state=approval.DENIED, ref=question.ref)  # fmt: skip
    plant.receive({**sample(MALWARE), "id": "1794905199.1"})
    states = {record.state: record for record in plant.decisions("IsolateHost")}
    assert "it was denied in this case" in states[ruling.COVERED].body["why"]
    assert "it is a test machine" in states[ruling.COVERED].body["why"]


# a grant is checked again


def asked(plant: Plant) -> lease.Grant:
    plant.mode("approve")
    plant.receive(plant.alert())
    return lease.Grant(**plant.decision().body["grant"])


def test_a_grant_that_nothing_speaks_against_is_paid_from_the_budget(plant: Plant) -> None:
    wanted = asked(plant)
    recheck = plant.service.engine.deciding.recheck
    assert recheck(wanted) == ""
    assert recheck(wanted) == ""
    assert len(plant.service.records("spent")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plant: plant.mode("observe"), "the mode is observe"),
        (lambda plant: plant.policy("firewall: {own: [nonsense]}"), "everything is refused"),
        (lambda plant: plant.policy(""), "set firewall.own"),
        (lambda plant: plant.policy("firewall: {own: [203.0.113.0/24]}"), "never blocked"),
        (lambda plant: plant.policy(plant.service.policy_text + "\nlimits: {per_hour: {firewall: 0}}"), "is used up"),
    ],
    ids=["mode", "invalid policy", "no own networks", "protected now", "budget"],
)  # fmt: skip
def test_a_grant_does_not_outlive_what_it_stood_on(plant: Plant, change: Any, said: str) -> None:
    wanted = asked(plant)
    change(plant)
    assert said in plant.service.engine.deciding.recheck(wanted)
    assert plant.service.records("spent") == []


def test_a_grant_dies_when_the_verdict_says_something_else_and_a_new_question_is_put(plant: Plant) -> None:
    wanted = asked(plant)
    plant.hive.answers["GreyNoise"] = {"error": "down"}
    plant.hive.things = {key: (home, thing._replace(reports={})) for key, (home, thing) in plant.hive.things.items()}
    plant.clock.advance(4000)
    plant.receive(plant.alert(2))
    assert "the verdict has changed" in plant.service.engine.deciding.recheck(wanted)
    questions = plant.service.records(approval.KIND)
    assert len(questions) == 2
    newest = next(question for question in questions if question.key != wanted.lease)
    assert plant.service.engine.deciding.recheck(lease.Grant(**newest.body["grant"])) == ""


def test_a_grant_for_what_is_contained_already_is_none(plant: Plant) -> None:
    wanted = asked(plant)
    plant.mode("enforce")
    other = plant.alert(2)
    other["agent"] = {"id": "008", "name": "db01", "ip": "192.0.2.30"}
    plant.receive(other)
    assert plant.starts == ["FirewallBlock"]
    assert "contains it already" in plant.service.engine.deciding.recheck(wanted)


def test_a_grant_of_which_there_is_no_decision_is_none(plant: Plant) -> None:
    wanted = asked(plant)
    assert "no record" in plant.service.engine.deciding.recheck(wanted._replace(lease="Pforged"))


# cases


def test_a_verdict_on_an_alert_without_a_case_opens_one_where_something_is_to_be_done(plant: Plant) -> None:
    plant.receive(plant.alert(1, level=5, groups=["sshd", "authentication_failed"], id="5710"))
    (case,) = plant.hive.board.values()
    record = plant.decision()
    assert (record.state, record.ref) == (ruling.ACT, case.id)
    entity = plant.hive.started[0][1]
    assert plant.hive.things[entity][0] == case.id
    assert plant.service.record("alert").ref == case.id
    assert plant.service.record("case").body["alerts"] == ["siem01:1794881684.1"]


def test_where_the_alert_was_deleted_meanwhile_nothing_is_started_on_nothing(plant: Plant) -> None:
    plant.hive.takes = 20
    plant.service.receive(plant.alert(1, level=5, groups=["sshd", "authentication_failed"], id="5710"))
    plant.service.run(10)
    plant.hive.alerts.clear()
    plant.service.run(60)
    assert plant.service.buried == []
    assert (plant.decision().state, plant.hive.started) == (ruling.STOPPED, [])
    assert "gone from TheHive" in plant.decision().body["why"]


def test_nothing_is_decided_for_a_case_that_was_closed_before_the_verdict(plant: Plant) -> None:
    plant.service.receive(plant.alert())
    plant.hive.takes = 20
    plant.service.run(10)
    plant.hive.close(next(iter(plant.hive.board)), "FalsePositive")
    plant.service.run(60)
    assert (plant.decisions(), plant.hive.started) == ([], [])
    assert "closed as FalsePositive" in plant.service.said("not decided")[0]["why"]


def test_an_invalid_policy_makes_verdicts_wait_and_not_die(plant: Plant) -> None:
    good = plant.service.policy_text
    plant.service.receive(plant.alert())
    plant.hive.takes = 20
    plant.service.run(10)
    plant.policy("firewall: {own: [nonsense]}")
    plant.service.run(20_000, step=200)
    assert (plant.decisions(), plant.service.buried) == ([], [])
    plant.policy(good)
    plant.service.run(120)
    assert plant.starts == ["FirewallBlock"]


def test_a_malicious_verdict_raises_and_flags_the_case_once(plant: Plant) -> None:
    plant.receive(plant.alert())
    (case,) = plant.hive.board.values()
    assert (case.severity, case.flag) == (3, True)
    plant.hive.board[case.id] = case._replace(flag=False)
    plant.receive(plant.alert(2))
    assert Policy.parse(plant.service.policy_text).own_is_set


def test_what_an_analyst_contained_by_hand_is_not_contained_again(plant: Plant) -> None:
    grant = lease.Grant(
        "Hbyhand",
        "FirewallBlock",
        "case_artifact",
        "~x",
        "~other",
        "203.0.113.17",
        DAY,
        "by hand",
        "",
        "anna@soc.example",
    )
    ended = launch.Ended(True, {"result": "contained", "where": "fw1"}, "", "job-9")
    until = plant.service.clock.now() + DAY
    with plant.service.store.transaction() as work:
        assert lease.take(work, plant.service.tools, grant, until, ended)
    plant.receive(plant.alert())
    record = plant.decision()
    assert record.state == ruling.COVERED
    assert "lease Hbyhand contains it already" in record.body["why"]
    assert plant.hive.started == []

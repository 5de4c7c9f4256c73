"""A closing teaches once, by an analyst's word alone, about what the case was about, and ends what was contained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from feedback_shop import ANNA, ATTACKER, BEN, DAY, SERVICE, Shop, decision, seen, wazuh

from playbook_service.engine import approval, lease, ruling
from playbook_service.engine.arrival import Known
from playbook_service.engine.step import Commit
from playbook_service.feedback import closure, matter
from playbook_service.hive.model import Case
from playbook_service.playbook import Decision, Playbooks, load
from playbook_service.store.contract import Filter
from propolis.guardrails import PolicyError

RESOLVER = "8.8.8.8"


@pytest.fixture(params=[4, 5], ids=["thehive4", "thehive5"])
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def lease_states(shop: Shop) -> list[str]:
    with shop.store.transaction() as work:
        return [record.state for record in work.find(lease.KIND)]


def contained(shop: Shop, case_id: str = "~1", data: str = ATTACKER) -> str:
    """A lease in force."""
    record = shop.decided(case_id, decision(data, kind="act"), shop.spoke(case_id, data, AbuseIPDB="malicious"))
    assert record.state == ruling.ACT
    shop.set_state(lease.KIND, record.key, lease.ACTIVE, until=shop.clock.now() + DAY)
    shop.loop.run_due()
    return record.key


def test_a_false_positive_labels_what_was_contained_and_ends_it(shop: Shop):
    shop.open("~1", seen(ATTACKER), seen(RESOLVER))
    key = contained(shop)
    with shop.store.transaction() as work:
        work.put("step", f"release:{key}", {"do": "release", "lease": key}, due=shop.clock.now() + DAY)
    shop.close("~1", "FalsePositive")
    assert shop.labels() == [(ATTACKER, False, 1.0, ("contained",))]
    assert shop.released == [key]
    (wished,) = shop.said("release wished")
    assert wished["operator"] == f"case closed as FalsePositive by {ANNA}"
    (line,) = shop.said("case closed")
    assert (line["operator"], line["label"], line["labels"]) == (ANNA, "FalsePositive", [f"ip {ATTACKER}"])


def test_a_true_positive_labels_and_lets_its_containments_run(shop: Shop):
    shop.open("~1", seen(ATTACKER), seen(RESOLVER))
    contained(shop)
    shop.close("~1", "TruePositive")
    assert shop.labels() == [(ATTACKER, True, 1.0, ("contained",))]
    assert (shop.released, lease_states(shop)) == ([], [lease.ACTIVE])


def test_an_observable_nothing_was_done_about_is_never_labelled_unless_an_analyst_marked_it(shop: Shop):
    marked, met = seen("203.0.113.50", ioc=True), seen("203.0.113.51", sighted=True)
    shop.open("~1", seen(ATTACKER), seen(RESOLVER), marked, met)
    shop.spoke("~1", RESOLVER, AbuseIPDB="safe")
    shop.decided("~1", decision(RESOLVER, wanted="observe"), shop.spoke("~1", RESOLVER, AbuseIPDB="safe"))
    shop.close("~1", "TruePositive")
    assert shop.labels() == [("203.0.113.50", True, 1.0, ("ioc",)), ("203.0.113.51", True, 1.0, ("sighted",))]


@pytest.mark.parametrize(("wanted", "why"), [("act", "would have been contained"), ("ask", "would have been asked")])
def test_what_a_mode_alone_held_back_is_labelled(shop: Shop, wanted: str, why: str):
    shop.open("~1", seen(ATTACKER))
    shop.decided("~1", decision(wanted=wanted), shop.spoke("~1", AbuseIPDB="malicious", OTXQuery="none"))
    shop.close("~1", "TruePositive")
    assert shop.labels() == [(ATTACKER, True, 1.0, (why,))]
    ((label, _, _),) = shop.judgements.labels()
    assert (label.words, label.log_odds) == ({"AbuseIPDB": "malicious", "OTXQuery": "none"}, 2.0)


def test_the_words_are_those_of_the_newest_verdict(shop: Shop):
    shop.open("~1", seen(ATTACKER))
    verdict = shop.spoke("~1", AbuseIPDB="none")
    shop.clock.advance(60)
    shop.spoke("~1", AbuseIPDB="malicious", log_odds=3.5)
    shop.decided("~1", decision(), verdict)
    shop.close("~1", "TruePositive")
    ((label, _, _),) = shop.judgements.labels()
    assert (label.words, label.log_odds) == ({"AbuseIPDB": "malicious"}, 3.5)


@pytest.mark.parametrize("resolution", ["Indeterminate", "Duplicated", "Other"])
def test_other_resolutions_say_nothing(shop: Shop, resolution: str):
    shop.open("~1", seen(ATTACKER, ioc=True))
    contained(shop)
    shop.close("~1", resolution)
    assert (shop.labels(), shop.released, lease_states(shop)) == ([], [], [lease.ACTIVE])


def test_a_playbook_cannot_make_a_judgement_of_other_resolutions():
    assert closure.judgement_of("Other", ["FalsePositive"]) == ("", "Other is no judgement")
    assert closure.judgement_of("FP-scanner", ["FalsePositive"]) == ("FalsePositive", "")
    assert closure.judgement_of("FalsePositive", ["FalsePositive", "TruePositive"])[0] == ""


@pytest.mark.parametrize("actor", [SERVICE, ""], ids=["our own account", "nobody knows who"])
def test_only_an_analysts_closing_teaches_but_every_false_positive_releases(shop: Shop, actor: str):
    shop.open("~1", seen(ATTACKER, ioc=True))
    contained(shop)
    shop.close("~1", "FalsePositive", actor)
    assert shop.labels() == []
    assert len(shop.said("release wished")) == 1
    assert shop.said("case closed")[0]["why"] in ("the service itself closed it", "TheHive does not say who closed it")


def test_who_closed_it_is_not_who_edited_it_last(shop: Shop):
    shop.open("~1", seen(ATTACKER, ioc=True))
    shop.hive.close_case("~1", "FalsePositive", ANNA)
    case = shop.hive.cases["~1"]
    shop.hive.trail.insert(0, shop.hive.trail[0]._replace(actor=SERVICE, details={"tags": ["propolis"]}))
    assert closure.who_closed(shop.hive, case) == ANNA
    assert closure.who_closed(shop.hive, case._replace(resolution="TruePositive")) == ""


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        ("Indeterminate", [(ATTACKER, False, 0.5, ("denied",))]),
        ("FalsePositive", [(ATTACKER, False, 1.0, ("asked",))]),
        ("TruePositive", [(ATTACKER, False, 0.5, ("asked",))]),
    ],
)
def test_a_denied_approval_is_half_a_word_for_harmless(shop: Shop, resolution: str, expected: list):
    shop.open("~1", seen(ATTACKER))
    record = shop.decided("~1", decision(kind="ask", wanted="ask"))
    shop.set_state(approval.KIND, record.key, approval.DENIED, answers=[BEN], why="it was cancelled")
    shop.close("~1", resolution)
    assert shop.labels() == expected


@pytest.mark.parametrize(
    ("answers", "approvers"),
    [([], [ANNA]), ([SERVICE], []), (["eve@soc.example"], [ANNA])],
    ids=["closed with the case", "ours", "other"],
)
def test_a_denial_by_nobody_who_may_answer_is_no_word(shop: Shop, answers: list[str], approvers: list[str]):
    shop.open("~1", seen(ATTACKER))
    record = shop.decided("~1", decision(kind="ask", wanted="ask"))
    shop.set_state(approval.KIND, record.key, approval.DENIED, answers=answers, approvers=approvers)
    shop.close("~1", "Indeterminate")
    assert shop.labels() == []


def test_a_denied_question_in_a_true_case_counts_as_malicious_once_it_is_marked(shop: Shop):
    shop.open("~1", seen(ATTACKER, ioc=True))
    record = shop.decided("~1", decision(kind="ask", wanted="ask"))
    shop.set_state(approval.KIND, record.key, approval.DENIED, answers=[BEN])
    shop.close("~1", "TruePositive")
    assert shop.labels() == [(ATTACKER, True, 1.0, ("asked", "ioc"))]


def test_a_responder_that_an_analyst_started_by_hand_is_part_of_the_matter(shop: Shop):
    shop.open("~1", seen(ATTACKER), seen(RESOLVER))
    grant = lease.Grant("M1", "FirewallBlock", "case_artifact", f"~{ATTACKER}", "~1", ATTACKER, 3600, "", "", ANNA)
    with shop.store.transaction() as work:
        lease.grant(work, shop.tools, grant)
    shop.close("~1", "TruePositive")
    assert shop.labels() == [(ATTACKER, True, 1.0, ("contained",))]


def test_noticing_a_closing_again_and_again_teaches_once(shop: Shop):
    shop.open("~1", seen(ATTACKER, ioc=True))
    shop.close("~1", "TruePositive")
    assert [shop.notice("~1") for _ in range(3)] == [False, False, False]
    assert (len(shop.labels()), len(shop.said("case closed"))) == (1, 1)


def test_an_open_case_is_nothing_to_notice(shop: Shop):
    shop.open("~1", seen(ATTACKER))
    assert shop.notice("~1") is False


def test_a_case_that_is_reopened_and_closed_otherwise_replaces_its_labels(shop: Shop):
    shop.open("~1", seen(ATTACKER, ioc=True))
    shop.close("~1", "FalsePositive")
    assert shop.labels() == [(ATTACKER, False, 1.0, ("ioc",))]
    shop.clock.advance(60)
    shop.reopen("~1")
    assert shop.labels() == []
    shop.clock.advance(60)
    shop.close("~1", "TruePositive")
    assert shop.labels() == [(ATTACKER, True, 1.0, ("ioc",))]
    shop.clock.advance(60)
    shop.close("~1", "FalsePositive")  # without reopening, as an edit
    assert shop.labels() == [(ATTACKER, False, 1.0, ("ioc",))]
    assert shop.journal.verify() == []


def test_closed_again_as_before_is_a_closing_of_its_own(shop: Shop):
    shop.open("~1", seen(ATTACKER, ioc=True))
    for _ in range(2):
        shop.close("~1", "FalsePositive")
        shop.clock.advance(60)
        shop.reopen("~1")
        assert shop.labels() == []
    shop.close("~1", "FalsePositive")
    assert shop.labels() == [(ATTACKER, False, 1.0, ("ioc",))]


def test_a_resolution_edited_to_and_fro_ends_as_it_stands(shop: Shop):
    shop.open("~1", seen(ATTACKER, ioc=True))
    for resolution in ("FalsePositive", "TruePositive", "FalsePositive", "TruePositive"):
        shop.close("~1", resolution)  # TheHive keeps the moment of the first closing
    assert shop.labels() == [(ATTACKER, True, 1.0, ("ioc",))]


def test_a_containment_on_its_way_when_the_case_is_closed_ends_as_soon_as_it_is_in_force(shop: Shop):
    shop.open("~1", seen(ATTACKER))
    record = shop.decided("~1", decision(kind="act"), shop.spoke("~1", AbuseIPDB="malicious"))
    shop.close("~1", "FalsePositive")
    assert (len(shop.labels()), lease_states(shop)) == (1, [lease.WISHED])
    shop.set_state(lease.KIND, record.key, lease.ACTIVE, until=shop.clock.now() + DAY)
    shop.clock.advance(6)
    shop.loop.run_due()
    assert len(shop.said("release wished")) == 1
    assert len(shop.said("case closed")) == 1


def test_a_containment_granted_in_the_moment_of_the_closing_is_found_a_little_later(shop: Shop):
    shop.open("~1", seen(ATTACKER))
    shop.close("~1", "FalsePositive")
    contained(shop)
    shop.clock.advance(121)
    shop.loop.run_due()
    assert len(shop.said("release wished")) == 1


def test_a_policy_that_cannot_be_read_does_not_stop_a_release(shop: Shop):
    shop.open("~1", seen(ATTACKER))
    contained(shop)
    shop.policy_text = "firewall: {own: nonsense}"
    with pytest.raises(PolicyError):
        shop.policy()
    shop.close("~1", "FalsePositive")
    assert len(shop.said("release wished")) == 1


def test_without_a_playbook_that_labels_nothing_is_learned_and_nothing_released(shop: Shop):
    shop.books = Playbooks(())
    shop.open("~1", seen(ATTACKER, ioc=True))
    contained(shop)
    shop.close("~1", "FalsePositive")
    assert (shop.labels(), shop.said("release wished")) == ([], [])
    assert shop.said("case closed")[0]["why"] == "no playbook labels cases that are closed so"


def test_a_killed_step_leaves_all_of_it_or_nothing(shop: Shop):
    shop.open("~1", seen(ATTACKER, ioc=True))
    shop.hive.close_case("~1", "FalsePositive")
    with shop.store.transaction() as work:
        closure.noticed(work, shop.hive.cases["~1"])
        (item,) = work.claim("step", "dying", seconds=1, limit=1)
    shop.feedback.closures.step(item)  # and killed before the commit
    shop.clock.advance(2)
    shop.loop.run_due()
    assert (len(shop.labels()), len(shop.said("case closed"))) == (1, 1)
    with shop.store.transaction() as work:
        assert work.count(closure.KIND, Filter(state=closure.SHUT)) == 1


def test_a_case_that_nothing_of_ours_is_in_leaves_no_trace_in_the_audit(shop: Shop):
    shop.hive.open("~1", seen(ATTACKER, ioc=True))
    shop.close("~1", "TruePositive")
    assert (shop.labels(), shop.said("case closed")) == ([], [])
    assert shop.notice("~1") is False


@pytest.mark.parametrize("settles", [True, False])
def test_what_else_playbooks_want_of_a_closed_case_is_done_once(shop: Shop, settles: bool, tmp_path: Path):
    (tmp_path / "books.yml").write_text(
        "kind: respond\nname: tell\non: case_closed\nwhen: {case.severity|gte: 1}\nactions:\n"
        "  - {do: notify, to: soc}\n  - {do: label, as: TruePositive}\n"
    )
    shop.books = load(tmp_path)
    asked: list[tuple[str, str, list[str]]] = []

    def settle(case: Case, known: Known | None, decisions: Sequence[Decision], by: str) -> Commit:
        asked.append((case.id, known.key if known else "", [entry.verb for entry in decisions]))
        return lambda work: None

    shop.handlers |= closure.Closures(shop.tools, settle if settles else None).handlers()
    shop.hive.open("~1", seen(ATTACKER))
    shop.arrived(wazuh("7"), "~1")
    shop.close("~1", "TruePositive")
    shop.notice("~1")
    assert asked == ([("~1", "siem01:7", ["notify"])] if settles else [])


def test_a_case_with_a_thousand_marked_observables_teaches_a_bounded_number(shop: Shop):
    shop.open("~1", *(seen(f"203.0.113.{n % 250}", ioc=True)._replace(id=f"~o{n}") for n in range(1000)))
    shop.close("~1", "TruePositive")
    assert len(shop.labels()) == matter.MOST_LABELS

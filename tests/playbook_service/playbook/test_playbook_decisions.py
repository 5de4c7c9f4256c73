"""Decisions: clauses, modes, targets, merging, and the digest an approval is bound to."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from playbook_service.playbook import MODES, Decision, Playbooks, Target, analyzers_for, decide, load

VERDICT = {
    "verdict": "malicious", "recommendation": "act", "score": 0.97, "families": 3, "malicious": 4, "suspicious": 1,
    "coverage": 0.8, "conflict": 0.1, "profile": "evidence",
}  # fmt: skip
CONTEXT: dict[str, Any] = {
    "alert": {
        "id": "1795304791.1",
        "manager": {"name": "wazuh-1"},
        "rule": {"id": "5763", "level": 10, "groups": ["authentication_failures"]},
        "agent": {"id": "003", "name": "web-01"},
        "data": {"srcip": "203.0.113.7", "dstuser": "deploy", "many": ["203.0.113.7", "203.0.113.8"], "name": "mars"},
    },
    "observable": {"dataType": "ip", "data": "203.0.113.7", "tags": [], "role": "source"},
    "verdict": VERDICT,
    "case": {"number": 7, "observables": [{"dataType": "ip", "data": "203.0.113.9"}, {"dataType": "url", "data": "x"}]},
}


def book(
    name: str, *, mode: str = "enforce", decide: str = "", on: str = "verdict", action: str = "", **more: str
) -> str:
    clauses = f"decide: {decide}\n" if decide else ""
    steps = action or "{do: respond, with: FirewallBlock, target: observable}"
    extra = "".join(f"{key}: {value}\n" for key, value in more.items())
    return f"kind: respond\nname: {name}\nmode: {mode}\non: {on}\n{clauses}actions: [{steps}]\n{extra}---\n"


@pytest.fixture
def loaded(tmp_path: Path) -> Any:
    def write(*texts: str) -> Playbooks:
        file = tmp_path / "books.yml"
        file.write_text("".join(texts))
        return load(file)

    return write


def one(
    playbooks: Playbooks, context: dict[str, Any] = CONTEXT, *, ceiling: str = "enforce", on: str = "verdict"
) -> Decision:
    (decision,) = decide(playbooks, on, context, ceiling_mode=ceiling)
    return decision


def test_the_first_clause_that_holds_decides(loaded: Any) -> None:
    playbooks = loaded(book("a", decide="[{ask: {verdict.families|gte: 3}}, {act: {verdict.recommendation: act}}]"))

    decision = one(playbooks)

    assert decision.kind == "ask"
    assert decision.reasons == ("a: ask, because verdict.families|gte: 3 holds (found 3)",)


def test_no_clause_that_holds_is_observe_and_says_why_not(loaded: Any) -> None:
    decision = one(loaded(book("a", decide="[{act: {verdict.families|gte: 5}}, {ask: {verdict.score|gte: 0.99}}]")))

    assert (decision.kind, decision.wanted, decision.capped_by) == ("observe", "observe", "")
    assert decision.reasons == (
        "a: not act, because verdict.families|gte: 5 does not hold (found 3)",
        "a: not ask, because verdict.score|gte: 0.99 does not hold (found 0.97)",
    )


def test_without_clauses_it_acts_and_always_always_holds(loaded: Any) -> None:
    assert one(loaded(book("a"))).kind == "act"
    assert one(loaded(book("a", decide="[{ignore: always}]"))).kind == "ignore"


CAPPED = {"observe": {"act": "observe", "ask": "observe"}, "approve": {"act": "ask", "ask": "ask"}}


@pytest.mark.parametrize(("mode", "ceiling"), list(itertools.product(MODES, MODES)))
@pytest.mark.parametrize("outcome", ["act", "ask", "observe", "ignore"])
def test_the_lower_of_both_modes_is_the_ceiling(mode: str, ceiling: str, outcome: str, loaded: Any) -> None:
    effective = MODES[min(MODES.index(mode), MODES.index(ceiling))]

    decision = one(loaded(book("a", mode=mode, decide=f"[{{{outcome}: always}}]")), ceiling=ceiling)

    assert decision.wanted == outcome
    assert decision.kind == CAPPED.get(effective, {}).get(outcome, outcome)
    assert bool(decision.capped_by) == (decision.kind != outcome)


def test_the_mode_that_held_back_is_named(loaded: Any) -> None:
    playbooks = loaded(book("a", mode="approve"))

    assert one(playbooks, ceiling="observe").capped_by == "service mode observe"
    assert one(playbooks, ceiling="approve").capped_by == "playbook mode approve"
    assert one(playbooks, ceiling="enforce").capped_by == "playbook mode approve"


def test_in_observe_mode_nothing_that_contains_is_let_through(loaded: Any) -> None:
    everything = "{do: respond, with: FirewallBlock, target: observable}, {do: flag}, {do: task, title: t}"
    playbooks = loaded(book("a", action=everything), book("b", decide="[{ask: always}]", action=everything))

    decisions = decide(playbooks, "verdict", CONTEXT, ceiling_mode="observe")

    assert [(d.action, d.kind) for d in decisions] == [
        ("respond FirewallBlock", "observe"),
        ("flag", "act"),
        ("task", "act"),
    ]


def test_bookkeeping_appears_only_where_it_is_due(loaded: Any) -> None:
    steps = "{do: respond, with: FirewallBlock, target: observable}, {do: flag}"

    decisions = decide(
        loaded(book("a", decide="[{observe: always}]", action=steps)), "verdict", CONTEXT, ceiling_mode="enforce"
    )

    assert [d.action for d in decisions] == ["respond FirewallBlock"]


def test_a_disabled_playbook_and_another_event_say_nothing(loaded: Any) -> None:
    playbooks = loaded(book("a", enabled="false"), book("b", on="case", action="{do: flag}"))

    assert decide(playbooks, "verdict", CONTEXT, ceiling_mode="enforce") == []
    assert playbooks.named("a") is not None


TARGETS = [
    ("FirewallBlock", "observable", Target("address", "ip", "203.0.113.7")),
    ("FirewallBlock", "alert.data.srcip", Target("address", "ip", "203.0.113.7")),
    ("FirewallBlock", '"case.observables[ip]"', Target("address", "ip", "203.0.113.9")),
    (
        "FirewallBlock",
        "[alert.data.nothing, alert.data.name, alert.data.srcip]",
        Target("address", "ip", "203.0.113.7"),
    ),
    ("AccountDisable", "alert.data.dstuser", Target("account", "account", "deploy")),
    ("IsolateHost", "alert.agent", Target("host", "agent", "003", "web-01")),
    ("IsolateHost", "alert.agent.name", Target("host", "agent", "web-01")),
]


@pytest.mark.parametrize(("responder", "path", "target"), TARGETS)
def test_a_path_gives_its_target(responder: str, path: str, target: Target, loaded: Any) -> None:
    decision = one(loaded(book("a", action=f"{{do: respond, with: {responder}, target: {path}}}")))

    assert (decision.kind, decision.target, decision.candidates) == ("act", target, ())


def test_several_targets_ask_a_human_and_list_them(loaded: Any) -> None:
    decision = one(loaded(book("a", action="{do: respond, with: FirewallBlock, target: alert.data.many}")))

    assert (decision.kind, decision.wanted, decision.target) == ("ask", "ask", None)
    assert [candidate.data for candidate in decision.candidates] == ["203.0.113.7", "203.0.113.8"]
    assert decision.reasons[-1] == "a: ask, because alert.data.many gives 2 targets, not one: 203.0.113.7, 203.0.113.8"


def test_no_target_asks_a_human_and_says_what_was_wrong_with_what_there_was(loaded: Any) -> None:
    nothing = one(loaded(book("a", action="{do: respond, with: FirewallBlock, target: alert.data.nothing}")))
    unfit = one(loaded(book("a", action="{do: respond, with: FirewallBlock, target: alert.data.name}")))

    assert (nothing.kind, nothing.candidates) == ("ask", ())
    assert nothing.reasons[-1] == "a: ask, because alert.data.nothing gives 0 targets, not one: none"
    assert unfit.reasons[-1].endswith("none (mars is not an IP address)")


def test_the_manager_is_never_a_host_to_isolate(loaded: Any) -> None:
    context = {**CONTEXT, "alert": {**CONTEXT["alert"], "agent": {"id": "000", "name": "wazuh-1"}}}

    decision = one(loaded(book("a", action="{do: respond, with: IsolateHost, target: alert.agent}")), context)

    assert (decision.kind, decision.target) == ("ask", None)
    assert "agent 000 is the Wazuh manager itself" in decision.reasons[-1]


def test_an_observable_of_the_wrong_type_is_no_target(loaded: Any) -> None:
    context = {**CONTEXT, "observable": {"dataType": "domain", "data": "203.0.113.7"}}

    assert (
        one(loaded(book("a")), context)
        .reasons[-1]
        .endswith("(203.0.113.7 is of type domain, which FirewallBlock cannot contain)")
    )


def test_spellings_of_one_address_are_one_target(loaded: Any) -> None:
    alert = {**CONTEXT["alert"], "data": {"many": ["::ffff:203.0.113.7", "203.0.113.7"], "v6": "2001:DB8:0:0::1"}}
    both = book("a", action="{do: respond, with: FirewallBlock, target: alert.data.many}")
    six = book("b", action="{do: respond, with: FirewallBlock, target: alert.data.v6}")

    first, second = decide(loaded(both, six), "verdict", {**CONTEXT, "alert": alert}, ceiling_mode="enforce")

    assert first.target == Target("address", "ip", "203.0.113.7")
    assert second.target == Target("address", "ip", "2001:db8::1")


def test_any_ask_forbids_act_and_every_contributor_is_named(loaded: Any) -> None:
    decision = one(loaded(book("a"), book("b", decide="[{ask: always}]"), book("c", decide="[{observe: always}]")))

    assert (decision.kind, decision.playbook) == ("ask", "b")
    assert [origin.name for origin in decision.origins] == ["b", "a", "c"]
    assert len(decision.reasons) == 3


def test_an_observing_playbook_does_not_hold_the_others_back(loaded: Any) -> None:
    by_clause = loaded(book("a"), book("b", decide="[{ask: {verdict.families|gte: 9}}]"))
    by_mode = loaded(book("a"), book("b", mode="observe", decide="[{ask: always}]"))

    assert one(by_clause).kind == "act"
    assert one(by_mode).kind == "act"
    assert one(by_mode).wanted == "act"


def test_a_playbook_held_back_to_ask_makes_the_whole_an_ask(loaded: Any) -> None:
    decision = one(loaded(book("a"), book("b", mode="approve")))

    assert (decision.kind, decision.wanted, decision.capped_by) == ("ask", "act", "playbook mode approve")


def test_what_observe_held_back_is_on_record(loaded: Any) -> None:
    decision = one(loaded(book("a"), book("b", decide="[{ask: always}]")), ceiling="observe")

    assert (decision.kind, decision.wanted, decision.capped_by) == ("observe", "ask", "service mode observe")


def test_the_shortest_duration_of_those_with_a_say_counts(loaded: Any) -> None:
    def step(duration: str) -> str:
        return f"{{do: respond, with: FirewallBlock, target: observable, for: {duration}}}"

    acting = [book("a", action=step("24h")), book("b", action=step("2h"), decide="[{ask: always}]")]
    silent = book("c", action=step("1m"), decide="[{observe: always}]")

    assert one(loaded(*acting, silent)).seconds == 7_200


def test_permanent_yields_to_any_end(loaded: Any) -> None:
    forever = book("a", mode="approve", action="{do: respond, with: FirewallBlock, target: observable, for: permanent}")

    alone, both = one(loaded(forever)), one(loaded(forever, book("b")))

    assert (alone.permanent, alone.seconds, alone.kind) == (True, 0, "ask")
    assert (both.permanent, both.seconds) == (False, 86_400)


def test_other_targets_and_responders_stay_apart(loaded: Any) -> None:
    playbooks = loaded(
        book("a"),
        book("b", action="{do: respond, with: FirewallBlock, target: 'case.observables[ip]'}"),
        book("c", action="{do: respond, with: IsolateHost, target: alert.agent}"),
        book("d", action="{do: respond, with: FirewallBlock, target: alert.data.srcip}"),
    )

    decisions = decide(playbooks, "verdict", CONTEXT, ceiling_mode="enforce")

    assert [(d.responder, d.target and d.target.data, len(d.origins)) for d in decisions] == [
        ("FirewallBlock", "203.0.113.7", 2),
        ("FirewallBlock", "203.0.113.9", 1),
        ("IsolateHost", "003", 1),
    ]


def test_equal_bookkeeping_is_done_once(loaded: Any) -> None:
    step = "{do: task, title: Look, flag: true}"

    decisions = decide(
        loaded(book("a", action=step), book("b", action=step), book("c", action="{do: task, title: Look}")),
        "verdict",
        CONTEXT,
        ceiling_mode="observe",
    )

    assert [[origin.name for origin in d.origins] for d in decisions] == [["a", "b"], ["c"]]
    assert dict(decisions[0].settings)["flag"] is True


def test_the_order_of_the_playbooks_changes_no_outcome(loaded: Any) -> None:
    texts = [book("a"), book("b", mode="approve"), book("c", decide="[{ask: always}]"), book("d", mode="observe")]
    seen = set()
    for order in itertools.permutations(texts):
        decision = one(loaded(*order))
        seen.add((decision.kind, decision.seconds, frozenset(decision.origins), decision.digest()))

    assert len(seen) == 1


def test_a_decision_is_frozen_hashable_and_plain_data(loaded: Any) -> None:
    decision = one(loaded(book("a")))

    assert hash(decision) == hash(one(loaded(book("a"))))
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.kind = "observe"  # type: ignore[misc]
    plain = json.loads(json.dumps(decision.to_dict()))
    assert plain["target"] == {"kind": "address", "data_type": "ip", "data": "203.0.113.7", "label": ""}
    assert plain["numbers"]["score"] == 0.97
    assert plain["playbooks"][0]["digest"] == decision.playbook_digest


def changed(**verdict: Any) -> dict[str, Any]:
    return {**CONTEXT, "verdict": {**VERDICT, **verdict}}


def test_the_digest_holds_while_reports_merely_age(loaded: Any) -> None:
    playbooks = loaded(book("a"))

    aged = one(playbooks, changed(score=0.955, coverage=0.79, conflict=0.11))

    assert aged.digest() == one(playbooks).digest()
    assert aged.numbers != one(playbooks).numbers


@pytest.mark.parametrize(
    "change",
    [{"malicious": 5}, {"families": 2}, {"recommendation": "ask"}, {"verdict": "suspicious"}, {"profile": "count"}],
)
def test_the_digest_changes_with_the_evidence(change: dict[str, Any], loaded: Any) -> None:
    playbooks = loaded(book("a"))

    assert one(playbooks, changed(**change)).digest() != one(playbooks).digest()


def test_the_digest_changes_with_target_duration_and_responder(loaded: Any) -> None:
    def step(text: str) -> str:
        return one(loaded(book("a", action=f"{{do: respond, {text}}}"))).digest()

    digests = {
        step("with: FirewallBlock, target: observable"),
        step("with: FirewallBlock, target: observable, for: 1h"),
        step("with: FirewallBlock, target: observable, direction: both"),
        step("with: FirewallBlock, target: 'case.observables[ip]'"),
        step("with: IsolateHost, target: alert.agent"),
    }

    assert len(digests) == 5


def test_without_a_verdict_the_alert_is_the_evidence(loaded: Any) -> None:
    playbooks = loaded(book("a", on="alert", action="{do: respond, with: AccountDisable, target: alert.data.dstuser}"))
    context = {"alert": CONTEXT["alert"]}
    other = {"alert": {**CONTEXT["alert"], "id": "1795304791.2"}}

    assert dict(one(playbooks, context, on="alert").evidence) == {
        "alert.id": "1795304791.1", "manager.name": "wazuh-1", "rule.id": "5763", "rule.level": 10,
    }  # fmt: skip
    assert one(playbooks, context, on="alert").digest() != one(playbooks, other, on="alert").digest()


def test_contexts_of_nonsense_decide_without_an_exception(loaded: Any) -> None:
    playbooks = loaded(
        book("a"),
        book("b", action="{do: respond, with: IsolateHost, target: alert.agent}"),
        book("c", action="{do: respond, with: FirewallBlock, target: 'case.observables[ip]'}"),
    )
    for junk in (
        None,
        5,
        "text",
        [],
        [1],
        {},
        {"agent": 3},
        {"observables": [1, None, {"dataType": "ip", "data": {}}]},
    ):
        context = dict.fromkeys(("alert", "observable", "verdict", "case"), junk)
        assert all(d.kind == "ask" for d in decide(playbooks, "verdict", context, ceiling_mode="enforce"))


def test_enrichments_are_united_with_the_longest_deadline(loaded: Any) -> None:
    playbooks = loaded(
        "{kind: enrich, name: a, on: observable, analyzers: [X, Y], deadline: 5m, when: {observable.dataType: ip}}\n"
        "---\n"
        "{kind: enrich, name: b, on: observable, analyzers: [Y, Z], deadline: 1h}\n---\n"
        "{kind: enrich, name: c, on: observable, analyzers: [Q], deadline: 9h, when: {observable.dataType: url}}\n"
    )

    found = analyzers_for(playbooks, CONTEXT)

    assert found.analyzers == ("X", "Y", "Z")
    assert found.deadline == 3_600
    assert [origin.name for origin in found.playbooks] == ["a", "b"]


def test_layout_comments_and_key_order_do_not_change_the_digest(loaded: Any) -> None:
    plain = loaded("kind: enrich\nname: a\non: observable\nanalyzers: [X]\n")
    other = loaded("# a comment\non: observable\nanalyzers:\n  - 'X'   # another\nname: a\nkind: enrich\n")
    changed_content = loaded("kind: enrich\nname: a\non: observable\nanalyzers: [X, Y]\n")

    assert [book.digest for book in plain] == [book.digest for book in other]
    assert plain.digest == other.digest != changed_content.digest


def test_the_digest_of_a_set_does_not_depend_on_its_order(loaded: Any) -> None:
    assert loaded(book("a"), book("b")).digest == loaded(book("b"), book("a")).digest


def test_what_json_cannot_hold_is_still_evidence(loaded: Any) -> None:
    rule = {"level": float("nan"), "id": {"a": ["map"]}}
    context = {"alert": {"id": "x" * 100_000, "rule": rule, "data": {"srcip": "203.0.113.7"}}}
    playbooks = loaded(book("a", on="alert", action="{do: respond, with: FirewallBlock, target: alert.data.srcip}"))

    decision = one(playbooks, context, on="alert")

    assert len(decision.digest()) == 64
    assert len(json.dumps(decision.to_dict(), allow_nan=False)) < 3_000

"""The switch lowers the mode on every node at once: for what is decided after it, and for what was not started yet."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from case_hive import CaseHive
from engine_lab import Service, sample

from playbook_service.engine import lease, ruling, switch
from playbook_service.engine.deciding import Deciding
from playbook_service.engine.loop import Loop
from playbook_service.engine.pipeline import Seams, pipeline
from playbook_service.engine.switch import Fixed, Lowered, Switch
from playbook_service.playbook import MODES, Playbooks
from playbook_service.store.contract import Record, Store, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock, utc_text
from propolis.errors import InputError

ANNA = "anna@soc.example"
ANALYZERS = ("AbuseIPDB_2_0", "GreyNoise_3_1", "Crowdsec_Analyzer_1_1", "VirusTotal_GetReport_3_1")
DAY = 86_400.0
HERE, THERE = "203.0.113.17", "203.0.113.44"


class Node(Service):
    """A node in enforce mode with a switch, as the service puts it together."""

    def __init__(self, store: Store | None = None, hive: CaseHive | None = None, clock: ManualClock | None = None):
        time = clock or ManualClock()
        self.switch = Switch()
        self.on_decision: Any = lambda work, record: None
        super().__init__(hive or hive_of(time), clock=time, seams=Seams(considered=self._considered))
        self.mode = "enforce"
        self.books = Playbooks(tuple(replace(book, mode="enforce") for book in self.books))
        if store is not None:
            self.restart(store)

    def _considered(self, work: Transaction, record: Record) -> None:
        self.on_decision(work, record)

    def restart(self, store: Store) -> None:
        super().restart(store)
        self.switch = Switch()
        self.tools = self.tools._replace(switch=self.switch)
        self.engine = pipeline(self.tools, self.seams)
        self.loop = self.new_loop()

    def new_loop(self) -> Loop:
        inner = super().new_loop()
        against = self.engine.deciding.may_not_start
        inner._handlers = {**inner._handlers, "contain": lambda item: lease.contain(self.tools, item, against)}
        inner._claiming = self.switch.look
        return inner

    def throw(self, mode: str = "observe", why: str = "") -> None:
        with self.store.transaction() as work:
            switch.throw(work, self.journal, mode, self.mode, ANNA, now=self.clock.now(), why=why)

    def attack(self, source: str = HERE, number: int = 1, seconds: float = 40) -> None:
        alert = sample("1794881684.25339")
        alert["id"], alert["data"]["srcip"] = f"1794881684.{number}", source
        alert["full_log"] = alert["previous_output"] = ""
        self.receive(alert)
        self.run(seconds)
        assert self.buried == []

    def decision_on(self, source: str) -> Record:
        found = [one for one in self.records(ruling.KIND) if "FirewallBlock" in one.body["decision"]["action"]]
        (record,) = [one for one in found if one.body["decision"]["target"]["data"] == source]
        return record

    @property
    def starts(self) -> list[str]:
        return [name for name, _, _ in self.hive.started]  # type: ignore[attr-defined]


def hive_of(clock: ManualClock) -> CaseHive:
    """TheHive with four analyzers that call every address malicious, and responders that contain and release."""
    hive = CaseHive(clock)
    hive.enabled = dict.fromkeys(ANALYZERS, ("ip",))
    hive.answers = {name: {"level": "malicious"} for name in ("AbuseIPDB", "GreyNoise", "Crowdsec", "VirusTotal")}
    until = utc_text(clock.now() + DAY)
    hive.reports["FirewallBlock"] = [
        {"success": True, "full": {"result": "contained", "until": until, "where": "fw1"}}
    ] * 9
    hive.reports["FirewallUnblock"] = [{"success": True, "full": {"result": "released"}}] * 9
    return hive


@pytest.fixture
def node() -> Node:
    return Node()


# how it stands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configured", MODES)
@pytest.mark.parametrize("thrown", MODES)
def test_it_gives_the_more_careful_of_two_modes_and_never_raises_one(configured: str, thrown: str) -> None:
    node = Node()
    node.mode = "enforce"
    node.throw(thrown)
    with node.store.reading() as work:
        node.switch.look(work)
    assert node.switch.under(configured) == MODES[min(MODES.index(configured), MODES.index(thrown))]


def test_one_that_has_never_looked_and_one_that_was_never_thrown_lower_nothing(node: Node) -> None:
    assert Switch().under("enforce") == "enforce"
    with node.store.reading() as work:
        node.switch.look(work)
        assert switch.lowered(work) == Lowered()
    assert [node.switch.under(mode) for mode in MODES] == list(MODES)


def test_one_for_tools_that_start_nothing_is_not_moved(node: Node) -> None:
    node.throw("observe")
    fixed = Fixed()
    with node.store.reading() as work:
        fixed.look(work)
    assert fixed.under("enforce") == "enforce"


def test_it_says_who_lowered_the_mode_when_and_why(node: Node) -> None:
    node.throw("approve", why="a playbook went wild")
    with node.store.reading() as work:
        assert switch.lowered(work) == Lowered("approve", ANNA, node.clock.now(), "a playbook went wild")


def test_the_configured_mode_lifts_it(node: Node) -> None:
    node.throw("observe")
    node.throw("enforce")
    with node.store.reading() as work:
        assert switch.lowered(work) == Lowered()


@pytest.mark.parametrize(
    ("configured", "wanted"), [("observe", "approve"), ("observe", "enforce"), ("approve", "enforce")]
)
def test_no_more_than_is_configured_is_ever_given(node: Node, configured: str, wanted: str) -> None:
    node.mode = configured
    with pytest.raises(InputError, match=f"The configuration allows {configured} at most"):
        node.throw(wanted)
    assert node.said("mode set") == []


def test_a_word_that_is_no_mode_is_refused_in_a_bounded_sentence(node: Node) -> None:
    with pytest.raises(InputError, match="one of observe, approve, enforce, not 'xxx") as refused:
        node.throw("x" * 1_000_000)
    assert len(refused.value.message) < 200


def test_every_throw_is_an_audit_line_with_what_was_before(node: Node) -> None:
    node.throw("approve", why="careful")
    node.throw("observe")
    node.throw("enforce")
    told = [(line["before"], line["mode"], line["configured"], line["operator"]) for line in node.said("mode set")]
    assert told == [
        ("enforce", "approve", "enforce", ANNA), ("approve", "observe", "enforce", ANNA),
        ("observe", "enforce", "enforce", ANNA),
    ]  # fmt: skip
    assert [line.get("why") for line in node.said("mode set")] == ["careful", None, None]
    assert node.journal.verify() == []


def test_a_throw_that_is_not_committed_never_was(node: Node) -> None:
    with pytest.raises(RuntimeError), node.store.transaction() as work:
        switch.throw(work, node.journal, "observe", "enforce", ANNA, now=node.clock.now())
        raise RuntimeError
    with node.store.reading() as work:
        assert switch.lowered(work) == Lowered()
    assert node.said("mode set") == []


# what comes after it --------------------------------------------------------------------------------------------------


def test_what_is_decided_after_it_only_says_what_would_have_been(node: Node) -> None:
    node.throw("observe")
    node.attack()
    record = node.decision_on(HERE)
    assert (record.state, record.body["mode"], node.starts) == ("observe", "observe", [])
    assert record.body["decision"]["wanted"] == "act"


def test_in_approve_an_analyst_is_asked_instead(node: Node) -> None:
    node.throw("approve")
    node.attack()
    assert (node.decision_on(HERE).state, node.starts) == ("ask", [])


def test_thrown_between_the_claim_and_the_decision_it_holds(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step was claimed and judged in enforce; the transaction that decides comes after the throw's."""
    judged = Deciding.settle

    def late(self: Deciding, *args: Any) -> Any:
        commit = judged(self, *args)
        if args[0].scene.event == "verdict":
            node.throw("observe")
        return commit

    monkeypatch.setattr(Deciding, "settle", late)
    node.attack()
    record = node.decision_on(HERE)
    assert (record.state, record.body["mode"]) == ("observe", "observe")
    assert record.body["why"] == "service mode observe holds it back"
    assert node.starts == []


def test_a_containment_that_was_decided_and_not_started_is_called_off(node: Node) -> None:
    """The throw commits with the decision itself: at no moment later can it be thrown before the start."""

    def thrown(work: Transaction, record: Record) -> None:
        if record.state == ruling.ACT:
            switch.throw(work, node.journal, "observe", "enforce", ANNA, now=node.clock.now())

    node.on_decision = thrown
    node.attack()
    record = node.decision_on(HERE)
    assert (record.state, node.starts) == ("act", [])
    held = node.record(lease.KIND)
    assert (held.key, held.state) == (record.key, lease.REFUSED)
    (line,) = node.said("not contained")
    assert "it was not started: the mode is observe by now" in line["why"]


def test_releases_go_on(node: Node) -> None:
    node.attack()
    assert node.record(lease.KIND).state == lease.ACTIVE
    node.throw("observe")
    node.run(DAY + 600, step=600)
    assert node.record(lease.KIND).state == lease.ENDED
    assert node.starts == ["FirewallBlock", "FirewallUnblock"]


def test_an_early_release_by_a_person_goes_on(node: Node) -> None:
    node.attack()
    key = node.record(lease.KIND).key
    node.throw("observe")
    with node.store.transaction() as work:
        assert lease.end(work, node.tools, key, ANNA)
    node.run()
    assert node.record(lease.KIND).state == lease.ENDED


def test_lifted_again_it_holds_nothing_back(node: Node) -> None:
    node.throw("observe")
    node.attack(HERE)
    node.throw("enforce")
    node.attack(THERE, number=2)
    assert (node.decision_on(HERE).state, node.decision_on(THERE).state) == ("observe", "act")
    assert node.starts == ["FirewallBlock"]


# everywhere, and for long ---------------------------------------------------------------------------------------------


def test_thrown_on_one_node_it_holds_on_the_others(node: Node) -> None:
    other = Node(node.store, node.hive, node.clock)  # type: ignore[arg-type]
    other.throw("observe")
    node.attack()
    assert (node.decision_on(HERE).state, node.starts) == ("observe", [])


def test_it_outlives_a_restart(node: Node) -> None:
    node.throw("observe")
    node.restart(node.store)
    node.attack()
    assert (node.decision_on(HERE).state, node.starts) == ("observe", [])


def test_what_another_thread_sees_of_an_older_moment_does_not_lift_it_here() -> None:
    """Worker threads share the switch; one of them may still look at the store as it was before the throw."""
    node = Node(MemoryStore(ManualClock()))
    with node.store.reading() as older:
        node.throw("observe")
        with node.store.transaction() as work:
            node.switch.look(work)
            other = threading.Thread(target=node.switch.look, args=(older,))
            other.start()
            other.join()
            assert node.switch.under("enforce") == "observe"

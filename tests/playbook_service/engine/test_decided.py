"""The register of decisions: newest first, found as it is written, at a cost that does not grow with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "console"))
from counted import Counted

from playbook_service.engine import decided
from playbook_service.retention import forget
from playbook_service.store.contract import Record, Store, StoreError
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock


class Register:
    """A store with decisions in it, a second after each other."""

    def __init__(self, store: Store, clock: ManualClock):
        self.store, self.clock = store, clock
        self.count = 0

    def decide(self, state: str = "act", *, target: str = "", noted: bool = True, **more: Any) -> str:
        """A decision; its id."""
        self.clock.advance(1.0)
        self.count += 1
        key = more.pop("key", f"P{self.count:04d}")
        playbooks = [{"name": name, "digest": "f"} for name in more.pop("playbooks", ["malicious-ip"])]
        data = target or f"203.0.113.{self.count % 250}"
        targets = [{"kind": "address", "data_type": "ip", "data": data, "label": more.pop("label", "")}]
        alone = more.pop("alone", True)
        decision = {
            "playbooks": playbooks, "action": f"respond {more.pop('responder', 'FirewallBlock')}",
            "target": targets[0] if alone else None, "candidates": [] if alone else targets,
        }  # fmt: skip
        at, alert = more.pop("at", self.clock.now()), more.pop("alert", "")
        body = {"decision": decision, "at": at, "alert": alert, "rule": ""}
        with self.store.transaction() as work:
            record = work.save(decided.DECISION, key, body, state=state, ref=more.pop("case", ""))
            if noted:
                decided.note(work, record)
        assert not more
        return key

    def page(self, **asked: Any) -> tuple[list[str], str]:
        with self.store.reading() as work:
            found, onward = decided.newest(work, **asked)
        return [record.key for record in found], onward

    def all(self, **asked: Any) -> list[str]:
        """Every page, one after the other."""
        found, onward = self.page(**asked)
        while onward:
            more, onward = self.page(**asked, after=onward)
            found += more
        return found


@pytest.fixture(params=["memory", "sqlite"])
def register(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Register]:
    clock = ManualClock()
    store = MemoryStore(clock) if request.param == "memory" else SqliteStore(tmp_path / "store.db", clock)
    yield Register(store, clock)
    store.close()


def test_the_newest_come_first_whatever_their_ids(register: Register):
    register.decide(key="Pzz")
    register.decide(key="Paa")
    register.decide(key="Pmm")
    assert register.page() == (["Pmm", "Paa", "Pzz"], "")


def test_those_of_one_moment_are_all_there(register: Register):
    at = register.clock.now()
    keys = {register.decide(at=at) for _ in range(5)}
    assert set(register.all(limit=2)) == keys


def test_pages_follow_each_other_without_gap_or_repeat(register: Register):
    keys = [register.decide(("act", "ask", "observe")[number % 3]) for number in range(25)]
    assert register.all(limit=4) == keys[::-1]
    assert register.all(limit=4, state="ask") == keys[1::3][::-1]


def test_what_comes_in_meanwhile_moves_no_later_page(register: Register):
    keys = [register.decide() for _ in range(6)]
    first, onward = register.page(limit=3)
    register.decide()
    second, _ = register.page(limit=3, after=onward)
    assert first + second == keys[::-1]


def test_a_full_last_page_leads_nowhere(register: Register):
    for _ in range(4):
        register.decide()
    assert len(register.page(limit=4)[0]) == 4
    assert register.page(limit=4)[1] == ""


def test_a_full_page_leads_nowhere_either_where_only_others_are_left(register: Register):
    register.decide("observe")
    wanted = [register.decide("act"), register.decide("act")]
    assert register.page(limit=2, state="act", term="malicious-ip") == (wanted[::-1], "")


def test_state_and_playbook_are_filters_alone_and_together(register: Register):
    block = register.decide("act", playbooks=["malicious-ip"])
    asked = register.decide("ask", playbooks=["malicious-ip"])
    host = register.decide("ask", playbooks=["malware-on-host", "malicious-ip"])
    assert register.all(state="ask") == [host, asked]
    assert register.all(playbook="malicious-ip") == [asked, block]
    assert register.all(state="ask", playbook="malicious-ip") == [asked]
    assert register.all(state="ask", playbook="malicious-ip", term="malicious-ip") == [asked]


@pytest.mark.parametrize(
    "term",
    ["203.0.113.17", " 203.0.113.17 ", "203.0.113.0/24", "web01", "WEB01", "malicious-ip", "second-book",
     "firewallblock", "~128", "#128", "siem01:17.1", "5712", "gw01", "p0001"],
)  # fmt: skip
def test_a_decision_is_found_by_what_people_know_of_it(register: Register, term: str):
    alert = {"rule": {"id": "5712"}, "agent": {"name": "gw01"}, "manager": {"name": "siem01"}, "id": "17.1"}
    with register.store.transaction() as work:
        work.save("case", "~128", {"number": 128})
        work.save("alert", "siem01:17.1", {"alert": alert})
    books = ["malicious-ip", "second-book"]
    key = register.decide(target="203.0.113.17", label="web01", playbooks=books, case="~128", alert="siem01:17.1")
    register.decide(target="198.51.100.7", playbooks=["other"], responder="AccountDisable")
    assert register.all(term=term) == [key]


@pytest.mark.parametrize("term", ["203.0.113", "128", "203.0.113.1", "malicious"])
def test_a_part_of_a_word_is_not_the_word(register: Register, term: str):
    register.decide(target="203.0.113.17", case="~128")
    assert register.all(term=term) == []


def test_a_decision_without_one_target_is_found_by_each_it_may_mean(register: Register):
    key = register.decide("choose", target="2001:db8::17", alone=False)
    assert register.all(term="2001:db8::17") == register.all(term="2001:db8::/64") == [key]


def test_a_word_of_a_megabyte_is_found_by_its_beginning(register: Register):
    key = register.decide(target="x" * 1_000_000)
    assert register.all(term="x" * 500_000) == [key]


def test_half_a_character_from_an_alert_stops_no_decision(register: Register):
    key = register.decide(target="user\ud800", label="\udfff")
    assert register.all(term="user\ud800") == [key]


def test_passing_over_what_does_not_fit_is_bounded_and_goes_on(register: Register):
    rare = register.decide("act")
    for _ in range(2600):
        register.decide("observe")
    store = Counted(register.store)
    register.store = store
    found, onward = register.page(state="act", playbook="malicious-ip")
    assert (found, bool(onward)) == ([], True)
    assert store.cost.calls["find"] <= 5
    assert store.cost.calls["get"] == 0
    assert register.page(state="act", playbook="malicious-ip", after=onward) == ([rare], "")


def test_a_page_costs_the_same_whatever_there_is(register: Register):
    counted = Counted(register.store)
    register.store = counted
    costs = []
    for _ in range(2):
        for _ in range(120):
            register.decide()
        cost = counted.during(lambda: register.page(limit=50))
        costs.append((dict(cost.calls), cost.rows))
    assert costs[0] == costs[1] == ({"find": 1, "get": 50}, 101)


def test_what_is_forgotten_is_not_listed_and_its_words_go_with_it(register: Register):
    register.decide(target="203.0.113.1")
    register.clock.advance(3600)
    kept = register.decide(target="203.0.113.2")
    forget(register.store, register.clock.now() - 60)
    assert register.all() == register.all(term="malicious-ip") == [kept]
    with register.store.reading() as work:
        assert work.count(decided.KIND) == 1


def test_an_entry_whose_decision_is_gone_is_passed_over(register: Register):
    kept, gone = register.decide(), register.decide()
    with register.store.transaction() as work:
        work.delete(decided.DECISION, gone)
    assert register.page(limit=1) == ([kept], "")


def test_what_an_older_version_decided_is_entered_once(register: Register):
    old = [register.decide(noted=False) for _ in range(3)]
    new = register.decide()
    assert register.all() == [new]
    assert decided.complete(register.store) == 4
    assert register.all() == [new, *old[::-1]]
    assert register.all(term="malicious-ip") == [new, *old[::-1]]
    assert decided.complete(register.store) == 0


class DiesAfter(Counted):
    """A store that goes away after so many transactions."""

    def __init__(self, inner: Store, left: int):
        super().__init__(inner)
        self.left = left

    def transaction(self) -> Any:
        self.left -= 1
        if self.left < 0:
            raise StoreError("killed")
        return super().transaction()


def test_killed_in_the_middle_of_entering_it_goes_on_from_there(register: Register, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decided, "_PAGE", 2)
    old = [register.decide(noted=False) for _ in range(5)]
    with pytest.raises(StoreError):
        decided.complete(DiesAfter(register.store, 2))
    assert len(register.all()) == 4
    decided.complete(register.store)
    assert register.all() == old[::-1]
    assert len(register.all(term="malicious-ip")) == 5


def test_what_is_shown_of_a_decision_is_the_leading_playbook_and_the_responder(register: Register):
    key = register.decide(playbooks=["first", "second"], responder="IsolateHost")
    with register.store.reading() as work:
        record: Record | None = work.get(decided.DECISION, key)
    assert record is not None
    assert (decided.playbook_of(record), decided.responder_of(record)) == ("first", "IsolateHost")

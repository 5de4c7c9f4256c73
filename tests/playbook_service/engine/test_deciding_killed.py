"""Killed at every call to TheHive and at every transaction, before and after it acted: the end is always the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from case_hive import Killed
from engine_lab import sample
from test_deciding import Plant

from playbook_service.engine import lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import Clock
from propolis.verdict import assess

SCORER = "ConsensusScore_1_0"


class MortalStore(MemoryStore):
    """A store in whose n-th transaction the process dies, before it is committed or right after."""

    def __init__(self, clock: Clock):
        super().__init__(clock)
        self.count = 0
        self.kill_at: Callable[[int, str], bool] = lambda number, moment: False

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.count += 1
        number = self.count
        with super().transaction() as work:
            yield work
            if self.kill_at(number, "before"):
                raise Killed
        if self.kill_at(number, "after"):
            raise Killed


class MortalPlant(Plant):
    """Everything that is needed to block one address: two alerts of one attacker, a scorer, enforce mode."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MortalStore(self.clock)
        self.service.restart(self.store)
        books = (replace(book, deadline=86_400) for book in self.service.books)  # the dead take five minutes each
        self.service.books = Playbooks(tuple(books))
        self.hive.enabled[SCORER] = ("ip",)
        full = assess("ip", "203.0.113.17", (), now=0.0).to_dict()
        self.hive.answers["ConsensusScore"] = {
            "full": {**full, "verdict": "malicious", "recommendation": "act", "families": 4, "score": 0.99}
        }
        self.alerts = (self.alert(1), self.alert(2))

    def live(self) -> int:
        """Run to the end through every death; returns how many there were."""
        deaths = 0
        self.service.receive(*self.alerts)
        end = self.clock.now() + 60
        while self.clock.now() < end:
            try:
                self.service.loop.run_due()
                self.clock.advance(4)
            except Killed:
                deaths += 1
                self.service.loop = self.service.new_loop()
                self.clock.advance(301)  # until the claims of the dead have run out
                end = self.clock.now() + 120
        return deaths


def judged(plant: MortalPlant) -> None:
    """What must hold however it went."""
    hive, service = plant.hive, plant.service
    assert service.buried == []
    assert (len(hive.alerts), len(hive.board)) == (2, 1)
    (case,) = hive.board.values()
    assert {alert.case_id for alert in hive.alerts.values()} == {case.id}
    assert len(set(hive.titles(case.id))) == len(hive.titles(case.id)), "a task was made twice"
    sources = [name for name in hive.ran() if name != SCORER]
    assert len(set(sources)) == len(sources) == 4, "an analyzer was run twice"
    assert hive.ran().count(SCORER) <= 1
    assert plant.starts == ["FirewallBlock"], "one containment, once"
    (granted,) = service.records(lease.KIND)
    (decided,) = plant.decisions("FirewallBlock")
    assert (granted.state, decided.state, granted.key) == (lease.ACTIVE, ruling.ACT, decided.key)
    assert len(service.records(VERDICT)) == 1
    assert len(service.said("decision")) == len(service.said("containment wished")) == 1
    assert service.journal.verify() == []
    assert not [row for row in service.store._work.values() if row.state == "waiting" and "release" not in row.item.key]


def test_left_alone_it_ends_like_that() -> None:
    plant = MortalPlant()
    assert plant.live() == 0
    judged(plant)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("share", range(4))
def test_killed_at_a_call_to_thehive(moment: str, share: int) -> None:
    calls = _calls(lambda plant: plant.hive.calls)
    for number in range(1 + share, calls + 1, 4):
        plant = MortalPlant()
        plant.hive.kill_at = lambda now, when, number=number: (now, when) == (number, moment)  # type: ignore[misc]
        assert plant.live() == 1, f"call {number} of {calls}"
        judged(plant)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("share", range(4))
def test_killed_in_a_transaction(moment: str, share: int) -> None:
    transactions = _calls(lambda plant: plant.store.count)
    for number in range(3 + share, transactions + 1, 4):
        plant = MortalPlant()
        plant.store.kill_at = lambda now, when, number=number: (now, when) == (number, moment)  # type: ignore[misc]
        assert plant.live() == 1, f"transaction {number} of {transactions}"
        judged(plant)


@pytest.mark.parametrize("seed", range(6))
def test_killed_again_and_again(seed: int) -> None:
    plant = MortalPlant()
    plant.hive.kill_at = lambda now, when: (now * 7 + seed) % 23 == 0 and when == "after"
    plant.store.kill_at = lambda now, when: (now * 11 + seed) % 61 == 0 and now > 4 and when == "before"
    assert plant.live() > 3
    plant.hive.kill_at = plant.store.kill_at = lambda now, when: False
    plant.service.run(900, step=20)
    judged(plant)


def _calls(count: Callable[[MortalPlant], int]) -> int:
    plant = MortalPlant()
    plant.live()
    return count(plant)


def test_the_sample_is_what_it_is_taken_for() -> None:
    assert sample("1794881684.25339")["data"]["srcip"] == "203.0.113.17"

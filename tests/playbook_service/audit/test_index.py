"""Audit lines are found by the decision, lease or case that they name, without reading the chain."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "console"))
from counted import Counted

from playbook_service.audit import index, journal
from playbook_service.audit.chain import Anchor, disagreeing
from playbook_service.audit.journal import LOG, Journal
from playbook_service.retention import forget
from playbook_service.store.contract import StoreError
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock


class Chain:
    """A journal and its store."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.journal = Journal(self.store, self.clock)

    def write(self, action: str = "did", **facts: object) -> int:
        with self.store.transaction() as work:
            return int(self.journal.write(work, action, **facts)["n"])

    def of(self, name: str, **more: int) -> list[int]:
        with self.store.reading() as work:
            return index.numbers(work, name, **more)

    def forget_the_index(self) -> None:
        """As a store of an older version is: a chain, and no index."""
        with self.store.transaction() as work:
            for record in work.find(index.KIND):
                work.delete(index.KIND, record.key)


def test_a_line_is_found_by_each_that_it_names():
    chain = Chain()
    chain.write(case="~1")
    decided = chain.write(case="~1", decision="P1")
    chain.write(case="~2", lease="P2")
    ended = chain.write(lease="P1")
    assert chain.of("P1") == [ended, decided]
    assert chain.of("~1") == [2, 1]
    assert chain.of("P") == chain.of("") == []


def test_one_name_in_two_facts_is_one_entry():
    chain = Chain()
    assert chain.write(decision="P1", lease="P1") == 1
    assert chain.of("P1") == [1]


def test_names_that_begin_alike_are_kept_apart():
    chain = Chain()
    for name in ("~1", "~12", "~1:2", "~1"):
        chain.write(case=name)
    assert chain.of("~1") == [4, 1]


def test_pages_go_on_below_a_number():
    chain = Chain()
    for _ in range(7):
        chain.write(case="~1")
    assert chain.of("~1", limit=3) == [7, 6, 5]
    assert chain.of("~1", limit=3, below=5) == [4, 3, 2]


def test_it_is_kept_as_long_as_the_chain_which_is_for_ever():
    chain = Chain()
    chain.write(case="~1")
    chain.clock.advance(10 * 365 * 86_400)
    forget(chain.store, chain.clock.now() - 1)
    assert chain.of("~1") == [1]


def test_what_is_rolled_back_is_not_in_it():
    chain = Chain()
    with pytest.raises(RuntimeError), chain.store.transaction() as work:
        chain.journal.write(work, "did", case="~1")
        raise RuntimeError("killed")
    assert chain.of("~1") == []


def test_lines_of_an_older_version_are_entered_once():
    chain = Chain()
    for number in range(3):
        chain.write(case=f"~{number}")
    chain.forget_the_index()
    assert chain.journal.complete_index() == 3
    assert chain.of("~2") == [3]
    assert chain.journal.complete_index() == 0


def test_killed_in_the_middle_it_goes_on_from_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "_BATCH", 2)
    chain = Chain()
    for _ in range(5):
        chain.write(case="~1")
    chain.forget_the_index()
    killed = Counted(chain.store)
    begun = killed.transaction
    left = iter([begun, begun])

    def transaction():  # type: ignore[no-untyped-def]
        try:
            return next(left)()
        except StopIteration:
            raise StoreError("killed") from None

    killed.transaction = transaction  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        Journal(killed, chain.clock).complete_index()
    assert chain.of("~1") == [4, 3, 2, 1]
    assert chain.journal.complete_index() == 1
    assert chain.of("~1") == [5, 4, 3, 2, 1]


def test_a_chain_that_was_tampered_with_can_still_be_entered_and_checked():
    chain = Chain()
    with chain.store.transaction() as work:
        work.append(LOG, {"case": "~1"})
        work.append(LOG, {"n": "two", "hash": 7})
    assert chain.journal.complete_index() == 2
    assert chain.of("~1") == [1]


def test_what_can_be_no_id_is_not_entered_and_stops_nothing():
    chain = Chain()
    for case in ("~1", "x" * 1_000_000, "\ud800", "ж"):
        chain.write(case=case)
    assert chain.of("~1") == [1]
    chain.forget_the_index()
    assert chain.journal.complete_index() == 4
    with chain.store.reading() as work:
        assert work.count(index.KIND) == 1


def test_checking_writes_nothing_and_counts_what_it_saw():
    chain = Chain()
    for _ in range(4):
        chain.write()
    store = Counted(chain.store)
    store.transaction = lambda: pytest.fail("a look is enough")  # type: ignore[method-assign]
    seen = Journal(store, chain.clock)
    checked = seen.check((Anchor(2, "0" * 64),))
    assert (checked.lines, checked.head, seen.head()) == (4, seen.head(), checked.head)
    assert [finding.number for finding in checked.findings] == [2]


def test_two_anchors_of_one_line_cannot_both_be_right():
    assert disagreeing([Anchor(1, "a"), Anchor(2, "b"), Anchor(1, "a")]) == []
    assert [finding.number for finding in disagreeing([Anchor(1, "a"), Anchor(1, "b")])] == [1]

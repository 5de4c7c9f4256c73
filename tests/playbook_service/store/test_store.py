"""One suite for every store: what the contract promises, on each implementation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from playbook_service.store.contract import Conflict, Filter, Fresh, LostClaim, Store, StoreError
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.daemon)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    made = make(request, tmp_path, clock)
    yield made
    made.close()


def make(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Store:
    if request.param == "memory":
        return MemoryStore(clock)
    if request.param == "sqlite":
        return SqliteStore(tmp_path / "propolis.db", clock)
    url = request.getfixturevalue("database")
    from playbook_service.store.postgres import PostgresStore

    return PostgresStore(url, clock)


class Broken(Exception):
    """Something goes wrong in the middle of a transaction."""


def put(store: Store, key: str, **more: float) -> bool:
    with store.transaction() as work:
        return work.put("inbox", key, {"key": key}, **more)


def claim(store: Store, owner: str = "node-a", seconds: float = 60, limit: int = 1):
    with store.transaction() as work:
        return work.claim("inbox", owner, seconds=seconds, limit=limit)


def test_the_same_event_is_taken_in_once_even_after_it_was_handled(store: Store):
    assert put(store, "event-1")
    assert not put(store, "event-1")
    (item,) = claim(store)
    with store.transaction() as work:
        work.done(item)
    assert not put(store, "event-1")
    assert claim(store) == []


def test_work_is_claimed_oldest_due_first_and_by_one_owner(store: Store, clock: ManualClock):
    put(store, "second", due=clock.now() - 1)
    put(store, "first", due=clock.now() - 2)
    put(store, "tomorrow", due=clock.now() + 86400)
    assert [item.key for item in claim(store, limit=10)] == ["first", "second"]
    assert claim(store, owner="node-b", limit=10) == []


def test_a_claim_that_dies_is_taken_up_by_another_and_the_dead_owner_cannot_end_it(store: Store, clock: ManualClock):
    put(store, "event-1")
    (first,) = claim(store, seconds=30)
    clock.advance(31)
    (second,) = claim(store, owner="node-b", seconds=30)
    assert (second.key, second.attempts) == ("event-1", 2)
    with pytest.raises(LostClaim), store.transaction() as work:
        work.done(first)
    with store.transaction() as work:
        work.done(second)


def test_an_owner_whose_own_claim_ran_out_and_was_renewed_by_itself_holds_only_the_newer_one(
    store: Store, clock: ManualClock
):
    put(store, "event-1")
    (first,) = claim(store, seconds=30)
    clock.advance(31)
    claim(store, seconds=30)
    with pytest.raises(LostClaim), store.transaction() as work:
        work.later(first, clock.now())


def test_work_given_back_waits_for_its_time_and_remembers_why(store: Store, clock: ManualClock):
    put(store, "event-1")
    (item,) = claim(store)
    with store.transaction() as work:
        work.later(item, clock.now() + 10, "TheHive is down")
    assert claim(store) == []
    clock.advance(10)
    (again,) = claim(store)
    assert (again.attempts, again.error) == (2, "TheHive is down")


def test_failures_are_counted_in_a_row_and_not_by_how_often_work_was_claimed(store: Store, clock: ManualClock):
    put(store, "event-1")
    counted = []
    for failed in (False, True, True, False, True):
        (item,) = claim(store)
        counted.append(item.failures)
        with store.transaction() as work:
            work.later(item, clock.now(), "why", failed=failed)
    assert counted == [0, 0, 1, 2, 0]


def test_waking_keeps_the_failures_and_reviving_what_was_buried_forgets_them(store: Store, clock: ManualClock):
    put(store, "event-1")
    (item,) = claim(store)
    with store.transaction() as work:
        work.later(item, clock.now() + 60, "why", failed=True)
        work.revive("inbox", "event-1")
    (woken,) = claim(store)
    with store.transaction() as work:
        work.bury(woken, "why")
        work.revive("inbox", "event-1")
    (revived,) = claim(store)
    assert (woken.failures, revived.failures) == (1, 0)


def test_buried_work_is_shown_to_a_person_and_can_be_revived(store: Store):
    put(store, "event-1")
    (item,) = claim(store)
    with store.transaction() as work:
        work.bury(item, "no such case")
    with store.transaction() as work:
        assert [dead.error for dead in work.buried("inbox")] == ["no such case"]
        assert work.backlog("inbox").dead == 1
        assert work.revive("inbox", "event-1")
        assert not work.revive("inbox", "unknown")
    assert [revived.key for revived in claim(store)] == ["event-1"]


def test_the_backlog_counts_what_waits_and_how_long(store: Store, clock: ManualClock):
    put(store, "event-1")
    put_at = clock.now()
    clock.advance(5)
    put(store, "event-2")
    claim(store)
    with store.transaction() as work:
        backlog = work.backlog("inbox")
    assert (backlog.waiting, backlog.claimed, backlog.dead, backlog.oldest_put_at) == (1, 1, 0, put_at)


def test_a_transaction_that_fails_leaves_nothing_behind(store: Store):
    put(store, "event-1")
    with pytest.raises(Broken), store.transaction() as work:
        (item,) = work.claim("inbox", "node-a", seconds=60)
        work.done(item)
        work.put("inbox", "event-2", {})
        work.save("lease", "one", {"a": 1})
        work.append("audit", {"line": 1})
        raise Broken
    assert [item.key for item in claim(store, limit=10)] == ["event-1"]
    with store.transaction() as work:
        assert work.get("lease", "one") is None
        assert work.last("audit") is None


def test_a_deletion_and_a_purge_are_undone_with_their_transaction(store: Store, clock: ManualClock):
    put(store, "event-1")
    (item,) = claim(store)
    with store.transaction() as work:
        work.done(item)
        work.save("lease", "one", {"a": 1}, state="ended")
    clock.advance(100)
    with pytest.raises(Broken), store.transaction() as work:
        assert work.purge_done("inbox", clock.now()) == 1
        assert work.purge_records("lease", "ended", clock.now()) == 1
        raise Broken
    assert not put(store, "event-1")
    with store.transaction() as work:
        assert work.get("lease", "one") is not None


def test_two_that_read_the_same_record_cannot_both_write_it(store: Store):
    with store.transaction() as work:
        work.save("lease", "one", {"until": 1}, version=0)
    with store.transaction() as work:
        read = work.get("lease", "one")
        assert read is not None
        work.save("lease", "one", {"until": 2}, version=read.version)
    with pytest.raises(Conflict), store.transaction() as work:
        work.save("lease", "one", {"until": 3}, version=read.version)
    with pytest.raises(Conflict), store.transaction() as work:
        work.save("lease", "one", {"until": 3}, version=0)


def test_records_are_found_by_state_reference_and_due_time_and_paged_by_key(store: Store, clock: ManualClock):
    with store.transaction() as work:
        for number in range(5):
            state = "active" if number % 2 == 0 else "ended"
            work.save("lease", f"l{number}", {"n": number}, state=state, ref="case-1", due=clock.now() + 10 - number)
        work.save("lease", "other", {}, state="active", ref="case-2")
    with store.transaction() as work:
        assert [r.key for r in work.find("lease", Filter(state="active", ref="case-1"))] == ["l0", "l2", "l4"]
        assert [r.key for r in work.find("lease", Filter(due_before=clock.now() + 8))] == ["l4", "l3", "l2"]
        assert [r.key for r in work.find("lease", Filter(after_key="l3"))] == ["l4", "other"]
        assert len(work.find("lease", Filter(limit=2))) == 2
        assert work.count("lease", Filter(state="active")) == 4
        assert work.delete("lease", "other")
        assert not work.delete("lease", "other")
        assert work.find("approval") == []


def test_what_was_read_or_written_cannot_be_changed_from_outside(store: Store):
    body = {"list": [1]}
    with store.transaction() as work:
        work.save("lease", "one", body)
        body["list"].append(2)
        record = work.get("lease", "one")
        assert record is not None
        record.body["list"].append(3)
        unchanged = work.get("lease", "one")
    assert unchanged is not None
    assert unchanged.body == {"list": [1]}


def test_a_log_is_numbered_without_gaps_across_failed_transactions(store: Store):
    with store.transaction() as work:
        assert work.append("audit", {"line": 1}).number == 1
    with pytest.raises(Broken), store.transaction() as work:
        work.append("audit", {"line": "lost"})
        raise Broken
    with store.transaction() as work:
        work.append("audit", {"line": 2})
        work.append("other", {"line": 1})
    with store.transaction() as work:
        assert [(entry.number, entry.body["line"]) for entry in work.read("audit")] == [(1, 1), (2, 2)]
        assert [entry.number for entry in work.read("audit", after=1)] == [2]
        last = work.last("audit")
    assert last is not None
    assert last.number == 2


def test_done_work_is_forgotten_after_its_retention(store: Store, clock: ManualClock):
    put(store, "event-1")
    (item,) = claim(store)
    with store.transaction() as work:
        work.done(item)
    clock.advance(3600)
    with store.transaction() as work:
        assert work.purge_done("inbox", clock.now() - 7200) == 0
        assert work.purge_done("inbox", clock.now() - 60) == 1
    assert put(store, "event-1")


def test_records_are_forgotten_by_age_whatever_their_state_where_that_is_asked(store: Store, clock: ManualClock):
    with store.transaction() as work:
        work.save("run", "old", {}, state="waiting")
    clock.advance(3600)
    with store.transaction() as work:
        work.save("run", "new", {}, state="done")
        assert work.purge_records("run", "done", clock.now() - 60) == 0
        assert work.purge_records("run", None, clock.now() - 60) == 1
        assert [record.key for record in work.find("run")] == ["new"]
    store.compact()


def test_many_threads_share_the_work_and_each_piece_is_done_once(store: Store):
    for number in range(60):
        put(store, f"event-{number}")
    done: list[str] = []

    def work_off(owner: str) -> None:
        while items := claim(store, owner=owner, limit=3):
            with store.transaction() as work:
                for item in items:
                    work.done(item)
            done.extend(item.key for item in items)

    threads = [threading.Thread(target=work_off, args=(f"node-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(f"event-{number}" for number in range(60))


def test_what_is_entered_is_there_at_once_and_later(store: Store, clock: ManualClock):
    with store.transaction() as work:
        work.enter("word", [Fresh("b", {"n": 1}, "act", "case\x00"), Fresh("a", {})])
        assert [record.key for record in work.find("word")] == ["a", "b"]
        work.enter("word", [Fresh("c", {})])
        assert work.get("word", "c") is not None
        assert work.count("word") == 3
    with store.reading() as work:
        (found,) = work.find("word", Filter(state="act", ref="case\x00"))
        assert (found.key, found.body, found.version, found.due) == ("b", {"n": 1}, 1, None)
        assert found.updated_at == clock.now()


def test_what_was_entered_before_stays_as_it_is_and_may_be_saved(store: Store):
    with store.transaction() as work:
        work.save("word", "saved", {"by": "saving"}, version=0)
        work.enter("word", [Fresh("entered", {"by": "the first"}), Fresh("entered", {"by": "the second"})])
    with store.transaction() as work:
        work.enter("word", [Fresh(key, {"by": "the last"}) for key in ("saved", "entered", "new")])
        work.enter("word", [])
    with store.transaction() as work:
        found = {record.key: (record.body["by"], record.version) for record in work.find("word")}
        assert found == {"saved": ("saving", 1), "entered": ("the first", 1), "new": ("the last", 1)}
        assert work.save("word", "new", {}, version=1).version == 2
    with pytest.raises(Conflict), store.transaction() as work:
        work.save("word", "new", {}, version=0)


def test_what_is_entered_in_a_transaction_that_fails_is_not_there(store: Store):
    with pytest.raises(Broken), store.transaction() as work:
        work.enter("word", [Fresh("a", {})])
        raise Broken
    with store.reading() as work, pytest.raises(StoreError, match="nothing is written"):
        assert work.find("word") == []
        work.enter("word", [Fresh("a", {})])

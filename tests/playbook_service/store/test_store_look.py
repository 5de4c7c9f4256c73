"""One suite for every store, of looks: one moment, nothing written, nobody held up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_store import claim, make, put

from playbook_service.store.contract import Filter, Item, Store, StoreError, Transaction
from propolis.clock import ManualClock


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.daemon)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    made = make(request, tmp_path, clock)
    yield made
    made.close()


def fill(store: Store, clock: ManualClock) -> None:
    """One of each: an item that waits, one set aside, a record, a line."""
    put(store, "waits")
    put(store, "dead", due=clock.now() - 1)
    (item,) = claim(store)
    with store.transaction() as work:
        work.bury(item, "no such case")
        work.save("lease", "one", {"n": 1}, state="active", due=clock.now() + 60)
        work.append("audit", {"line": 1})


def all_of_it(work: Transaction) -> tuple[object, ...]:
    """Everything that can be asked."""
    record, last = work.get("lease", "one"), work.last("audit")
    return (
        record and record.body,
        [found.key for found in work.find("lease", Filter(state="active", due_before=float("inf")))],
        work.count("lease"),
        work.backlog("inbox")[:3],
        [item.key for item in work.buried("inbox")],
        [item.key for item in work.recent("inbox", 10)],
        last and last.number,
        [line.body for line in work.read("audit")],
        work.get("feed", "one"),  # a transaction that asks for it is about to write, and takes its turn
    )


FULL = ({"n": 1}, ["one"], 1, (1, 0, 1), ["dead"], ["dead", "waits"], 1, [{"line": 1}], None)


def change(store: Store) -> None:
    """What a look that began before must not see."""
    with store.transaction() as work:
        work.put("inbox", "new", {})
        work.save("lease", "one", {"n": 2})
        work.save("lease", "two", {})
        work.append("audit", {"line": 2})


def test_a_look_sees_everything_that_was_committed(store: Store, clock: ManualClock):
    fill(store, clock)
    with store.reading() as look:
        assert all_of_it(look) == FULL


def test_a_look_stays_at_its_moment_while_others_commit_and_they_need_not_wait_for_it(store: Store, clock: ManualClock):
    fill(store, clock)
    with store.reading() as look:
        assert look.count("lease") == 1
        writer = threading.Thread(target=change, args=(store,))
        writer.start()
        writer.join(timeout=20)
        assert not writer.is_alive()
        assert all_of_it(look) == FULL
    with store.reading() as look:
        assert look.count("lease") == 2


def test_a_look_does_not_wait_for_who_writes(store: Store, clock: ManualClock):
    fill(store, clock)
    with store.transaction() as work:
        work.last("audit")  # whoever asks for it holds it to the end
        work.save("lease", "two", {})
        seen: list[tuple[object, ...]] = []

        def look_around() -> None:
            with store.reading() as look:
                seen.append(all_of_it(look))

        reader = threading.Thread(target=look_around)
        reader.start()
        reader.join(timeout=20)
        assert seen == [FULL]


def test_a_look_within_a_transaction_sees_what_was_committed_before_it(store: Store, clock: ManualClock):
    fill(store, clock)
    with store.transaction() as work:
        work.save("lease", "two", {})
        work.put("inbox", "new", {})
        with store.reading() as look:
            assert all_of_it(look) == FULL
        work.save("lease", "three", {})
    with store.reading() as look:
        assert look.count("lease") == 3


@pytest.mark.parametrize("write", [
    lambda work, item: work.put("inbox", "new", {}),
    lambda work, item: work.claim("inbox", "me", seconds=60),
    lambda work, item: work.done(item),
    lambda work, item: work.later(item, 0.0),
    lambda work, item: work.bury(item, "why"),
    lambda work, item: work.revive("inbox", "dead"),
    lambda work, item: work.save("lease", "one", {}),
    lambda work, item: work.delete("lease", "one"),
    lambda work, item: work.append("audit", {}),
    lambda work, item: work.purge_done("inbox", 1e12),
    lambda work, item: work.purge_records("lease", None, 1e12),
])  # fmt: skip
def test_in_a_look_nothing_can_be_written(
    store: Store, clock: ManualClock, write: Callable[[Transaction, Item], object]
):
    fill(store, clock)
    put(store, "held", due=clock.now() - 1)
    (item,) = claim(store)
    with pytest.raises(StoreError, match="nothing is written"), store.reading() as look:
        write(look, item)
    with store.transaction() as work:
        work.done(item)
    with store.reading() as look:
        assert look.backlog("inbox")[:3] == (1, 0, 1)
        assert (look.count("lease"), len(look.read("audit"))) == (1, 1)


def test_after_a_look_that_went_wrong_the_next_one_sees_what_is_there_now(store: Store, clock: ManualClock):
    fill(store, clock)
    with pytest.raises(ZeroDivisionError), store.reading() as look:
        assert look.count("lease") == 1
        raise ZeroDivisionError
    change(store)
    with store.reading() as look:
        assert look.count("lease") == 2


def test_what_was_put_last_is_shown_first_done_or_not(store: Store, clock: ManualClock):
    for number in range(6):
        put(store, f"e{number}", due=clock.now() - 10 + number)
        with store.transaction() as work:
            work.put("step", f"s{number}", {})
    for end in ("done", "bury", "later"):
        (item,) = claim(store)
        with store.transaction() as work:
            if end == "done":
                work.done(item)
            elif end == "bury":
                work.bury(item, "why")
            else:
                work.later(item, clock.now() + 60)
    with store.reading() as look:
        assert [item.key for item in look.recent("inbox", 4)] == ["e5", "e4", "e3", "e2"]
        assert [item.key for item in look.recent("inbox", 100)] == ["e5", "e4", "e3", "e2", "e1", "e0"]
        assert look.recent("inbox", 1)[0].body == {"key": "e5"}
        assert look.recent("nothing", 4) == []
    with store.transaction() as work:
        assert work.put("inbox", "e6", {})
        assert [item.key for item in work.recent("inbox", 2)] == ["e6", "e5"]


def test_what_waits_is_found_due_first_with_why_it_waits(store: Store, clock: ManualClock):
    for key, due in (("late", 300.0), ("soon", 100.0), ("fails", 200.0), ("dead", 1.0), ("done", 2.0), ("held", 3.0)):
        put(store, key, due=clock.now() - 1000 + due)
    for key in ("dead", "done", "held", "soon", "fails"):
        (item,) = claim(store)
        assert item.key == key
        with store.transaction() as work:
            if key == "dead":
                work.bury(item, "why")
            elif key == "done":
                work.done(item)
            elif key != "held":
                work.later(item, clock.now() + len(key), f"{key} has a reason", failed=key == "fails")
    with store.reading() as look:
        found = look.waiting("inbox", 10)
        assert [(item.key, item.error, item.failures) for item in found] == [
            ("late", "", 0),
            ("soon", "soon has a reason", 0),
            ("fails", "fails has a reason", 1),
        ]
        assert [item.key for item in look.waiting("inbox", 1)] == ["late"]
        assert look.waiting("nothing", 10) == []


def test_records_are_paged_in_the_order_of_their_due_time(store: Store):
    """Many are due at the same second, and some never."""
    with store.transaction() as work:
        for number in range(9):
            state = "ended" if number == 4 else "active"
            work.save("lease", f"l{number}", {}, state=state, due=float(100 + number // 3))
        work.save("lease", "forever", {}, state="active")

    def pages(**wanted: object) -> list[list[str]]:
        found, after = [], None
        with store.reading() as look:
            while page := look.find("lease", Filter(after_due=after, limit=2, **wanted)):  # type: ignore[arg-type]
                found.append([record.key for record in page])
                after = (page[-1].due or 0.0, page[-1].key)
        return found

    active = [["l0", "l1"], ["l2", "l3"], ["l5", "l6"], ["l7", "l8"]]
    assert pages(state="active", due_before=float("inf")) == active
    assert pages(state="active", due_before=101.0) == [*active[:2], ["l5"]]
    assert pages(due_before=101.0) == [["l0", "l1"], ["l2", "l3"], ["l4", "l5"]]
    with store.reading() as look:
        from_there = look.find("lease", Filter(state="active", after_due=(102.0, "l6")))
        assert [record.key for record in from_there] == ["l7", "l8"]
        assert look.count("lease", Filter(state="active", due_before=1000.0, after_due=(102.0, "l6"))) == 8

"""One suite for every store, of what many do at the same time: as if one did it after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_store import Broken, make

from playbook_service.store.contract import Conflict, Filter, Store
from propolis.clock import ManualClock


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.daemon)])
def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    made = make(request, tmp_path, clock)
    yield made
    made.close()


def together(count: int, act: Callable[[int], None]) -> None:
    """Run `act(number)` in so many threads; what goes wrong in one goes wrong here."""
    wrong: list[BaseException] = []

    def run(number: int) -> None:
        try:
            act(number)
        except BaseException as error:  # it is raised below
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]


def again(act: Callable[[], None]) -> None:
    """As the engine does: a Conflict is run again."""
    while True:
        try:
            return act()
        except Conflict:
            continue


def test_many_that_count_before_they_take_a_seat_never_take_more_than_there_are(store: Store):
    def take(number: int) -> None:
        for turn in range(5):
            again(lambda key=f"{number}-{turn}": sit(key))

    def sit(key: str) -> None:
        with store.transaction() as work:
            if work.count("seat", Filter(state="taken")) < 7:
                work.save("seat", key, {}, version=0, state="taken")

    together(6, take)
    with store.transaction() as work:
        assert work.count("seat") == 7


def test_who_looks_at_one_record_and_writes_another_is_not_overtaken(store: Store):
    """One lease is prolonged only while no undo began, the undo begins only while nothing prolongs it."""

    def reserve(mine: str, others: str) -> None:
        with store.transaction() as work:
            if work.get("launch", others) is None:
                work.save("launch", mine, {}, version=0)

    for number in range(20):
        names = [f"undo-{number}", f"extend-{number}"]
        together(2, lambda which, names=names: again(lambda: reserve(names[which], names[1 - which])))
    with store.transaction() as work:
        assert work.count("launch") == 20


def test_a_log_that_many_write_has_every_line_once_and_each_follows_the_one_before(store: Store):
    def write(number: int) -> None:
        for turn in range(10):
            with pytest.raises(Broken) if turn % 3 == 2 else store.transaction() as work:
                if turn % 3 == 2:
                    with store.transaction() as doomed:
                        doomed.append("audit", {"by": "nobody"})
                        raise Broken
                newest = work.last("audit")
                work.append("audit", {"by": f"{number}-{turn}", "after": newest.number if newest else 0})

    together(5, write)
    with store.transaction() as work:
        lines = work.read("audit")
    assert [line.number for line in lines] == list(range(1, 36))
    assert [line.body["after"] for line in lines] == list(range(35))
    assert len({line.body["by"] for line in lines}) == 35


def test_steps_that_end_and_steps_that_wake_each_other_never_stand_in_each_others_way(store: Store):
    """Each worker acknowledges its step and writes a record; each also wakes the others' steps in between."""
    for number in range(4):
        with store.transaction() as work:
            work.put("step", f"s{number}", {})

    def work_off(number: int) -> None:
        for _ in range(15):
            again(lambda: one(f"node-{number}"))

    def one(owner: str) -> None:
        with store.transaction() as work:
            items = work.claim("step", owner, seconds=60)
        if not items:
            return
        try:
            with store.transaction() as work:
                work.later(items[0], 0.0)
                work.save("note", items[0].key, {})
                for other in range(4):
                    work.revive("step", f"s{other}")
        except Conflict:
            with store.transaction() as work:
                work.later(items[0], 0.0)
            raise

    together(4, work_off)
    with store.transaction() as work:
        assert work.backlog("step").claimed == 0
        assert work.backlog("step").waiting == 4


def test_the_same_events_told_to_two_nodes_in_another_order_are_taken_in_once_and_nobody_waits_in_a_ring(store: Store):
    def take_in(number: int, round_: int, fresh: list[bool]) -> None:
        with store.transaction() as work:
            for key in range(5) if number else reversed(range(5)):
                fresh.append(work.put("inbox", f"{round_}-{key}", {}))

    for round_ in range(40):
        fresh: list[bool] = []
        together(2, lambda number, round_=round_, fresh=fresh: take_in(number, round_, fresh))
        assert sorted(fresh) == [False] * 5 + [True] * 5


def test_texts_that_no_database_likes_come_back_as_they_were_and_in_their_order(store: Store):
    keys = ["a\x00b", "a\x01b", "a\x02b", "a", "ä", "Z", "z\U0001f41d", "a'b%s\\"]
    with store.transaction() as work:
        for key in keys:
            work.save("odd", key, {"text": "\x00\ud800"}, state=key, ref=key)
    with store.transaction() as work:
        assert [record.key for record in work.find("odd")] == sorted(keys)
        assert work.find("odd", Filter(state="a\x00b", ref="a\x00b"))[0].body == {"text": "\x00\ud800"}
        assert [record.key for record in work.find("odd", Filter(after_key="a\x00b"))] == sorted(keys)[3:]
        assert work.put("step", "a\x00b", {})
        (item,) = work.claim("step", "node", seconds=1)
        work.later(item, 0.0, "NUL: \x00")
    with store.transaction() as work:
        (item,) = work.claim("step", "node", seconds=1)
    assert (item.key, item.error) == ("a\x00b", "NUL: \x00")

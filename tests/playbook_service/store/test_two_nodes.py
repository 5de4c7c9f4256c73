"""Two whole nodes on one PostgreSQL: what a person does at one of them holds at the other.

All steps are done by the second node: the first one's engine is stopped, and it only takes in, shows and is told.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "console"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "feedback"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "metrics"))
from console_house import APPROVER, ORGADMIN, Visitor
from scenario_soc import FIREWALL_BLOCK, Soc
from scraped import Scraped

from playbook_service import service
from playbook_service.audit.journal import Journal
from playbook_service.console.errand import DONE, Errands, standing
from playbook_service.engine import decided, lease, ruling
from playbook_service.engine.version import Versions, versions
from playbook_service.metrics import catalogue
from playbook_service.metrics.family import INSTALLATION, Family
from playbook_service.playbook import SHIPPED, load
from playbook_service.service import Service
from playbook_service.store.contract import Conflict, Filter, Record, Store
from propolis.clock import ManualClock

pytestmark = pytest.mark.daemon
UNTIL = Soc.until


class Nodes(Soc):
    """A SOC with a second node: `a` is what people and Wazuh reach."""

    def start(self) -> None:
        self.nodes: list[Service] = []
        for name in ("b", "a"):
            self._settings["data_dir"] = str(self.folder / name)
            super().start()
            self.nodes.append(self.service)
        self.b, self.a = self.nodes

    def __exit__(self, *problem: object) -> None:
        self.b.stop()
        super().__exit__(*problem)

    def move(self, seconds: float) -> None:
        """Time passes at both."""
        self.clock.move(seconds)
        for node in self.nodes:
            if node.engine is not None:
                node.engine.wake()

    def visitor(self, node: Service, cookies: dict[str, str] | None = None) -> Visitor:
        """A browser at a node, with the cookies that it has."""
        found = Visitor(f"http://127.0.0.1:{node.port}")
        found.cookies = cookies or {}
        return found

    def throw(self, mode: str) -> None:
        """A person lowers or raises the mode at node `a`, as the console's form does it."""
        visitor = self.visitor(self.a)
        visitor.sign_in(ORGADMIN)
        page = visitor.press(visitor.get(), "/console/mode", mode=mode, why="drill")
        assert page.status == 200, page.text

    def decision(self, target: str) -> Record:
        """The decision on a target to contain it, once it is made."""

        def found() -> Record | None:
            mine = (
                one for one in self.records(ruling.KIND) if (one.body["decision"]["target"] or {}).get("data") == target
            )
            return next(mine, None)

        made: Record = self.until(found, f"something is decided on {target}")
        return made

    def scrape(self, node: Service) -> Scraped:
        """What a node tells Prometheus."""
        answer = requests.get(f"http://127.0.0.1:{node.port}/metrics", timeout=30)
        assert answer.status_code == 200
        return Scraped(answer.content)


class Pair(Nodes):
    """Only node `b` works."""

    def start(self) -> None:
        super().start()
        assert self.a.engine is not None
        self.a.engine.stop()


@pytest.fixture
def pair(tmp_path: Path, database: str) -> Iterator[Pair]:
    with Pair(tmp_path, 5, store=database) as pair:
        yield pair


# the kill switch -----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(180)
def test_what_is_thrown_at_one_node_holds_for_the_next_decision_of_the_other_until_it_is_raised_there(pair: Pair):
    first = pair.alert("block")
    pair.until(lambda: pair.lease(first), "the other node contains")
    pair.throw("observe")
    second = pair.alert("block")
    assert pair.decision(second).state == "observe"
    pair.idle()
    assert pair.started(FIREWALL_BLOCK, second) == 0
    pair.throw("enforce")
    third = pair.alert("block")
    pair.until(lambda: pair.lease(third), "the other node contains again")
    lines = [(line["mode"], line["operator"]) for line in pair.audited("mode set")]
    assert lines == [("observe", ORGADMIN), ("enforce", ORGADMIN)]


@pytest.mark.timeout(180)
def test_what_the_other_node_had_decided_and_not_started_is_not_started_any_more(pair: Pair):
    assert pair.b.engine is not None
    reached, go_on = threading.Event(), threading.Event()
    contain = pair.b.engine._handlers["contain"]

    def held(item: Any) -> Any:
        reached.set()
        assert go_on.wait(60)
        return contain(item)

    pair.b.engine._handlers = {**pair.b.engine._handlers, "contain": held}
    target = pair.alert("block")
    pair.until(reached.is_set, "the other node has the containment in its hands")
    assert pair.decision(target).state == "act"
    pair.throw("observe")
    go_on.set()
    pair.until(lambda: pair.about("lease", target)[0].state == lease.REFUSED, "it is refused")
    assert pair.started(FIREWALL_BLOCK, target) == 0
    (line,) = pair.audited("not contained", target)
    assert "observe" in line["why"]


# people, numbers, errands --------------------------------------------------------------------------------------------


@pytest.mark.timeout(180)
def test_a_session_of_one_node_is_good_at_the_other_and_over_at_both(pair: Pair):
    at_a = pair.visitor(pair.a)
    at_a.sign_in(APPROVER)
    at_b = pair.visitor(pair.b, dict(at_a.cookies))
    assert APPROVER in at_b.get().text
    at_b.press(at_b.get(), "/console/sign-out")
    kept = pair.visitor(pair.a, dict(at_a.cookies))  # a browser that did not hear of it
    assert "/console/sign-in" in [where for where, _ in kept.get().forms]
    assert "/console/sign-in" in [where for where, _ in at_b.get().forms]


@pytest.mark.timeout(180)
def test_both_nodes_tell_the_same_of_the_installation(pair: Pair):
    target = pair.alert("block")
    pair.until(lambda: pair.lease(target), "it is contained")
    asked = pair.alert("ask")
    pair.question(asked)
    pair.throw("approve")
    pair.idle()
    assert pair.b.engine is not None
    pair.b.engine.stop()  # nothing changes between the two scrapes
    families = [one for one in vars(catalogue).values() if isinstance(one, Family) and one.scope == INSTALLATION]
    still = {one.name for one in families if not one.name.endswith("_oldest_seconds")} | {catalogue.MODE.name}
    told = [_values(pair.scrape(node), still) for node in (pair.a, pair.b)]
    assert told[0] == told[1]
    assert len(told[0]) > 30
    assert told[0]["propolis_service_starts_total", ()] == 2.0
    assert told[0]["propolis_mode", (("mode", "approve"),)] == 1.0


def _values(seen: Scraped, names: set[str]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in seen.families.values()
        for sample in family.samples
        if any(sample.name.startswith(name) for name in names)
    }


Two = tuple[Store, Store]


@pytest.fixture
def stores(database: str, clock: ManualClock) -> Iterator[Two]:
    """One database, as two nodes have opened it."""
    from playbook_service.store.postgres import PostgresStore

    first, second = PostgresStore(database, clock), PostgresStore(database, clock)
    yield first, second
    first.close()
    second.close()


def at_once(stores: Two, act: Callable[[Store], Any]) -> list[Any]:
    """The same at both nodes, from one signal on; what each gives."""
    found: list[Any] = [None, None]
    gate = threading.Barrier(2)

    def run(number: int) -> None:
        gate.wait(30)
        try:
            found[number] = act(stores[number])
        except Conflict as conflict:
            found[number] = conflict

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_an_errand_that_both_nodes_are_sent_on_is_run_once(stores: Two, clock: ManualClock):
    runs: list[str] = []
    release = threading.Event()

    def act() -> str:
        runs.append("run")
        assert release.wait(30)
        return "found"

    for name in ("first", "second", "third"):
        errands = {id(store): Errands(store, clock) for store in stores}
        release.clear()
        begun = at_once(stores, lambda store, e=errands, n=name: e[id(store)].start(n, act, "anna"))  # type: ignore[misc]
        assert sorted(begun) == [False, True]
        release.set()
        for one in errands.values():
            one.join()
        with stores[0].reading() as work:
            found = standing(work, name, clock.now())
        assert (found.state, found.result) == (DONE, "found")
    assert runs == ["run"] * 3


# an older version's store, and two nodes that begin on it at once ----------------------------------------------------


def old_store(store: Store, clock: ManualClock, decisions: int) -> None:
    """Decisions and audit lines as a version without register and index left them."""
    journal = Journal(store, clock)
    with store.transaction() as work:
        for number in range(decisions):
            clock.advance(1.0)
            body = {
                "decision": {
                    "playbooks": [{"name": "malicious-ip", "digest": "f"}], "action": "respond FirewallBlock",
                    "target": {"kind": "address", "data_type": "ip", "data": "203.0.113.7", "label": ""},
                    "candidates": [],
                },
                "at": clock.now(), "alert": "", "rule": "",
            }  # fmt: skip
            work.save(decided.DECISION, f"P{number * 7919 % decisions:06d}", body, version=0, state="act", ref="~1")
            journal.write(work, "decision", case="~1", decision=f"P{number:06d}")
        for kind in (decided.KIND, decided.TERM, "audit-of"):
            assert work.purge_records(kind, None, float("inf")) >= 0


def test_two_nodes_that_enter_an_older_versions_decisions_at_once_enter_each_once(stores: Two, clock: ManualClock):
    old_store(stores[0], clock, 1200)
    entered = at_once(stores, decided.complete)
    assert all(isinstance(number, int) for number in entered), entered
    with stores[1].reading() as work:
        assert work.count(decided.KIND) == 1200
        assert work.count(decided.TERM) == work.count(decided.TERM, Filter(state="act")) == 1200 * 6
        found, _ = decided.newest(work, term="203.0.113.7", limit=1200)
    times = [record.body["at"] for record in found]
    assert (len(times), times) == (1200, sorted(times, reverse=True))


def test_two_nodes_that_enter_an_older_versions_audit_lines_at_once_share_them(stores: Two, clock: ManualClock):
    old_store(stores[0], clock, 1200)
    entered = at_once(stores, lambda store: Journal(store, clock).complete_index())
    assert sum(entered) == 1200
    with stores[1].reading() as work:
        assert work.count("audit-of") == 2400


def test_two_nodes_that_note_the_playbooks_at_once_keep_each_version_once(stores: Two, clock: ManualClock):
    books = load(SHIPPED)
    noters = {id(store): Versions(store, Journal(store, clock), clock) for store in stores}
    noted = at_once(stores, lambda store: noters[id(store)].note(books))
    again = [noters[id(store)].note(books) for store in stores]  # who met the other one looks again
    assert sum(number for number in [*noted, *again] if isinstance(number, int)) == len(books.all)
    with stores[0].reading() as work:
        assert all(len(versions(work, book.name)) == 1 for book in books.all)
    lines = [line["action"] for line in Journal(stores[0], clock).lines()]
    assert lines == ["playbooks read"]


@pytest.mark.timeout(180)
def test_two_services_started_at_once_on_an_older_versions_store_both_come_to_work(
    tmp_path: Path, database: str, stores: Two, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "_RECONNECT_SECONDS", 0.1)
    old_store(stores[0], clock, 600)
    with Together(tmp_path, 5, store=database) as pair:
        assert [line["action"] for line in pair.a.journal.lines()].count("service started") == 2
        assert not pair.a.journal.verify()
        with pair.b.store.reading() as work:
            assert work.count(decided.KIND) == 600
        assert len(pair.audited("playbooks read")) == 1


class Together(Nodes):
    """Both engines begin in the same moment."""

    def start(self) -> None:
        gate, passed = threading.Barrier(2), []
        begin = Service._go

        def go(node: Service, *more: Any) -> None:
            if node not in passed:
                passed.append(node)
                gate.wait(30)
            begin(node, *more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Service, "_go", go)
            patch.setattr(Soc, "until", lambda *_: None)  # the first one is not waited for
            super().start()
            patch.setattr(Soc, "until", UNTIL)
            self.until(lambda: all(node.engine for node in self.nodes), "both engines work")

"""Hooks, reconciliation, adoption and tags against TheHive 4 and 5 as the lab plays them, in both forms of messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from engine_lab import write_responders
from seen_house import DAY, POLICY, WATCHED

from playbook_service.audit.journal import Journal
from playbook_service.engine import lease
from playbook_service.engine.adopt import Adoption
from playbook_service.engine.hooks import Hooks
from playbook_service.engine.loop import Loop
from playbook_service.engine.notice import Notices
from playbook_service.engine.placement import CASE
from playbook_service.engine.reconcile import Reconcile
from playbook_service.engine.renewal import Renewals
from playbook_service.engine.request import Requests
from playbook_service.engine.sighting import Joining, Sighting
from playbook_service.engine.step import Done, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.hive.discovery import connect
from playbook_service.hive.model import AlertDraft, Observable, ObservableDraft
from playbook_service.intake.committer import Committer
from playbook_service.intake.credential import Doorkeeper
from playbook_service.intake.routes import Hooks as Intake
from playbook_service.intake.siem import SHIPPED, load_mapping
from playbook_service.lab import Lab
from playbook_service.lab.lab import ORGANISATION
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Filter, Item, Record
from playbook_service.store.memory import MemoryStore
from playbook_service.web.application import Application
from playbook_service.web.server import Server
from propolis.clock import ManualClock, SystemClock
from propolis.guardrails import Policy
from propolis.http import session

ANALYST, SERVICE = "analyst@soc.example", "playbook@soc.example"
RESPONDERS = ("FirewallBlock", "FirewallUnblock")
RESPONDER = """#!/usr/bin/env python3
import json, pathlib, sys, time
job = pathlib.Path(sys.argv[1])
asked = json.loads((job / "input" / "input.json").read_text())
given = asked.get("parameters") or {}
until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + given.get("duration_seconds", 7200)))
undo = NAME.endswith("Unblock")
result = "released" if undo else "extended" if given.get("renew") else "contained"
full = {"result": result, "until": None if undo else until, "where": "lab", "lease": given.get("lease", ""),
        "mark": "propolis lease=" + given.get("lease", ""), "requested_by": {"user": given.get("user", "")},
        "target": {"kind": "ip", "value": asked["data"]["data"]}, "duration": {"seconds": 7200}}
tag = "propolis:released:lab" if undo else "propolis:contained:lab:until=" + until
report = {"success": True, "full": full, "artifacts": [], "operations": [{"type": "AddTagToArtifact", "tag": tag}]}
(job / "output" / "output.json").write_text(json.dumps(report))
"""


@pytest.fixture(scope="module", params=[(4, 0), (4, 1), (5, 0), (5, 1)], ids=["v4v0", "v4v1", "v5v0", "v5v1"])
def flavour(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, int]]:
    version, dialect = request.param
    responders = write_responders(tmp_path_factory.mktemp("responders"), RESPONDERS, RESPONDER)
    with Lab(version, responders=[responders], refresh=0.05) as lab:
        for name in RESPONDERS:
            lab.enable(f"{name}_1_0")
        yield lab, dialect


class Node:
    """The service with its intake, as far as it has to do with hooks."""

    def __init__(self, lab: Lab, dialect: int):
        self.lab, self.dialect = lab, dialect
        self.clock = ManualClock(SystemClock().now())
        self.store = MemoryStore(self.clock)
        self.hive = connect(lab.thehive_url, lab.keys.service, organisation=ORGANISATION)
        self.analyst = connect(lab.thehive_url, lab.keys.analyst, organisation=ORGANISATION)
        self.journal = Journal(self.store, self.clock)
        self.ran: list[str] = []
        self.tools = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: Playbooks(()), lambda: Policy.parse(POLICY),
            lambda: "enforce", SERVICE,
        )  # fmt: skip
        sighting = Sighting(self.tools)
        self.reconcile = Reconcile(self.tools, sighting, 60.0)
        handlers = {
            "thehive": Hooks(self.tools, sighting).handle, "reconcile": self.reconcile.step,
            "adopt": Adoption(self.tools).step, "request": Requests(self.tools).step,
            "renew": Renewals(self.tools).step, "joined": Joining(self.tools).step,
            "notice": Notices(self.tools, lambda work, message: None).step, "escalate": lambda item: Done(),
            "contain": lambda item: lease.contain(self.tools, item),
            "release": lambda item: lease.release(self.tools, item), **dict.fromkeys(WATCHED, self.watch),
        }  # fmt: skip
        self.loop = Loop(self.store, self.clock, handlers, owner="node", buried=self.buried, jitter=lambda: 1.0)
        self.case_id, self.observable = self.case_of_ours()

    def watch(self, item: Item) -> Outcome:
        self.ran.append(item.key)
        return Done()

    def buried(self, work: object, item: Item, sentence: str) -> None:
        raise AssertionError(f"{item.key}: {sentence}")

    def case_of_ours(self) -> tuple[str, Observable]:
        reference = f"r{self.clock.now()}"
        alert, _ = self.hive.create_alert(
            AlertDraft("wazuh", "siem", reference, "Brute force", "x", 2, int(self.clock.now() * 1000),
                       observables=(ObservableDraft("ip", "203.0.113.7"),))
        )  # fmt: skip
        case = self.hive.promote(alert.id)
        with self.store.transaction() as work:
            work.save(CASE, case.id, {"number": case.number, "alerts": [], "note": ""}, state="open", ref=case.id)
        (observable,) = self.hive.observables(case.id)
        return case.id, observable

    def begin(self) -> None:
        with self.store.transaction() as work:
            self.reconcile.begin(work)
        self.settle()

    def settle(self, rounds: int = 6, step: float = 5.0) -> None:
        for _ in range(rounds):
            self.lab.settle(future=False)
            self.loop.run_due()
            self.clock.advance(step)

    def block_by_hand(self, name: str = "FirewallBlock") -> None:
        offered = self.analyst.responders("case_artifact", self.observable.id)
        worker = next(one for one in offered if one.name.startswith(name))
        self.analyst.run_responder(worker, "case_artifact", self.observable.id, {})
        self.lab.settle(future=False)

    def release_by_hand(self) -> None:
        self.block_by_hand("FirewallUnblock")

    def close(self, word: str) -> None:
        rest = session(self.lab.thehive_url, headers={"Authorization": f"Bearer {self.lab.keys.analyst}"})
        if self.lab.version == 5:
            body = {"status": word, "summary": "x", "impactStatus": "NotApplicable"}
            rest.patch(f"/api/v1/case/{self.case_id}", json=body)
        else:
            body = {"status": "Resolved", "resolutionStatus": word, "summary": "x", "impactStatus": "NotApplicable"}
            rest.patch(f"/api/case/{self.case_id}", json=body)
        rest.close()

    @property
    def leases(self) -> list[Record]:
        with self.store.transaction() as work:
            return work.find(lease.KIND, Filter())

    def steps(self, kind: str) -> list[str]:
        return sorted(key for queue, key in self.store._work if queue == "step" and key.startswith(f"{kind}:"))


@pytest.fixture
def node(flavour: tuple[Lab, int]) -> Node:
    return Node(*flavour)


@pytest.fixture
def listening(node: Node) -> Iterator[Node]:
    """With webhooks, through the real intake."""
    committer = Committer(node.store, node.clock, backlog_limit=1000)
    hooks = Intake(Doorkeeper(("secret",)), committer, load_mapping(SHIPPED), body_limit=1 << 20)
    server = Server(("127.0.0.1", 0), Application(hooks.routes()), node.clock)
    thread = threading.Thread(target=server.run, daemon=True)
    with committer:
        thread.start()
        address = f"http://127.0.0.1:{server.port}/hooks/thehive"
        node.lab.notify(address, dialect=node.dialect, auth={"type": "bearer", "key": "secret"})
        yield node
        node.lab.settle(future=False)
        node.lab.hive.notifications.clear()
        server.stop()
        thread.join()


def test_a_block_by_hand_is_taken_over_by_the_hook(listening: Node):
    listening.block_by_hand()
    listening.settle()
    (record,) = listening.leases
    grant = lease.Grant(**record.body["grant"])
    assert (record.state, grant.by, grant.target, grant.case_id) == (
        lease.ACTIVE, ANALYST, "203.0.113.7", listening.case_id
    )  # fmt: skip


def test_a_block_by_hand_is_taken_over_by_reconciliation(node: Node):
    node.begin()
    node.block_by_hand()
    node.settle(16)
    (record,) = node.leases
    assert record.body["grant"]["by"] == ANALYST


def test_a_lease_ends_when_the_analyst_undoes_it_by_hand(listening: Node):
    listening.block_by_hand()
    listening.settle()
    listening.release_by_hand()
    listening.settle()
    (record,) = listening.leases
    assert (record.state, record.body["ended_by"]) == (lease.ENDED, ANALYST)
    assert [line["action"] for line in listening.journal.lines()][-1] == "released by hand"


@pytest.mark.parametrize("by_hook", [True, False], ids=["hook", "reconciliation"])
def test_a_tag_of_the_analyst_releases(flavour: tuple[Lab, int], request: pytest.FixtureRequest, by_hook: bool):
    node = request.getfixturevalue("listening" if by_hook else "node")
    node.begin()
    node.block_by_hand()
    node.settle(16)
    node.analyst.update_observable(node.observable.id, add_tags=["propolis:release"])
    node.settle(6 if by_hook else 20)
    (record,) = node.leases
    assert (record.state, record.body["ended_by"]) == (lease.ENDED, ANALYST)
    undone = [one for one in node.hive.actions("case_artifact", node.observable.id) if "Unblock" in one.definition]
    assert len(undone) == 1


def test_a_tag_of_the_analyst_on_the_case_renews(listening: Node):
    listening.block_by_hand()
    listening.settle()
    before = listening.leases[0].body["until"]
    listening.analyst.update_case(listening.case_id, add_tags=["propolis:renew=2h"])
    listening.settle()
    (record,) = listening.leases
    assert record.body["until"] == pytest.approx(before + 7200, abs=5)
    assert record.body["held"] == pytest.approx(before + 7200, abs=200)


def test_a_tag_by_the_services_own_account_releases_nothing(listening: Node):
    listening.block_by_hand()
    listening.settle()
    listening.hive.update_observable(listening.observable.id, add_tags=["propolis:release"])
    listening.settle(20)
    assert listening.leases[0].state == lease.ACTIVE
    assert "tag read" in [line["action"] for line in listening.journal.lines()]


def test_a_closing_and_another_closing_are_two_steps_by_hook_and_reconciliation_together(listening: Node):
    listening.begin()
    listening.close("FalsePositive")
    listening.settle(20)
    assert len(listening.steps("closed")) == 1
    listening.close("TruePositive")
    listening.settle(20)
    assert len(listening.steps("closed")) == 2


def test_all_that_happens_in_a_long_run_leaves_nothing_to_do_and_nothing_buried(listening: Node):
    listening.begin()
    listening.block_by_hand()
    listening.settle()
    listening.settle(30, 600.0)
    (record,) = listening.leases
    assert record.state == lease.ENDED
    assert listening.clock.now() - SystemClock().now() < DAY

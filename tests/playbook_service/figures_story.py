"""A fortnight with everything in it that a figure may count, and what each way of asking says of a store.

What the engine writes is written by the engine's own functions, as in the console's fortnight.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from exported import Line
from feedback_shop import ANNA, BEN
from filled import Filled
from scraped import Scraped, scraped

from playbook_service.cli import main
from playbook_service.engine import approval, arrival, launch, lease, placement, renewal, ruling
from playbook_service.judgement.guard import Judged
from playbook_service.metrics.meter import Meter
from playbook_service.metrics.scrape import Scrape
from playbook_service.playbook import Decision, Origin, Playbooks, Target
from playbook_service.store.contract import Record, Store
from propolis.clock import Clock
from propolis.guardrails import Policy

DAY = 86_400.0
HELD = {"result": "contained", "where": "fw1", "message": "Contained.", "verified": True}


class Eventful(Filled):
    """The console's fortnight, and then what else can happen."""

    def everything(self) -> Eventful:
        self.fortnight()
        self._questions()
        self._containments()
        self._decisions()
        self._alerts()
        self._closings()
        self._renewals()  # at last: nothing here follows the product's own end
        return self

    # questions ------------------------------------------------------------------------------------------------------

    def _questions(self) -> None:
        for number, wait in ((150, 600.0), (151, 42.5)):
            asked = self._question(number)
            self._answered(asked, approval.GRANTED, ANNA, wait=wait)
            self.contained(asked)
        self._answered(self._question(152), approval.DENIED, BEN, "it was cancelled", wait=90.0)
        self._answered(self._question(153), approval.DENIED, "", "the case was closed while the question stood")
        self._answered(self._question(154), approval.EXPIRED, "", "nobody answered in time", wait=4 * 3600.0)
        again = self._question(155)
        self.decide("~155", again.body["decision"]["target"]["data"], kind="ask", wanted="ask")  # on other evidence

    def _question(self, number: int) -> Record:
        return self.attack(number, f"203.0.113.{number}", kind="ask", wanted="ask")

    def _answered(self, asked: Record, state: str, by: str, why: str = "", wait: float = 30.0) -> None:
        self.clock.advance(wait)
        record = self.record(approval.KIND, asked.key)
        desk = approval.Desk(self.tools, lambda _: "")
        with self.store.transaction() as work:
            desk._save(work, record, state, why, by)
            if state == approval.GRANTED:
                lease.grant(work, self.tools, lease.Grant(**record.body["grant"])._replace(by=by))

    # containments ---------------------------------------------------------------------------------------------------

    def _containments(self) -> None:
        self.ended(self.contained(self.attack(160, "203.0.113.160")))  # at its time
        self._gone(self.contained(self.attack(161, "203.0.113.161")))
        self._undo_fails(self.contained(self.attack(162, "203.0.113.162")), tries=3)
        self._not_contained(self.attack(163, "203.0.113.163"), launch.Ended(True, {"result": "would_contain"}, "", "j"))
        doubtful = self.attack(164, "203.0.113.164")
        self._not_contained(doubtful, launch.Ended(False, {}, "the firewall did not answer", "j"))
        lost = self._not_contained(self.attack(165, "203.0.113.165"), launch.Ended(False, {}, "it broke off", "j"))
        with self.store.transaction() as work:
            lease._left_to_a_person(work, self.tools, lost, lease.Grant(**lost.body["grant"]))
        self._taken_over(166)

    def _not_contained(self, decision: Record, ended: launch.Ended) -> Record:
        with self.store.transaction() as work:
            record = work.get(lease.KIND, decision.key)
            assert record is not None
            lease._settle(work, self.tools, record, ended)
        return self.record(lease.KIND, decision.key)

    def _gone(self, leased: Record) -> None:
        with self.store.transaction() as work:
            lease.gone(work, self.tools, leased, BEN, launch.Ended(True, {"result": "released"}, "", "j"))

    def _undo_fails(self, leased: Record, tries: int) -> None:
        for number in range(1, tries + 1):
            record = self.record(lease.KIND, leased.key)
            again = lease._try_again(self.tools, record, lease.Grant(**record.body["grant"]), number, "no answer")
            with self.store.transaction() as work:
                again(work)

    def _taken_over(self, number: int) -> None:
        target = f"203.0.113.{number}"
        case_id = self.case(number, target, self.alert(target))
        self.clock.advance(3600.0)
        grant = lease.Grant("H1", "FirewallBlock", "case_artifact", f"~{target}", case_id, target, 86_400, "", "", BEN)
        with self.store.transaction() as work:
            lease.take(work, self.tools, grant, self.clock.now() + DAY, launch.Ended(True, HELD, "", "j"))

    # decisions ------------------------------------------------------------------------------------------------------

    def _decisions(self) -> None:
        self.attack(170, "203.0.113.170", kind="observe", wanted="observe")  # its playbook wanted no more
        first = self.attack(171, "203.0.113.171")
        self.decide("~171", "203.0.113.171", verdict="another")  # covered by the first
        self.contained(first)
        before, self.policy_text = self.policy_text, f"{self.policy_text}\nlimits: {{per_hour: {{firewall: 1}}}}"
        self.attack(172, "203.0.113.172")  # held: nothing is left of the budget
        self.policy_text = before
        self._choose(173)
        self.attack(175, "203.0.113.175")  # is about to be contained

    def _choose(self, number: int) -> None:
        """The playbook's target is not one: a person is to choose."""
        both = tuple(Target("address", "ip", f"203.0.113.{number + more}") for more in (0, 1))
        case_id = self.case(number, both[0].data, self.alert(both[0].data))
        made = Decision(
            kind="ask", wanted="act", capped_by="", event="verdict", verb="respond", responder="FirewallBlock",
            target=None, candidates=both, seconds=86_400, permanent=False, settings=(),
            origins=(Origin("malicious-ip", "f" * 64),), evidence=(), numbers=(), reasons=("there are two of them",),
        )  # fmt: skip
        with self.store.transaction() as work:
            scene = ruling.Scene("verdict", case_id, "", "~o", "")
            ruling.Ruling(self.tools, self.ask).rule(work, self.policy(), Judged(made, "ask", "ask"), scene, "~o")

    # alerts, cases --------------------------------------------------------------------------------------------------

    def _alerts(self) -> None:
        key = self.alert("198.51.100.200")
        with self.store.transaction() as work:
            record = work.get(arrival.KIND, key)
            assert record is not None
            work.save(arrival.KIND, key, record.body, version=record.version, state=arrival.SUPPRESSED)
            self.journal.write(work, "suppressed", alert=key, hive="~h", why="closed as harmless three times")
        second = self.alert("203.0.113.17")
        with self.store.transaction() as work:
            known = arrival.known(work, second)
            assert known is not None
            placement.joined(work, self.tools, known, placement.Place(self.hive.cases["~128"], False))
        third = self.alert("203.0.113.181")  # an analyst made a case of it
        self.hive.open("~181")
        with self.store.transaction() as work:
            known = arrival.known(work, third)
            assert known is not None
            placement.joined(work, self.tools, known, placement.Place(self.hive.cases["~181"], False))

    def _closings(self) -> None:
        self.close("~128", "TruePositive")
        self.close("~150", "FalsePositive")  # contained after a grant, and wrong
        self._release_with_its_case("~150")
        self.close("~151", "Indeterminate")
        self.close("~152", "FalsePositive")
        self.reopen("~152")
        self.close("~152", "TruePositive")  # closed twice, and stands as this
        labelled, self.books = self.books, Playbooks(())
        self.close("~160", "FalsePositive")  # contained; no playbook labels it, but a person said so
        self.attack(180, "203.0.113.180", kind="observe")
        self.close("~180", "FalsePositive")  # the same with what a mode held back
        self.books = labelled

    def _release_with_its_case(self, case_id: str) -> None:
        with self.store.transaction() as work:
            (leased,) = lease.in_force(work, case_id)
        self.ended(leased)

    def _renewals(self) -> None:
        with self.store.transaction() as work:
            (leased,) = lease.in_force(work, "~128")
            (other,) = lease.in_force(work, "~151")
            renewal.renew(work, self.tools, leased.key, 3600, ANNA)
            renewal.make_permanent(work, self.tools, other.key, ANNA)
        for _ in range(2):  # the product had to be extended twice for one person's word
            self._extended(leased.key, launch.Ended(True, {"result": "extended", "lease": leased.key}, "", "j"))
        self._extended(other.key, launch.Ended(False, {}, "the firewall did not answer", "j"))

    def _extended(self, key: str, ended: launch.Ended) -> None:
        outcome = renewal.Renewals(self.tools)._settled(self.record(lease.KIND, key), ended)
        commit = outcome.commit
        assert commit is not None
        with self.store.transaction() as work:
            commit(work)


# what each way of asking says -----------------------------------------------------------------------------------------


class Told(NamedTuple):
    """The same store, asked by every way there is. `chain` are the audit lines themselves."""

    report: Mapping[str, Any]
    metrics: Scraped
    observations: list[dict[str, Any]]
    leases: list[dict[str, Any]]
    approvals: list[dict[str, Any]]
    suppressions: list[dict[str, Any]]
    noisiest: list[dict[str, Any]]
    documents: list[Line]
    chain: list[dict[str, Any]]

    def lines(self, *actions: str) -> list[dict[str, Any]]:
        """The audit lines of these actions."""
        return [line for line in self.chain if line["action"] in actions]

    def counted(self, action: str, *names: str) -> Counter[Any]:
        """How many lines of an action there are by these facts."""
        return Counter(tuple(line.get(name) for name in names) for line in self.lines(action))

    def exported(self, index: str) -> list[dict[str, Any]]:
        """The documents of an index, by their own part: `propolis.<word>`."""
        return [line.document for line in self.documents if line.index == f"propolis-{index}"]


def tell(store: Store, clock: Clock, policy: Callable[[], Policy], mode: str, config: Path) -> Told:
    """Ask everything of a store. The commands open it by themselves, as `config` says."""
    families = Scrape(store, clock, Meter(clock), policy, mode, lambda: True).families()
    at = ("--config", str(config))
    rows = [json.loads(row) for row in _said("export", "--elastic", *at).splitlines()]
    documents = [
        Line(action["index"]["_index"], action["index"]["_id"], document)
        for action, document in zip(rows[::2], rows[1::2], strict=True)
    ]
    with store.reading() as work:
        chain = [entry.body for entry in work.read("audit", after=0, limit=10_000)]
    return Told(
        _json("report", *at), scraped(families), _json("observations", *at)["scores"],
        _json("leases", "--all", *at)["leases"], _json("approvals", "--all", *at)["approvals"],
        _json("suppressions", "--all", *at), _json("suppressions", "noisiest", *at), documents, chain,
    )  # fmt: skip


def _json(*words: str) -> Any:
    return json.loads(_said(*words, "--format", "json"))


def _said(*words: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    assert code == 0, err.getvalue()
    return out.getvalue()

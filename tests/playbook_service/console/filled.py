"""A service's data as a busy fortnight leaves it: alerts, cases, verdicts, decisions, leases, questions, closings.

What the engine writes is written by the engine's own functions over a small TheHive; `many` multiplies decisions and
leases as records, for pages that must stay quick with a hundred thousand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_shop import ANNA, BEN, Shop, seen

from playbook_service.engine import approval, arrival, decided, launch, lease, ruling
from playbook_service.judgement.guard import Judged
from playbook_service.playbook import Decision, Origin, Target
from playbook_service.store.contract import Record, Store, Transaction
from propolis.clock import ManualClock, utc_text
from propolis.verdict import assess

SAMPLES = Path(__file__).resolve().parents[3] / "playbook_service" / "samples"
START = 1_795_000_000.0  # 2026-11-18T11:06:40Z
ATTACKER, SECOND, CDN = "203.0.113.17", "203.0.113.44", "203.0.113.200"
HOUR = 3600.0


class Filled(Shop):
    """The data, and short ways to more of it. Times go on by themselves, so that everything has its own."""

    def __init__(self, store: Store | None = None, clock: ManualClock | None = None):
        super().__init__(store=store, clock=clock or ManualClock(START))
        self._jobs = [json.loads(line) for line in (SAMPLES / "reports.jsonl").read_text().splitlines()]
        self._number = 0

    # what comes in --------------------------------------------------------------------------------------------------

    def alert(self, target: str, *, rule: str = "5712", level: int = 10, agent: str = "gw01", what: str = "") -> str:
        """An alert that came in; its key."""
        self._number += 1
        self.clock.advance(17.0)
        number = f"{int(self.clock.now())}.{self._number}"
        document = {
            "timestamp": utc_text(self.clock.now()), "id": number,
            "rule": {
                "id": rule, "level": level, "groups": ["syslog", "sshd", "authentication_failures"],
                "description": what or "sshd: brute force trying to get access to the system.",
                "mitre": {"id": ["T1110"], "tactic": ["Credential Access"], "technique": ["Brute Force"]},
            },
            "agent": {"id": "003", "name": agent, "ip": "192.0.2.10"}, "manager": {"name": "siem01"},
            "decoder": {"name": "sshd"}, "data": {"srcip": target}, "location": "/var/log/auth.log",
        }  # fmt: skip
        body = {
            "origin": "wazuh", "alert": document, "hive_id": f"~h{self._number}", "suppressed": "",
            "at": self.clock.now(), "observables": [["ip", target, "source", "data.srcip", [], ""]],
        }  # fmt: skip
        key = f"siem01:{number}"
        with self.store.transaction() as work:
            work.save(arrival.KIND, key, body, version=0, state=arrival.NEW)
        return key

    def case(self, number: int, target: str, alert: str) -> str:
        """A case of that alert; its id."""
        case_id = f"~{number}"
        self.hive.open(case_id, seen(target))
        self.hive.cases[case_id] = self.hive.cases[case_id]._replace(number=number)
        with self.store.transaction() as work:
            work.save("case", case_id, {"number": number, "alerts": [alert], "note": ""}, state="open")
            record = work.get(arrival.KIND, alert)
            assert record is not None
            work.save(arrival.KIND, alert, record.body, version=record.version, state=arrival.CASED, ref=case_id)
            self.journal.write(work, "case opened", case=case_id, number=number, alert=alert, automated=True)
        return case_id

    def verdict(self, case_id: str, target: str, like: str = ATTACKER) -> str:
        """A verdict on an observable, made of the sample reports on `like`."""
        self.clock.advance(9.0)
        jobs = [{**job, "data": target} for job in self._jobs if (job.get("dataType"), job.get("data")) == ("ip", like)]
        full = assess("ip", target, jobs, now=self.clock.now()).to_dict()
        key = f"run-{case_id}-{target}:1"
        body = {
            "observable": {"id": f"~{target}", "dataType": "ip", "data": target, "tags": []}, "full": full,
            "how": "ConsensusScore job ~4711", "job": "~4711", "run": key[:-2], "asked": [], "missing": {},
            "reports": [[job["analyzerDefinitionId"], job["status"], job["id"]] for job in jobs],
            "at": self.clock.now(),
        }  # fmt: skip
        with self.store.transaction() as work:
            work.save("verdict", key, body, state=full["verdict"], ref=case_id)
            self.journal.write(work, "verdict", case=case_id, target=target, verdict=key, result=full["verdict"])
        return key

    # what is decided ------------------------------------------------------------------------------------------------

    def decide(  # noqa: PLR0913 - a story names what matters to it
        self, case_id: str, target: str, *, kind: str = "act", wanted: str = "act", alert: str = "", verdict: str = "",
        playbook: str = "malicious-ip", responder: str = "FirewallBlock", why: str = "", rule: str = "",
    ) -> Record:  # fmt: skip
        """A decision, ruled on by the engine; `kind` is what the modes (or a guardrail, with `why`) left of it."""
        self.clock.advance(3.0)
        place = {"FirewallBlock": ("address", "ip"), "AccountDisable": ("account", "username")}
        kind_of, data_type = place.get(responder, ("host", "hostname"))
        made = Decision(
            kind=kind, wanted=wanted, capped_by="" if kind == wanted or why else f"service mode {kind}",
            event="verdict", verb="respond", responder=responder, target=Target(kind_of, data_type, target),
            candidates=(), seconds=86400, permanent=False, settings=(), origins=(Origin(playbook, "f" * 64),),
            evidence=(("verdict.families", 3), ("at", self.clock.now())),
            numbers=(("score", 0.97), ("families", 3), ("coverage", 0.8), ("conflict", 0.0)),
            reasons=(f"{playbook}: {wanted}, because 3 independent families call {target} malicious",),
        )  # fmt: skip
        lines: tuple[str, ...] = ()
        with self.store.transaction() as work:
            record = work.get("verdict", verdict) if verdict else None
            lines = tuple(record.body["full"].get("explanation") or ()) if record else ()
            scene = ruling.Scene("verdict", case_id, alert, f"~{target}", verdict, lines, "e" * 64)
            known = {entry.key for entry in work.find(ruling.KIND)}
            judged = Judged(made, wanted if not why else "stopped", "stopped" if why else kind, why, rule)
            ruling.Ruling(self.tools, self.ask).rule(work, self.policy(), judged, scene, f"~{target}")
            (found,) = [entry for entry in work.find(ruling.KIND) if entry.key not in known]
        return found

    def contained(self, decision: Record) -> Record:
        """The responder has contained what was decided, and verified it."""
        self.clock.advance(2.0)
        record = self.record(lease.KIND, decision.key)
        target = record.body["grant"]["target"]
        full = {
            "result": "contained", "where": "fw1", "message": f"Contained {target} at fw1 until tomorrow; verified.",
            "verified": True, "mark": f"propolis lease={decision.key}",
        }  # fmt: skip
        with self.store.transaction() as work:
            lease._settle(work, self.tools, record, launch.Ended(True, full, "", "job-1"))
        return self.record(lease.KIND, decision.key)

    def ended(self, leased: Record, by: str = "") -> Record:
        """It is over: at its end, or because somebody released it."""
        self.clock.advance(60.0)
        with self.store.transaction() as work:
            if by:
                lease.end(work, self.tools, leased.key, by)
            record = work.get(lease.KIND, leased.key)
            assert record is not None
            full = {"result": "released", "where": "fw1", "message": "Released; verified.", "verified": True}
            grant = lease.Grant(**record.body["grant"])
            lease._over(work, self.tools, record, grant, launch.Ended(True, full, "", "job-2"))
        return self.record(lease.KIND, leased.key)

    def record(self, kind: str, key: str) -> Record:
        """A record that is there."""
        with self.store.transaction() as work:
            found = work.get(kind, key)
        assert found is not None
        return found

    def ask(self, work: Transaction, record: Record) -> None:
        grant = lease.Grant(**record.body["grant"])
        lines = tuple(record.body["lines"])
        approval.request(work, self.tools, approval.Ask(grant, lines, (ANNA, BEN), 1, 4 * 3600))

    # stories --------------------------------------------------------------------------------------------------------

    def attack(self, number: int, target: str = ATTACKER, **how: Any) -> Record:
        """From an alert to a decision on its source."""
        alert = self.alert(target)
        case_id = self.case(number, target, alert)
        return self.decide(case_id, target, alert=alert, verdict=self.verdict(case_id, target), **how)

    def fortnight(self) -> None:
        """Enough of everything for every page to have something to show."""
        self.contained(self.attack(128))
        self.attack(129, SECOND, kind="ask", wanted="ask")
        self.attack(130, "web01", kind="ask", wanted="act", responder="IsolateHost", playbook="malware-on-host")
        self.attack(131, "198.51.100.53", kind="stopped", why="198.51.100.53 is one of our name servers",
                    rule="firewall.infrastructure")  # fmt: skip
        over = self.contained(self.attack(132, "203.0.113.99"))
        self.ended(over, by=ANNA)
        for number in range(133, 139):
            self.attack(number, f"203.0.113.{number}", kind="observe")
            self.close(f"~{number}", "FalsePositive" if number == 138 else "TruePositive")
        for number in range(140, 144):
            self.false_positive(number, CDN)

    def false_positive(self, number: int, data: str = CDN, resolution: str = "FalsePositive", **more: Any) -> None:
        """A whole case, closed so, a minute ago."""
        super().false_positive(number, data, resolution, **more)
        self.clock.advance(60.0)

    # many -----------------------------------------------------------------------------------------------------------

    def many(self, decisions: int, leases: int = 0) -> None:
        """Multiply the first decision and the first lease in force, with their own keys, targets, times."""
        with self.store.transaction() as work:
            model = work.find(ruling.KIND)[0]
            held = work.find(lease.KIND)[0]
        for page in _pages(decisions):
            self.clock.advance(1.0)
            with self.store.transaction() as work:
                for number in page:
                    self._another(work, model, number)
        for page in _pages(leases):
            with self.store.transaction() as work:
                for number in page:
                    self._another_lease(work, held, number)

    def _another(self, work: Transaction, model: Record, number: int) -> None:
        key = f"P{number:024x}"
        target = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        about = {**model.body["decision"], "target": {**model.body["decision"]["target"], "data": target}}
        body = {**model.body, "decision": about, "at": self.clock.now() - number / 1000, "alert": "", "grant": None}
        state = ("observe", "ask", "stopped", "ignore", "observe")[number % 5]
        decided.note(work, work.save(ruling.KIND, key, body, state=state, ref=model.ref))

    def _another_lease(self, work: Transaction, model: Record, number: int) -> None:
        key = f"L{number:024x}"
        target = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        grant = {**model.body["grant"], "lease": key, "target": target}
        until = self.clock.now() + 60.0 * (number + 1)
        body = {**model.body, "grant": grant, "until": until, "ended_by": ""}
        work.save(lease.KIND, key, body, state=lease.ACTIVE, ref=model.ref, due=until)


def _pages(count: int, each: int = 2000) -> Iterator[range]:
    for start in range(0, count, each):
        yield range(start, min(count, start + each))

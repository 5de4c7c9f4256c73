"""A store with a month's story in it, as `month.yml` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from playbook_service.audit.journal import Journal
from playbook_service.engine import approval, arrival, lease, placement, ruling
from playbook_service.feedback import closure, label
from playbook_service.store.contract import Store, Transaction
from playbook_service.store.sqlite import SqliteStore
from propolis.alert.moment import epoch
from propolis.clock import ManualClock

HERE = Path(__file__).resolve().parent
Entry = Mapping[str, Any]


def moment(text: str) -> float:
    found = epoch(text)
    assert found is not None
    return found


NOVEMBER, DECEMBER = moment("2026-11-01T00:00:00Z"), moment("2026-12-01T00:00:00Z")


_TOLD: dict[str, bytes] = {}
_LAST: dict[str, float] = {}


class Telling:
    """Writes the entries of a story into a store, each at its moment."""

    def __init__(self, folder: Path):
        self.clock = ManualClock(NOVEMBER)
        self.place = folder / "propolis.db"
        self.store: Store = SqliteStore(self.place, self.clock)
        self.journal = Journal(self.store, self.clock)

    def tell(self, file: str) -> Telling:
        """The story as a whole, into a store that is empty; told once, copied from then on."""
        if file in _TOLD:
            self.store.close()
            self.place.write_bytes(_TOLD[file])
            self.clock.jump(_LAST[file] - self.clock.now())
            return self
        for entry in yaml.safe_load((HERE / file).read_text(encoding="utf-8")):
            self.entry(entry)
        self.store.compact()
        self.store.close()
        _TOLD[file], _LAST[file] = self.place.read_bytes(), self.clock.now()
        return self

    def entry(self, entry: Entry) -> None:
        at = entry["at"]
        moved = at.timestamp() if isinstance(at, datetime) else moment(str(at))
        self.clock.jump(moved - self.clock.now())
        (kind,) = [name for name in self.WRITERS if name in entry]
        with self.store.transaction() as work:
            self.WRITERS[kind](self, work, entry)

    def _alert(self, work: Transaction, entry: Entry) -> None:
        document = {
            "timestamp": entry.get("occurred", "2026-11-02T07:59:58.000+0000"), "id": entry["alert"].partition(":")[2],
            "rule": {"id": entry["rule"], "level": 10, "description": entry.get("description", "brute force")},
            "agent": {"id": "001", "name": entry["agent"]}, "data": {"srcip": entry["ip"]},
        }  # fmt: skip
        body = {
            "origin": "wazuh", "alert": document, "hive_id": "~h1", "suppressed": "", "at": self.clock.now(),
            "observables": [["ip", entry["ip"], "source", "data.srcip", [], ""]],
        }  # fmt: skip
        state = entry.get("state", arrival.CASED)
        work.save(arrival.KIND, entry["alert"], body, version=0, state=state, ref=entry["case"])
        if entry["case"]:
            case = {"number": entry["number"], "alerts": [entry["alert"]], "note": ""}
            work.save(placement.CASE, entry["case"], case, version=0, state="open", ref=entry["case"])

    def _line(self, work: Transaction, entry: Entry) -> None:
        facts = dict(entry["line"])
        self.journal.write(work, facts.pop("action"), **facts)

    def _closing(self, work: Transaction, entry: Entry) -> None:
        told = entry["closing"]
        labels = [
            {"data_type": "ip", "data": one["data"], "malicious": one["malicious"], "weight": 1.0, "why": ["contained"],
             "words": one["words"], "log_odds": 1.0}
            for one in told.get("labels", ())
        ]  # fmt: skip
        body = {
            "event": "closed", "case_id": told["case"], "number": told["number"], "resolution": told["resolution"],
            "judgement": told["judgement"], "at": self.clock.now(), "by": told["by"], "labels": labels, "counts": [],
            "held": [],
        }  # fmt: skip
        work.append(label.LOG, body)
        kept = {**body, "closed_at": int(self.clock.now() * 1000), "release": False, "why": told.get("why", "")}
        work.save(closure.KIND, told["case"], kept, state=closure.SHUT, ref=told["case"])

    def _decision(self, work: Transaction, entry: Entry) -> None:
        target = entry.get("target", "mallory")
        reasons = entry.get("reasons", ["because"])
        decision = {
            "playbooks": [{"name": entry["playbook"], "digest": "f" * 64}], "reasons": reasons,
            "action": f"respond {entry.get('responder', 'AccountDisable')}", "wanted": entry.get("wanted", "ask"),
            "target": {"kind": "account", "data_type": "account", "data": target, "label": ""}, "candidates": [],
            "capped_by": entry.get("capped_by", ""),
        }  # fmt: skip
        body = {
            "decision": decision, "alert": entry["alert_key"], "at": self.clock.now(), "outcome": "act",
            "why": entry.get("why", ""), "rule": entry.get("rule", ""), "verdict": entry.get("verdict_key", ""),
        }  # fmt: skip
        work.save(ruling.KIND, entry["decision"], body, state=entry.get("state", "ask"), ref=entry["case"])

    def _approval(self, work: Transaction, entry: Entry) -> None:
        body = {
            "grant": self._grant(entry, entry["approval"]), "evidence": [], "approvers": [], "needed": 1, "given": [],
            "expires": self.clock.now() + 14_400, "asked_at": self.clock.now(), "tasks": [], "digests": [],
            "answers": entry.get("answers", []), "why": entry.get("why", ""),
        }  # fmt: skip
        work.save(approval.KIND, entry["approval"], body, state=entry.get("state", "granted"), ref=entry["case"])

    def _lease(self, work: Transaction, entry: Entry) -> None:
        said = {name: entry.get(name, "") for name in ("message", "verified")}
        body = {
            "grant": self._grant(entry, entry["lease"]), "until": self.clock.now() + 86_400, "undos": 0,
            "where": entry.get("where", "fw1"), "ended_by": entry.get("ended_by", ""),
            "report": {"result": "contained", **said},
        }  # fmt: skip
        if entry.get("undone"):
            body |= {"released": {"message": entry["undone"], "verified": ""}, "ended_at": self.clock.now() + 60}
        work.save(lease.KIND, entry["lease"], body, state=entry.get("state", "active"), ref=entry["case"])

    def _grant(self, entry: Entry, key: str) -> dict[str, Any]:
        return lease.Grant(
            key, entry.get("responder", "AccountDisable"), "case_artifact", "~o1", entry["case"],
            entry.get("target", "mallory"), 86_400, "because", "d" * 64, entry.get("by", "ben"),
        )._asdict()  # fmt: skip

    def _verdict(self, work: Transaction, entry: Entry) -> None:
        ledger = [
            {"source": source, "level": level, "contribution": weight, "reason": reason}
            for source, level, weight, reason in entry["ledger"]
        ]
        full = {
            "verdict": "malicious", "recommendation": entry.get("recommendation", "act"), "score": 0.97, "families": 3,
            "coverage": 0.8, "conflict": 0.1, "ledger": ledger, "veto": entry.get("veto", []),
        }  # fmt: skip
        observable = {"id": "~o1", "dataType": "ip", "data": entry["ip"], "tags": []}
        body = {"observable": observable, "full": full, "how": "computed by the service", "at": self.clock.now()}
        work.save("verdict", entry["verdict"], body, state="malicious", ref=entry["case"])

    WRITERS = {  # noqa: RUF012 - the methods, by the name that an entry has
        "alert": _alert, "line": _line, "closing": _closing, "decision": _decision, "approval": _approval,
        "lease": _lease, "verdict": _verdict,
    }  # fmt: skip

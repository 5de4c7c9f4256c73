"""What a case was about: the observables that its closing labels, and never every observable it holds.

Those are: what was contained, what an analyst was asked about, what a mode alone kept from either, what an analyst
marked as ioc or sighted, and what an analyst reviewed. A well-known resolver that stands in a true case is none of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from playbook_service.engine import approval, lease, ruling
from playbook_service.feedback.label import DENIED_WEIGHT, Held, Label
from playbook_service.feedback.suppression import FALSE, TRUE, Key
from playbook_service.hive.model import Observable
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.verdict.canonical import canonical

VERDICT = "verdict"
"""Kind of the engine's records of verdicts."""
MOST_LABELS = 50
"""Of one case. What was contained or asked about comes first."""
_MISSING = "missing"
_WOULD = {"act": "would have been contained", "ask": "would have been asked"}
_DONE = (ruling.ACT, ruling.ASK, ruling.CHOOSE, ruling.COVERED)


class Dossier(NamedTuple):
    """The store's records of one case."""

    decisions: tuple[Record, ...]
    leases: tuple[Record, ...]
    approvals: tuple[Record, ...]
    verdicts: Mapping[str, Record]
    """By key."""


class Reviewed(NamedTuple):
    """An observable that an analyst looked at because a sample fell on it."""

    data_type: str
    data: str


class Said(NamedTuple):
    """What the sources had said of an observable, and the verdict's log-odds before calibration."""

    words: Mapping[str, str] = {}
    log_odds: float | None = None


def dossier_of(work: Transaction, case_id: str) -> Dossier:
    """What the store knows of a case; at most 1,000 records a kind."""
    decisions = tuple(work.find(ruling.KIND, Filter(ref=case_id)))
    verdicts = {record.key: record for record in work.find(VERDICT, Filter(ref=case_id))}
    for key in {record.body["verdict"] for record in decisions} - set(verdicts):
        record = work.get(VERDICT, key) if key else None
        if record is not None:
            verdicts[key] = record
    leases, approvals = work.find(lease.KIND, Filter(ref=case_id)), work.find(approval.KIND, Filter(ref=case_id))
    return Dossier(decisions, tuple(leases), tuple(approvals), verdicts)


def labels_of(
    dossier: Dossier,
    observables: Sequence[Observable],
    reviewed: Iterable[Reviewed],
    judgement: str,
    account: str,
) -> tuple[Label, ...]:
    """The labels that a closing gives. `judgement` is TruePositive, FalsePositive, or empty: then only denied approvals
    teach. `account` is the service's own login, whose word is no analyst's."""
    denied = {key for record in dossier.approvals if (key := _denied(dossier, record, observables, account))}
    if judgement not in (TRUE, FALSE):
        return tuple(_label(dossier, key, False, DENIED_WEIGHT, ("denied",)) for key in sorted(denied))[:MOST_LABELS]
    looked_at = {(entry.data_type, canonical(entry.data_type, entry.data)) for entry in reviewed}
    marked = {_key(entry) for entry in observables if entry.ioc}
    labels = []
    for key, why in _matters(dossier, observables, looked_at).items():
        doubted = key in denied or (key in looked_at and why == ("reviewed",))
        if judgement == FALSE or (doubted and key not in marked):
            weight = DENIED_WEIGHT if judgement == TRUE and key in denied else 1.0
            labels.append(_label(dossier, key, False, weight, why))
        else:
            labels.append(_label(dossier, key, True, 1.0, why))
    return tuple(labels[:MOST_LABELS])


def held_back(dossier: Dossier) -> tuple[Held, ...]:
    """The containments that the guardrails allowed and a mode alone held back."""
    found = []
    for record in dossier.decisions:
        decision, outcome = record.body["decision"], record.body["outcome"]
        if outcome in _WOULD and decision["capped_by"]:
            first = decision["playbooks"][0]
            found.append(
                Held(record.key, first["name"], first["digest"], outcome, decision["action"], target_text(decision))
            )
    return tuple(found)


def target_text(decision: Mapping[str, Any]) -> str:
    """A decision's target as people read it."""
    targets = [decision["target"]] if decision["target"] else decision["candidates"]
    return " or ".join(str(target["label"] or target["data"]) for target in targets[:3]) or "no target"


def said_of(full: Mapping[str, Any]) -> Said:
    """What a verdict (`Verdict.to_dict()`) knows of its sources' words, those of unrated ones too."""
    lines = [*(full.get("ledger") or ()), *(full.get("unrated") or ())]
    words = {str(line["source"]): str(line["level"]) for line in lines if line.get("level") not in (None, _MISSING)}
    log_odds = full.get("log_odds")
    return Said(words, float(log_odds) if words and isinstance(log_odds, (int, float)) else None)


def _matters(
    dossier: Dossier, observables: Sequence[Observable], reviewed: Iterable[Key]
) -> dict[Key, tuple[str, ...]]:
    """Each observable of the matter, with what made it one."""
    found: dict[Key, dict[str, None]] = {}

    def add(key: Key | None, why: str) -> None:
        if key is not None and why:
            found.setdefault(key, {})[why] = None

    decided = {record.key for record in dossier.decisions}
    asked = {record.key for record in dossier.approvals}
    for record in dossier.decisions:
        add(_subject(dossier, record), _why(record, asked))
    for record in (*dossier.leases, *dossier.approvals):
        if record.key not in decided:
            add(_granted(record, observables), "contained" if record.kind == lease.KIND else "asked")
    for entry in observables:
        if entry.ioc or entry.sighted:
            add(_key(entry), "ioc" if entry.ioc else "sighted")
    for key in reviewed:
        add(key, "reviewed")
    return {key: tuple(why) for key, why in found.items()}


def _why(record: Record, asked: set[str]) -> str:
    """What a decision made of its observable; empty where it made nothing of it."""
    if record.state in _DONE:
        return "asked" if record.key in asked or record.state in (ruling.ASK, ruling.CHOOSE) else "contained"
    return _WOULD.get(str(record.body["outcome"]), "")


def _subject(dossier: Dossier, record: Record) -> Key | None:
    """The observable a decision is about: that of the verdict it stands on, else its target."""
    verdict = dossier.verdicts.get(record.body["verdict"])
    if verdict is not None:
        told = verdict.body["observable"]
        return (told["dataType"], canonical(told["dataType"], told["data"]))
    return _target(record)


def _target(record: Record) -> Key | None:
    target = record.body["decision"]["target"]
    return (target["data_type"], canonical(target["data_type"], target["data"])) if target else None


def _granted(record: Record, observables: Sequence[Observable]) -> Key | None:
    """What a lease or question without a decision is on: an analyst started it by hand."""
    entity = record.body["grant"]["entity_id"]
    return next((_key(entry) for entry in observables if entry.id == entity), None)


def _denied(dossier: Dossier, record: Record, observables: Sequence[Observable], account: str) -> Key | None:
    """The target of a question that an analyst who may answer said no to; None for any other end."""
    if record.state != approval.DENIED:
        return None
    approvers = record.body["approvers"]
    actors = [actor for actor in record.body["answers"] if actor and actor != account]
    if not any(not approvers or actor in approvers for actor in actors):
        return None
    decision = next((one for one in dossier.decisions if one.key == record.key), None)
    return _target(decision) if decision else _granted(record, observables)


def _key(observable: Observable) -> Key:
    return (observable.data_type, canonical(observable.data_type, observable.data))


def _label(dossier: Dossier, key: Key, malicious: bool, weight: float, why: tuple[str, ...]) -> Label:
    said = _said(dossier, key)
    return Label(*key, malicious, weight, why, said.words, said.log_odds)


def _said(dossier: Dossier, key: Key) -> Said:
    """The newest verdict's word on an observable."""
    about = [
        record
        for record in dossier.verdicts.values()
        if (told := record.body["observable"])["dataType"] == key[0] and canonical(key[0], told["data"]) == key[1]
    ]
    newest = max(about, key=lambda record: float(record.body["at"]), default=None)
    return said_of(newest.body["full"]) if newest else Said()

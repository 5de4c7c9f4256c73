"""Reads what the store knows of one case: its records, and the audit lines of the time in which they moved.

TheHive is not asked, so it works while that is away; the title is that of the alert that the case began with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from playbook_service.audit import index
from playbook_service.engine import approval, arrival, lease, placement, ruling
from playbook_service.engine.draft import title_of
from playbook_service.feedback import closure
from playbook_service.feedback.matter import target_text
from playbook_service.reports import lines, story
from playbook_service.reports.incident_model import (
    Arrived,
    Asked,
    Closed,
    Decided,
    Evidence,
    Incident,
    Measure,
    Moment,
    Word,
)
from playbook_service.store.contract import Entry, Filter, Record, Transaction
from propolis.alert import Alert
from propolis.errors import InputError

VERDICT = "verdict"
"""Kind of the engine's records of verdicts."""
MOST, MOST_ALERTS = 500, 200
"""Records of a kind that are told; the gaps say where there are more."""
MOST_LINES = 500_000
"""Audit lines that are searched for the case where there is no index of them yet."""
MOST_MOMENTS = 2_000
_PAGE = 500


class _Dossier(NamedTuple):
    """The case's records."""

    case: Record | None
    alerts: tuple[Record, ...]
    verdicts: tuple[Record, ...]
    decisions: tuple[Record, ...]
    approvals: tuple[Record, ...]
    leases: tuple[Record, ...]
    closure: Record | None

    def all(self) -> Iterator[Record]:
        """Each of them."""
        yield from (*self.alerts, *self.verdicts, *self.decisions, *self.approvals, *self.leases)
        yield from (one for one in (self.case, self.closure) if one is not None)


def find_case(work: Transaction, text: str) -> str:
    """A case's id, told by its number, or by the id itself. Raises InputError for one that is not known."""
    wanted = text.strip().lstrip("#")
    if wanted.isdecimal():
        found = [one.key for one in _cases(work) if str(one.body.get("number")) == str(int(wanted))]
        if len(set(found)) > 1:
            raise InputError(f"Several cases have the number {int(wanted)}: name one by its id, {' or '.join(found)}.")
        if found:
            return found[0]
    for kind in (placement.CASE, closure.KIND):
        if work.get(kind, wanted) is not None:
            return wanted
    if any(work.find(kind, Filter(ref=wanted, limit=1)) for kind in (ruling.KIND, lease.KIND)):
        return wanted
    raise InputError(
        f"There is no case {text[:60]!r} in this store: give its number (128) or its id in TheHive (~41259592). Cases "
        "that none of our alerts and containments was in are not known here."
    )


def _cases(work: Transaction) -> Iterator[Record]:
    for kind in (placement.CASE, closure.KIND):
        after = ""
        while page := work.find(kind, Filter(after_key=after, limit=_PAGE)):
            yield from page
            after = page[-1].key


def incident(work: Transaction, case_id: str, now: float) -> Incident:
    """The story of a case. Raises InputError for one of which nothing is known."""
    known = _dossier(work, case_id)
    if not any(True for _ in known.all()):
        raise InputError(f"Nothing is known of a case {case_id[:60]!r}: none of our alerts and containments is in it.")
    alerts = tuple(sorted((_arrived(one) for one in known.alerts), key=lambda one: one.came_in))
    moments, searched = _moments(work, case_id, known)
    moments += [Moment(one.came_in, "plain", "alert", f"{one.title} (level {one.level})") for one in alerts]
    moments.sort(key=lambda one: (one.at, one.line))
    gaps = (*_gaps(known, alerts), *(searched,)[: bool(searched)], *_cut(len(moments)))
    return Incident(
        case_id, _number(known), alerts[0].title if alerts else "", now, alerts,
        tuple(_by_moment(map(_evidence, known.verdicts))), tuple(_by_moment(map(_decided, known.decisions))),
        tuple(map(_asked, known.approvals)), tuple(map(_measure, known.leases)), _closed(known.closure),
        tuple(moments[:MOST_MOMENTS]), gaps,
    )  # fmt: skip


def _by_moment(entries: Iterable[Any]) -> list[Any]:
    return sorted(entries, key=lambda one: one.at)


def _dossier(work: Transaction, case_id: str) -> _Dossier:
    def of(kind: str, most: int = MOST) -> tuple[Record, ...]:
        return tuple(work.find(kind, Filter(ref=case_id, limit=most)))

    decisions = of(ruling.KIND)
    verdicts = {one.key: one for one in of(VERDICT)}
    for key in {str(one.body["verdict"]) for one in decisions} - {"", *verdicts}:
        found = work.get(VERDICT, key)  # one that was made at an alert, before there was a case
        if found is not None:
            verdicts[key] = found
    return _Dossier(
        work.get(placement.CASE, case_id), of(arrival.KIND, MOST_ALERTS), tuple(verdicts.values()), decisions,
        of(approval.KIND), of(lease.KIND), work.get(closure.KIND, case_id),
    )  # fmt: skip


def _number(known: _Dossier) -> int:
    record = known.case or known.closure
    number = record.body.get("number") if record else 0
    return int(number) if isinstance(number, int) else 0


# the timeline -------------------------------------------------------------------------------------------------------


def _moments(work: Transaction, case_id: str, known: _Dossier) -> tuple[list[Moment], str]:
    """The case's audit lines, and what is to be said where not all were looked for."""
    leases = {one.key for one in (*known.leases, *known.approvals)}
    if index.is_whole(work):
        entries, gap = iter(lines.naming(work, (case_id, *sorted(leases)), MOST_MOMENTS)), ""
    else:
        entries, gap = _searched(work, known)
    found = [
        moment
        for entry in entries
        if entry.body.get("case") == case_id or entry.body.get("lease") in leases
        if (moment := story.told(entry.body, entry.at, entry.number)) is not None
    ]
    return found, gap


def _searched(work: Transaction, known: _Dossier) -> tuple[Iterator[Entry], str]:
    """Every line was written when a record of the case moved, so the time of those is read."""
    times = [one.updated_at for one in known.all()]
    times += [float(one.body["at"]) for one in (*known.alerts, *known.verdicts, *known.decisions)]
    first, last = lines.span(work, min(times), max(times))
    read = min(last, first + MOST_LINES - 1)
    more = f"Only {MOST_LINES:,} audit lines were searched for it; there are {last - read:,} more."
    found = (entry for page in lines.pages(work, first, read) for entry in page)
    return found, more if read < last else ""


def _gaps(known: _Dossier, alerts: tuple[Arrived, ...]) -> Iterator[str]:
    listed = len(known.case.body["alerts"]) if known.case else 0
    if listed > len(alerts):
        yield f"The records of {listed - len(alerts)} of its {listed} alerts are no longer kept."
    for name, found in (("verdicts", known.verdicts), ("decisions", known.decisions), ("leases", known.leases)):
        if len(found) >= MOST:
            yield f"It has more {name} than the {MOST} that are told here."


def _cut(moments: int) -> Iterator[str]:
    if moments > MOST_MOMENTS:
        yield f"The timeline has {moments:,} entries, of which the first {MOST_MOMENTS:,} are told."


# records ------------------------------------------------------------------------------------------------------------


def _arrived(record: Record) -> Arrived:
    alert, body = Alert(record.body["alert"]), record.body
    return Arrived(
        record.key, float(body["at"]), alert.timestamp, title_of(alert), alert.rule_id, alert.level, alert.agent_name,
        len(body["observables"]),
    )  # fmt: skip


def _evidence(record: Record) -> Evidence:
    body, full = record.body, record.body["full"]
    told = body["observable"]
    return Evidence(
        record.key, float(body["at"]), str(told["dataType"]), str(told["data"]), str(full.get("verdict")),
        str(full.get("recommendation")), _number_of(full, "score"), int(_number_of(full, "families")),
        _number_of(full, "coverage"), _number_of(full, "conflict"), str(body.get("how") or ""),
        tuple(_word(line) for line in _objects(full.get("ledger"))),
        tuple(str(reason) for reason in full.get("veto") or ()),
    )  # fmt: skip


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _number_of(found: Mapping[str, Any], name: str) -> float:
    value = found.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _word(line: Mapping[str, Any]) -> Word:
    level = str(line.get("level") or "missing")
    weight = _number_of(line, "contribution") if "contribution" in line else _number_of(line, "after_family")
    return Word(str(line.get("source")), level, weight, str(line.get("reason") or ""))


def _decided(record: Record) -> Decided:
    body, decision = record.body, record.body["decision"]
    return Decided(
        record.key, float(body["at"]), record.state, str(decision["wanted"]),
        str(decision["action"]).removeprefix("respond "), target_text(decision), str(decision["playbooks"][0]["name"]),
        tuple(str(reason) for reason in decision["reasons"]), str(body["why"] or decision["capped_by"]),
        str(body["rule"]), str(body["verdict"]),
    )  # fmt: skip


def _asked(record: Record) -> Asked:
    body, grant = record.body, record.body["grant"]
    given = (str(login) for login, _ in body.get("given", ()))
    asked_at = body.get("asked_at")
    return Asked(
        record.key, record.state, grant["responder"], grant["target"], float(asked_at) if asked_at else None,
        float(body["expires"]), tuple(dict.fromkeys((*body["answers"], *given))), str(body["why"]),
    )  # fmt: skip


def _measure(record: Record) -> Measure:
    body, grant = record.body, lease.Grant(**record.body["grant"])
    report, undo = body["report"], body.get("released") or {}
    permanent = bool(body.get("permanent"))
    ended_at = body.get("ended_at")
    return Measure(
        record.key, record.state, grant.responder, grant.target, str(body["where"]), grant.by, bool(body.get("taken")),
        grant.why, float(body["until"]) if body["until"] and not permanent else None, permanent,
        str(report.get("message") or ""), str(report.get("verified") or ""), str(body["ended_by"]),
        float(ended_at) if ended_at else None, str(undo.get("message") or ""), str(undo.get("verified") or ""),
        int(body["undos"]), bool(body.get("doubtful")),
    )  # fmt: skip


def _closed(record: Record | None) -> Closed | None:
    if record is None:
        return None
    body = record.body
    return Closed(
        float(body["at"]), str(body["resolution"]), str(body["judgement"]), str(body["by"]), str(body["why"]),
        record.state == closure.OPEN,
    )  # fmt: skip

"""How would we have done, over everything that is kept: read page by page, in short looks that hold nobody up.

What a survey finds is plain data, so that it can be kept and shown: a dashboard does not read a hundred thousand
decisions each time somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from playbook_service.engine import ruling
from playbook_service.feedback import observation
from playbook_service.feedback.label import Judgements, lines
from playbook_service.feedback.observation import RIGHT, UNKNOWN, WRONG, Observation, Score
from playbook_service.store.contract import Filter, Record, Store

_PAGE = 1000
MOST_CASES = 40
"""Cases that are named behind a score: the wrong ones first."""
_ORDER = (WRONG, RIGHT, UNKNOWN)


def judgements(store: Store) -> Judgements:
    """Every closing that stands, read in short looks."""
    found = Judgements()
    while True:
        before = found.seen
        with store.reading() as work:
            for number, entry in enumerate(lines(work, found.seen), start=1):
                found.take(entry)
                if number == _PAGE:
                    break
        if found.seen - before < _PAGE:
            return found


def survey(store: Store) -> dict[str, Any]:
    """The scores of all playbooks, with the cases behind them: `{"scores": [...], "open": n}`."""
    closed = judgements(store)
    found = [entry for _, closing in closed.closings.values() for entry in observation.observed(closing)]
    waiting: list[Observation] = []
    for page in _decisions(store):
        waiting += observation.open_cases(page, closed.closings)
    everything = [*found, *waiting]
    scored = [_plain(score, everything) for score in observation.scores(everything)]
    return {"scores": scored, "open": len({entry.case_id for entry in waiting}), "closed": len(closed.closings)}


def _decisions(store: Store) -> Iterable[list[Record]]:
    after: str | None = None
    while True:
        with store.reading() as work:
            page = work.find(ruling.KIND, Filter(after_key=after, limit=_PAGE))
        yield page
        if len(page) < _PAGE:
            return
        after = page[-1].key


def _plain(score: Score, found: Iterable[Observation]) -> dict[str, Any]:
    mine = [entry for entry in found if (entry.held.playbook, entry.held.outcome) == (score.playbook, score.outcome)]
    return {
        **score._asdict(), "precision": score.precision, "bound": score.bound, "earned": score.earned,
        "advice": score.advice, "cases": _cases(mine),
    }  # fmt: skip


def _cases(found: Iterable[Observation]) -> list[dict[str, Any]]:
    """One entry a case, the wrong ones first, the newest of each first."""
    cases: dict[str, dict[str, Any]] = {}
    for entry in found:
        case = cases.setdefault(
            entry.case_id,
            {
                "case": entry.case_id, "number": entry.number, "result": entry.result, "resolution": entry.resolution,
                "decision": entry.held.decision, "what": f"{entry.held.action} {entry.held.target}"[:200], "more": 0,
            },
        )  # fmt: skip
        case["more"] += case["decision"] != entry.held.decision
    ranked = sorted(cases.values(), key=lambda case: (_ORDER.index(case["result"]), -case["number"], case["case"]))
    return ranked[:MOST_CASES]

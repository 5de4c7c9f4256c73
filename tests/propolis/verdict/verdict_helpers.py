"""What the verdict's tests share: jobs as Cortex gives them, and a file of sources made for testing."""

from __future__ import annotations

from typing import Any

from propolis.verdict import Options, Report, load_sources

NOW = 1_767_261_720.0
HOUR = 3600.0
ADDRESS = "203.0.113.45"

# Nine independent sources (Ind0..Ind8, three of each grade A, B, C) and a family of four that copy each other.
SOURCES = load_sources(
    "\n".join(
        [f"Ind{number}: {{family: ind{number}, grade: {'ABC'[number % 3]}}}" for number in range(9)]
        + [f"Copy{number}: {{family: copies, grade: C}}" for number in range(4)]
        + [f"Weak{number}: {{family: weak{number}, grade: {'DEF'[number % 3]}}}" for number in range(3)]
        + ["Good: {family: good, grade: B, clears: [riot, benign]}"]
        + ["Info: {family: info, grade: C, info: none}"]
        + ["Plain: {family: plain, grade: C}"]
        + ["Context: {family: context, grade: E, context: true}"]
    )
)
RATED = [f"Ind{n}" for n in range(9)] + [f"Copy{n}" for n in range(4)] + [f"Weak{n}" for n in range(3)]
OPTIONS = Options(sources=SOURCES)
COUNT = Options(sources=SOURCES, profile="count")


def said(source: str, level: str | None, hours: float = 0.0, **changes: Any) -> Report:
    """A report of that source, so many hours old."""
    moment = NOW - hours * HOUR
    reason = None if level else "failed"
    report = Report(source, f"{source}_1_0", level, reason, moment, moment, "ip", ADDRESS, success=level is not None)
    return report._replace(**changes)


def job(definition: str, *taxonomies: tuple[str, str, str], hours: float = 1.0, **changes: Any) -> dict[str, Any]:
    """A finished Cortex job with taxonomies (level, predicate, value), as `GET /api/job/<id>/report` gives it."""
    moment = int((NOW - hours * HOUR) * 1000)
    shown = [{"level": lv, "namespace": "N", "predicate": p, "value": v} for lv, p, v in taxonomies]
    found = {
        "id": f"{definition}-{hours}",
        "analyzerDefinitionId": definition,
        "status": "Success",
        "startDate": moment - 2000,
        "endDate": moment,
        "dataType": "ip",
        "data": ADDRESS,
        "report": {"success": True, "summary": {"taxonomies": shown}, "full": {}, "artifacts": [], "operations": []},
    }
    return {**found, **changes}

"""Read Cortex jobs, and the taxonomies TheHive keeps on an observable, into reports.

A job is what `GET /api/job/<id>/report` answers (Cortex 4.1). `report` is a text such as "Waiting" while the job runs;
`full` may be absent. What cannot be read is missing, never safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from propolis.verdict import refusal
from propolis.verdict.canonical import same
from propolis.verdict.moment import seconds
from propolis.verdict.report import NONE, POSITIVE, SAFE, SEVERITY, Dropped, Report, Taxonomy
from propolis.verdict.sources import OWN_WORKERS, Rule, Source, Sources, fold, without_version

INFO_ONLY = "gives information only"
SILENT = "gives no taxonomies"
UNFINISHED = "not finished"
DELETED = "deleted"

_MOST_TAXONOMIES = 200
_LONGEST = 300  # characters of a taxonomy's text
_UNRATED = Source()
_NO = frozenset(("", "0", "false", "no", "none", "null", "not found", "n/a", "-"))
_DEFINITION_KEYS = (
    "analyzerDefinitionId",
    "workerDefinitionId",
    "analyzerDefinition",
    "analyzerName",
    "workerName",
)


class Reading(NamedTuple):
    """What a hand-over holds: the reports on the observable, and what was left out."""

    reports: list[Report]
    dropped: list[Dropped]


def read_jobs(jobs: Iterable[Any], observable: tuple[str, str], sources: Sources) -> Reading:
    """The reports on `(dataType, data)` among jobs and reports; the rest is dropped and named."""
    reading = Reading([], [])
    for job in jobs:
        if not isinstance(job, (Mapping, Report)):
            reading.dropped.append(Dropped("?", "is not a job"))
            continue
        report = job if isinstance(job, Report) else read_job(job, sources)
        why = _why_no_evidence(report, observable)
        if why is None:
            reading.reports.append(report)
        else:
            reading.dropped.append(Dropped(report.definition or "?", why))
    return reading


def _why_no_evidence(report: Report, observable: tuple[str, str]) -> str | None:
    if not report.source:
        return "names no analyzer"
    if fold(report.source) in OWN_WORKERS:
        return "is a worker of Propolis itself"
    if report.data_type == observable[0] and same(report.data_type, report.data, observable[1]):
        return None
    if not report.data_type or not report.data:
        return "names no observable"
    return f"is about another observable: {report.data_type} {report.data[:100]}"


def read_job(job: Mapping[str, Any], sources: Sources) -> Report:
    """One Cortex job as a report, whatever state it is in."""
    definition = next((name for key in _DEFINITION_KEYS if isinstance(name := job.get(key), str) and name), "")
    definition = definition[:_LONGEST]
    source = without_version(definition)
    ended = next(
        (at for key in ("endDate", "startDate", "updatedAt", "createdAt") if (at := seconds(job.get(key)))), 0.0
    )
    level, reason, clears, taxonomies, success = _outcome(job, sources.find(source) or _UNRATED)
    data_type, data = job.get("dataType"), job.get("data")
    return Report(
        source,
        definition,
        level,
        reason,
        _last_seen(job, sources.find(source), ended),
        ended,
        data_type if isinstance(data_type, str) else "",
        data if isinstance(data, str) else "",
        taxonomies,
        clears,
        success,
    )


_Outcome = tuple[str | None, str | None, str | None, tuple[Taxonomy, ...], bool]


def _outcome(job: Mapping[str, Any], source: Source) -> _Outcome:
    """Level, reason, clearing word, taxonomies, and whether the job is a success."""
    report, status = job.get("report"), job.get("status")
    if status == "Failure" or (isinstance(report, Mapping) and report.get("success") is False):
        message = job.get("errorMessage")
        if isinstance(report, Mapping):
            message = report.get("errorMessage") or message
        return None, refusal.why_failed(message), None, (), False
    if status == "Deleted" or report == "Deleted":
        return None, DELETED, None, (), False
    if not isinstance(report, Mapping) or status in ("Waiting", "InProgress"):
        return None, UNFINISHED, None, (), False
    taxonomies = read_taxonomies(report.get("summary"))
    if refusal.speaks_of_limit(report, taxonomies) or refusal.speaks_of_limit(
        {"errorMessage": job.get("errorMessage")}, ()
    ):
        return None, refusal.RATE_LIMITED, None, taxonomies, False
    if not taxonomies and report.get("errorMessage"):
        return None, refusal.why_failed(report["errorMessage"]), None, (), False
    return (*judge(taxonomies, source), taxonomies, True)


def read_taxonomies(summary: Any) -> tuple[Taxonomy, ...]:
    """The taxonomies of a report's summary, or of TheHive's `reports["<analyzer>"]`; malformed ones are left out."""
    entries = summary.get("taxonomies") if isinstance(summary, Mapping) else None
    if not isinstance(entries, list):
        return ()
    found = []
    for entry in entries[:_MOST_TAXONOMIES]:
        if isinstance(entry, Mapping) and isinstance(level := entry.get("level"), str):
            found.append(
                Taxonomy(level.lower(), *(_short(entry.get(key)) for key in ("namespace", "predicate", "value")))
            )
    return tuple(found)


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value[:_LONGEST].strip().strip('"').strip()
    return "" if value is None or isinstance(value, (dict, list)) else str(value)[:_LONGEST]


def judge(taxonomies: tuple[Taxonomy, ...], source: Source) -> tuple[str | None, str | None, str | None]:
    """Level, reason and clearing word of a success: the gravest of the taxonomies that carry the verdict.

    A clearing word makes the report safe, whatever colour the analyzer gave it: MISPWarningLists shows a hit on a list
    of well-known good names as suspicious.
    """
    levels: list[str | None] = []
    cleared = _cleared(taxonomies, source)
    for taxonomy in _carriers(taxonomies, source):
        level, clears = _level(taxonomy, source)
        levels.append(level)
        cleared = cleared or clears
    if cleared is not None:
        return SAFE, None, cleared
    level = max(levels, key=lambda one: SEVERITY[one], default=None)
    if level is None:
        return None, INFO_ONLY if taxonomies else SILENT, None
    return level, None, None


def _carriers(taxonomies: tuple[Taxonomy, ...], source: Source) -> tuple[Taxonomy, ...]:
    """The taxonomies that carry the verdict: those of the first predicate of the entry's list that occurs."""
    for predicate in source.verdict:
        found = tuple(taxonomy for taxonomy in taxonomies if fnmatchcase(taxonomy.predicate.lower(), predicate))
        if found:
            return found
    return taxonomies


def _level(taxonomy: Taxonomy, source: Source) -> tuple[str | None, str | None]:
    for rule in source.rules:
        if _holds(rule, taxonomy):
            return (None if rule.level == "missing" else rule.level), rule.clears
    if taxonomy.level in POSITIVE or taxonomy.level == SAFE:
        return taxonomy.level, None
    return (NONE if source.info == NONE and taxonomy.level == "info" else None), None


def _holds(rule: Rule, taxonomy: Taxonomy) -> bool:
    if rule.said is not None and taxonomy.level != rule.said:
        return False
    if not fnmatchcase(taxonomy.predicate.lower(), rule.predicate):
        return False
    if rule.value is not None and not fnmatchcase(taxonomy.value.lower(), rule.value):
        return False
    return rule.least is None or _leading_number(taxonomy.value) >= rule.least


def _leading_number(text: str) -> float:
    """`12 record(s)` and `12/94` -> 12; no number is less than all."""
    digits = len(text) - len(text.lstrip("0123456789."))
    try:
        return float(text[:digits])
    except ValueError:
        return float("-inf")


def _cleared(taxonomies: tuple[Taxonomy, ...], source: Source) -> str | None:
    """The word of the entry's `clears` that a taxonomy has as its value, or as a predicate that is not denied."""
    for word in source.clears:
        for taxonomy in taxonomies:
            value, predicate = taxonomy.value.lower(), taxonomy.predicate.lower()
            if fnmatchcase(value, word) or (fnmatchcase(predicate, word) and value not in _NO):
                return word
    return None


def _last_seen(job: Mapping[str, Any], source: Source | None, ended: float) -> float:
    """When the source itself last saw the observable, where its entry knows the place; else when the job ended."""
    report = job.get("report")
    if source is None or not source.last_seen or not isinstance(report, Mapping):
        return ended
    for path in source.last_seen:
        moment = seconds(_at(report.get("full"), path))
        if moment is not None:
            return min(moment, ended) if ended else moment
    return ended


def _at(node: Any, path: str) -> Any:
    """The value at a dotted path; a number is an index into a list."""
    for step in path.split("."):
        if isinstance(node, Mapping):
            node = node.get(step)
        elif isinstance(node, list) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        else:
            return None
    return node


def read_observable(entity: Mapping[str, Any], sources: Sources) -> list[Report]:
    """The reports of a TheHive observable from its `reports`: taxonomies by analyzer name, without a time.

    A report cannot be older than the observable it hangs on, so the observable's own date stands in for it: that can
    only make the evidence look older than it is.
    """
    reports = entity.get("reports")
    born = next((at for key in ("startDate", "createdAt", "_createdAt") if (at := seconds(entity.get(key)))), 0.0)
    if not isinstance(reports, Mapping):
        return []
    return [
        read_job(
            {
                "analyzerDefinitionId": name,
                "status": "Success",
                "endDate": born,
                "dataType": entity.get("dataType"),
                "data": entity.get("data"),
                "report": {"success": True, "summary": summary},
            },
            sources,
        )
        for name, summary in reports.items()
        if isinstance(name, str)
    ]

"""Every metric, as data. `docs/metrics.md` shows the same, and a test holds the two together."""

from __future__ import annotations

from playbook_service.engine.approval import DENIED, EXPIRED, GRANTED
from playbook_service.metrics.family import COUNTER, GAUGE, HISTOGRAM, INSTALLATION, PROCESS, Family, Labels
from playbook_service.playbook.responder import RESPONDERS


def _each(*values: str) -> tuple[Labels, ...]:
    return tuple((value,) for value in values)


def _pairs(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[Labels, ...]:
    return tuple((one, other) for one in first for other in second)


_RESPONDERS = tuple(RESPONDERS)
_RULES = (
    "accounts.never_groups", "accounts.never_ids", "accounts.never_names", "accounts.never_roles",
    "accounts.never_self", "accounts.service_accounts", "firewall.infrastructure", "firewall.max_prefix_v4",
    "firewall.max_prefix_v6", "firewall.never", "firewall.own", "hosts.never_ids", "hosts.never_names",
    "hosts.never_networks", "hosts.never_tags", "hosts.never_types", "policy", "policy limits",
)  # fmt: skip
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_CALL = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_STEP = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LATE = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_ANSWER = (60.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0)
_CONTAINED = (5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)

# this process -------------------------------------------------------------------------------------------------------

BUILD = Family(
    "propolis_build_info", GAUGE, PROCESS, "Version of Propolis and of Python; the value is 1.", ("version", "python")
)
ENGINE = Family("propolis_engine_running", GAUGE, PROCESS, "1 once TheHive has answered and steps are worked on.")
STORE = Family("propolis_store_up", GAUGE, PROCESS, "1 where the store could be read for this scrape.")
POLICY = Family("propolis_policy_valid", GAUGE, PROCESS, "1 where the policy can be used; 0: everything is refused.")
HELD_BACK = Family(
    "propolis_policy_holds_back", GAUGE, PROCESS, "1 where the policy lets nothing be contained now: kill switch, mode."
)
MODE = Family("propolis_mode", GAUGE, PROCESS, "1 for the mode that holds now, 0 for the others.", ("mode",))

EVENTS = Family(
    "propolis_intake_events_total", COUNTER, PROCESS,
    "Events by what became of them: accepted, known (sent again) or refused (nothing was kept, send again).",
    ("origin", "outcome"), _pairs(("wazuh", "siem", "thehive"), ("accepted", "known", "refused")),
)  # fmt: skip
REQUESTS = Family(
    "propolis_http_requests_total", COUNTER, PROCESS, "Requests that the service answered, by address and status.",
    ("path", "status"),
)  # fmt: skip
REQUEST_SECONDS = Family(
    "propolis_http_request_duration_seconds", HISTOGRAM, PROCESS, "How long a request took.", ("path",), (), _QUICK
)
STEPS = Family(
    "propolis_steps_total", COUNTER, PROCESS,
    "Runs of steps by how they ended: done, later (it waits for something), again (another node was first), failed (it "
    "is tried again) or given_up (it is set aside).",
    ("step", "outcome"),
)  # fmt: skip
STEP_SECONDS = Family(
    "propolis_step_duration_seconds", HISTOGRAM, PROCESS, "How long a run of a step took.", ("step",), (), _STEP
)
STEP_DELAY = Family(
    "propolis_step_delay_seconds", HISTOGRAM, PROCESS, "How long after it was due a step was begun.", ("queue",),
    _each("inbox", "step"), _LATE,
)  # fmt: skip
CALLS = Family(
    "propolis_dependency_requests_total", COUNTER, PROCESS,
    "Requests to others, each try by itself, by outcome: ok, status_4xx, status_5xx, timeout, refused, tls, ... For "
    "the store: ok, conflict, error.",
    ("dependency", "outcome"),
    (*_pairs(("thehive",), ("ok", "status_5xx", "refused", "timeout")), ("store", "ok"), ("store", "error")),
)  # fmt: skip
CALL_SECONDS = Family(
    "propolis_dependency_request_duration_seconds", HISTOGRAM, PROCESS, "How long a request to another took.",
    ("dependency",), (), _CALL,
)  # fmt: skip
STORE_SECONDS = Family(
    "propolis_store_transaction_duration_seconds", HISTOGRAM, PROCESS,
    "How long a transaction of the store took, waiting for its turn and the disk included.", ("access",),
    _each("write", "read"), _QUICK,
)  # fmt: skip

# the installation, as it is now -------------------------------------------------------------------------------------

BACKLOG = Family(
    "propolis_backlog_items", GAUGE, INSTALLATION,
    "Events (inbox) and steps by state: waiting (also for their time), claimed, dead (set aside for a person).",
    ("queue", "state"),
)  # fmt: skip
BACKLOG_AGE = Family(
    "propolis_backlog_oldest_seconds", GAUGE, INSTALLATION, "Age of the oldest event that was not handled yet."
)
LEASES = Family("propolis_leases", GAUGE, INSTALLATION, "Containments that have not ended.", ("state", "responder"))
LEASE_OVERDUE = Family(
    "propolis_lease_overdue_seconds", GAUGE, INSTALLATION, "How long past its end the most overdue containment is."
)
WAITING = Family("propolis_approvals_waiting", GAUGE, INSTALLATION, "Questions that no analyst has answered yet.")
WAITING_AGE = Family(
    "propolis_approval_oldest_seconds", GAUGE, INSTALLATION, "For how long the oldest question has been waiting."
)
BUDGET_USED = Family(
    "propolis_budget_used", GAUGE, INSTALLATION, "Containments that count against the policy's limits.",
    ("kind", "limit"),
)  # fmt: skip
BUDGET_LIMIT = Family(
    "propolis_budget_limit", GAUGE, INSTALLATION, "The policy's limits.per_hour and limits.active_total.",
    ("kind", "limit"),
)  # fmt: skip
AUDIT_LINES = Family("propolis_audit_lines_total", COUNTER, INSTALLATION, "Number of the audit chain's newest line.")
UNCOUNTED = Family(
    "propolis_audit_uncounted_lines", GAUGE, INSTALLATION,
    "Lines of the audit chain that are still to be counted; above 0, the counters below are missing.",
)  # fmt: skip

# the installation, from the audit chain -----------------------------------------------------------------------------

AUDIT_FAULTS = Family(
    "propolis_audit_faults_total", COUNTER, INSTALLATION,
    "Breaks of the audit chain that were met while its lines were counted, each line once.",
)  # fmt: skip
STARTS = Family("propolis_service_starts_total", COUNTER, INSTALLATION, "Starts of the engine, over all nodes.")
SUPPRESSED = Family("propolis_suppressed_alerts_total", COUNTER, INSTALLATION, "Alerts that were suppressed.")
CASES = Family(
    "propolis_case_alerts_total", COUNTER, INSTALLATION, "Alerts that opened a case or joined one.", ("outcome",),
    _each("opened", "joined"),
)  # fmt: skip
CLOSED = Family(
    "propolis_cases_closed_total", COUNTER, INSTALLATION, "Cases closed, by the analyst's judgement.", ("label",)
)
ANALYSES = Family(
    "propolis_analyses_total", COUNTER, INSTALLATION,
    "Analyzers asked for a verdict, by outcome: success, failure, late (no answer by the deadline) or missing (not "
    "started).",
    ("analyzer", "outcome"),
)  # fmt: skip
VERDICTS = Family(
    "propolis_verdicts_total", COUNTER, INSTALLATION, "Verdicts on observables.", ("verdict",),
    _each("malicious", "suspicious", "safe", "unknown"),
)  # fmt: skip
DECISIONS = Family(
    "propolis_decisions_total", COUNTER, INSTALLATION,
    "Decisions to contain, by what became of them: act, ask, choose, stopped, held, covered, observe or ignore.",
    ("playbook", "state"),
)  # fmt: skip
REFUSALS = Family(
    "propolis_guardrail_refusals_total", COUNTER, INSTALLATION,
    "Decisions that a guardrail or the budget stopped, by the policy's key.", ("rule",), _each(*_RULES),
)  # fmt: skip
CONTAINMENTS = Family(
    "propolis_containments_total", COUNTER, INSTALLATION,
    "Containments by how they ended: contained, taken_over (an analyst's own), already_contained, dry_run, called_off "
    "(not started any more) or failed (whether it took effect is not known).",
    ("responder", "outcome"), _pairs(_RESPONDERS, ("contained", "failed")),
)  # fmt: skip
RELEASES = Family(
    "propolis_releases_total", COUNTER, INSTALLATION,
    "Ended containments: expiry, early (a person's word), by_hand (at the product) or left (to a person).",
    ("responder", "how"), _pairs(_RESPONDERS, ("expiry", "early")),
)  # fmt: skip
RELEASE_FAILURES = Family(
    "propolis_release_failures_total", COUNTER, INSTALLATION, "Undos that failed; each is tried again.", ("responder",),
    _each(*_RESPONDERS),
)  # fmt: skip
RENEWALS = Family(
    "propolis_renewals_total", COUNTER, INSTALLATION, "Containments that were to last longer.", ("outcome",),
    _each("renewed", "failed"),
)  # fmt: skip
APPROVALS = Family(
    "propolis_approvals_total", COUNTER, INSTALLATION, "Questions to analysts, and how they ended.", ("outcome",),
    _each("asked", GRANTED, DENIED, EXPIRED, "withdrawn"),
)  # fmt: skip
APPROVAL_SECONDS = Family(
    "propolis_approval_duration_seconds", HISTOGRAM, INSTALLATION, "From the question to its answer.", ("outcome",),
    _each(GRANTED, DENIED, EXPIRED), _ANSWER,
)  # fmt: skip
CONTAINMENT_SECONDS = Family(
    "propolis_alert_to_containment_seconds", HISTOGRAM, INSTALLATION,
    "From an alert's coming in to the verified containment, alone or after a grant.", ("way",),
    _each("alone", "granted"), _CONTAINED,
)  # fmt: skip
SET_ASIDE = Family(
    "propolis_steps_set_aside_total", COUNTER, INSTALLATION, "Steps that were given up and need a person.", ("step",)
)
ESCALATIONS = Family(
    "propolis_escalations_total", COUNTER, INSTALLATION, "Cases that a rule gave more attention.", ("rule",)
)
MODE_CHANGES = Family(
    "propolis_mode_changes_total", COUNTER, INSTALLATION, "How often somebody lowered the mode or raised it again."
)

# what Prometheus' own libraries tell of any process -----------------------------------------------------------------

CPU = Family("process_cpu_seconds_total", COUNTER, PROCESS, "Processor time, user and system.")
RESIDENT = Family("process_resident_memory_bytes", GAUGE, PROCESS, "Memory that is in use.")
VIRTUAL = Family("process_virtual_memory_bytes", GAUGE, PROCESS, "Memory that is addressed.")
STARTED = Family("process_start_time_seconds", GAUGE, PROCESS, "When the process began, seconds since the epoch.")
FILES = Family("process_open_fds", GAUGE, PROCESS, "Open files and connections.")
MOST_FILES = Family("process_max_fds", GAUGE, PROCESS, "How many there may be.")

METERED = (
    EVENTS, REQUESTS, REQUEST_SECONDS, STEPS, STEP_SECONDS, STEP_DELAY, CALLS, CALL_SECONDS, STORE_SECONDS,
)  # fmt: skip
"""Counted in memory."""
TALLIED = (
    AUDIT_FAULTS, STARTS, SUPPRESSED, CASES, CLOSED, ANALYSES, VERDICTS, DECISIONS, REFUSALS, CONTAINMENTS, RELEASES,
    RELEASE_FAILURES, RENEWALS, APPROVALS, APPROVAL_SECONDS, CONTAINMENT_SECONDS, SET_ASIDE, ESCALATIONS, MODE_CHANGES,
)  # fmt: skip
"""Counted from the audit chain."""
STANDING = (BACKLOG, BACKLOG_AGE, LEASES, LEASE_OVERDUE, WAITING, WAITING_AGE, BUDGET_USED, BUDGET_LIMIT, AUDIT_LINES,
            UNCOUNTED)  # fmt: skip
"""Looked up in the store."""
OWN = (BUILD, ENGINE, STORE, POLICY, HELD_BACK, MODE)
SYSTEM = (CPU, RESIDENT, VIRTUAL, STARTED, FILES, MOST_FILES)
ALL = (*OWN, *METERED, *STANDING, *TALLIED, *SYSTEM)

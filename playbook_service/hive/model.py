"""TheHive's entities in one form for both major versions. Moments are milliseconds since the epoch, as TheHive's are.

Only what the service works with is here. `raw` is the entity as it was answered, for what only one version knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

OPEN_TASK = ("Waiting", "InProgress")
"""Statuses of a task that nobody has answered."""
FINISHED_JOB = ("Success", "Failure", "Deleted")
"""Statuses of a job or an action that does not go on."""


class ObservableDraft(NamedTuple):
    """An observable to be made. Data over 4,096 characters is refused by TheHive: such a one needs a file."""

    data_type: str
    data: str
    message: str = ""
    tags: tuple[str, ...] = ()
    ioc: bool = False
    tlp: int | None = None
    file: bytes | None = None
    """Content of a `file` observable; `data` is then its name."""


class AlertDraft(NamedTuple):
    """An alert to be made; (type, source, reference) is what makes it one of its kind in an organisation."""

    type: str
    source: str
    reference: str
    title: str
    description: str
    severity: int
    date: int
    tags: tuple[str, ...] = ()
    tlp: int = 2
    pap: int = 2
    external_link: str = ""
    custom_fields: Mapping[str, Any] = {}
    observables: tuple[ObservableDraft, ...] = ()
    techniques: tuple[tuple[str, str], ...] = ()
    """(ATT&CK technique id, tactic in TheHive's spelling: `credential-access`)."""


class TaskDraft(NamedTuple):
    """A task to be made."""

    title: str
    group: str = "default"
    description: str = ""
    status: str = "Waiting"
    flag: bool = False
    assignee: str = ""


class Alert(NamedTuple):
    """An alert as it is."""

    id: str
    type: str
    source: str
    reference: str
    title: str
    case_id: str
    """The case it was imported into, or empty."""
    tags: tuple[str, ...]
    read: bool
    created_at: int
    updated_at: int
    raw: Mapping[str, Any]


class Case(NamedTuple):
    """A case as it is."""

    id: str
    number: int
    title: str
    severity: int
    tags: tuple[str, ...]
    flag: bool
    open: bool
    resolution: str
    """How it was closed: `TruePositive`, `FalsePositive`, `Indeterminate`, `Other`, `Duplicated`, a custom word, or
    empty while it is open."""
    assignee: str
    custom_fields: Mapping[str, Any]
    created_at: int
    updated_at: int
    closed_at: int
    """0 while it is open."""
    raw: Mapping[str, Any]


class Observable(NamedTuple):
    """An observable as it is."""

    id: str
    data_type: str
    data: str
    tags: tuple[str, ...]
    ioc: bool
    sighted: bool
    tlp: int
    message: str
    reports: Mapping[str, Any]
    """Name of an analyzer as it was enabled -> `{"taxonomies": [...]}`."""
    created_at: int
    updated_at: int
    raw: Mapping[str, Any]


class Task(NamedTuple):
    """A task as it is."""

    id: str
    case_id: str
    title: str
    group: str
    description: str
    status: str
    """`Waiting`, `InProgress`, `Completed` or `Cancel`."""
    flag: bool
    assignee: str
    created_at: int
    updated_at: int
    raw: Mapping[str, Any]


class Job(NamedTuple):
    """What one analyzer does, or did, on one observable."""

    id: str
    analyzer_name: str
    """As it was enabled; an administrator may have renamed it. Reports on the observable go by this name."""
    definition: str
    """`AbuseIPDB_2_0`: stable, what logic goes by."""
    status: str
    cortex_id: str
    cortex_job_id: str
    started_at: int
    ended_at: int
    """0 while it runs; TheHive 4 repeats the start."""
    report: Mapping[str, Any] | None
    """`{"success", "full", "artifacts", "errorMessage"}`; None while it runs and in lists."""


class Action(NamedTuple):
    """What one responder does, or did, on one entity."""

    id: str
    """Empty in TheHive 4: there an action is told by its `cortex_job_id` and its start."""
    responder_name: str
    definition: str
    status: str
    cortex_job_id: str
    started_at: int
    ended_at: int
    report: Mapping[str, Any] | None
    created_by: str


class Worker(NamedTuple):
    """An analyzer or responder that TheHive offers."""

    id: str
    name: str
    definition: str
    data_types: tuple[str, ...]
    cortex_ids: tuple[str, ...]


class Audit(NamedTuple):
    """Who did what to an entity, from TheHive's own audit trail: not what an entity says of itself."""

    entity: str
    """`task`, `case`, ..."""
    entity_id: str
    verb: str
    actor: str
    at: int
    details: Mapping[str, Any]


class Me(NamedTuple):
    """The account behind an API key."""

    login: str
    name: str
    organisation: str
    profile: str
    permissions: tuple[str, ...]

"""All calls of TheHive."""

from __future__ import annotations

from playbook_service.lab.hive import (
    alert_api,
    attachments,
    case_api,
    connector_api,
    customfields,
    flow,
    links,
    notes,
    notifier,
    observables,
    people,
    query,
    report_templates,
    status,
    tasks,
    templates,
)
from playbook_service.lab.hive.service import Handler
from playbook_service.lab.route import Route

_MODULES = (
    status, people, alert_api, case_api, links,
    observables, tasks, notes, attachments, customfields, templates, query, flow,
    notifier, connector_api, report_templates,
)  # fmt: skip


def routes(version: int) -> list[Route[Handler]]:
    """The calls that this version of TheHive answers."""
    return [route for module in _MODULES for route in module.routes(version)]

"""The pages, a module each, in the order of the menu."""

from playbook_service.console.pages import (
    approvals,
    audit,
    decisions,
    false_positives,
    leases,
    now,
    observe,
    playbooks,
    sources,
)

PLACES = (
    *now.PLACES,
    *leases.PLACES,
    *approvals.PLACES,
    *decisions.PLACES,
    *observe.PLACES,
    *sources.PLACES,
    *false_positives.PLACES,
    *playbooks.PLACES,
    *audit.PLACES,
)
"""Every address of the console below `/console`."""

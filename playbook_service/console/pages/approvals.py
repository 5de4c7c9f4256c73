"""The page Approvals."""

from __future__ import annotations

from playbook_service.console.visit import Page, Place, Visit
from playbook_service.store.contract import Transaction
from playbook_service.web.html import el


def show(visit: Visit, work: Transaction) -> Page:
    """The page."""
    return Page("Approvals", el("p", "Not there yet.", class_="note"))


PLACES = (Place("/approvals", show),)

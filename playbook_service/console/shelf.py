"""The playbooks in use, as the console's pages find them: by name, with their texts and their addresses."""

from __future__ import annotations

from http import HTTPStatus

from playbook_service.console.frame import ROOT
from playbook_service.engine.version import on_disk, text_of, versions
from playbook_service.playbook import Playbook, Playbooks
from playbook_service.store.contract import Transaction
from playbook_service.web.message import Failure

PLACE = f"{ROOT}/playbooks"
SEVERITIES = {"error": "act", "warning": "ask", "info": "alone"}
"""Severity of a finding -> the class of its chip, the gravest first."""


def path_to(name: str, more: str = "") -> str:
    """The address of a playbook's page, or of one below it."""
    return f"{PLACE}/{name}{more}"


def named(playbooks: Playbooks, name: str) -> Playbook:
    """The playbook of that name. Raises Failure (404)."""
    book = playbooks.named(name)
    if book is None:
        sentence = f"No playbook in use has the name {name[:80]!r}: the page Playbooks lists them."
        raise Failure(HTTPStatus.NOT_FOUND, sentence)
    return book


def text_in_use(work: Transaction, book: Playbook) -> str:
    """The text that the playbook in use was read from: the file's, or as it was kept; empty where both are another."""
    return text_of(book) or next((one.text for one in versions(work, book.name, 1) if one.digest == book.digest), "")


def text_to_edit(work: Transaction, book: Playbook) -> str:
    """What an edit begins with: the text in use; failing that, what the file holds now."""
    return text_in_use(work, book) or on_disk(book).decode("utf-8-sig", "replace")

"""A node's data folder for the tests of backups, with a lease, a question and an audit chain in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data_folder import Folder

from playbook_service.audit.journal import AuditFiles, Journal
from playbook_service.store.sqlite import SqliteStore


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A node at work: two leases, a question, audit files that lack nothing, settings in a file."""
    folder = Folder(tmp_path, monkeypatch)
    folder.lease("L1")
    folder.lease("L2", target="203.0.113.8")
    folder.question("A1")
    write_audit_files(folder)
    settings = tmp_path / "propolis.yml"
    settings.write_text(f"policy: {tmp_path / 'policy.yml'}\nmode: enforce\n")
    monkeypatch.setenv("PROPOLIS_CONFIG", str(settings))
    monkeypatch.setenv("PROPOLIS_LISTEN", "127.0.0.1:1")  # nobody listens there
    return folder


def write_audit_files(folder: Folder) -> None:
    store = SqliteStore(folder.place / "propolis.db", folder.clock)
    AuditFiles(folder.place / "audit", lines_each=2).catch_up(Journal(store, folder.clock))
    store.close()

"""Which store a service opens is said by the setting `store`, and what is wrong with it in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from playbook_service.parts import open_store
from playbook_service.settings import load
from playbook_service.store.contract import StoreError
from playbook_service.store.moved import mark_moved
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
_WITHOUT = """
import sys
sys.modules["psycopg"] = None  # as if it were not installed
from playbook_service.cli import main
sys.exit(main(["serve"]))
"""


def settings(tmp_path: Path, store: str) -> Any:
    return load({"PROPOLIS_DATA_DIR": str(tmp_path / "data"), "PROPOLIS_STORE": store, "PROPOLIS_CONFIG": ""})


@pytest.mark.parametrize("word", ["", "sqlite"])
def test_without_a_url_it_is_a_file_in_the_data_folder(tmp_path: Path, clock: ManualClock, word: str):
    store = open_store(settings(tmp_path, word), clock)
    assert isinstance(store, SqliteStore)
    assert (tmp_path / "data" / "propolis.db").is_file()
    store.close()


@pytest.mark.daemon
def test_with_a_url_it_is_that_database_and_no_file_is_made(tmp_path: Path, clock: ManualClock, database: str):
    store = open_store(settings(tmp_path, database), clock)
    with store.transaction() as work:
        assert work.put("inbox", "a", {})
    assert not (tmp_path / "data" / "propolis.db").exists()
    store.close()


@pytest.mark.daemon
def test_a_node_whose_clock_is_wrong_says_so_at_its_start(
    tmp_path: Path, database: str, caplog: pytest.LogCaptureFixture
):
    open_store(settings(tmp_path, database), ManualClock(1_000_000_000.0)).close()
    assert "behind that of postgresql://127.0.0.1" in caplog.text
    assert "NTP" in caplog.text
    assert "s3cret" not in caplog.text


def test_what_is_neither_is_refused_by_the_name_of_the_setting(tmp_path: Path, clock: ManualClock):
    pytest.importorskip("psycopg")
    with pytest.raises(ConfigurationError, match=r"^store: must be `sqlite`, or a PostgreSQL URL"):
        open_store(settings(tmp_path, "redis://u:hidden@h"), clock)


def test_the_url_is_a_secret(tmp_path: Path):
    found = settings(tmp_path, "postgresql://propolis:hidden@db/propolis")
    assert "hidden" not in str(found)
    assert "postgresql://propolis:hidden@db/propolis" in found.secrets()


def test_a_store_that_was_moved_is_not_opened(tmp_path: Path, clock: ManualClock):
    open_store(settings(tmp_path, ""), clock).close()
    mark_moved(tmp_path / "data", "it was moved to postgresql://db:5432/propolis at 2026-01-01T00:00:00Z")
    with pytest.raises(StoreError, match="out of date: it was moved to postgresql://db:5432/propolis"):
        open_store(settings(tmp_path, ""), clock)


def test_without_the_extra_the_error_names_it(tmp_path: Path):
    environment = {"PROPOLIS_DATA_DIR": str(tmp_path / "data"), "PROPOLIS_STORE": "postgresql://u@h/d"}
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pip install 'propolis-ir[postgres]'.")

"""The rules of the house: who may import whom, who reads the time, who talks HTTP."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKERS = sorted(
    folder for room in ("analyzers", "responders") for folder in (ROOT / room).glob("*/") if folder.is_dir()
)
RUNTIME = {"cortexutils", "requests", "urllib3", "yaml"}  # urllib3 is what requests itself stands on
EXTRAS = {"ldap3", "psycopg", "waitress"}
SPARE = {"tests", "bench", ".venv", "build", "dist"}


def modules(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """The absolute module names that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def top(name: str) -> str:
    return name.partition(".")[0]


def product() -> list[Path]:
    return [path for path in modules(".") if not SPARE & set(path.relative_to(ROOT).parts)]


def installed() -> list[Path]:
    """The product without `deploy`: those programs run alone, where the package is not, and cannot import it."""
    return [path for path in product() if path.relative_to(ROOT).parts[0] != "deploy"]


def test_the_core_imports_nothing_of_ours():
    strangers = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("propolis")
        for name in imported(path)
        if top(name) in {"playbook_service", "analyzers", "responders", "backends"}
    }
    assert not strangers


def test_the_service_imports_the_core_and_never_a_worker():
    strangers = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("playbook_service")
        for name in imported(path)
        if top(name) in {"analyzers", "responders", "backends"}
    }
    assert not strangers


@pytest.mark.parametrize("worker", WORKERS, ids=lambda folder: folder.name)
def test_a_worker_imports_the_core_and_its_own_folder_only(worker: Path):
    own = {path.stem for path in worker.iterdir() if path.suffix == ".py" or path.is_dir()}
    allowed = set(sys.stdlib_module_names) | RUNTIME | EXTRAS | {"propolis"} | own
    strangers = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in worker.rglob("*.py")
        for name in imported(path)
        if top(name) not in allowed
    }
    assert not strangers


def test_at_run_time_only_the_agreed_libraries_are_needed():
    ours = {"propolis", "playbook_service"}
    strangers = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("propolis", "playbook_service")
        for name in imported(path)
        if top(name) not in set(sys.stdlib_module_names) | RUNTIME | EXTRAS | ours
    }
    assert not strangers


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_only_the_clock_reads_the_time():
    readings = {"time.time", "time.monotonic", "time.sleep", "datetime.now", "datetime.utcnow", "datetime.today"}
    readers = {str(path.relative_to(ROOT)) for path in installed() if readings & set(calls(path))}
    assert readers <= {"propolis/clock.py"}


def test_only_the_http_package_talks_http():
    doors = {"requests", "urllib.request", "http.client", "urllib3"}
    talkers = {
        str(path.relative_to(ROOT))
        for path in installed()
        if doors & set(imported(path)) and path.relative_to(ROOT).parts[:2] != ("propolis", "http")
    }
    assert not talkers


def test_every_module_is_worth_reading_at_one_sitting():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in product()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long

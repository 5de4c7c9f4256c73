"""The steps of the Dockerfiles, carried out in throw-away roots: what comes out runs as an image would.

`test_images.py` builds real images with Buildah; that takes minutes (`make test-long`). This is quick enough for every
change: the COPY, RUN, USER and ENTRYPOINT lines are those of the files, only the base is this machine's own Python.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dockerfile import PYTHON, Base, Build, Context, StepFailed, read
from image_lab import Container, copy_context, job

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = ROOT / "deploy" / "images" / "locks"
ANALYZER, WITH_LDAP = "analyzers/WazuhAlert", "responders/AccountDisable"

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_context(ROOT, tmp_path_factory.mktemp("context"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Base:
    need(os.geteuid() == 0, "root")
    need(PYTHON.exists(), "Debian's Python (python3, python3-venv)")
    found = Base(tmp_path_factory.mktemp("base"))
    for name in (ANALYZER, WITH_LDAP, "service"):
        found.fetch(LOCKS / f"{name}.txt")
    return found


@pytest.fixture(scope="module")
def analyzer(base: Base, context: Path, tmp_path_factory: pytest.TempPathFactory) -> Container:
    build = Build(base, Context(context), tmp_path_factory.mktemp("analyzer"), {"WORKER": ANALYZER, "VERSION": "0.1.0"})
    return build.run("Dockerfile.analyzers")


@pytest.fixture(scope="module")
def responder(base: Base, context: Path, tmp_path_factory: pytest.TempPathFactory) -> Container:
    build = Build(base, Context(context), tmp_path_factory.mktemp("responder"), {"WORKER": WITH_LDAP})
    return build.run("Dockerfile.analyzers")


@pytest.fixture(scope="module")
def service(base: Base, context: Path, tmp_path_factory: pytest.TempPathFactory) -> Container:
    return Build(base, Context(context), tmp_path_factory.mktemp("service"), {}).run("Dockerfile.service")


def imports(container: Container, *modules: str) -> str:
    """What Python says to these imports; nothing where all are there."""
    return container.run(["python3", "-c", f"import {', '.join(modules)}"]).stderr


def test_an_analyzer_answers_a_job_folder_as_cortex_gives_it(analyzer: Container, tmp_path: Path):
    alert = {"id": "1", "rule": {"id": "5710", "level": 5}, "data": {"srcip": "203.0.113.9"}}
    report = analyzer.job(tmp_path / "job", job(json.dumps(alert), "wazuh-alert"))
    assert report["success"] is True
    assert "203.0.113.9" in {artifact.get("data") for artifact in report["artifacts"]}
    assert analyzer.config["User"] == "1001:1001"  # Cortex's own image runs as it, and its job folders have mode 700
    assert analyzer.config["Labels"]["org.opencontainers.image.version"] == "0.1.0"


def test_a_responder_answers_too_and_has_the_library_of_its_extra(responder: Container, tmp_path: Path):
    data = {"_type": "case_artifact", "dataType": "username", "data": "mallory", "tags": [], "case": {"caseId": 1}}
    config = {"service": "contain", "backend": "activedirectory", "ad_server": "dc.example.org"}
    report = responder.job(tmp_path / "job", job(data, "thehive:case_artifact", **config))
    assert report["success"] is False
    assert "ad_" in report["errorMessage"]
    assert "Traceback" not in json.dumps(report)
    assert imports(responder, "ldap3", "requests", "yaml") == ""


def test_a_worker_without_that_extra_does_not_carry_it(analyzer: Container):
    assert imports(analyzer, "cortexutils") == ""
    assert "No module named 'ldap3'" in imports(analyzer, "ldap3")


def test_the_service_starts_read_only_and_its_health_check_tells_whether_it_does(service: Container, tmp_path: Path):
    assert service.config["User"] == "10001:10001"
    done = service.health(tmp_path / "data")
    assert done.stdout == "1 0 0\n", done.stderr
    assert (tmp_path / "data" / "propolis.db").is_file()
    assert imports(service, "psycopg") == ""


def test_nothing_that_lay_about_is_in_them_and_nothing_can_be_written_by_their_users(
    analyzer: Container, responder: Container, service: Container
):
    for container in (analyzer, responder, service):
        done = subprocess.run(["grep", "-rl", "canary-key", str(container.place)], capture_output=True, check=False)
        assert done.stdout == b""
        stats = [path.lstat() for path in (container.place / "opt").rglob("*") if not path.is_symlink()]
        assert len(stats) > 100
        assert {(entry.st_uid, entry.st_mode & 0o6022) for entry in stats} == {(0, 0)}
        assert not list((container.place / "opt" / "venv").rglob("pip"))
        assert not list((container.place / "tmp").iterdir())


def test_a_worker_that_cannot_answer_gets_no_image(base: Base, context: Path, tmp_path: Path):
    broken = copy_context(ROOT, tmp_path / "clone")
    (broken / ANALYZER / "wazuh_alert.py").write_text("#!/usr/bin/env python3\nraise SystemExit(0)\n", "utf-8")
    with pytest.raises(StepFailed, match="JSONDecodeError"):
        Build(base, Context(broken), tmp_path / "roots", {"WORKER": ANALYZER}).run("Dockerfile.analyzers")


@pytest.mark.parametrize("arguments", [{}, {"WORKER": "../etc"}])
def test_a_build_that_names_no_worker_says_what_to_name(
    base: Base, context: Path, tmp_path: Path, arguments: dict[str, str]
):
    with pytest.raises(StepFailed, match="Name the worker: --build-arg WORKER=responders/FirewallBlock"):
        Build(base, Context(context), tmp_path, arguments).run("Dockerfile.analyzers")


@pytest.mark.parametrize("name", ["Dockerfile.analyzers", "Dockerfile.service"])
def test_no_line_of_a_dockerfile_is_left_out(name: str):
    text = (ROOT / name).read_text("utf-8")
    begun = re.findall(r"^[A-Z]+(?= )", text, re.MULTILINE)
    assert [step.word for step in read(text)] == begun

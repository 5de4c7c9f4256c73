"""The process runner: a job folder, the worker's command, its output (`ProcessJobRunnerSrv.scala` of Cortex 4.1)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playbook_service.lab.cortex.configuration import job_config
from playbook_service.lab.cortex.job import Job
from playbook_service.lab.cortex.worker import DEFAULT_TIMEOUT
from propolis.clock import Clock

_LOOK = 0.2


class ProcessRunner:
    """Runs workers as processes. `environment` is added to the inherited one; job folders are made below `folder`.

    The running interpreter's folder is put first on PATH, so that `#!/usr/bin/env python3` finds the Python that has
    cortexutils: a real Cortex gets that from its installation.
    """

    def __init__(self, clock: Clock, folder: Path, environment: Mapping[str, str] | None = None):
        self._clock = clock
        self._folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._environment = {**os.environ, "PATH": path, **(environment or {})}
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def open(self) -> None:
        """Allow processes again after `close`."""
        self._closed = False

    def close(self) -> None:
        """Kill what runs, as the death of a Cortex does."""
        with self._lock:
            self._closed = True
            for process in self._processes:
                _kill(process)

    def run(self, job: Job) -> dict[str, Any] | None:
        """The report of a job (a failure report where there is none); None when the runner was closed meanwhile."""
        folder = Path(tempfile.mkdtemp(prefix=f"cortex-job-{job.id}-", dir=self._folder))
        try:
            write_input(job, folder)
            printed = self._execute(job, folder)
            return None if self._closed else read_output(folder, printed)
        finally:
            shutil.rmtree(folder)

    def _execute(self, job: Job, folder: Path) -> str:
        command, home = job.worker.definition.command, job.worker.definition.folder
        if command is None or home is None:
            return "no command: this worker can only be run as a Docker image"
        environment = dict(self._environment)
        if (folder / "input" / "cacerts").exists():
            environment["REQUESTS_CA_BUNDLE"] = str(folder / "input" / "cacerts")
        try:
            process = self._start([str(command), str(folder)], home.parent, environment)
        except OSError as error:
            return f"{command.name} cannot be started: {error.strerror}"
        minutes = job.worker.timeout if job.worker.timeout is not None else DEFAULT_TIMEOUT
        try:
            return self._await(process, minutes)
        finally:
            with self._lock:
                self._processes.discard(process)

    def _start(self, command: list[str], home: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with self._lock:
            process = subprocess.Popen(
                command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._processes.add(process)
            if self._closed:
                _kill(process)
        return process

    def _await(self, process: subprocess.Popen[bytes], minutes: float) -> str:
        deadline = self._clock.monotonic() + minutes * 60
        while True:
            try:
                return process.communicate(timeout=_LOOK)[0].decode("utf-8", "replace")
            except subprocess.TimeoutExpired:
                if self._clock.monotonic() >= deadline:
                    _kill(process)
                    process.communicate()
                    return f"Timeout: the job ran longer than {minutes:g} minutes"


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def write_input(job: Job, folder: Path) -> None:
    """Lay out the job folder: `input/input.json`, the attachment, the CA file, and an empty `output/`."""
    (folder / "input").mkdir()
    (folder / "output").mkdir()
    saved = job.worker.configuration
    if saved.get("cacerts"):
        (folder / "input" / "cacerts").write_text(saved["cacerts"], encoding="utf-8")
    document = {**_subject(job, folder), **_frame(job), "config": job_config(job.worker.definition, saved)}
    text = json.dumps(document, ensure_ascii=False)
    (folder / "input" / "input.json").write_bytes(text.encode("utf-8", "replace"))


def _subject(job: Job, folder: Path) -> dict[str, Any]:
    task = job.task
    if task.file is not None:
        name = f"attachment{job.created_at}{job.id[-4:]}"
        (folder / "input" / name).write_bytes(task.file.body)
        return {"file": name, "filename": task.file.filename, "contentType": task.file.content_type}
    if job.worker.definition.type == "responder":
        return {"data": json.loads(task.data or "null")}
    return {"data": task.data}


def _frame(job: Job) -> dict[str, Any]:
    task = job.task
    return {
        "dataType": task.data_type, "tlp": task.tlp, "pap": task.pap, "message": task.message,
        "parameters": task.parameters,
    }  # fmt: skip


def read_output(folder: Path, printed: str) -> dict[str, Any]:
    """The report in `output/output.json`; a failure with what the process printed where there is none to use."""
    path = folder / "output" / "output.json"
    text = path.read_bytes() if path.is_file() else b""
    if not text.strip():
        return failure(printed)
    try:
        report = json.loads(text)
    except ValueError as error:
        return failure(f"Invalid output: {error}")
    return checked(report)


def checked(report: Any) -> dict[str, Any]:
    """A report as Cortex accepts it; anything else becomes a failure that says why."""
    if not isinstance(report, dict):
        return failure("Invalid output: not a JSON object")
    if report.get("success") is not True:
        return {**report, "success": False, "errorMessage": str(report.get("errorMessage", "unknown error"))}
    if not isinstance(report.get("full", {}), dict):
        return failure("Invalid output: full must be an object")
    for name in ("artifacts", "operations"):
        if not isinstance(report.get(name) or [], list):
            return failure(f"Invalid output: {name} must be a list")
    return report


def failure(message: str) -> dict[str, Any]:
    """A failure report."""
    return {"success": False, "errorMessage": message, "input": ""}

"""Start a worker exactly as Cortex's process runner does, and read what it leaves behind.

Cortex 4.1 (`ProcessJobRunnerSrv`) executes `<command> <job folder>` with the parent of the worker's folder as the
working directory and the environment it has itself; the report is `output/output.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent


class Report(NamedTuple):
    """What came out of a job."""

    body: dict[str, Any]
    """`output/output.json`, strictly parsed."""
    text: str
    """The same as it stands in the file, with everything that was printed: secrets are looked for in it."""
    returncode: int

    @property
    def success(self) -> bool:
        return self.body["success"] is True

    @property
    def full(self) -> dict[str, Any]:
        """The report of a job that succeeded."""
        assert self.success, self.body
        return dict(self.body["full"])

    @property
    def error(self) -> str:
        """The sentence of a job that failed."""
        assert self.body["success"] is False, self.body
        return str(self.body["errorMessage"])


def definition(room: str, worker: str, flavour: str) -> dict[str, Any]:
    """A worker's definition file: `definition("responders", "FirewallBlock", "FirewallUnblock")`."""
    loaded: dict[str, Any] = json.loads((ROOT / room / worker / f"{flavour}.json").read_text())
    return loaded


def run_job(
    folder: Path,
    room: str,
    definition: dict[str, Any],
    job: dict[str, Any],
    *,
    prefix: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
    raw: bytes | None = None,
) -> Report:
    """Run one job in a fresh folder.

    `prefix` is put before the command (`ip netns exec fw`); `raw` replaces the input file's content.
    """
    (folder / "input").mkdir(parents=True)
    (folder / "output").mkdir()
    (folder / "input" / "input.json").write_bytes(raw if raw is not None else json.dumps(job).encode())
    command = (ROOT / room / definition["command"]).resolve()
    done = subprocess.run(
        [*prefix, str(command), str(folder)],
        cwd=ROOT / room,
        env={**_environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode("utf-8", "replace")
    output = folder / "output" / "output.json"
    assert output.is_file(), f"no report; the process printed: {printed}"
    text = output.read_text("utf-8")
    body = json.loads(text, parse_constant=_refuse_constant)
    return Report(body, text + printed, done.returncode)


def _environment() -> dict[str, str]:
    """The test's own environment with this interpreter first, as an installed bundle would have it."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path}


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")

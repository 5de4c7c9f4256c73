"""The stage: the lab with its products, the service, and one folder that holds everything of theirs.

Nothing here leaves the machine: all servers listen on loopback, and the analyzers answer from recorded reports.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from playbook_service.demo.calendar import moved
from playbook_service.demo.prepare import Access, prepare
from playbook_service.demo.shelf import Shelf
from playbook_service.lab import Lab
from playbook_service.lab.lab import ORGANISATION
from playbook_service.lab.product import DIRECTORY, ENDPOINTS, FIREWALL, Product
from playbook_service.service import Service
from playbook_service.settings import load
from propolis.clock import Clock, SystemClock
from propolis.containment.backend import Subject
from propolis.duration import duration_text
from propolis.errors import PropolisError
from propolis.http import session

ROOT = Path(__file__).resolve().parents[2]
"""Where the packages lie: a clone, with `analyzers` beside them, or an installation."""
SAMPLES = Path(__file__).resolve().parents[1] / "samples"
WORKERS = Path(__file__).resolve().parents[1] / "lab" / "workers"
_FLAVOURS = {
    "firewall": ("FirewallBlock", "FirewallUnblock"),
    "directory": ("AccountDisable", "AccountEnable"),
    "endpoints": ("IsolateHost", "ReleaseHost"),
}
_KINDS = {"firewall": FIREWALL, "directory": DIRECTORY, "endpoints": ENDPOINTS}
_ANSWER_DELAY = 0.2  # seconds that a recorded report takes to be answered
_STARTS_WITHIN = 20.0

PEOPLE: Mapping[str, tuple[Subject, ...]] = {
    "firewall": (),
    "directory": (
        Subject("backup", "backup", ("backup@example.com",), groups=("Domain Users", "Tape Rotation")),
        Subject("mkeller", "mkeller", ("mkeller@example.com",), groups=("Domain Users", "Finance")),
        Subject("svc-backup", "svc-backup", types=("service account",)),
        Subject("administrator", "administrator", groups=("Domain Admins",), privileged=True),
    ),
    "endpoints": (
        Subject("006", "FIN-WS07", ids=("006",), types=("workstation",), addresses=("192.0.2.71",)),
        Subject("013", "DEV-WS11", ids=("013",), types=("workstation",), addresses=("192.0.2.75",)),
        Subject("002", "web02", ids=("002",), types=("server",), addresses=("192.0.2.11",)),
        Subject("004", "DC01", ids=("004",), tags=("tier0",), addresses=("192.0.2.20",)),
    ),
}
"""Whom Example Corp's products know."""


class Terms(NamedTuple):
    """How the demo is to be played."""

    version: int = 5
    """Of TheHive: 4 or 5."""
    lease: int = 25
    """Seconds that a containment lasts at most, so that its end is seen; the playbooks say 24 hours."""


class Stage:
    """A context manager; everything runs inside, and has stopped after it. `folder` must be empty."""

    def __init__(self, folder: Path, terms: Terms, clock: Clock | None = None):
        self.clock = clock or SystemClock()
        self.terms = terms
        self.folder = folder
        self.token = secrets.token_urlsafe(24)
        self.policy = _policy(folder / "policy.yml", terms.lease)
        self.shelf = Shelf(folder / "playbooks")
        self.products = {
            name: Product(folder / f"{name}.json", kind, self.clock).create(PEOPLE[name])
            for name, kind in _KINDS.items()
        }
        self.alerts = self._samples("alerts.jsonl")
        self.reports = self._samples("reports.jsonl")
        self.lab = self._lab()
        self.service: Service | None = None
        self.prepared: list[str] = []
        self._log = _LogFile(folder / "service.log")

    def __enter__(self) -> Stage:
        self._log.open()
        self.lab.start()
        try:
            self._start_service()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.service is not None:
            self.service.stop()
        self.lab.stop()
        self._log.close()

    @property
    def running(self) -> Service:
        """The service."""
        if self.service is None:
            raise PropolisError("The service was not started.")
        return self.service

    @property
    def url(self) -> str:
        """Where the service listens."""
        return f"http://127.0.0.1:{self.running.port}"

    def send(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """What Wazuh's integration does: each alert to the service's hook. Raises HttpError."""
        with session(self.url, headers={"Authorization": f"Bearer {self.token}"}, secrets=(self.token,)) as client:
            for alert in alerts:
                client.post("/hooks/wazuh", json=dict(alert), accept={202})

    def _samples(self, name: str) -> Path:
        """A copy of a sample file as if it had been recorded lately."""
        text = (SAMPLES / name).read_text(encoding="utf-8")
        path = self.folder / name
        path.write_text(moved(text, self.clock.now()), encoding="utf-8")
        return path

    def _lab(self) -> Lab:
        analyzers = [ROOT / "analyzers"] if (ROOT / "analyzers").is_dir() else []
        lab = Lab(
            self.terms.version, analyzers=analyzers, responders=[self._workers()], reports=[self.reports],
            answer_delay=_ANSWER_DELAY, clock=self.clock, environment={"PYTHONPATH": _path()},
        )  # fmt: skip
        for name, flavours in _FLAVOURS.items():
            for flavour in flavours:
                lab.enable(f"{flavour}_1_0", self._configuration(name))
        if analyzers:
            lab.enable("ConsensusScore_1_0", jobCache=0)  # as docs/install.md says: its inputs change
        lab.enable_all()
        return lab

    def _workers(self) -> Path:
        """A copy of the lab's responders that can be executed: an installed package has lost the permission."""
        folder = self.folder / "workers"
        shutil.copytree(WORKERS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for script in folder.glob("*/*.py"):
            script.chmod(0o755)
        return folder

    def _configuration(self, product: str) -> dict[str, Any]:
        state = str(self.products[product].path)
        return {"backend": "lab", "state_file": state, "policy": self.policy, "dry_run": False}

    def _start_service(self) -> None:
        """The service comes up first, so that TheHive's webhook has somewhere to go."""
        self.service = Service(load({}, self._settings(port=0)), self.clock)
        self.service.start()
        self._settings(self.service.port)
        lab = self.lab
        access = Access(lab.thehive_url, lab.version, lab.keys.admin, lab.keys.orgadmin, ORGANISATION)
        self.prepared = prepare(access, f"{self.url}/hooks/thehive", self.token)
        deadline = self.clock.monotonic() + _STARTS_WITHIN
        while self.service.engine is None:
            if self.clock.monotonic() > deadline:
                raise PropolisError(f"The engine did not start within {_STARTS_WITHIN:g} s: see {self._log.path}.")
            self.clock.sleep(0.05)

    def _settings(self, port: int) -> Path:
        """The service's settings file, as an operator would write it; only its owner can read the folder. Once the
        service has a port it names that, so that commands and `propolis doctor` find it."""
        path = self.folder / "propolis.yml"
        lines = {
            "listen": f"127.0.0.1:{port}", "data_dir": self.folder / "data", "mode": "enforce",
            "playbooks": self.shelf.folder, "policy": self.folder / "policy.yml", "webhook_token": self.token,
            "thehive_url": self.lab.thehive_url, "thehive_key": self.lab.keys.service,
            "cortex_url": self.lab.cortex_url, "cortex_key": self.lab.keys.cortex_service,
            "approvers": "[approver@soc.example]",
        }  # fmt: skip
        path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()), encoding="utf-8")
        return path


def _policy(path: Path, seconds: int) -> str:
    """Example Corp's policy, but that every containment ends while somebody is looking."""
    text = (SAMPLES / "policy.yml").read_text(encoding="utf-8")
    short = duration_text(seconds)
    changed = []
    for line in text.splitlines():
        word = line.strip().partition(":")[0]
        changed.append(f"  {word}: {short}" if word in ("default_ttl", "max_ttl") else line)
    path.write_text("\n".join(changed) + "\n", encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _path() -> str:
    """Where processes of the lab find the packages, from wherever the demo itself was started."""
    return os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)


class _LogFile:
    """What the service logs goes to a file, so that the story can be read."""

    def __init__(self, path: Path):
        self.path = path
        self._logger = logging.getLogger("propolis")
        self._handler: logging.Handler | None = None
        self._before = (self._logger.level, self._logger.propagate)

    def open(self) -> None:
        handler = logging.FileHandler(self.path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._handler = handler
        self._logger.addHandler(handler)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False

    def close(self) -> None:
        if self._handler is not None:
            self._logger.removeHandler(self._handler)
            self._handler.close()
        level, propagate = self._before
        self._logger.setLevel(level)
        self._logger.propagate = propagate

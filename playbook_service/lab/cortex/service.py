"""The embedded Cortex as a whole: state, who may call what, and the way from a request to its handler."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from playbook_service.lab.cortex.configuration import check
from playbook_service.lab.cortex.definition import Catalog, WorkerDefinition, scan
from playbook_service.lab.cortex.people import People, User
from playbook_service.lab.cortex.queue import JobQueue
from playbook_service.lab.cortex.runner import ProcessRunner
from playbook_service.lab.cortex.worker import RATE_UNITS, Worker, worker_id
from playbook_service.lab.exchange import Reply, Request, attribute_error, bad_request, forbidden, not_found
from playbook_service.lab.faults import Faults
from playbook_service.lab.route import Route, Router
from playbook_service.lab.scripted import Script
from propolis.clock import Clock

VERSION = "4.1.0-1"
Handler = Callable[["Cortex", User, Request], Reply]
_ANYBODY = User("", "", "", ())


class Cortex:
    """One Cortex. `stopping` is set while its server goes down, so that whoever waits here stops waiting."""

    def __init__(
        self,
        clock: Clock,
        faults: Faults,
        script: Script,
        folder: Path,
        *,
        parallel: int = 4,
        environment: Mapping[str, str] | None = None,
    ):
        from playbook_service.lab.cortex.api import ROUTES

        self.clock = clock
        self.people = People()
        self.jobs = JobQueue(clock, ProcessRunner(clock, folder, environment), script, faults, parallel)
        self.stopping = threading.Event()
        self.workers: dict[str, Worker] = {}
        self._places: dict[str, list[Path]] = {"analyzer": [], "responder": []}
        self._script = script
        self._router: Router[Handler] = Router(ROUTES)
        self._lock = threading.RLock()
        self._catalogs: dict[str, Catalog] = {}
        self.rescan()

    def start(self) -> None:
        """Begin to run jobs."""
        self.stopping.clear()
        self.jobs.start()

    def stop(self) -> None:
        """Kill the jobs that run, wake who waits."""
        self.stopping.set()
        self.jobs.stop()

    def now(self) -> int:
        """Epoch ms."""
        return int(self.clock.now() * 1000)

    def add_places(self, kind: str, places: Iterable[Path]) -> None:
        """Read worker definitions from these folders or files too (`analyzer.urls`, `responder.urls`)."""
        self._places[kind] += places
        self.rescan()

    def rescan(self) -> None:
        """Read all definitions anew."""
        with self._lock:
            self._catalogs = {kind: scan(kind, places) for kind, places in self._places.items()}
            self._catalogs["analyzer"].definitions.update(
                (definition.id, definition) for definition in self._script.definitions()
            )

    @property
    def invalid_definitions(self) -> list[str]:
        """The JSON files in workers' folders that are no definitions, with the reason."""
        return [text for catalog in self._catalogs.values() for text in catalog.invalid]

    def definitions(self, kind: str) -> list[WorkerDefinition]:
        """The known definitions of `analyzer`s or `responder`s."""
        return list(self._catalogs[kind].definitions.values())

    def enable(
        self, kind: str, definition_id: str, organization: str, login: str, document: Mapping[str, Any]
    ) -> Worker:
        """Enable a worker for an organisation. Raises ApiError for a configuration that Cortex would refuse."""
        definition = self._catalogs[kind].definitions.get(definition_id)
        if definition is None:
            raise not_found(f"{kind} definition {definition_id} not found")
        name = str(document.get("name") or definition_id)
        identity = worker_id(organization, definition_id, name)
        if identity in self.workers:
            raise bad_request(f"[document already exists: worker {name}]")
        worker = Worker(identity, definition, name, organization, {}, login, self.now())
        return self._save(worker, document)

    def change(self, worker: Worker, document: Mapping[str, Any]) -> Worker:
        """Change the name, configuration, rate or cache of a worker, under the same checks."""
        kept = {"configuration": worker.configuration, "rate": worker.rate, "rateUnit": worker.rate_unit}
        kept |= {"jobCache": worker.cache, "jobTimeout": worker.timeout, "name": worker.name}
        return self._save(worker, {**kept, **document})

    def _save(self, worker: Worker, document: Mapping[str, Any]) -> Worker:
        given = document.get("configuration") or {}
        if not isinstance(given, Mapping):
            raise attribute_error("[InvalidFormatAttributeError(configuration)]", tableName="worker")
        unit = document.get("rateUnit")
        if unit is not None and unit not in RATE_UNITS:
            raise attribute_error("[InvalidFormatAttributeError(rateUnit)]", tableName="worker")
        known = {name: value for name, value in given.items() if value is not None}
        worker = replace(
            worker, name=document.get("name") or worker.name, configuration=check(worker.definition, known),
            rate=document.get("rate"), rate_unit=unit, cache=document.get("jobCache"),
            timeout=document.get("jobTimeout"),
        )  # fmt: skip
        self.workers[worker.id] = worker
        return worker

    def refresh(self, definition_id: str) -> None:
        """Have enabled workers follow a definition that was read anew."""
        for worker in list(self.workers.values()):
            found = self._catalogs[worker.definition.type].definitions.get(definition_id)
            if worker.definition.id == definition_id and found is not None:
                self.workers[worker.id] = replace(worker, definition=found)

    def enabled(self, kind: str, organization: str) -> list[Worker]:
        """The enabled workers of an organisation."""
        with self._lock:
            workers = list(self.workers.values())
        return [one for one in workers if one.definition.type == kind and one.organization == organization]

    def worker(self, kind: str, identity: str, organization: str) -> Worker:
        """An enabled worker by its id. Raises ApiError 404."""
        worker = self.workers.get(identity)
        if worker is None or worker.definition.type != kind or worker.organization != organization:
            raise not_found(f"{kind} {identity} not found")
        return worker

    def answer(self, request: Request) -> Reply:
        """Handle a request. Raises ApiError."""
        found = self._router.find(request.method, request.path)
        if found is None:
            raise not_found(f"No such route: {request.method} {request.path}")
        route, slots = found
        user = _ANYBODY if route.public else self._caller(request, route)
        if route.free:
            return route.handler(self, user, request.at(slots))
        with self._lock:
            return route.handler(self, user, request.at(slots))

    def _caller(self, request: Request, route: Route[Handler]) -> User:
        user = self.people.authenticate(request)
        if route.right is not None and not user.may(route.right):
            raise forbidden("Insufficient rights to perform this action")
        return user

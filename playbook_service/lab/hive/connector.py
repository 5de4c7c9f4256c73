"""TheHive's connector to Cortex: starts jobs and actions there, watches them, takes their reports in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from playbook_service.lab.agenda import Agenda
from playbook_service.lab.exchange import ApiError, not_found
from playbook_service.lab.hive import attachments, report
from playbook_service.lab.hive.account import Account, account_of
from playbook_service.lab.hive.audit import Audit
from playbook_service.lab.hive.cortexclient import CortexServer, Submission
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.kind import V0_TYPES
from playbook_service.lab.hive.operation import UnknownOperationError
from playbook_service.lab.hive.service import Hive
from propolis.http import HttpError

MOST_ERRORS = 3
_DONE = ("Success", "Failure", "Deleted", "NotFound")
Worker = dict[str, Any]


class Connector:
    """`refresh`: seconds between looks at unfinished jobs; a Cortex in the same lab wakes it when a job ends."""

    def __init__(self, hive: Hive, servers: Sequence[CortexServer], refresh: float = 1.0):
        self.agenda = Agenda("connector", hive.clock, 2)
        self.servers = list(servers)
        self._hive = hive
        self._refresh = refresh
        self._watched: dict[tuple[str, str], list[str]] = {}
        self._errors: dict[str, int] = {}
        self._planned = self._timed = False
        hive.extensions["connector"] = self

    def start(self) -> None:
        """Begin to work. Version 5 goes on watching what was unfinished, version 4 has forgotten it (TH#2411)."""
        self._watched = {}
        self._planned = self._timed = False
        self.agenda.start()
        if self._hive.version == 5:
            with self._hive.store.transaction():
                for work in [*self._hive.store.all("Job"), *self._hive.store.all("Action")]:
                    if work["status"] in ("Waiting", "InProgress") and work.get("cortexJobId"):
                        self._watched.setdefault((work["cortexId"], work["cortexJobId"]), []).append(work.id)
        self.wake()

    def stop(self) -> None:
        """Stop watching."""
        self.agenda.stop()

    def close(self) -> None:
        """Hang up on every Cortex."""
        for server in self.servers:
            server.close()

    def health(self) -> dict[str, Any]:
        """`connectors.cortex` of TheHive's status."""
        servers = [server.health() for server in self.servers]
        good = [one for one in servers if one["status"] == "OK"]
        status = "OK" if len(good) == len(servers) else "WARNING" if good else "ERROR"
        return {"enabled": True, "status": status, "servers": servers}

    # --- workers -----------------------------------------------------------------------------------------------------

    def workers(self, kind: str) -> list[Worker]:
        """The workers of all servers as TheHive shows them, with the limits that only it looks at."""
        found: dict[str, Worker] = {}
        for server in self.servers:
            for one in self._listed(server, kind):
                names = ("id", "name", "version", "description", "dataTypeList", "maxTlp", "maxPap")
                shown = found.setdefault(one["name"], {name: one.get(name) for name in names} | {"cortexIds": []})
                shown["cortexIds"].append(server.name)
        return list(found.values())

    def _listed(self, server: CortexServer, kind: str) -> list[Worker]:
        try:
            return server.workers(kind)
        except HttpError:  # a Cortex that is down has no workers; the status says that it is down
            return []

    def find(self, kind: str, name: str, server_name: str | None) -> tuple[CortexServer, Worker] | None:
        """A worker by id or by name, on one server or on the first that has it."""
        for server in self.servers:
            if server_name in (None, server.name):
                for one in self._listed(server, kind):
                    if name in (one["id"], one["name"]):
                        return server, one
        return None

    # --- starting ----------------------------------------------------------------------------------------------------

    def run_analyzer(self, who: Account, name: str, server_name: str | None, observable_id: str, more: Any) -> Entity:
        """Start an analyzer on an observable. Raises ApiError."""
        with self._hive.store.transaction():
            observable = self._observable(who, observable_id)
            what = self._question(who, observable, more if isinstance(more, dict) else {})
        found = self.find("analyzer", name, server_name)
        if found is None:
            return self._unknown(who, observable, name, server_name)
        server, worker = found
        job = self._submit(server, "analyzer", worker, what)
        fields = {
            "analyzerId": worker["id"], "analyzerName": worker["name"],
            "analyzerDefinition": worker["workerDefinitionId"], "cortexId": server.name, "cortexJobId": job["id"],
        }  # fmt: skip
        return self._keep("Job", who, observable, fields)

    def _observable(self, who: Account, identity: str) -> Entity:
        observable = self._hive.get("Observable", identity, who)
        if self._hive.version == 4 and self._hive.above(observable, "Case") is None:
            raise not_found("Observable not found")  # version 4 analyses observables of cases only
        return observable

    def _unknown(self, who: Account, observable: Entity, name: str, server_name: str | None) -> Entity:
        """Version 5 accepts a job for an analyzer that there is not; it stays Waiting."""
        if self._hive.version == 4:
            raise not_found(f"Cortex analyzer {name} not found")
        fields = {"analyzerId": name, "analyzerName": name, "analyzerDefinition": name, "cortexId": server_name or ""}
        return self._keep("Job", who, observable, fields)

    def _question(self, who: Account, observable: Entity, more: Mapping[str, Any]) -> Submission:
        case = self._hive.above(observable, "Case")
        attachment = self._hive.store.find(observable.get("attachment"))
        pap = case["pap"] if case is not None and self._hive.version == 4 else observable["pap"]
        data = observable.get("data")
        return Submission(
            data, observable["dataType"], observable["tlp"], pap, "" if case is None else str(case["number"]),
            {**more, "organisation": who.organisation, "user": who.login}, f"[{observable['dataType']}] {data}",
            None if attachment is None else attachments.body(self._hive, attachment),
        )  # fmt: skip

    def run_responder(
        self, who: Account, name: str, server_name: str | None, kind: str, target_id: str, more: Any
    ) -> Entity:
        """Start a responder on an entity. Raises ApiError."""
        with self._hive.store.transaction():
            target = self._hive.get(kind, target_id, who)
            what = self._demand(who, target, more if isinstance(more, dict) else {})
        found = self.find("responder", name, server_name)
        if found is None:
            raise not_found(f"Cortex responder {name} not found")
        server, worker = found
        job = self._submit(server, "responder", worker, what)
        fields = {
            "responderId": worker["id"], "responderName": worker["name"],
            "responderDefinition": worker["workerDefinitionId"], "cortexId": server.name, "cortexJobId": job["id"],
            "objectType": target.kind, "objectId": target.id, "report": "{}",
        }  # fmt: skip
        return self._keep("Action", who, target, fields)

    def _demand(self, who: Account, target: Entity, more: Mapping[str, Any]) -> Submission:
        gates = self.gates(target)
        word = V0_TYPES[target.kind]
        parameters = {**more, "organisation": who.organisation, "user": who.login}
        data = self._hive.view0.nested(target)
        return Submission(data, f"thehive:{word}", *gates, "", parameters, f"{word} {target.id}")

    def gates(self, target: Entity) -> tuple[int, int]:
        """TLP and PAP of an entity, or of the case it belongs to."""
        holder = target if target.get("tlp") is not None else self._hive.above(target, "Case", "Alert") or target
        pap = target if target.get("pap") is not None else self._hive.above(target, "Case", "Alert") or target
        return holder.get("tlp", 2), pap.get("pap", 2)

    def _submit(self, server: CortexServer, kind: str, worker: Worker, what: Submission) -> dict[str, Any]:
        try:
            return server.submit(kind, worker["id"], what)
        except HttpError as error:
            raise ApiError(500, "InternalError", f"Cortex {server.name}: {error.message}") from error

    def _keep(self, kind: str, who: Account, parent: Entity, fields: Mapping[str, Any]) -> Entity:
        now = self._hive.now()
        whole = {**fields, "status": "Waiting", "startDate": now, "operations": "[]"}
        if self._hive.version == 4:
            whole["endDate"] = now
        with self._hive.transaction():
            made = self._hive.make(kind, whole, who, parent=parent, organisation=who.organisation)
            self._hive.audit("create", made, who, self._details(made))
            if fields.get("cortexJobId"):
                self._watched.setdefault((fields["cortexId"], fields["cortexJobId"]), []).append(made.id)
        self.wake()
        return made

    def _details(self, made: Entity) -> dict[str, Any]:
        shown = self._hive.view1.draw(made, bare=True)
        if self._hive.version == 5:
            return shown | ({} if made.get("endDate") else {"endDate": made["startDate"]})
        bare = {name: value for name, value in shown.items() if not name.startswith("_")}
        if made.kind == "Action":
            return {name: value for name, value in bare.items() if name != "endDate"}
        head = {"_type": "case_artifact_job", "id": made.id, "objectType": "Observable", "objectId": made.parent}
        return bare | head

    # --- watching ----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look at the unfinished jobs now."""
        with self._hive.store.transaction():
            if self._planned:
                return
            self._planned = True
        self.agenda.add(self._look)

    def _look(self) -> None:
        with self._hive.store.transaction():
            self._planned = False
            watched = {key: list(ids) for key, ids in self._watched.items()}
        for server in self.servers:
            jobs = [job for name, job in watched if name == server.name]
            if jobs:
                self._look_at(server, jobs)
        with self._hive.store.transaction():
            again = bool(self._watched) and not self._timed
            self._timed = self._timed or again
        if again:
            self.agenda.add(self._tick, self._refresh, counts=False)

    def _tick(self) -> None:
        with self._hive.store.transaction():
            self._timed = False
        self.wake()

    def _look_at(self, server: CortexServer, jobs: list[str]) -> None:
        try:
            statuses = server.statuses(jobs)
            for job in jobs:
                if statuses.get(job) in _DONE:
                    self._end(server, job, statuses[job])
        except HttpError:
            self._count_error(server)
        else:
            self._errors[server.name] = 0

    def _count_error(self, server: CortexServer) -> None:
        """Version 4 gives up all watched jobs after three failed looks."""
        self._errors[server.name] = self._errors.get(server.name, 0) + 1
        if self._hive.version == 4 and self._errors[server.name] >= MOST_ERRORS:
            with self._hive.store.transaction():
                self._watched = {key: ids for key, ids in self._watched.items() if key[0] != server.name}

    def _end(self, server: CortexServer, job: str, status: str) -> None:
        gone = {"success": False, "errorMessage": f"Job {job} is {status} in Cortex"}
        answer: dict[str, Any] = {"report": gone} if status in ("Deleted", "NotFound") else server.report(job)
        with self._hive.store.transaction():
            ids = self._watched.pop((server.name, job), [])
        for identity in ids:
            self._finish(identity, answer["report"], int(answer.get("endDate") or self._hive.now()))

    def _finish(self, identity: str, outcome: Mapping[str, Any], ended: int) -> None:
        with self._hive.store.transaction():
            work = self._hive.store.find(identity)
            who = None if work is None else self.launcher(work.created_by, work.organisation)
        if work is None or who is None:
            return
        finish: Callable[..., None] = report.finish_job if work.kind == "Job" else report.finish_action
        try:
            finish(self._hive, who, work, outcome, ended)
        except UnknownOperationError:  # TheHive 4: the job or action stays as it is for ever
            return

    def launcher(self, login: str, organisation: str) -> Account | None:
        """The account of a user in an organisation, None where they are gone."""
        user = self._hive.store.by_key("User", (login,))
        if user is None:
            return None
        try:
            return account_of(self._hive.store, user, organisation, self._hive.version)
        except ApiError:
            return None

    # --- notifiers ---------------------------------------------------------------------------------------------------

    def notify_analyzer(self, rule: Mapping[str, Any], audit: Audit) -> None:
        """The notifier RunAnalyzer: the analyzers it names, as far as they take the observable's data type.

        In version 4 it looks the name up among the responders and so never starts anything.
        """
        observable = self._hive.store.find(audit.object_id)
        who = self.launcher(audit.by, audit.organisation)
        if self._hive.version == 4 or observable is None or observable.kind != "Observable" or who is None:
            return
        self.agenda.add(lambda: self._run_analyzers(_named(rule, "analyzer"), observable, who))

    def _run_analyzers(self, names: list[str], observable: Entity, who: Account) -> None:
        for worker in self.workers("analyzer"):
            wanted = worker["name"] in names or worker["id"] in names
            if wanted and observable["dataType"] in (worker["dataTypeList"] or ()):
                self._quietly(partial(self.run_analyzer, who, worker["name"], None, observable.id, {}))

    def notify_responder(self, rule: Mapping[str, Any], audit: Audit) -> None:
        """The notifier RunResponder: the responders it names, on the audit's object, without parameters."""
        target = self._hive.store.find(audit.object_id)
        who = self.launcher(audit.by, audit.organisation)
        if target is not None and target.kind == "Action":
            target = self._hive.store.find(target.parent)
        if target is None or who is None or target.kind not in V0_TYPES:
            return
        self.agenda.add(lambda: self._run_responders(_named(rule, "responder"), target, who))

    def _run_responders(self, names: list[str], target: Entity, who: Account) -> None:
        for name in names:
            self._quietly(partial(self.run_responder, who, name, None, target.kind, target.id, {}))

    def _quietly(self, start: Callable[[], object]) -> None:
        """A notifier that cannot start a worker writes a line into a log that nobody reads."""
        try:
            start()
        except ApiError:
            return


def _named(rule: Mapping[str, Any], kind: str) -> list[str]:
    names = rule.get(f"{kind}s") or rule.get(f"{kind}Name") or []
    return [names] if isinstance(names, str) else list(names)

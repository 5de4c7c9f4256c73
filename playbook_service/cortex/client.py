"""Cortex, by its REST API: who is there, what ran, what it said, and runs of analyzers and responders.

Most of the service's runs go through TheHive; this client is what wakes it when a job is done, and what is used where
there is no observable to hang a run on. A run is never repeated: whether it began is seen in `search_jobs`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from playbook_service import jsonread
from playbook_service.cortex import reading
from playbook_service.cortex.model import CortexJob, CortexWorker
from playbook_service.hive.multipart import Part, encode
from propolis.clock import Clock, SystemClock
from propolis.errors import ConfigurationError, InputError
from propolis.http import Client, HttpError, Response, segment, session

PAGE = 100
MOST_JOBS = 2_000
LONGEST_WAIT = 60.0
_READ, _ANALYZE = "read", "analyze"


class Cortex:
    """One organisation of one Cortex, with one account's key. Threads may share it."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        ca_file: str | Path | None = None,
        proxy: str | None = None,
        clock: Clock | None = None,
        timeout: tuple[float, float] = (5.0, 30.0),
        retries: int = 2,
        budget: float = 90.0,
    ):
        if not key.strip():
            raise ConfigurationError("The API key of Cortex is missing: set cortex_key.")
        headers = {"Authorization": f"Bearer {key.strip()}"}
        time = clock or SystemClock()

        def opened(wait: float) -> Client:
            return session(
                url, headers=headers, ca_file=ca_file, proxy=proxy, timeout=(timeout[0], timeout[1] + wait), clock=time,
                retries=retries, budget=budget + wait, secrets=(key.strip(),),
            )  # fmt: skip

        self._client = opened(0.0)
        self._patient = opened(LONGEST_WAIT)

    def close(self) -> None:
        """Close the connections that are kept open; the next call opens new ones."""
        self._client.close()
        self._patient.close()

    def version(self) -> str:
        """Cortex' version, such as `4.1.0-1`; needs no key. Raises ConfigurationError where something else answers."""
        versions = reading.document(self._client.get("/api/status")).get("versions")
        found = versions.get("Cortex") if isinstance(versions, Mapping) else None
        if not isinstance(found, str):
            raise ConfigurationError(
                f"What answers at {self._client.address.host} is not Cortex: check that cortex_url is its address."
            )
        return found

    # workers --------------------------------------------------------------------------------------------------------

    def analyzers(self, data_type: str) -> list[CortexWorker]:
        """The analyzers enabled for a data type."""
        answer = self._call(_READ, "list analyzers", "GET", f"/api/analyzer/type/{segment(data_type)}")
        return [reading.worker(one) for one in reading.documents(answer)]

    def responders(self, entity_type: str) -> list[CortexWorker]:
        """The responders enabled for a kind of TheHive's entities: `case_artifact` or `thehive:case_artifact`."""
        kind = entity_type if entity_type.startswith("thehive:") else f"thehive:{entity_type}"
        path = "/api/responder/type/" + segment(kind).replace("%3A", ":")
        return [reading.worker(one) for one in reading.documents(self._call(_READ, "list responders", "GET", path))]

    # jobs -----------------------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> CortexJob | None:
        """One job with its report, once it has ended; None where Cortex knows no such job."""
        return self._reported(self._client, f"/api/job/{segment(job_id)}/report")

    def wait_report(self, job_id: str, seconds: float) -> CortexJob | None:
        """As `job`, after waiting until it has ended or the time (at most 60 s) is up: look at `finished`."""
        most = max(1, round(min(seconds, LONGEST_WAIT)))
        path = f"/api/job/{segment(job_id)}/waitreport"
        return self._reported(self._patient, path, params={"atMost": f"{most}second"})

    def _reported(self, client: Client, path: str, **options: Any) -> CortexJob | None:
        answer = self._call(_READ, "read jobs", "GET", path, client=client, accept=(200, 404), **options)
        found = reading.document(answer)
        return None if answer.status == 404 else reading.job(found)

    def search_jobs(
        self,
        *,
        data_type: str = "",
        data: str | None = None,
        definition: str = "",
        kind: str = "analyzer",
        statuses: Sequence[str] = (),
        since: int = 0,
    ) -> Iterator[CortexJob]:
        """The jobs that fit, newest first, without their reports, of at most the 2,000 newest.

        `data` is compared here: Cortex stores it where no search finds it. `since` is a moment in milliseconds, of a
        job's making: one that still waits has no start.
        """
        conditions: list[dict[str, Any]] = [{"type": kind}]
        conditions += [{"dataType": data_type}] if data_type else []
        conditions += [{"workerDefinitionId": definition}] if definition else []
        conditions += [{"_in": {"_field": "status", "_values": list(statuses)}}] if statuses else []
        conditions += [{"_gte": {"createdAt": since}}] if since else []
        seen: set[str] = set()
        for start in range(0, MOST_JOBS, PAGE):
            answers = self._search({"_and": conditions}, start)
            for found in map(reading.job, answers):
                if found.id not in seen and (data is None or found.data == data):
                    yield found._replace(report=None)
                seen.add(found.id)  # new jobs push older ones into the next page
            if len(answers) < PAGE:
                return

    def _search(self, query: Mapping[str, Any], start: int) -> list[jsonread.Document]:
        span = f"{start}-{start + PAGE}"
        body = {"query": query, "range": span, "sort": ["-createdAt"]}
        params = {"range": span, "sort": "-createdAt"}
        answer = self._call(_READ, "search jobs", "POST", "/api/job/_search", params=params, json=body, retry=True)
        return reading.documents(answer)

    # runs -----------------------------------------------------------------------------------------------------------

    def run_analyzer(  # noqa: PLR0913 - what a run consists of
        self,
        worker: CortexWorker,
        data_type: str,
        data: str,
        *,
        file: bytes | None = None,
        tlp: int = 2,
        pap: int = 2,
        message: str = "",
        parameters: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> CortexJob:
        """Start an analyzer; `force` passes by Cortex' cache. With `file`, `data` is the file's name.

        An ambiguous end raises with `ambiguous` set: look at `search_jobs` before doing it again.
        """
        self._check_type(worker, data_type)
        body = {
            "dataType": data_type,
            "tlp": min(tlp, 3),  # TheHive 5 has its RED at 4
            "pap": pap,
            "message": message,
            "parameters": dict(parameters or {}),
        }
        path = f"/api/analyzer/{segment(worker.id)}/run"
        if file is None:
            return self._run(path, json=body | {"data": data, "force": force})
        content, kind = encode(body, [Part("attachment", data, file)])
        force_by_url = {"force": "1"} if force else None
        return self._run(path, data=content, headers={"Content-Type": kind}, params=force_by_url)

    def run_responder(
        self,
        worker: CortexWorker,
        entity_type: str,
        entity: Mapping[str, Any],
        *,
        label: str = "",
        parameters: Mapping[str, Any] | None = None,
    ) -> CortexJob:
        """Start a responder on an entity as TheHive would hand it over (version 0 form). As `run_analyzer` in doubt."""
        kind = entity_type if entity_type.startswith("thehive:") else f"thehive:{entity_type}"
        self._check_type(worker, kind)
        body = {
            "dataType": kind,
            "data": json.loads(json.dumps(dict(entity))),
            "label": label,
            "tlp": min(int(entity.get("tlp", 2)), 3),
            "pap": int(entity.get("pap", 2)),
            "message": "",
            "parameters": dict(parameters or {}),
        }
        return self._run(f"/api/responder/{segment(worker.id)}/run", json=body)

    @staticmethod
    def _check_type(worker: CortexWorker, data_type: str) -> None:
        if worker.data_types and data_type not in worker.data_types:
            raise InputError(
                f"The worker {worker.name} does not take {data_type}, only {', '.join(worker.data_types)}: check the "
                "playbook."
            )

    def _run(self, path: str, **options: Any) -> CortexJob:
        return reading.job(reading.document(self._call(_ANALYZE, "start workers", "POST", path, **options)))

    def _call(
        self, role: str, does: str, method: str, path: str, *, client: Client | None = None, **options: Any
    ) -> Response:
        try:
            return (client or self._client).request(method, path, **options)
        except HttpError as error:
            raise _explained(error, role, does) from None


def _explained(error: HttpError, role: str, does: str) -> HttpError:
    texts = {
        401: "Cortex refused the account's API key (401): renew or correct it (cortex_key).",
        403: f"Cortex refused to let the account {does} (403): give it the role `{role}` in its organisation.",
        429: f"Cortex refused to {does} (429): the worker's rate limit is reached; wait, or raise it there.",
        520: "Cortex' database is not initialised yet (520): open Cortex in a browser and let it create it.",
    }
    text = texts.get(error.status or 0)
    if text is None:
        return error
    refused = error.ambiguous and error.status != 520
    return HttpError(
        text, kind=error.kind, status=error.status, ambiguous=refused, retry_after=error.retry_after,
        excerpt=error.excerpt,
    )  # fmt: skip

"""A small stateful Cortex and TheHive in one HTTP server, as far as ConsensusScore asks them, by the contract.

Cortex: a job's `data` is stored but not searchable (a query on it finds nothing); `range` is "start-end", end
exclusive; the total comes in `X-Total`; errors are `{"type", "message"}`. TheHive: the query API's chain of steps; the
taxonomies stand on the observable, by the analyzer's name, and not in the jobs.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CORTEX_KEY = "cortex-key-0123456789"
THEHIVE_KEY = "thehive-key-0123456789"


class FakeSoc:
    """The servers' state; tests fill it and look at `requests`."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.analyzers: list[str] = []
        self.observables: list[dict[str, Any]] = []
        self.hive_jobs: dict[str, list[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.refuse: list[int] = []  # statuses the next requests are answered with
        self.retry_after = "0"
        self.body: bytes | None = None  # answered to everything instead
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"soc": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> FakeSoc:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def search_jobs(self, body: dict[str, Any], span: str) -> tuple[list[dict[str, Any]], int]:
        found = [job for job in self.jobs if _matches(job, body["query"])]
        found.sort(key=lambda job: -job["startDate"])
        start, _, end = span.partition("-")
        shown = [{key: value for key, value in job.items() if key != "report"} for job in found]
        return shown[int(start) : int(end)], len(found)

    def query(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for step in steps:
            name = step["_name"]
            if name == "listObservable":
                found = list(self.observables)
            elif name == "getObservable":
                found = [entry for entry in self.observables if entry["_id"] == step["idOrName"]]
            elif name == "filter":
                wanted = {one["_is"]["_field"]: one["_is"]["_value"] for one in step["_and"]}
                found = [entry for entry in found if all(entry[key] == value for key, value in wanted.items())]
            elif name == "jobs":
                found = [job for entry in found for job in self.hive_jobs.get(entry["_id"], [])]
            elif name == "sort":
                ((field, order),) = step["_fields"][0].items()
                found.sort(key=lambda entry: entry[field], reverse=order == "desc")
            elif name == "page":
                found = found[step["from"] : step["to"]]
            else:
                raise AssertionError(f"step {name} is not in the contract")
        return found


class Handler(BaseHTTPRequestHandler):
    """One request; `soc` is set by the server's class made from it."""

    soc: FakeSoc

    def do_GET(self) -> None:
        self._answer("GET", {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self._answer("POST", json.loads(self.rfile.read(length) or b"{}"))

    def _answer(self, method: str, body: dict[str, Any]) -> None:
        address = urlsplit(self.path)
        self.soc.requests.append(f"{method} {address.path}")
        if self.soc.body is not None:
            self._send(200, self.soc.body)
        elif self.soc.refuse:
            self._fail(self.soc.refuse.pop(0), "RateLimitExceeded")
        elif not self._allowed(address.path):
            self._fail(401, "AuthenticationError")
        elif method == "POST":
            self._post(address.path, parse_qs(address.query), body)
        else:
            self._get(address.path)

    def _allowed(self, path: str) -> bool:
        key = THEHIVE_KEY if path.startswith("/api/v1/query") else CORTEX_KEY
        return self.headers.get("Authorization") == f"Bearer {key}"

    def _post(self, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> None:
        if path == "/api/job/_search":
            jobs, total = self.soc.search_jobs(body, query["range"][0])
            self._send(200, json.dumps(jobs).encode(), total)
        elif path == "/api/v1/query":
            self._send(200, json.dumps(self.soc.query(body["query"])).encode())
        else:
            self._fail(404, "NotFoundError")

    def _get(self, path: str) -> None:
        if path.startswith("/api/analyzer/type/"):
            names = [{"id": "a" * 32, "analyzerDefinitionId": name} for name in self.soc.analyzers]
            self._send(200, json.dumps(names).encode())
        elif path.startswith("/api/job/") and path.endswith("/report"):
            job = next((job for job in self.soc.jobs if job["id"] == unquote(path.split("/")[3])), None)
            if job is None:
                self._fail(404, "JobNotFoundError")
            else:
                self._send(200, json.dumps(job).encode())
        else:
            self._fail(404, "NotFoundError")

    def _fail(self, status: int, kind: str) -> None:
        self._send(status, json.dumps({"type": kind, "message": f"{kind} {self.path}"}).encode())

    def _send(self, status: int, body: bytes, total: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if total is not None:
            self.send_header("X-Total", str(total))
        if status == 429:
            self.send_header("Retry-After", self.soc.retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _matches(job: dict[str, Any], query: dict[str, Any]) -> bool:
    """Cortex's query language, as far as it is used. `data` is a binary field: nothing is found by it."""
    ((name, value),) = query.items()
    if name == "_and":
        return all(_matches(job, part) for part in value)
    if name == "_in":
        return job.get(value["_field"]) in value["_values"]
    if name == "_gte":
        return all(job.get(field, 0) >= least for field, least in value.items())
    return name != "data" and bool(job.get(name) == value)

"""How TheHive talks to a Cortex: over HTTP, with an API key."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any

from playbook_service.lab.multipart import Part
from propolis.http import Client, HttpError, segment, session

_TIMEOUT = (3.0, 15.0)


@dataclass(frozen=True)
class Submission:
    """What is sent to a worker."""

    data: Any
    data_type: str
    tlp: int
    pap: int
    message: str
    parameters: dict[str, Any]
    label: str
    file: Part | None = None


class CortexServer:
    """One Cortex server by the name that TheHive gives it."""

    def __init__(self, name: str, url: str, key: str):
        self.name = name
        self.url = url
        self._client: Client = session(
            url, headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT, retries=0, secrets=[key]
        )

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def workers(self, kind: str) -> list[dict[str, Any]]:
        """The enabled analyzers or responders. Raises HttpError."""
        return list(self._client.get(f"api/{kind}", params={"range": "all"}).json())

    def submit(self, kind: str, worker: str, what: Submission) -> dict[str, Any]:
        """Start a job and return it. Raises HttpError."""
        document = {
            "dataType": what.data_type, "tlp": what.tlp, "pap": what.pap, "message": what.message,
            "parameters": what.parameters, "label": what.label,
        }  # fmt: skip
        path = f"api/{kind}/{segment(worker)}/run"
        if what.file is None:
            return dict(self._client.post(path, json={**document, "data": what.data}, retry=False).json())
        body, content_type = _form(document, what.file)
        headers = {"Content-Type": content_type}
        return dict(self._client.post(path, data=body, headers=headers, retry=False).json())

    def statuses(self, jobs: list[str]) -> dict[str, str]:
        """The status of each job. Raises HttpError."""
        return dict(self._client.post("api/job/status", json={"jobIds": jobs}, retry=False).json())

    def report(self, job: str) -> dict[str, Any]:
        """A job with its report. Raises HttpError."""
        return dict(self._client.get(f"api/job/{segment(job)}/waitreport", params={"atMost": "1second"}).json())

    def health(self) -> dict[str, Any]:
        """The server as TheHive's status names it."""
        shown = {"name": self.name, "version": "", "status": "ERROR"}
        try:
            shown["version"] = self._client.get("api/status").json()["versions"]["Cortex"]
            self._client.get("api/user/current")
        except HttpError as error:
            return shown | ({"status": "AUTH_ERROR"} if error.status in (401, 403) else {})
        return shown | {"status": "OK"}


def _form(document: dict[str, Any], file: Part) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)
    name = (file.filename or "file").replace('"', "_")
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="_json"\r\n\r\n{json.dumps(document)}\r\n'
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="{name}"\r\n'
    head += f"Content-Type: {file.content_type}\r\n\r\n"
    tail = f"\r\n--{boundary}--\r\n".encode()
    return head.encode("utf-8", "replace") + file.body + tail, f"multipart/form-data; boundary={boundary}"

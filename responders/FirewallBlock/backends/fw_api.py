"""A firewall's JSON API over HTTP: reads, and changes that are made once; every failure is one sentence.

What the backends share that talk to a firewall's own web server with a fixed credential.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import AnswerLost, change, safe_url
from propolis.containment.responder import Workbench
from propolis.http import HttpError, Response, session


class Place(NamedTuple):
    """Where a firewall's API is, and how to reach it."""

    url: str
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


def place(workbench: Workbench, prefix: str) -> Place:
    """From the items `<prefix>_url`, `_ca_file`, `_use_proxy` and `timeout_seconds`. Raises ConfigurationError."""
    items = workbench.items
    return Place(
        url=safe_url(items.text(f"{prefix}_url"), f"{prefix}_url"),
        ca_file=items.optional_text(f"{prefix}_ca_file"),
        proxy=workbench.proxy if items.flag(f"{prefix}_use_proxy", False) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class FirewallApi:
    """One firewall. `hints` are sentences that say what to check: for a status, and `right` for a 403 of one call."""

    def __init__(
        self, at: Place, clock: Clock, *, name: str, headers: Mapping[str, str], secret: str, hints: Mapping[int, str]
    ):
        self.url = at.url
        self._clock = clock
        self._name = name
        self._hints = hints
        self._client = session(
            at.url,
            headers=headers,
            ca_file=at.ca_file,
            proxy=at.proxy,
            timeout=(min(5.0, at.timeout), at.timeout),
            budget=4 * at.timeout,
            retries=1,
            clock=clock,
            secrets=[secret],
            name=name,
        )

    def read(
        self, path: str, params: Mapping[str, str] | None = None, *, accept: Collection[int] = (200,), right: str = ""
    ) -> Answer:
        """GET. Raises BackendError, also where the answer is no JSON."""
        try:
            response = self._client.get(path, params=params, accept=accept)
            return Answer(response, response.json())
        except HttpError as error:
            raise self._fault(error, right) from None

    def write(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        accept: Collection[int] = (200,),
        right: str = "",
    ) -> Answer:
        """A change. Raises AnswerLost where it may have been made (no JSON came back, for one), else BackendError."""
        try:
            response = change(self._client, self._clock, method, path, params=params, json=json, accept=accept)
            return Answer(response, response.json() if response.body.strip() else None)
        except HttpError as error:
            raise AnswerLost(str(error)) if error.ambiguous else self._fault(error, right) from None

    def strange(self, answer: Answer) -> str:
        """The sentence for an answer of another shape than the product's."""
        return f"{answer.response.where} failed: the answer is not the firewall's; check {self._name}."

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _fault(self, error: HttpError, right: str) -> BackendError:
        hint = right if right and error.status == 403 else self._hints.get(error.status or 0, "")
        return BackendError(f"{error} {hint}".strip())


class Answer(NamedTuple):
    """What came back."""

    response: Response
    document: Any

    def part(self, name: str) -> Any:
        """A member of the document; None where it has none."""
        return self.document.get(name) if isinstance(self.document, dict) else None

    def said(self, name: str) -> str:
        """A text of the document for a person: one line, short, secrets blanked; `no reason given` where none is."""
        line = " ".join(str(self.part(name) or "").split())
        return self.response.redact(line)[:200].rstrip(". ") or "no reason given"

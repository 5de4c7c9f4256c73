"""Cortex XDR's public API as far as IsolateHost needs it: find one endpoint, isolate or release it, ask how that goes.

Read in the vendor's REST reference (Get Endpoint, Isolate Endpoints, Unisolate Endpoints, Get Action Status) and in the
official Cortex responder for the product. Failures are `reply.err_code` with `err_msg`, whatever the status.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError, Target
from propolis.containment.change import AnswerLost, change
from propolis.http import Client, HttpError, Requester, Response, session

from .edr_host import (
    address_of,
    document,
    exactly_one,
    not_theirs,
    plain_name,
    said,
    same_name,
    texts,
    usable_addresses,
)

FREE, ISOLATED = "AGENT_UNISOLATED", "AGENT_ISOLATED"
ISOLATING, RELEASING = "AGENT_PENDING_ISOLATION", "AGENT_PENDING_ISOLATION_CANCELLATION"
_STATES = (FREE, ISOLATED, ISOLATING, RELEASING)
ADVANCED, STANDARD = "advanced", "standard"
GONE = "UNINSTALLED"
_ENDPOINT_ID = re.compile(r"[0-9a-f]{32}")
_MOST = 100  # endpoints that one look brings, the vendor's own limit
_KINDS = {"AGENT_TYPE_SERVER": "Server", "AGENT_TYPE_WORKSTATION": "Workstation"}
_SIGNS = string.ascii_letters + string.digits
_PRODUCT, _ITEM = "Cortex XDR", "cortex_xdr_url"
_HINT = (
    " Check cortex_xdr_url, cortex_xdr_key_id, cortex_xdr_key and cortex_xdr_auth, the key's role, and this "
    "machine's clock (an advanced key's signature holds the time)."
)

Document = dict[str, Any]


class Settings(NamedTuple):
    """Which tenant, and with which key."""

    url: str
    key_id: str
    key: str
    key_type: str
    """`advanced` or `standard`, as it was made."""
    proxy: str | None
    ca_file: str | None
    timeout: float
    """Seconds for each answer."""


class Endpoint(NamedTuple):
    """An endpoint as Cortex XDR knows it."""

    id: str
    hostname: str
    domain: str
    alias: str
    state: str
    """One of the words that stand above as `FREE`, `ISOLATED`, `ISOLATING` and `RELEASING`."""
    status: str
    """`CONNECTED`, `DISCONNECTED`, `LOST`, `UNINSTALLED`."""
    kind: str
    groups: tuple[str, ...]
    tags: tuple[str, ...]
    addresses: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        whole = f"{self.hostname}.{self.domain}" if self.hostname and self.domain else ""
        return tuple(name for name in (self.hostname, whole) if name)

    @property
    def text(self) -> str:
        """`PC1.corp.example.org (0123..., CONNECTED)`."""
        return f"{(self.names or ('an endpoint without a name',))[-1]} ({self.id}, {self.status or 'status not told'})"


class _Signed(Requester):
    """Every request with a signature of its own, also one that is sent again."""

    def __init__(self, client: Client, settings: Settings, clock: Clock):
        self._client = client
        self._settings = settings
        self._clock = clock

    def request(self, method: str, path: str, **options: Any) -> Response:
        """As `Client.request`."""
        return self._client.request(method, path, headers=signature(self._settings, self._clock.now()), **options)


class CortexXdr:
    """One tenant."""

    def __init__(self, settings: Settings, clock: Clock):
        self._clock = clock
        self._client = session(
            settings.url,
            proxy=settings.proxy,
            ca_file=settings.ca_file,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            clock=clock,
            secrets=[settings.key],
            name=_ITEM,
        )
        self._api = _Signed(self._client, settings, clock)

    def find(self, target: Target) -> Endpoint:
        """The one endpoint of this name, address or id. Raises NotFound, Ambiguous or BackendError."""
        text = plain_name(target)
        found = [one for one in self._endpoints(filters(text)) if one.status != GONE and _means(text, one)]
        hint = "Write the name as the console does, with its domain or without, or give the endpoint id."
        return exactly_one(target, found, lambda one: one.text, _PRODUCT, hint)

    def by_id(self, endpoint_id: str) -> list[Endpoint]:
        """The endpoint of this id, read anew; empty where there is none."""
        return [one for one in self._endpoints([_among("endpoint_id_list", endpoint_id)]) if one.id == endpoint_id]

    def act(self, verb: str, endpoint_id: str) -> str:
        """`isolate` or `unisolate` one endpoint; gives the action's id. Raises AnswerLost or BackendError."""
        response, reply = self._ask(path(verb), body(endpoint_id))
        action = reply.get("action_id")
        if str(reply.get("endpoints_count", 1)) != "1" or not isinstance(action, (int, str)) or not str(action):
            raise AnswerLost(f"{response.where} failed: the answer does not name one action for one endpoint.")
        return str(action)

    def progress(self, action: str, endpoint_id: str) -> str:
        """How an action goes: `PENDING`, `IN_PROGRESS`, `COMPLETED_SUCCESSFULLY`, `FAILED`, ...; empty if not told."""
        wanted: int | str = int(action) if action.isdigit() else action
        response, reply = self._ask("/public_api/v1/actions/get_action_status/", {"group_action_id": wanted})
        states = reply.get("data")
        if not isinstance(states, dict):
            raise BackendError(str(not_theirs(response, _PRODUCT, _ITEM)))
        return str(states.get(endpoint_id) or "").upper()

    def close(self) -> None:
        self._client.close()

    def _endpoints(self, wanted: list[Document]) -> list[Endpoint]:
        ask = {"filters": wanted, "search_from": 0, "search_to": _MOST}
        response, reply = self._ask("/public_api/v1/endpoints/get_endpoint/", ask)
        entries, total = reply.get("endpoints"), reply.get("total_count")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BackendError(str(not_theirs(response, _PRODUCT, _ITEM)))
        if isinstance(total, int) and total > len(entries):
            raise BackendError(f"{response.where} found {total} endpoints, more than one look takes: give the id.")
        return [_endpoint(entry, response) for entry in entries]

    def _ask(self, where: str, data: Document) -> tuple[Response, Document]:
        """A request that is sent again only where the server says that it did nothing: reads, too, as all are POSTs."""
        try:
            response = change(self._api, self._clock, "POST", where, json={"request_data": data}, accept=(200,))
            answer = document(response, _PRODUCT, _ITEM)
        except HttpError as error:
            if error.ambiguous:
                raise AnswerLost(str(error)) from None
            raise BackendError(f"{error}{_HINT if error.status in (401, 402, 403) else ''}") from None
        reply = answer.get("reply")
        if not isinstance(reply, dict):
            raise AnswerLost(str(not_theirs(response, _PRODUCT, _ITEM)))
        if "err_code" in reply:
            words = said(
                response, f"{reply['err_code']}: {reply.get('err_msg')} {reply.get('err_extra') or ''}".strip()
            )
            raise BackendError(f"{response.where} failed: Cortex XDR reports an error in its answer ({words}).")
        return response, reply


def signature(settings: Settings, now: float) -> dict[str, str]:
    """The headers that prove the key: an advanced key is never sent, only its hash with a nonce and the time."""
    if settings.key_type == STANDARD:
        return {"x-xdr-auth-id": settings.key_id, "Authorization": settings.key}
    nonce, moment = "".join(secrets.choice(_SIGNS) for _ in range(64)), str(int(now * 1000))
    proof = hashlib.sha256(f"{settings.key}{nonce}{moment}".encode()).hexdigest()
    return {
        "x-xdr-auth-id": settings.key_id, "x-xdr-nonce": nonce, "x-xdr-timestamp": moment, "Authorization": proof,
    }  # fmt: skip


def path(verb: str) -> str:
    """Where an action is asked for."""
    return f"/public_api/v1/endpoints/{verb}/"


def body(endpoint_id: str) -> Document:
    """What an action is asked for with: the form for one endpoint, so that no filter can mean more."""
    return {"endpoint_id": endpoint_id}


def filters(text: str) -> list[Document]:
    """The filter that brings every endpoint this may be; the text is a plain name, an address or an id.

    Either case of a name is asked for, as the reference does not say that the comparison ignores it. A name with dots
    may be a host name or one with its domain.
    """
    if address_of(text):
        return [_among("ip_list", address_of(text))]
    if _ENDPOINT_ID.fullmatch(text):
        return [_among("endpoint_id_list", text)]
    labels = [name for name in (text, text.partition(".")[0]) if name]
    return [_among("hostname", *dict.fromkeys(form for name in labels for form in (name.lower(), name.upper())))]


def _among(field: str, *values: str) -> Document:
    return {"field": field, "operator": "in", "value": list(values)}


def _means(text: str, endpoint: Endpoint) -> bool:
    address = address_of(text)
    return address in endpoint.addresses if address else same_name(text, (endpoint.id, *endpoint.names))


def _endpoint(told: Document, response: Response) -> Endpoint:
    endpoint_id, state = str(told.get("endpoint_id") or ""), str(told.get("is_isolated") or "").upper()
    if not endpoint_id:
        raise BackendError(str(not_theirs(response, _PRODUCT, _ITEM)))
    if state not in _STATES:
        words = said(response, told.get("is_isolated"))
        raise BackendError(
            f"Cortex XDR calls the isolation of endpoint {endpoint_id} {words!r}, which is none that is known here."
        )
    marked = told.get("tags")
    listed = marked if isinstance(marked, dict) else {"tags": marked}
    return Endpoint(
        id=endpoint_id,
        hostname=str(told.get("endpoint_name") or ""),
        domain=str(told.get("domain") or ""),
        alias=str(told.get("alias") or ""),
        state=state,
        status=str(told.get("endpoint_status") or "").upper(),
        kind=_KINDS.get(str(told.get("endpoint_type")).upper(), "unknown"),
        groups=texts(told.get("group_name")),
        tags=tuple(tag for one in listed.values() for tag in texts(one)),
        addresses=usable_addresses((*texts(told.get("ip")), *texts(told.get("ipv6")))),
    )

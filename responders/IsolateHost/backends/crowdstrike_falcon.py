"""The Falcon API as far as IsolateHost needs it: find one device, change its containment, set its grouping tags.

Paths and models are those of the vendor's own clients, FalconPy 1.6.6 and gofalcon. An answer with entries in `errors`
is a failure whatever its status: 200 and 207 bring them too.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError, NotFound, Target
from propolis.containment.change import AnswerLost, change
from propolis.http import Client, ClientCredentials, HttpError, Response, authorized, session

from .edr_host import address_of, document, exactly_one, not_theirs, plain_name, said, same_name, texts

NORMAL, PENDING, CONTAINED, LIFTING = "normal", "containment_pending", "contained", "lift_containment_pending"
_STATES = (NORMAL, PENDING, CONTAINED, LIFTING)
_DEVICE_ID = re.compile(r"[0-9a-f]{32}")
_MOST = 100  # devices that one look may bring: also the most ids that a read of details takes
_TYPES = {"1": "Workstation", "2": "Domain Controller", "3": "Server"}
_PRODUCT, _ITEM = "Falcon", "crowdstrike_url"
_TOKEN = "/oauth2/token"  # noqa: S105 - an address
_HINT = (
    " Check crowdstrike_url (the cloud of your console), crowdstrike_client_id, crowdstrike_client_secret and the "
    "client's scope (Hosts: read and write)."
)

Document = dict[str, Any]


class Settings(NamedTuple):
    """Which cloud, and as which API client."""

    url: str
    client_id: str
    client_secret: str
    member_cid: str
    """The customer that a token shall be for, where the client belongs to a parent of several; else empty."""
    proxy: str | None
    ca_file: str | None
    timeout: float
    """Seconds for each answer."""


class Device(NamedTuple):
    """A host as Falcon knows it."""

    id: str
    hostname: str
    domain: str
    state: str
    """One of `normal`, `containment_pending`, `contained`, `lift_containment_pending`."""
    kind: str
    """`Workstation`, `Server`, `Domain Controller`, or `unknown`."""
    tags: tuple[str, ...]
    groups: tuple[str, ...]
    units: tuple[str, ...]
    addresses: tuple[str, ...]
    last_seen: str
    reduced: bool
    """The sensor works in reduced functionality mode."""

    @property
    def names(self) -> tuple[str, ...]:
        whole = f"{self.hostname}.{self.domain}" if self.hostname and self.domain else ""
        return tuple(name for name in (self.hostname, whole) if name)

    @property
    def text(self) -> str:
        """`PC1.corp.example.org (0123..., last seen 2026-01-01T00:00:00Z)`."""
        return f"{(self.names or ('a host without a name',))[-1]} ({self.id}, last seen {self.last_seen or 'never'})"


class Declined(BackendError):
    """Falcon refused a change, and it was not made."""


class Conflict(Declined):
    """It was refused because another one is under way (409)."""


class _Credentials(ClientCredentials):
    """Falcon's token for a member of a parent customer wants one field more."""

    def __init__(self, client: Client, settings: Settings):
        super().__init__(client, _TOKEN, settings.client_id, settings.client_secret)
        if settings.member_cid:
            self._form["member_cid"] = settings.member_cid


class Falcon:
    """One cloud, one API client."""

    def __init__(self, settings: Settings, clock: Clock):
        self.url = settings.url
        self._clock = clock
        self._client = session(
            settings.url,
            proxy=settings.proxy,
            ca_file=settings.ca_file,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.client_secret],
            name=_ITEM,
        )
        self._api = authorized(self._client, _Credentials(self._client, settings))

    def find(self, target: Target) -> Device:
        """The one device of this name, address or id. Raises NotFound, Ambiguous or BackendError."""
        text = plain_name(target)
        ids = [text] if _DEVICE_ID.fullmatch(text) else self._query(query(text))
        found = [device for device in self._devices(ids) if _means(text, device)]
        hint = "Write the name as the console does, with its domain or without, or give the device id."
        return exactly_one(target, found, lambda device: device.text, _PRODUCT, hint)

    def device(self, device_id: str) -> Device:
        """A device by its id, read anew."""
        found = [device for device in self._devices([device_id]) if device.id == device_id]
        if len(found) != 1:
            raise NotFound(f"Falcon does not know the device {device_id} any more.")
        return found[0]

    def act(self, action: str, device_id: str) -> None:
        """`contain` or `lift_containment`. Raises AnswerLost, or Declined (Conflict)."""
        response, answer = self._change(
            "POST", "/devices/entities/devices-actions/v2", params={"action_name": action}, json={"ids": [device_id]}
        )
        taken = [one.get("id") for one in _dicts(answer.get("resources"))]
        if taken != [device_id]:
            raise AnswerLost(f"{response.where} failed: the answer does not name the device.")

    def tag(self, action: str, device_id: str, tags: list[str]) -> None:
        """`add` or `remove` grouping tags. Raises AnswerLost or Declined."""
        body = {"action": action, "device_ids": [device_id], "tags": tags}
        response, answer = self._change("PATCH", "/devices/entities/devices/tags/v1", json=body)
        told = _dicts(answer.get("resources"))
        if [one.get("device_id") for one in told] != [device_id]:
            raise AnswerLost(f"{response.where} failed: the answer does not name the device.")
        if told[0].get("updated") is not True:
            raise Declined(f"{response.where} failed: Falcon did not take the tag ({said(response, told[0])}).")

    def close(self) -> None:
        self._client.close()

    def _query(self, fql: str) -> list[str]:
        response, answer = self._read("/devices/queries/devices/v1", {"filter": fql, "limit": _MOST})
        ids = answer.get("resources") or []
        if not isinstance(ids, list) or not all(isinstance(one, str) and _DEVICE_ID.fullmatch(one) for one in ids):
            raise _fault(not_theirs(response, _PRODUCT, _ITEM))
        meta = answer.get("meta")
        pages = meta.get("pagination") if isinstance(meta, dict) else None
        total = pages.get("total") if isinstance(pages, dict) else None
        if len(ids) > _MOST or (isinstance(total, int) and total > len(ids)):
            raise BackendError(f"{response.where} found {total} hosts, more than one look takes: give the device id.")
        return ids

    def _devices(self, ids: list[str]) -> list[Device]:
        if not ids:
            return []
        response, answer = self._read("/devices/entities/devices/v2", {"ids": ids}, accept=(200, 404))
        return [_device(one, response) for one in _dicts(answer.get("resources"))]

    def _read(self, path: str, params: Document, accept: tuple[int, ...] = (200,)) -> tuple[Response, Document]:
        try:
            response = self._api.get(path, params=params, accept=accept)
            return response, _answer(response, unknown_is_fine=404 in accept)
        except HttpError as error:
            raise _fault(error) from None

    def _change(self, method: str, path: str, **options: Any) -> tuple[Response, Document]:
        try:
            response = change(self._api, self._clock, method, path, accept=(200, 202, 207), **options)
            return response, _answer(response)
        except HttpError as error:
            if error.ambiguous:
                raise AnswerLost(str(error)) from None
            if error.status == 409:
                raise Conflict(str(error)) from None
            raise _fault(error) from None


def query(text: str) -> str:
    """The FQL filter that brings every device this may be; the text is a plain name or an address.

    Either case of a name is asked for, as the documentation does not say that the comparison ignores it. A name with
    dots may be a host name or one with its domain.
    """
    address = address_of(text)
    if address:
        return f"local_ip:'{address}'"
    names = dict.fromkeys(
        form for name in (text, text.partition(".")[0]) if name for form in (name.lower(), name.upper())
    )
    listed = ",".join(f"'{name}'" for name in names)
    return f"hostname:[{listed}]"


def _means(text: str, device: Device) -> bool:
    address = address_of(text)
    return (address in device.addresses[:1]) if address else same_name(text, (device.id, *device.names))


def _answer(response: Response, *, unknown_is_fine: bool = False) -> Document:
    """The answer's body. Raises Declined for errors in it; ids that are not known are none where that is fine."""
    answer = document(response, _PRODUCT, _ITEM)
    errors = [one for one in _dicts(answer.get("errors")) if not (unknown_is_fine and one.get("code") == 404)]
    if errors:
        words = said(response, f"{errors[0].get('code')}: {errors[0].get('message')}")
        raise Declined(f"{response.where} failed: Falcon reports an error in its answer ({words}).")
    if "resources" not in answer and response.status != 404:
        raise not_theirs(response, _PRODUCT, _ITEM)
    return answer


def _dicts(value: object) -> list[Document]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _device(told: Document, response: Response) -> Device:
    device_id, state = str(told.get("device_id") or ""), str(told.get("status") or "").casefold()
    if not _DEVICE_ID.fullmatch(device_id):
        raise _fault(not_theirs(response, _PRODUCT, _ITEM))
    if state not in _STATES:
        words = said(response, told.get("status"))
        raise BackendError(f"Falcon calls the state of device {device_id} {words!r}, which is none that is known here.")
    kind = str(told.get("product_type_desc") or _TYPES.get(str(told.get("product_type")), "unknown"))
    return Device(
        id=device_id,
        hostname=str(told.get("hostname") or ""),
        domain=str(told.get("machine_domain") or ""),
        state=state,
        kind=kind,
        tags=texts(told.get("tags")),
        groups=texts(told.get("groups")),
        units=texts(told.get("ou")),
        addresses=tuple(address_of(one) for one in texts(told.get("local_ip")) if address_of(one)),
        last_seen=str(told.get("last_seen") or ""),
        reduced=str(told.get("reduced_functionality_mode")).casefold() == "yes",
    )


def _fault(error: HttpError) -> Declined:
    refused = error.status in (401, 403) or (error.status == 400 and _TOKEN in str(error))
    return Declined(f"{error}{_HINT if refused else ''}")

"""External dynamic lists: entries of a list that the service publishes and firewalls fetch by themselves.

A thin client of the service's block-list API. No credential of any firewall is held here; the list's entry ends by
itself, carries our mark as its comment, and is checked by the service against its own policy once more. What is
listed is not yet blocked: firewalls act on it with their next fetch, which the report says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from propolis.alert.moment import epoch
from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.change import AnswerLost, change, safe_url
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.duration import duration_text
from propolis.errors import ConfigurationError
from propolis.http import HttpError, Response, segment, session

_LISTS = {"ip": "edl_list", "domain": "edl_domain_list", "url": "edl_url_list"}
"""Kind of target -> the configuration item that names its list."""
_SPOKEN = (400, 403, 404, 409)  # with these the service says in a sentence what is wrong
_SESSIONS = "Sessions that are open: whether a firewall cuts them when its list changes is its own setting."
_AWAY = "one that cannot reach the list keeps what it fetched last, even longer."

Document = dict[str, Any]


class Settings(NamedTuple):
    """Where the lists are."""

    url: str
    token: str
    ca_file: str | None
    lists: Mapping[str, str]
    """Kind -> name of the list."""
    timeout: float
    """Seconds for each answer."""
    poll: float
    """Seconds between two fetches of the slowest firewall; only for what the report says."""


class EdlBackend(Backend):
    """The block lists of one service."""

    name = "edl"
    expires = True
    marks = True

    def __init__(self, settings: Settings, clock: Clock):
        self.kinds = tuple(settings.lists)
        self._settings = settings
        self._clock = clock
        self._client = session(
            settings.url,
            headers={"Authorization": f"Bearer {settings.token}"},
            ca_file=settings.ca_file,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.token],
            name="edl_url",
        )

    @property
    def where(self) -> str:
        names = sorted(set(self._settings.lists.values()))
        return f"block list{'s' if len(names) > 1 else ''} {', '.join(names)} of {self._settings.url}"

    def status(self, target: Target) -> Status:
        return self._status(target, self._look(target))

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        standing = self._look(target)
        if standing["listed"] and not is_ours(standing["comment"]):
            return Effect(f"{standing['entry']} was listed already, not by us, and was left as it is")
        done = f"listed {target.value} in {self._list(target)} for {duration_text(terms.seconds)}"
        body = {"ttl": terms.seconds, "lease": terms.lease, "comment": terms.mark}
        try:
            self._write("PUT", target, "entry", body)
        except AnswerLost as error:
            seen = self._look(target)
            if seen.get("comment") != terms.mark or seen.get("until") == standing.get("until"):
                raise BackendError(f"{error} The list was read again, and the entry was not made.") from None
            done += "; the answer was lost and the list read again"
        return Effect(done, remaining=(self._until_the_next_fetch(), _SESSIONS))

    def release(self, target: Target, status: Status) -> Effect:
        standing = self._look(target)
        if not standing["listed"]:
            return Effect(f"{target.value} was off the list already", remaining=(self._after_release(),))
        if not is_ours(standing["comment"]):
            raise BackendError(f"{target.value} is listed by somebody else by now; it was left as it is.")
        done = f"took {target.value} off {self._list(target)}"
        try:
            self._write("DELETE", target, "removed")
        except AnswerLost as error:
            if self._look(target)["listed"]:
                raise BackendError(f"{error} The list was read again, and the entry is still there.") from None
            done += "; the answer was lost and the list read again"
        return Effect(done, remaining=(self._after_release(),))

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        body = json.dumps({"ttl": terms.seconds, "lease": terms.lease, "comment": terms.mark})
        return f"PUT {self._settings.url}{self._path(target)} {body} (entry: {target.value})"

    def close(self) -> None:
        self._client.close()

    def _list(self, target: Target) -> str:
        return self._settings.lists[target.kind]

    def _path(self, target: Target) -> str:
        return f"/api/v1/blocklist/{segment(self._list(target))}/{segment(target.value)}"

    def _look(self, target: Target) -> Document:
        """What the list holds of the target; `listed` says whether anything."""
        try:
            response = self._client.get(self._path(target), accept=(200, *_SPOKEN))
            found = _document(response)
        except HttpError as error:
            raise _fault(error) from None
        if response.status not in (200, 404) or not isinstance(found.get("listed"), bool):
            raise BackendError(_said(response, found))
        if found.get("kind") != target.kind:
            raise BackendError(
                f"The list {self._list(target)} is one of kind {found.get('kind')}, so it cannot hold a {target.kind}: "
                f"name another list in {_LISTS[target.kind]}."
            )
        return found

    def _write(self, method: str, target: Target, proof: str, body: Document | None = None) -> None:
        """A change, once; `proof` is what the service's own answer to it holds."""
        try:
            accept = (200, *_SPOKEN)
            response = change(self._client, self._clock, method, self._path(target), json=body, accept=accept)
            answer = _document(response)
        except HttpError as error:
            if error.ambiguous:
                raise AnswerLost(str(error)) from None
            raise _fault(error) from None
        if response.status != 200:
            raise BackendError(_said(response, answer))
        if answer.get("ok") is not True or proof not in answer:
            raise AnswerLost(_said(response, answer))

    def _status(self, target: Target, found: Document) -> Status:
        if not found["listed"]:
            subject, detail = _subject(target, target.value), f"not in the list {self._list(target)}"
            return Status(subject, contained=False, detail=detail)
        entry, until, mark = str(found.get("entry")), epoch(str(found.get("until"))), str(found.get("comment"))
        if until is None:
            raise BackendError(f"The service does not say until when {target.value} is listed; check its version.")
        held = str(found.get("held") or "")
        detail = f"listed in {self._list(target)} until {utc_text(until)}"
        return Status(
            _subject(target, entry),
            contained=not held,
            ours=is_ours(mark),
            until=until,
            mark=mark,
            detail=f"{detail}, but firewalls do not get it: {held}" if held else detail,
            remains=is_ours(mark),
        )

    def _until_the_next_fetch(self) -> str:
        poll = duration_text(self._settings.poll)
        return (
            f"Firewalls act on the list with their next fetch ({poll} at most, by edl_poll_minutes), so the block ends "
            f"at the latest {poll} after its end; {_AWAY}"
        )

    def _after_release(self) -> str:
        poll = duration_text(self._settings.poll)
        return f"Firewalls go on blocking until their next fetch ({poll} at most, by edl_poll_minutes); {_AWAY}"


def _subject(target: Target, entry: str) -> Subject:
    return Subject(entry, entry, addresses=(entry,) if target.kind == "ip" else ())


def _document(response: Response) -> Document:
    """The body of an answer; anything but an object is an empty one, which holds nothing that is asked of it."""
    found = response.json()
    return found if isinstance(found, dict) else {}


def _said(response: Response, found: Document) -> str:
    """A sentence with what the service says is wrong."""
    sentence = found.get("error")
    if response.status == 200 or not isinstance(sentence, str):
        return (
            f"{response.where} failed: the answer is not the block-list API's; check edl_url and the service's version."
        )
    hint = " Check edl_url." if response.status == 404 else ""
    return response.redact(f"{response.where} was refused: {sentence[:300].rstrip('.')}.{hint}")


def _fault(error: HttpError) -> BackendError:
    hint = " edl_token must be the service's feed_token." if error.status == 401 else ""
    return BackendError(f"{error}{hint}")


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    named = {kind: items.optional_text(item) for kind, item in _LISTS.items()}
    lists = {kind: name for kind, name in named.items() if name}
    if not lists:
        wanted = ", ".join(_LISTS.values())
        raise ConfigurationError(f"is required: name a list in one of {wanted}.", path="configuration item edl_list")
    settings = Settings(
        url=safe_url(items.text("edl_url"), "edl_url"),
        token=items.text("edl_token"),
        ca_file=items.optional_text("edl_ca_file"),
        lists=lists,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
        poll=60 * items.number("edl_poll_minutes", 5, low=1, high=43_200),
    )
    return EdlBackend(settings, workbench.clock)

"""The edge to FreeIPA's JSON-RPC: a session by password, commands, and errors that come with HTTP 200.

From ipalib's errors.py (4.13.1), from ipaserver's plugins and rpcserver.py, and from Ansible's community.general
(ipa.py): the login is a form and answers with the cookie `ipa_session`; every request needs a Referer below
https://HOST/ipa; a session that has ended is 401; a command that is refused says so in `error` of the body.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import AnswerLost, change
from propolis.http import Client, HttpError, Requester, Response, session

NOT_FOUND, ALREADY_ACTIVE, ALREADY_INACTIVE, NO_SUCH_VALUE, NOTHING_TO_CHANGE = 4001, 4009, 4010, 4026, 4202
_LOGIN, _RPC = "/ipa/session/login_password", "/ipa/session/json"
_VERSION = "2.156"  # of FreeIPA 4.2: a server refuses a client that is newer than itself, and knows all older ones
_COOKIE = re.compile(r"\bipa_session=([^;,\s]+)")
_MEANING = {
    901: "this FreeIPA is older than 4.2, which is not supported",
    911: "the address is not the one that FreeIPA calls itself: give its own name in freeipa_url",
    2100: "the account lacks the right; give it the permissions of docs/backends-freeipa.md",
    3007: "FreeIPA wants an argument that this does not give; is it much newer?",
    4308: "this would leave the administrators without anybody, which FreeIPA itself refuses",
    4309: "FreeIPA itself protects this entry",
}
_REJECTED = {
    "invalid-password": "user or password is wrong",
    "password-expired": "the account's password has expired: set one that does not (a password policy of its own)",
    "krbprincipal-expired": "the account itself has expired",
    "user-locked": "the account is locked after wrong passwords",
    "denied": "FreeIPA denied it",
}

Document = dict[str, Any]


class Settings(NamedTuple):
    """Which server, and as whom."""

    url: str
    """Of the server, without a path."""
    user: str
    password: str
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


class IpaError(BackendError):
    """A command was refused; `code` is ipalib's number for why."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


class Ipa:
    """One server. Every method raises BackendError (IpaError where a command was refused)."""

    def __init__(self, settings: Settings, clock: Clock):
        self._clock = clock
        client = session(
            settings.url,
            headers={"Referer": f"{settings.url}/ipa"},
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.password],
            name="freeipa_url",
        )
        self._client = client
        self._api = _LoggedIn(client, settings)

    def show(self, user: str) -> Document:
        """A user by its name, with every attribute. Raises IpaError with NOT_FOUND."""
        found = self._result("user_show", user, self._ask("user_show", user, {"all": True}))
        if not isinstance(found, dict):
            raise BackendError("FreeIPA showed something else than a user; check freeipa_url.")
        return found

    def disable(self, user: str) -> None:
        """Raises AnswerLost where it may have been done, IpaError with ALREADY_INACTIVE where others were first."""
        self._change("user_disable", user, {})

    def enable(self, user: str) -> None:
        """Raises AnswerLost where it may have been done, IpaError with ALREADY_ACTIVE where others were first."""
        self._change("user_enable", user, {})

    def add_value(self, user: str, attribute: str, value: str) -> None:
        """Add one value to an attribute; the others stay. Raises AnswerLost where it may have been done."""
        self._change("user_mod", user, {"addattr": [f"{attribute}={value}"]})

    def take_value(self, user: str, attribute: str, value: str) -> None:
        """Take one value from an attribute; the others stay. Raises AnswerLost where it may have been done."""
        self._change("user_mod", user, {"delattr": [f"{attribute}={value}"]})

    def close(self) -> None:
        """Close the connections; the session ends by itself."""
        self._client.close()

    def _ask(self, method: str, user: str, options: Document) -> Response:
        try:
            return self._api.post(_RPC, json=_body(method, user, options), accept=(200,), retry=True)
        except HttpError as error:
            raise BackendError(f"{method}: {error}") from None

    def _change(self, method: str, user: str, options: Document) -> None:
        try:
            answer = change(self._api, self._clock, "POST", _RPC, json=_body(method, user, options), accept=(200,))
        except HttpError as error:
            raise BackendError(f"{method}: {error}") from None
        try:
            self._result(method, user, answer)
        except HttpError as error:
            raise AnswerLost(str(error)) from None

    @staticmethod
    def _result(method: str, user: str, answer: Response) -> object:
        try:
            body = answer.json()
        except HttpError as error:
            raise (BackendError(str(error)) if method == "user_show" else error) from None
        fault = body.get("error") if isinstance(body, dict) else None
        if isinstance(fault, dict):
            raise _refusal(method, user, fault)
        outer = body.get("result") if isinstance(body, dict) and "error" in body else None
        if not isinstance(outer, dict) or "result" not in outer:
            kind = BackendError if method == "user_show" else AnswerLost
            raise kind(f"{answer.where} failed: something else than an answer of FreeIPA came; check freeipa_url.")
        return outer["result"]


class _LoggedIn(Requester):
    """Requests with the session's cookie. A 401 was not acted on, so it is tried once more in a new session."""

    def __init__(self, client: Client, settings: Settings):
        self._client = client
        self._form = {"user": settings.user, "password": settings.password}
        self._cookie = ""
        self._lock = threading.Lock()

    def request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Response:
        """As `Client.request`."""
        try:
            return self._client.request(method, path, headers=self._with(headers, fresh=False), **options)
        except HttpError as error:
            if error.status != 401:
                raise
        return self._client.request(method, path, headers=self._with(headers, fresh=True), **options)

    def _with(self, headers: Mapping[str, str] | None, *, fresh: bool) -> dict[str, str]:
        with self._lock:
            if fresh or not self._cookie:
                self._cookie = self._login()
            return {**(headers or {}), "Cookie": f"ipa_session={self._cookie}"}

    def _login(self) -> str:
        answer = self._client.post(
            _LOGIN, form=self._form, headers={"Accept": "text/plain"}, accept=(200, 401), retry=True
        )
        if answer.status == 401:
            reason = answer.headers.get("X-IPA-Rejection-Reason", "")
            why = _REJECTED.get(reason, "user or password is wrong, or the account may not log in")
            raise BackendError(f"FreeIPA refused the login: {why}; check freeipa_user and freeipa_password.")
        found = _COOKIE.search(answer.headers.get("Set-Cookie", ""))
        if not found:
            raise BackendError("The login gave no session: check that freeipa_url is FreeIPA's own address.")
        self._client.protect(found.group(1))
        return found.group(1)


def _body(method: str, user: str, options: Document) -> Document:
    return {"method": method, "params": [[user], {**options, "version": _VERSION}], "id": 0}


def _refusal(method: str, user: str, fault: Document) -> IpaError:
    code = fault.get("code") if isinstance(fault.get("code"), int) else 0
    said = " ".join(str(fault.get("message") or fault.get("name") or "").split())[:200]
    meaning = _MEANING.get(code or 0, "FreeIPA refused it")
    return IpaError(f"{method} of {user} failed ({code}): {meaning} (it said: {said}).", code or 0)

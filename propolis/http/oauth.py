"""Tokens by OAuth 2.0 client credentials (RFC 6749 4.4), as Keycloak, Entra ID and most other providers give them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from propolis.http.client import Client, Requester
from propolis.http.errors import HttpError
from propolis.http.response import Response

_LIFE = 60.0  # where the server does not say; Keycloak's default
_MARGIN = 0.2  # renewed when this share of its life is left, so that no call is made with a token about to die


class TokenSource(Protocol):
    """Gives bearer tokens; `fresh=True` asks for a new one although the last may still be good."""

    def token(self, *, fresh: bool = False) -> str:
        """A token. Raises HttpError."""
        ...


class ClientCredentials:
    """Fetches a token with a client's id and secret and keeps it until shortly before it expires."""

    def __init__(self, client: Client, path: str, client_id: str, client_secret: str, scope: str | None = None):
        client.protect(client_secret)
        self._client = client
        self._path = path
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        if scope:
            self._form["scope"] = scope
        self._token = ""
        self._until = 0.0
        self._lock = threading.Lock()

    def token(self, *, fresh: bool = False) -> str:
        """A token that is good for a while yet. Raises HttpError."""
        with self._lock:
            if fresh or not self._token or self._client.clock.monotonic() >= self._until:
                self._renew()
            return self._token

    def _renew(self) -> None:
        asked = self._client.clock.monotonic()
        response = self._client.post(self._path, form=self._form, retry=True)
        answer = response.json()
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise HttpError(f"{response.where} failed: the answer holds no access_token.", kind="format", status=200)
        self._token = token
        self._until = asked + _life(answer.get("expires_in")) * (1 - _MARGIN)


def _life(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        return _LIFE
    return seconds if 0 < seconds < 1e7 else _LIFE


class _Authorized(Requester):
    def __init__(self, client: Client, source: TokenSource):
        self._client = client
        self._source = source

    def request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Response:
        """As `Client.request`, with a bearer token; a 401 was not acted on, so it is tried once more with a new one."""
        try:
            return self._client.request(method, path, headers=self._bearer(headers, fresh=False), **options)
        except HttpError as error:
            if error.status != 401:
                raise
        return self._client.request(method, path, headers=self._bearer(headers, fresh=True), **options)

    def _bearer(self, headers: Mapping[str, str] | None, *, fresh: bool) -> dict[str, str]:
        return {**(headers or {}), "Authorization": f"Bearer {self._source.token(fresh=fresh)}"}


def authorized(client: Client, source: TokenSource) -> Requester:
    """The client's requests with a token from the source; a 401 is answered once by a fresh token."""
    return _Authorized(client, source)

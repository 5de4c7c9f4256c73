"""Wazuh's server API (4.x), as far as containment needs it: log in, look agents and FIM up, send a program's call.

Facts: a token lives 900 s; 50 wrong passwords lock the caller's address out for 300 s, so a refused login is not tried
again; 300 requests a minute are for all clients together, the dashboard included, and a 429 brings no Retry-After.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import AnswerLost, change
from propolis.containment.wazuh import answers
from propolis.containment.wazuh.answers import Agent, Document
from propolis.http import Client, HttpError, Response, authorized, segment, session

_TOKEN_LIFE = 900 * 0.8  # seconds; renewed before the manager's default life is over
_PAGE = 500
_MOST = 5000  # items of one look; a search that finds more is no search
_CROWDED = (10.0, 20.0, 30.0)  # seconds between tries after a 429: the manager counts in windows of 60 s
_LOCKED_OUT = "6000"


class Settings(NamedTuple):
    """Which manager, and as whom."""

    url: str
    user: str
    password: str
    ca_file: str | None = None
    proxy: str | None = None
    timeout: float = 15.0
    """Seconds for each answer."""
    wait: float = 30.0
    """Seconds within which an agent's program must have left its record."""


class _Login:
    """The API user's token, asked for when first needed and again when it is old or the manager takes it no more."""

    def __init__(self, client: Client, settings: Settings):
        self._client = client
        pair = b64encode(f"{settings.user}:{settings.password}".encode()).decode()
        client.protect(pair)
        self._headers = {"Authorization": f"Basic {pair}"}
        self._token = ""
        self._until = 0.0
        self._refused: HttpError | None = None

    def token(self, *, fresh: bool = False) -> str:
        """A token. Raises HttpError; a login that was refused once is not sent again."""
        if self._refused is not None:
            raise self._refused
        now = self._client.clock.monotonic()
        if fresh or not self._token or now >= self._until:
            self._token, self._until = self._ask(), now + _TOKEN_LIFE
            self._client.protect(self._token)
        return self._token

    def _ask(self) -> str:
        try:
            response = self._client.post(
                "/security/user/authenticate", headers=self._headers, accept=(200,), retry=False
            )
        except HttpError as error:
            if error.status in (401, 403):
                self._refused = error
            raise
        answer = response.json()
        data = answer.get("data") if isinstance(answer, dict) else None
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not token:
            raise HttpError(f"{response.where} failed: the answer holds no token.", kind="format", status=200)
        return token


class Manager:
    """One manager's API. Every method raises BackendError with one sentence."""

    def __init__(self, settings: Settings, clock: Clock):
        self.url = settings.url
        self._clock = clock
        self._version: tuple[int, int] | None = None
        self._client = session(
            settings.url,
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.password],
            name="wazuh_url",
        )
        self._api = authorized(self._client, _Login(self._client, settings))

    def version(self) -> tuple[int, int]:
        """The manager's own, `(4, 14)`; asked for once."""
        if self._version is None:
            self._version = answers.version(self._get("/", {}))
        return self._version

    def agent(self, number: str) -> Agent | None:
        """The agent of this id."""
        found = [answers.agent(item) for item in self._items("/agents", {"agents_list": number})]
        return next((one for one in found if one.id == number), None)

    def agents(self, text: str) -> list[Agent]:
        """Every agent with this text somewhere in its fields; the caller compares exactly."""
        return [answers.agent(item) for item in self._items("/agents", {"search": text})]

    def files(self, agent: Agent, text: str) -> list[str]:
        """The paths in the agent's FIM database that hold this text, and perhaps others."""
        params = {"search": text, "select": "file"}
        return answers.paths(self._items(f"/syscheck/{segment(agent.id)}", params))

    def watched(self, agent: Agent) -> list[tuple[str, list[str]]]:
        """The folders that the agent's FIM watches, asked of the agent itself, which must be connected."""
        return answers.watched(self._get(f"/agents/{segment(agent.id)}/config/syscheck/syscheck", {}))

    def users(self, agent: Agent, name: str) -> list[Document]:
        """The entries of the agent's inventory of local users that hold this text, and perhaps others."""
        return self._items(f"/syscollector/{segment(agent.id)}/users", {"search": name})

    def active_response(self, agents: Sequence[Agent], body: Mapping[str, Any]) -> dict[str, str]:
        """Send one active response. Gives agent id -> why it was not sent. Raises AnswerLost where it may have been."""
        ids = _exact(agents)
        params = {"agents_list": ",".join(ids), "wait_for_complete": "true"}  # else it is cut off after 10 s
        response = self._patiently(
            lambda: change(self._api, self._clock, "PUT", "/active-response", params=params, json=body, accept=(200,))
        )
        try:
            return answers.unsent(response.json(), ids)
        except (BackendError, HttpError) as error:
            raise AnswerLost(str(error)) from None

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _items(self, path: str, params: Mapping[str, str]) -> list[Document]:
        """All items, page by page."""
        found: list[Document] = []
        while True:
            asked = {**params, "limit": str(_PAGE), "offset": str(len(found))}
            page = answers.page(self._get(path, asked))
            found += page.items
            if len(found) >= page.total or not page.items:
                return found
            if len(found) >= _MOST:
                raise BackendError(f"Wazuh found more than {_MOST} items where few were expected ({path}).")

    def _get(self, path: str, params: Mapping[str, str]) -> Any:
        response = self._patiently(lambda: self._api.get(path, params=params, accept=(200,)))
        try:
            return response.json()
        except HttpError as error:
            raise _fault(error) from None

    def _patiently(self, make: Callable[[], Response]) -> Response:
        """Make a request; wait where the manager has had too many of them in this minute."""
        for pause in (*_CROWDED, None):
            try:
                return make()
            except HttpError as error:
                crowded = error.status == 429 and error.retry_after is None
                if not crowded or pause is None:
                    raise _fault(error) from None
                self._clock.sleep(pause)
        raise AssertionError("the last try ends in an answer or in an error")


def _exact(agents: Sequence[Agent]) -> list[str]:
    """The ids to name. An empty list would reach every agent, and 000 is passed over without a word."""
    ids = [agent.id for agent in agents]
    if not ids or any(not one.isdecimal() or int(one) == 0 for one in ids):
        raise BackendError("An active response needs exact agent ids; the manager itself (000) cannot be reached.")
    return ids


def _fault(error: HttpError) -> BackendError:
    """The sentence, with what to set where the API user is at fault."""
    hints = {
        401: " Check wazuh_user and wazuh_password.",
        403: " The API user needs agent:read, syscheck:read and active-response:command on the agent or its group.",
        429: " The limit (max_request_per_minute) counts all clients of the API together.",
    }
    if error.status == 403 and _LOCKED_OUT in error.excerpt:
        return BackendError(f"{error} The manager shut this address out for 300 s after too many wrong passwords.")
    return BackendError(f"{error}{hints.get(error.status or 0, '')}")

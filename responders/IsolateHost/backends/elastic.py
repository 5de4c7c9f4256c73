"""Elastic Defend, and through Kibana also the agents of SentinelOne, CrowdStrike and Microsoft: host isolation.

The comment of the response action is our mark: Kibana keeps it in its history of actions, which the same key may read.
A second isolation of an isolated host is accepted by Kibana and has made endpoints unhealthy (elastic/kibana#136602),
so none is ever sent: not to move an end, as there is none, and not while one is waiting.
"""

from __future__ import annotations

import json

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.change import AnswerLost, safe_url
from propolis.containment.mark import WORD, is_ours
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError

from .edr_host import is_own, own_names
from .elastic_history import ISOLATE, RELEASE, Action, Standing, standing
from .elastic_kibana import AGENT_TYPES, ENDPOINT, Host, Kibana, Settings, path

_GRACE = 30.0  # seconds that an action which was taken may be missing from the history
_ENDED = ("Every connection but those to the Elastic Stack and to the host isolation exceptions.",)
_UNSEEN = "What the other vendor's own console did since is not seen from Kibana: look there, too."
_SPACE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


class ElasticBackend(Backend):
    """One Kibana space and one kind of agents."""

    name = "elastic"
    kinds = ("host",)
    expires = False
    marks = True

    def __init__(self, settings: Settings, clock: Clock, own: tuple[str, ...] = ()):
        self._kibana = Kibana(settings, clock)
        self._settings = settings
        self._clock = clock
        self._own = own
        self._sent: tuple[str, Action] | None = None
        """The agent and the last action that was taken, until the history shows it."""

    @property
    def where(self) -> str:
        agents = "" if self._settings.agent_type == ENDPOINT else f" for {self._settings.agent_type} agents"
        return f"Kibana at {self._settings.url}{self._kibana.prefix}{agents}"

    def status(self, target: Target) -> Status:
        host, seen = self._look(target)
        mark = seen.cause.comment if seen.cause is not None else ""
        by = f" by action {seen.cause.id}" if seen.cause is not None else ""
        return Status(
            self._subject(host),
            contained=seen.isolated,
            ours=is_ours(mark),
            mark=mark,
            detail=f"Kibana shows {host.text} as {'isolated' if seen.isolated else 'not isolated'}{by}",
            pending=seen.pending,
        )

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        host, seen = self._look(target, status)
        if seen.isolated and seen.pending:
            raise BackendError(f"{host.text} is being released in Kibana: start this again when that is done.")
        if seen.isolated or seen.pending:
            return Effect(
                f"{host.text} was isolated already, or about to be, and was left as it is", (), (), seen.pending
            )
        self._check(host)
        action, note = self._ask(ISOLATE, host, terms.mark)
        done = f"asked Kibana to isolate {host.text} (action {action}){note}"
        return Effect(done, _ENDED, self._unseen(), pending=action)

    def release(self, target: Target, status: Status) -> Effect:
        host, seen = self._look(target, status)
        if seen.isolated and seen.pending:
            return Effect(f"{host.text} was being released already (action {seen.pending})", pending=seen.pending)
        if seen.cause is None or not is_ours(seen.cause.comment):
            return Effect(f"no isolation of {host.text} by us was there any more")
        action, note = self._ask(RELEASE, host, f"{WORD} ends action {seen.cause.id}")
        done = f"asked Kibana to release {host.text} (action {action}){note}"
        return Effect(done, remaining=self._unseen(), pending=action)

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        host = self._kibana.find(target)
        self._check(host)
        body = json.dumps(self._kibana.body(host.id, terms.mark))
        return f"POST {self._settings.url}{self._kibana.prefix}{path(ISOLATE)} {body}"

    def close(self) -> None:
        self._kibana.close()

    def _look(self, target: Target, before: Status | None = None) -> tuple[Host, Standing]:
        """The host and where it stands. Raises BackendError where the name means another host than before."""
        host = self._kibana.find(target)
        if before is not None and host.id != before.subject.id:
            raise BackendError(
                f"{target.value} was {before.subject.id} a moment ago and is {host.id} now; left as it is."
            )
        actions = self._kibana.history(host.id)
        if self._sent is not None:
            agent, sent = self._sent
            fresh = self._clock.now() - sent.started < _GRACE
            if agent == host.id and fresh and all(action.id != sent.id for action in actions):
                actions.insert(0, sent)
        return host, standing(actions, host.isolated, self._clock.now())

    def _ask(self, command: str, host: Host, comment: str) -> tuple[str, str]:
        """Ask once; where the answer is lost, the history tells whether it was taken. Gives the id and a note."""
        known = {action.id for action in self._kibana.history(host.id)}
        try:
            action_id, note = self._kibana.act(command, host.id, comment), ""
        except AnswerLost as error:
            made = [one for one in self._kibana.history(host.id) if one.id not in known and one.comment == comment]
            if not made:
                raise BackendError(f"{error} The product was asked again, and the change was not made.") from None
            action_id, note = made[0].id, "; the answer was lost and the state read again"
        now = self._clock.now()
        self._sent = (host.id, Action(action_id, command, comment, now, now, False, False, False))
        return action_id, note

    def _check(self, host: Host) -> None:
        if not host.capable:
            raise BackendError(
                f"{host.text} cannot be isolated: its endpoint does not have the capability `isolation` (its version, "
                "its policy or its system lacks it)."
            )

    def _unseen(self) -> tuple[str, ...]:
        return () if self._settings.agent_type == ENDPOINT else (_UNSEEN,)

    def _subject(self, host: Host) -> Subject:
        groups = (host.policy,) if host.policy else ()
        return Subject(
            id=host.id,
            name=host.names[0] if host.names else host.id,
            names=host.names,
            ids=tuple(dict.fromkeys(one for one in (host.id, host.fleet_id) if one)),
            groups=groups,
            types=(host.kind,),
            tags=groups,
            addresses=host.addresses,
            own=is_own(host.names, self._own),
            last_seen=host.last_seen,
        )


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    agent_type = items.choice("elastic_agent_type", AGENT_TYPES, ENDPOINT)
    settings = Settings(
        url=safe_url(items.text("elastic_url"), "elastic_url"),
        api_key=items.text("elastic_api_key"),
        space=_space(items.text("elastic_space", "")),
        agent_type=agent_type,
        agents=_agents(items.texts("elastic_agents")) if agent_type != ENDPOINT else (),
        proxy=workbench.proxy if items.flag("elastic_use_proxy", False) else None,
        ca_file=items.optional_text("elastic_ca_file"),
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    return ElasticBackend(settings, workbench.clock, own_names())


def _space(text: str) -> str:
    if not set(text) <= _SPACE:
        raise ConfigurationError(
            "must be a space's identifier as it stands in Kibana's addresses (/s/<identifier>): small letters, digits, "
            "_ and -.",
            path="configuration item elastic_space",
        )
    return text


def _agents(entries: list[str]) -> tuple[tuple[str, str], ...]:
    """`name=agent id` of each line; one bad line makes the whole list invalid."""
    lines = [line.strip() for entry in entries for line in entry.splitlines() if line.strip()]
    pairs = [tuple(part.strip() for part in line.split("=")) for line in lines]
    for line, pair in zip(lines, pairs, strict=True):
        if len(pair) != 2 or not all(pair):
            raise ConfigurationError(
                f"must read name=agent id, not {line[:80]!r}.", path="configuration item elastic_agents"
            )
    if not pairs:
        raise ConfigurationError(
            "must list the hosts as name=agent id: Kibana's list of endpoints knows only Elastic's own agents.",
            path="configuration item elastic_agents",
        )
    return tuple((name, agent) for name, agent in pairs)

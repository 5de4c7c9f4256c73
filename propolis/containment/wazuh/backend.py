"""The three verbs, for every kind of containment that the program on the agents knows.

The API only says that a call was sent, so `contain` and `release` look for the record that the program leaves, for as
long as the item `wazuh_wait_seconds` says: nothing at the manager tells that a call is under way. Only an isolation
has a record while it is on trial, and is then handed to the flow as under way.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.change import AnswerLost
from propolis.containment.wazuh import sight as sights
from propolis.containment.wazuh.answers import Agent
from propolis.containment.wazuh.dispatch import Dispatch, dispatch_for, why_not
from propolis.containment.wazuh.manager import Manager
from propolis.containment.wazuh.record import fitting, is_watched, records, searched
from propolis.containment.wazuh.sight import Sight, Words
from propolis.duration import duration_text

_FIRST_LOOK, _LONGEST_LOOK = 1.0, 5.0  # seconds between two looks; the API's limit counts all its clients

Judge = Callable[[Sight, Sight], "str | None"]
"""(as it was before the call, as it is now) -> why it failed, empty when it is done, None while nothing is known."""


class _Call(NamedTuple):
    """One start of the program."""

    key: str
    """The target as the records name it."""
    arguments: list[str]
    done: str
    """A sentence part for when it worked."""


class _Told(NamedTuple):
    """What is known of a call on one agent."""

    seen: Sight
    """As it was last seen."""
    verdict: str | None
    """As `Judge` gives it."""
    trouble: str = ""
    """Why the last look failed."""


class WazuhBackend(Backend):
    """One manager. A subclass says which agents are meant and which words the program is given."""

    marks = True
    words: ClassVar[Words]
    remaining: ClassVar[tuple[str, ...]] = ()
    """What lives on in spite of the containment."""

    def __init__(self, manager: Manager, clock: Clock, wait: float):
        self._manager = manager
        self._clock = clock
        self._wait = wait
        self._watched: set[str] = set()

    @abstractmethod
    def agents(self, target: Target) -> list[Agent]:
        """Where the target is to be contained; at least one."""

    @abstractmethod
    def key(self, target: Target) -> str:
        """The target as the records name it."""

    @abstractmethod
    def subject(self, target: Target, agents: Sequence[Agent]) -> Subject:
        """What guardrails ask."""

    def contain_words(self, target: Target, terms: Terms) -> list[str]:
        """The program's arguments, after the verb."""
        return [self.key(target), str(terms.seconds), terms.mark]

    def release_words(self, target: Target) -> list[str]:
        """The same for the undo."""
        return [self.key(target)]

    @property
    def where(self) -> str:
        return f"Wazuh at {self._manager.url}"

    def status(self, target: Target) -> Status:
        self._dispatch()
        agents = self.agents(target)
        return sights.status(self.subject(target, agents), [self._look(agent, self.key(target)) for agent in agents])

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        key = self.key(target)
        chosen = [one for agent in self.agents(target) if not (one := self._look(agent, key)).foreign]
        if not chosen:
            return Effect(f"{status.subject.name} was contained already, not by us, and was left as it is")
        call, mark = self._contain_call(target, status, terms), self._mark(key, terms)
        until = self._clock.now() + terms.seconds

        def judge(then: Sight, now: Sight) -> str | None:
            on_trial = now.under_way and now.trial not in then.records
            if on_trial or sights.is_made(then, now, mark, until):
                return ""
            return sights.refusal(then, now, self.words.contain, key) or None

        seen, done = self._run(call, chosen, judge)
        pending = "; ".join(one.under_way for one in seen if one.under_way)
        return Effect(done, remaining=self.remaining, pending=pending)

    def release(self, target: Target, status: Status) -> Effect:
        key = self.key(target)
        chosen = [one for agent in self.agents(target) if (one := self._look(agent, key)).ours]
        if not chosen:
            return Effect(f"no {self.words.contain} of {status.subject.name} by us was there any more")
        arguments = [self.words.release, *self.release_words(target)]

        def judge(then: Sight, now: Sight) -> str | None:
            return (sights.refusal(then, now, self.words.release, key) or None) if now.ours else ""

        return Effect(self._run(_Call(key, arguments, f"ran {' '.join(arguments)}"), chosen, judge)[1])

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        agents = self.agents(target)
        ready = [agent for agent in agents if not why_not(agent)]
        if not ready:
            raise BackendError(_not_done({agent.id: why_not(agent) for agent in agents}))
        return self._dispatch().request(ready, self._contain_call(target, status, terms).arguments)

    def _contain_call(self, target: Target, status: Status, terms: Terms) -> _Call:
        key = self.key(target)
        words = self.contain_words(target, terms._replace(mark=self._mark(key, terms)))
        span = f" for {duration_text(terms.seconds)}" if self.expires else ""
        return _Call(key, [self.words.contain, *words], f"ran {self.words.contain} of {status.subject.name}{span}")

    def _mark(self, key: str, terms: Terms) -> str:
        return fitting(terms.mark, self.words.trial or self.words.contain, key)

    def close(self) -> None:
        self._manager.close()

    def _dispatch(self) -> Dispatch:
        return dispatch_for(self._manager)

    def _run(self, call: _Call, chosen: list[Sight], judge: Judge) -> tuple[list[Sight], str]:
        """Start the program and follow it. Raises BackendError with what was done where, and what was not."""
        failed = {one.agent.id: why for one in chosen if (why := why_not(one.agent))}
        ready = [one for one in chosen if one.agent.id not in failed]
        unsent, lost = self._send(call, ready)
        failed |= unsent
        told = self._follow(call.key, [one for one in ready if one.agent.id not in failed], judge)
        failed |= {one.seen.agent.id: f"{one.seen.agent.label}: {self._why(one)}" for one in told if one.verdict != ""}
        fine = [one.seen for one in told if one.verdict == ""]
        done = f"{call.done} on {_labels(fine)}"
        if failed:
            raise BackendError(_not_done(failed, done if fine else "", lost))
        return fine, f"{done}; the answer was lost and the state read again" if lost else done

    def _send(self, call: _Call, ready: list[Sight]) -> tuple[dict[str, str], str]:
        """Agent id -> why the program was not started there; and what happened to the answer where it was lost."""
        if not ready:
            return {}, ""
        try:
            unsent = self._dispatch().send([one.agent for one in ready], call.arguments)
        except AnswerLost as error:
            return {}, str(error)
        return {
            one.agent.id: f"{one.agent.label}: {unsent[one.agent.id]}" for one in ready if one.agent.id in unsent
        }, ""

    def _follow(self, key: str, asked: list[Sight], judge: Judge) -> list[_Told]:
        """Look until every agent's records have told, or the wait is over."""
        end, pause = self._clock.monotonic() + self._wait, _FIRST_LOOK
        told = [_Told(one, None) for one in asked]
        while True:
            told = [self._told(then, one, key, judge) for then, one in zip(asked, told, strict=True)]
            known = all(one.verdict is not None for one in told)
            if known or self._clock.monotonic() + pause > end:
                return told
            self._clock.sleep(pause)
            pause = min(_LONGEST_LOOK, pause * 1.5)

    def _told(self, then: Sight, last: _Told, key: str, judge: Judge) -> _Told:
        """One more look where nothing is known yet. The call was sent, so a look that fails is no reason to stop."""
        if last.verdict is not None:
            return last
        try:
            now = self._look(then.agent, key)
        except BackendError as error:
            return last._replace(trouble=str(error))
        return _Told(now, judge(then, now))

    def _why(self, one: _Told) -> str:
        if one.verdict is not None:
            return f"it said: {one.verdict}"
        if one.trouble:
            return f"the call was sent, and what became of it could not be looked up: {one.trouble.rstrip('.')}"
        return (
            f"no record of it showed within {self._wait:g} s, so look there whether it was done "
            "(is propolis-contain installed, and is logs/active-responses.log silent?)"
        )

    def _look(self, agent: Agent, key: str) -> Sight:
        """What FIM shows of the target. Where it shows nothing, it must be known to look."""
        if agent.status == "never_connected":
            return Sight(agent)
        found = records(self._manager.files(agent, searched(key)))
        seen = sights.sight(agent, found, self.words, key, self._clock.now())
        if not seen.records and agent.status == "active":
            self._check_watched(agent)
        return seen

    def _check_watched(self, agent: Agent) -> None:
        """Without FIM on the records' folder, no record would mean nothing."""
        if agent.id in self._watched:
            return
        if not is_watched(self._manager.watched(agent)):
            raise BackendError(
                f"The FIM of agent {agent.label} does not watch the folder active-response/propolis in real time, so "
                "nothing could be verified there, and nothing was done: add it to the agent's or its group's "
                "configuration (docs/backends-wazuh.md)."
            )
        self._watched.add(agent.id)


def _labels(seen: Sequence[Sight]) -> str:
    return ", ".join(f"agent {one.agent.label}" for one in seen)


def _not_done(failed: dict[str, str], done: str = "", lost: str = "") -> str:
    """One text for what failed where, and what was done all the same."""
    listed = "; ".join(failed[number] for number in sorted(failed))
    offline = any("is not connected" in why for why in failed.values())
    by_hand = " On the host itself, root may run propolis-contain by hand with the same words." if offline else ""
    partly = f"{done[0].upper()}{done[1:]}, but not everywhere: " if done else "It could not be verified as done: "
    again = " Start it again to complete it." if done else ""
    return f"{lost + ' ' if lost else ''}{partly}{listed}.{again}{by_hand}"

"""A webhook of TheHive: a hint that something happened. It wakes steps and puts steps, and decides nothing.

Inbox `{"from": "thehive", "hook": {...}}` (`intake.hook.Hook`). Whatever it says of an entity, the entity is read again
before anything follows; the cases and entities it names matter only where they are known here. So a message that comes
six times, too late, in the wrong order or from a forger makes somebody look, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from playbook_service.engine import sighting
from playbook_service.engine.sighting import ENTITIES, Sighting
from playbook_service.engine.step import Done, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.intake.hook import Hook
from playbook_service.store.contract import Item, Transaction

_MOST_LOOKED_AT = 30
"""Observables of a case that are looked at for an action that does not say what it was started on."""
_GONE = "delete"


class Hooks:
    """The handler of the inbox word `thehive`."""

    def __init__(self, tools: Tools, seen: Sighting):
        self._tools = tools
        self._seen = seen
        self._readers: Mapping[str, Callable[[Hook], Outcome]] = {
            "case": self._case,
            "alert": self._alert,
            "observable": self._observable,
            "task": self._task,
            "job": self._job,
            "action": self._action,
        }

    def handle(self, item: Item) -> Outcome:
        """Look at what the hook is about."""
        hook = Hook(**item.body["hook"])
        reader = self._readers.get(hook.entity)
        return reader(hook) if reader is not None and hook.verb != _GONE else Done()

    def _case(self, hook: Hook) -> Outcome:
        if not self._seen.is_ours(hook.entity_id):
            return Done()
        case = self._tools.hive.case(hook.entity_id)
        return Done(lambda work: self._seen.case(work, case)) if case is not None else Done()

    def _alert(self, hook: Hook) -> Outcome:
        """Of our own making nothing is to be learned; TheHive 4 does not say whose it was, so there it is read."""
        if hook.verb == "create" or (hook.actor and hook.actor == self._tools.account):
            return Done()
        alert = self._tools.hive.alert(hook.entity_id)
        return Done(lambda work: self._seen.alert(work, alert)) if alert is not None else Done()

    def _observable(self, hook: Hook) -> Outcome:
        """Read only where its tags may matter; for reports it is enough to wake whoever waits for them."""
        if hook.verb == "create" or not self._seen.is_ours(hook.root_id):
            return Done()
        if hook.details and "tags" not in hook.details:
            return Done(lambda work: sighting.wake_runs(work, hook.root_id, hook.entity_id))
        observable = self._tools.hive.observable(hook.entity_id)
        if observable is None or self._tools.hive.home(observable.id) != ("case", hook.root_id):
            return Done()
        return Done(lambda work: self._seen.observable(work, observable, hook.root_id))

    def _task(self, hook: Hook) -> Outcome:
        return Done(lambda work: sighting.task(work, hook.root_id))

    def _job(self, hook: Hook) -> Outcome:
        def commit(work: Transaction) -> None:
            sighting.job(work, hook.entity_id)

        return Done(commit)

    def _action(self, hook: Hook) -> Outcome:
        """Ours may have moved; others' are looked for on what the hook names, else on what says it is contained."""
        looks = [self._seen.actions(entity, entity_id) for entity, entity_id in self._started_on(hook)]

        def commit(work: Transaction) -> None:
            sighting.action(work, hook.root_id)
            for look in looks:
                look(work)

        return Done(commit)

    def _started_on(self, hook: Hook) -> list[tuple[str, str]]:
        """What an action may have been started on, in cases of ours only."""
        entity, entity_id = (
            ENTITIES.get(str(hook.details.get("objectType") or "").lower()),
            hook.details.get("objectId"),
        )
        if entity and isinstance(entity_id, str) and entity_id:
            return [(entity, entity_id)] if self._seen.case_of(entity, entity_id) else []
        if not self._seen.is_ours(hook.root_id):
            return []
        tagged = [one for one in self._tools.hive.observables(hook.root_id) if sighting.says_contained(one)]
        tagged.sort(key=lambda one: one.updated_at or one.created_at, reverse=True)
        return [("case", hook.root_id), *(("case_artifact", one.id) for one in tagged[:_MOST_LOOKED_AT])]

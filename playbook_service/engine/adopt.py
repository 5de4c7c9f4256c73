"""What an analyst started by hand in TheHive is taken into account: a containment becomes a lease in the analyst's
name, an undo ends the lease that it undid.

Step `adopt:<entity>:<action>` `{"entity", "entity_id", "action"}`, one for every action on an entity of a case of ours
that no launch of ours accounts for. It waits until the action has ended, and reads its report as it reads ours. What is
done is noted as a launch (`contain:<lease>`, `byhand:<...>`), so that an action counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from playbook_service.engine import launch, lease
from playbook_service.engine.launch import Ended, Wish, identity, without_version
from playbook_service.engine.placement import CASE
from playbook_service.engine.step import Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import FINISHED_JOB, Action
from playbook_service.playbook.model import content_digest
from playbook_service.playbook.responder import DEFAULT_SECONDS, RESPONDERS, UNDO
from playbook_service.store.contract import Filter, Item, Record, Transaction

CONTAINED_TAG = "propolis:contained:"
"""How the tags begin by which a responder says, on what it was started on, that it contains it."""
_IN_FORCE = ("contained", "extended")
_RELEASED = ("released", "already_released")
_POLL, _NOTED_SOON = 5.0, 2.0
_RUNS_AT_MOST = 1800.0
_SKEW = 120_000  # milliseconds by which TheHive's clock may be behind ours
_AT_LEAST = 3600.0
"""Seconds that are left at least to a containment whose product does not end it: time for a person to renew it."""


class Seen(NamedTuple):
    """A finished action of somebody else's: on what, in which case, how it ended and who started it."""

    entity: str
    entity_id: str
    case_id: str
    action: Action
    ended: Ended
    by: str
    starts: Mapping[str, int]
    """When each action on the entity was started, by TheHive's clock."""


class Adoption:
    """Looks for actions of others, and takes what they did into account."""

    def __init__(self, tools: Tools):
        self._tools = tools

    def look(self, entity: str, entity_id: str) -> list[str]:
        """The identities of the actions on an entity that nobody here accounts for. Raises HttpError."""
        actions = [action for action in self._tools.hive.actions(entity, entity_id) if _responder(action)]
        if not actions:
            return []
        with self._tools.store.transaction() as work:
            launches = _launches(work, entity_id)
        return [identity(action) for action in actions if not _accounted(launches, action)]

    def step(self, item: Item) -> Outcome:
        """Step `adopt`."""
        entity, entity_id = str(item.body["entity"]), str(item.body["entity_id"])
        case_id = case_of(self._tools.hive, entity, entity_id)
        with self._tools.store.transaction() as work:
            known = work.get(CASE, case_id) if case_id else None
            launches = _launches(work, entity_id)
        actions = {identity(one): one for one in self._tools.hive.actions(entity, entity_id)} if known else {}
        action = actions.get(str(item.body["action"]))
        if known is None or action is None or _accounted(launches, action):
            return Done()
        if _may_be_ours(launches, action):
            return Later(_NOTED_SOON, "a start of ours is being noted; this may be it")
        if action.status not in FINISHED_JOB:
            too_long = self._tools.clock.now() - item.put_at > _RUNS_AT_MOST
            return Done() if too_long else Later(_POLL, f"{action.definition} is running")
        if any(_undoes(other, action) for other in actions.values()):
            return Done()  # it is history, here or with an older memory
        ended = launch.read_ending(action)
        starts = {name: one.started_at for name, one in actions.items()}
        seen = Seen(entity, entity_id, case_id, action, ended, _who(action, ended), starts)
        return Done(lambda work: self._settle(work, seen))

    def _settle(self, work: Transaction, seen: Seen) -> None:
        result = str(seen.ended.full.get("result") or "")
        responder = _responder(seen.action)
        if not seen.ended.success or _accounted(_launches(work, seen.entity_id), seen.action):
            return
        if responder in RESPONDERS and result in _IN_FORCE:
            self._contained(work, seen, responder)
        elif responder in UNDO and result in _RELEASED:
            self._released(work, seen, UNDO[responder])

    def _contained(self, work: Transaction, seen: Seen, responder: str) -> None:
        """A lease, by the name that the report gives it; where one is in force on the target, that is prolonged."""
        named = str(seen.ended.full.get("lease") or "")
        wanted = self._grant(seen, responder, named)
        until = self._until(seen, wanted.seconds)
        standing = lease.on_target(work, responder, wanted.target)
        if standing is not None:
            self._prolong(work, seen, standing, until)
        elif until > self._tools.clock.now() and lease.take(work, self._tools, wanted, until, seen.ended):
            launch.note(work, f"contain:{wanted.lease}", _wish(seen, responder), seen.action)

    def _prolong(self, work: Transaction, seen: Seen, standing: Record, until: float) -> None:
        launch.note(work, _by_hand(seen), _wish(seen, _responder(seen.action)), seen.action)
        if standing.state == lease.ACTIVE and until > float(standing.body["until"]):
            lease.move(work, self._tools, standing, until, seen.by, held=until)

    def _released(self, work: Transaction, seen: Seen, responder: str) -> None:
        """Leases on this very entity that were contained before: the undo of something older does not end them."""
        launch.note(work, _by_hand(seen), _wish(seen, _responder(seen.action)), seen.action)
        for record in lease.in_force(work, seen.case_id):
            wanted = lease.Grant(**record.body["grant"])
            if (wanted.responder, wanted.entity_id) != (responder, seen.entity_id) or record.state == lease.RELEASING:
                continue
            begun = work.get(launch.KIND, f"contain:{record.key}")
            if begun is not None and not _is_older(seen, begun):
                lease.gone(work, self._tools, record, seen.by, seen.ended)

    def _grant(self, seen: Seen, responder: str, named: str) -> lease.Grant:
        full = seen.ended.full
        key = named or f"H{content_digest([seen.entity_id, identity(seen.action)])[:24]}"
        target = _object(full.get("target")).get("value")
        seconds = _object(full.get("duration")).get("seconds")
        return lease.Grant(
            key, responder, seen.entity, seen.entity_id, seen.case_id, str(target or ""),
            int(seconds) if isinstance(seconds, int | float) and seconds > 0 else DEFAULT_SECONDS,
            "started by hand in TheHive", "", seen.by,
        )  # fmt: skip

    def _until(self, seen: Seen, seconds: int) -> float:
        """Its own end. What the product does not end is given the time it was started for."""
        own = lease.moment(seen.ended.full.get("until"))
        if own is not None:
            return own
        began = (seen.action.ended_at or seen.action.started_at) / 1000
        return max(began + seconds, self._tools.clock.now() + _AT_LEAST)


def found(work: Transaction, entity: str, entity_id: str, actions: Sequence[str]) -> int:
    """Have these actions taken into account; returns how many were not known yet."""
    return sum(
        follow(work, "adopt", f"{entity_id}:{action}", entity=entity, entity_id=entity_id, action=action)
        for action in actions
    )


def case_of(hive: Hive, entity: str, entity_id: str) -> str:
    """The case that an entity (`case`, `alert`, `case_artifact`) belongs to, empty where there is none."""
    if entity == "case":
        return entity_id
    if entity == "case_artifact":
        kind, entity_id = hive.home(entity_id)
        if kind != "alert":
            return entity_id
    alert = hive.alert(entity_id)
    return alert.case_id if alert is not None else ""


def _undoes(other: Action, action: Action) -> bool:
    """Has another action undone what this one did?"""
    if UNDO.get(_responder(other)) != _responder(action) or other.started_at < action.started_at:
        return False
    ended = launch.read_ending(other)
    return other.status in FINISHED_JOB and ended.success and ended.full.get("result") in _RELEASED


def _is_older(seen: Seen, begun: Record) -> bool:
    """Was the action started before the containment was? By TheHive's own clock wherever it tells of both."""
    started = seen.starts.get(str(begun.body["action"]))
    if started is None:
        return seen.action.started_at < float(begun.body["asked_at"]) * 1000 - _SKEW
    return seen.action.started_at < started


def _responder(action: Action) -> str:
    """The responder's name where it is one of ours, else empty."""
    name = without_version(action.definition or action.responder_name)
    return name if name in RESPONDERS or name in UNDO else ""


def _launches(work: Transaction, entity_id: str) -> list[Record]:
    return work.find(launch.KIND, Filter(ref=entity_id))


def _accounted(launches: Sequence[Record], action: Action) -> bool:
    jobs = {record.body["job"] for record in launches if record.body["job"]}
    return action.cortex_job_id in jobs or identity(action) in {record.body["action"] for record in launches}


def _may_be_ours(launches: Sequence[Record], action: Action) -> bool:
    """A launch of ours was asked for and what came of it is not noted yet."""
    return any(
        record.state == launch.ASKING
        and record.body["wish"]["responder"] == _responder(action)
        and identity(action) not in record.body["known"]
        for record in launches
    )


def _wish(seen: Seen, responder: str) -> Wish:
    return Wish(responder, seen.entity, seen.entity_id, {})


def _by_hand(seen: Seen) -> str:
    return f"byhand:{content_digest([seen.entity_id, identity(seen.action)])[:24]}"


def _who(action: Action, ended: Ended) -> str:
    """TheHive 4 does not say who started an action, but hands the login to the responder, which repeats it."""
    return action.created_by or str(_object(ended.full.get("requested_by")).get("user") or "") or "an analyst"


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

"""The Cortex responder around the flow: configuration, target, terms, guardrails, report and operations.

A responder subclasses `ContainmentResponder`, says which targets it takes, which backends it has and what its
guardrails are, and ends its entry script in `MyResponder.main()`. Its two flavours differ only in `config.service`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from propolis.clock import Clock, SystemClock, utc_text
from propolis.containment.backend import Backend, Status, Target, Terms
from propolis.containment.flow import Guard, Outcome, Plan, contain, release
from propolis.containment.mark import mark
from propolis.containment.target import Wanted, find_target, parent, tags_of
from propolis.containment.terms import DURATION_TAG, Span, lease_id, span
from propolis.errors import ConfigurationError, InputError
from propolis.guardrails import Policy, Refused, check_ttl
from propolis.worker.base import Answer
from propolis.worker.items import Items
from propolis.worker.responder import ResponderWorker

_OPERATIONS = {
    "thehive:case_artifact": "AddTagToArtifact",
    "thehive:case": "AddTagToCase",
    "thehive:alert": "AddTagToAlert",
}
_IN_FORCE = ("contained", "extended")


class Workbench(NamedTuple):
    """What a backend is made from."""

    items: Items
    clock: Clock
    proxy: str | None


BackendFactory = Callable[[Workbench], Backend]


class ContainmentResponder(ResponderWorker):
    """A responder with a `contain` and a `release` flavour."""

    worker_name: ClassVar[str]
    """The contain flavour's name, `FirewallBlock`."""
    wanted: ClassVar[Wanted]
    backends: ClassVar[Mapping[str, BackendFactory]]
    """The registry: the word in the item `backend` -> how to make it."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        super().__init__()

    def canonical(self, target: Target) -> Target:
        """The target in the one form that guardrails and backends see. Raises PropolisError for what is none."""
        raise NotImplementedError

    def guard(self, policy: Policy, target: Target, status: Status | None) -> None:
        """Raise `Refused` for what must not be contained; `status` is None before the product was asked."""
        raise NotImplementedError

    def answer(self) -> Answer:
        """Contain or release, as the flavour says."""
        service = self.items.choice("service", ("contain", "release"))
        target = find_target(self.entity, str(self.data_type), self.wanted)
        backend = self._backend()
        try:
            return self._contain(backend, target) if service == "contain" else self._release(backend, target)
        finally:
            backend.close()

    def _contain(self, backend: Backend, asked: Target) -> Answer:
        policy = Policy.parse(self.items.optional_text("policy"), source="configuration item policy")
        self._check_actor(policy)
        target = self._accepted(backend, asked)
        wish = self._span()
        seconds = check_ttl(policy, wish.seconds)
        lease = lease_id(self.parameters)
        plan = Plan(
            target,
            Terms(seconds, self._mark(lease), lease),
            observing=self._observing(policy),
            extend=wish.wished,
            without_end=self.items.flag("allow_without_expiry", False),
            renews=bool(lease) and self.parameters.get("renew") is True,
            patience=self._patience(),
        )
        outcome = contain(backend, plan, self._last_word(policy, plan), self.clock)
        facts = {
            "duration": {"seconds": seconds, "from": wish.origin},
            "dry_run": bool(plan.observing),
            "policy": policy.describe(),
        }
        return Answer(self._full("contain", backend, target, outcome, facts), operations=self._tags(backend, outcome))

    def _last_word(self, policy: Policy, plan: Plan) -> Guard:
        """The guardrails as the flow asks them: up to the last moment, the kill switch among them."""

        def check(target: Target, status: Status | None) -> None:
            self.guard(policy, target, status)
            held = policy.holds_back() if status is not None and not plan.observing else []
            if held:
                raise Refused(held[0], rule="kill_switch")

        return check

    def _release(self, backend: Backend, asked: Target) -> Answer:
        """An undo asks no policy, no mode and no dry run: it only takes back what carries our mark."""
        target = self._accepted(backend, asked)
        outcome = release(backend, target, self.clock, lease=lease_id(self.parameters), patience=self._patience())
        return Answer(self._full("release", backend, target, outcome, {}), operations=self._tags(backend, outcome))

    def _backend(self) -> Backend:
        name = self.items.text("backend")
        if name not in self.backends:
            known = ", ".join(sorted(self.backends))
            raise ConfigurationError(f"must be one of {known}, but is {name!r}.", path="configuration item backend")
        proxy = self.get_param("config.proxy.https") or self.get_param("config.proxy.http")
        if proxy is not None and not isinstance(proxy, str):
            raise ConfigurationError("must be an address, such as http://proxy.example.org:3128.", path="config.proxy")
        return self.backends[name](Workbench(self.items, self.clock, proxy))

    def _accepted(self, backend: Backend, asked: Target) -> Target:
        target = self.canonical(asked)
        if target.kind not in backend.kinds:
            raise InputError(f"{backend.name} cannot contain a {target.kind}; it takes {', '.join(backend.kinds)}.")
        return target

    def _patience(self) -> float:
        return self.items.number("wait_seconds", 60, low=0, high=900)

    def _span(self) -> Span:
        default = int(self.items.number("duration_hours", 24, low=0.02, high=24 * 365) * 3600)
        own = [tag for tag in tags_of(self.entity) if tag.startswith(DURATION_TAG)]
        return span(default, own or tags_of(parent(self.entity)), self.parameters)

    def _observing(self, policy: Policy) -> tuple[str, ...]:
        """Why nothing may be done, each with what to set; empty when the responder may act."""
        reasons = list(policy.holds_back())
        if self.items.flag("dry_run", True):
            reasons.insert(0, "The configuration item dry_run is true: set it to false to act.")
        if self.parameters.get("look_only") is True:
            reasons.insert(0, "Only a look was asked for (parameters.look_only).")
        return tuple(reasons)

    def _check_actor(self, policy: Policy) -> None:
        if policy.actor_required and not self._actor():
            raise Refused(
                "The policy wants somebody named (actor_required), and the job names no user: start it from TheHive.",
                rule="actor_required",
            )

    def _mark(self, lease: str) -> str:
        case = parent(self.entity)
        number = case.get("caseId") if isinstance(case.get("caseId"), int) else None
        return mark(case=str(number) if number else None, lease=lease, by=self._actor(), at=utc_text(self.clock.now()))

    def _actor(self) -> str:
        return str(self.parameters.get("user") or "")

    def _full(
        self, verb: str, backend: Backend, target: Target, outcome: Outcome, facts: dict[str, Any]
    ) -> dict[str, Any]:
        subject = outcome.status.subject
        return {
            "message": self._message(backend, outcome),
            "worker": self.worker_name,
            "action": verb,
            "result": outcome.result,
            "changed": outcome.changed,
            "backend": backend.name,
            "where": backend.where,
            "target": {"kind": target.kind, "value": target.value, "from": target.origin},
            "subject": {"id": subject.id, "name": subject.name},
            "done": outcome.done,
            "until": utc_text(outcome.until) if outcome.until is not None else None,
            "verified": outcome.verified,
            "mark": outcome.status.mark,
            "marks": backend.marks,
            "lease": lease_id(self.parameters),
            "sessions": {"ended": list(outcome.ended), "remaining": list(outcome.remaining)},
            "request": outcome.request,
            "pending": outcome.pending,
            "notes": list(outcome.notes),
            "requested_by": {"user": self._actor(), "organisation": str(self.parameters.get("organisation") or "")},
            **facts,
        }

    def _message(self, backend: Backend, outcome: Outcome) -> str:
        """One sentence for the line that TheHive shows."""
        end = f" until {utc_text(outcome.until)}" if outcome.until is not None else ""
        name, at = outcome.status.subject.name, backend.where
        sentences = {
            "contained": f"Contained {name} at {at}{end}; verified.",
            "extended": f"Extended the containment of {name} at {at}{end}; verified.",
            "already_contained": f"{outcome.done[:-1]}{end}.",
            "would_contain": f"DRY RUN: would contain {name} at {at}. {' '.join(outcome.notes)}",
            "pending": f"The request for {name} at {at} is under way and not yet verified ({outcome.pending}).",
            "released": f"Released {name} at {at}; verified.",
            "already_released": f"{name} is not contained at {at}; nothing was done.",
        }
        return sentences[outcome.result]

    def _tags(self, backend: Backend, outcome: Outcome) -> list[dict[str, Any]]:
        """A tag on what the responder was started on, only for what was verified."""
        operation = _OPERATIONS.get(str(self.data_type))
        if operation is None or outcome.result not in (*_IN_FORCE, "released"):
            return []
        if outcome.result == "released":
            tag = f"propolis:released:{backend.name}:at={utc_text(self.clock.now())}"
        else:
            end = utc_text(outcome.until) if outcome.until is not None else "undone-by-hand"
            tag = f"propolis:contained:{backend.name}:until={end}"
        return [self.build_operation(operation, tag=tag)]

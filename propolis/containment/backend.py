"""The contract between a responder and a product that can contain something.

A backend is three verbs on one target: `status`, `contain`, `release`. It never decides whether to act: the flow asks
the guardrails and the operator's settings, calls `status` before and after, and believes only what `status` then says.

What a backend must keep (one suite, `tests/responders/suite.py`, holds all of them to it):

- `status` makes no change. It raises `NotFound` or `Ambiguous` rather than choose.
- `contain` on what is already contained leaves it contained, with the new terms. It is one transaction where the
  product has one; where an answer is lost it looks again and never blindly repeats.
- `release` removes only what carries our mark, and succeeds when that is gone already. Where our containment is still
  under way it cancels that if the product can, else it raises.
- What the product finishes later shows as `Status.pending` from the moment it is taken until it is done or has failed;
  `contain` and `release` then give the same id as `Effect.pending`. The flow waits; a backend never does.
- Proof that a containment is ours lies at the product: a comment, tag or attribute that holds `Terms.mark`.
- Failures are `BackendError`s: one sentence, no secrets, what to fix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from propolis.errors import PropolisError


class Target(NamedTuple):
    """What is to be contained, as it was asked for."""

    kind: str
    """`ip`, `domain`, `url`, `account`, `host` or `file`."""
    value: str
    """Canonical text."""
    origin: str
    """Where it was found: `observable`, `tag propolis:target`, `custom field wazuh_agent_name`, ..."""
    hints: tuple[tuple[str, str], ...] = ()
    """Further facts that came along and must agree with what the product knows, such as `("agent_id", "003")`."""


class Subject(NamedTuple):
    """What the product knows under the target's name: what would be contained, and what guardrails ask of it."""

    id: str
    """The product's own id (a distinguished name, an object id, a machine id; the address itself for a firewall)."""
    name: str
    """How a person calls it."""
    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Groups or roles, nested ones included."""
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    privileged: bool = False
    """The product itself marks it as administrative."""
    own: bool = False
    """It is the identity or the machine that the backend itself works with."""
    last_seen: float | None = None
    """Wall time, seconds, at which the product last heard of a host; None where it does not say."""


class Status(NamedTuple):
    """What the product says now."""

    subject: Subject
    contained: bool
    ours: bool = False
    """The containment carries our mark."""
    until: float | None = None
    """Wall time, seconds, at which the product itself ends it; None where nothing at the product will."""
    mark: str = ""
    """The text found at the product, ours or somebody else's."""
    detail: str = ""
    """A sentence part that says what was seen: `element of set b4 in table inet propolis, 23h59m left`."""
    pending: str = ""
    """The product's id of an action under way: a containment where it is not contained, a release where it is."""
    remains: bool = False
    """Something of ours is there that does not contain any more (its rules were changed by other hands): an undo still
    takes it away."""


class Terms(NamedTuple):
    """Under which terms a containment is made."""

    seconds: int
    """How long; the backend hands it to the product where the product can end things by itself."""
    mark: str
    """ASCII, at most 120 characters; see `propolis.containment.mark`."""
    lease: str = ""
    """The service's lease id where it has one: then the service ends the containment."""


class Effect(NamedTuple):
    """What a write did, in words; whether it worked is for `status` to say."""

    done: str
    """`added 203.0.113.7 to set b4 for 24h`."""
    ended: tuple[str, ...] = ()
    """Sessions, tokens or connections that were ended with it."""
    remaining: tuple[str, ...] = ()
    """What lives on in spite of it, and until when."""
    pending: str = ""
    """The product's id of an action that is not finished."""


class BackendError(PropolisError):
    """The product could not be asked, refused, or answered nonsense."""


class NotFound(BackendError):
    """The product knows nothing under the target's name."""


class Ambiguous(BackendError):
    """The product knows several things under the target's name; none of them was touched."""

    def __init__(self, target: Target, candidates: list[str]):
        listed = ", ".join(sorted(candidates)[:20])
        super().__init__(f"{target.value} means {len(candidates)} things there, and exactly one is needed: {listed}.")
        self.candidates = tuple(candidates)


class Backend(ABC):
    """One product."""

    name: str
    """The word in the configuration item `backend`."""
    kinds: tuple[str, ...]
    """The kinds of target it can contain."""
    expires: bool
    """The product ends a containment by itself."""
    marks: bool
    """The product can hold our mark."""

    @property
    @abstractmethod
    def where(self) -> str:
        """The instance, for a person: `nftables on this host`, `https://keycloak.example.org realm soc`."""

    @abstractmethod
    def status(self, target: Target) -> Status:
        """What the product knows of the target. Reads only."""

    @abstractmethod
    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        """Contain the subject that `status` found, under these terms."""

    @abstractmethod
    def release(self, target: Target, status: Status) -> Effect:
        """Undo our containment of the subject that `status` found."""

    @abstractmethod
    def request(self, target: Target, status: Status, terms: Terms) -> str:
        """The request that `contain` would send, for a dry run to show. Makes no change."""

    def close(self) -> None:  # noqa: B027 - most backends hold nothing open
        """Let go of connections."""

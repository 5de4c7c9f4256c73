"""The embedded TheHive as a whole: state, transactions, and the way from a request to its handler."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request, forbidden, not_found
from playbook_service.lab.hive.account import NOBODY, Account, account_of, authenticate
from playbook_service.lab.hive.audit import Audit, Trail
from playbook_service.lab.hive.entity import Entity, Key
from playbook_service.lab.hive.envelope import Envelopes
from playbook_service.lab.hive.store import Store
from playbook_service.lab.hive.view0 import View0
from playbook_service.lab.hive.view1 import Document, View1
from playbook_service.lab.route import Route, Router
from propolis.clock import Clock

VERSIONS = {4: "4.1.24-1", 5: "5.7.5-1"}
Handler = Callable[["Hive", Account, Request], Reply]
_JSON_TYPES = ("application/json", "multipart/form-data", "application/x-www-form-urlencoded")
_SELF_SHOWN = ("Alert", "Case", "Task")


class Hive:
    """One TheHive. `extensions` holds what is joined on (the connector); `stopping` is set while its server stops."""

    def __init__(self, clock: Clock, version: int = 5, *, duplicate_observable: int = 207):
        from playbook_service.lab.hive.api import routes

        self.clock = clock
        self.version = version
        self.duplicate_observable = duplicate_observable
        self.store = Store()
        self.trail = Trail()
        self.view1 = View1(self.store, version)
        self.view0 = View0(self.store, version, self.view1)
        self.envelopes = Envelopes(self.store, version, self.view0, self.view1)
        self.stopping = threading.Event()
        self.notifications: dict[str, list[Document]] = {}
        self.endpoints: list[Document] = []
        self.blobs: dict[str, bytes] = {}
        self.extensions: dict[str, Any] = {}
        self._router: Router[Handler] = Router(routes(version))

    # --- transactions ------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One request's changes and audits, told to the world once they are certain; all undone on an exception."""
        with self.store.transaction():
            self.trail.begin()
            try:
                yield
            except BaseException:
                self.trail.roll_back()
                raise
            self.trail.commit()

    def now(self) -> int:
        """Epoch ms."""
        return int(self.clock.now() * 1000)

    # --- entities ----------------------------------------------------------------------------------------------------

    def make(
        self,
        kind: str,
        fields: Mapping[str, Any],
        who: Account,
        *,
        parent: Entity | None = None,
        organisation: str | None = None,
        key: Key | None = None,
    ) -> Entity:
        """A new entity, in the caller's organisation unless another is named."""
        place = who.organisation if organisation is None else organisation
        known = {name: value for name, value in fields.items() if value is not None}
        identity = self.store.next_id()
        above = None if parent is None else parent.id
        return self.store.put(Entity(identity, kind, place, above, who.login, self.now(), known, key=key))

    def change(self, entity: Entity, fields: Mapping[str, Any], who: Account) -> Entity:
        """Set fields of an entity; None takes one away."""
        return self.store.change(entity, fields, by=who.login, at=self.now())

    def touch(self, entity: Entity, who: Account) -> None:
        """TheHive 5 marks the case or alert as updated when something in it is."""
        if self.version == 5 and self.store.find(entity.id) is not None:
            self.change(entity, {}, who)

    def get(self, kind: str, name: str, who: Account) -> Entity:
        """An entity by id (or by what else names its kind) that the caller may see. Raises ApiError 404."""
        entity = self.store.find(name)
        if entity is None and not name.startswith("~"):
            entity = self.store.by_key(kind, self._key(kind, name, who))
        if entity is None or entity.kind != kind or not self.visible(entity, who):
            raise not_found(f"{kind} not found")
        return entity

    def _key(self, kind: str, name: str, who: Account) -> Key:
        if kind == "Case":
            return (who.organisation, int(name)) if name.isdigit() else ()
        if kind == "Alert":
            return (who.organisation, *name.split(";"))
        return (who.organisation, name) if kind == "CaseTemplate" else (name.lower() if kind == "User" else name,)

    def visible(self, entity: Entity, who: Account) -> bool:
        """Whether the entity belongs to the caller's organisation or to the platform."""
        return entity.organisation in ("", who.organisation)

    def above(self, entity: Entity, *kinds: str) -> Entity | None:
        """The nearest of these kinds among the entity itself and what it hangs on."""
        here: Entity | None = entity
        while here is not None and here.kind not in kinds:
            here = self.store.find(here.parent)
        return here

    # --- audits ------------------------------------------------------------------------------------------------------

    def audit(  # noqa: PLR0913 - an audit's parts
        self,
        action: str,
        entity: Entity,
        who: Account,
        details: Mapping[str, Any],
        *,
        main: bool = True,
        root: str | None = None,
        context: str | None = None,
        quiet: bool = False,
        title: str | None = None,
    ) -> None:
        """Note what was done to an entity. `quiet`: kept in the trail, announced to nobody."""
        if root is None:
            top = self.above(entity, "Case", "Alert")
            root = entity.id if top is None else top.id
        kind = "Observable" if entity.kind == "Artifact" else entity.kind
        self.trail.add(
            Audit(
                self.store.next_id(), who.login, self.now(), action, main, self.trail.request_id, root, entity.id, kind,
                context or self._context(entity), entity.organisation, dict(details), quiet, title,
            )
        )  # fmt: skip

    def created(self, entity: Entity, who: Account, *, main: bool = True, **more: Any) -> None:
        """Note a creation, with the whole entity as its details."""
        self.audit("create", entity, who, self.view1.draw(entity, bare=True) | more, main=main)

    def _context(self, entity: Entity) -> str:
        if entity.kind in _SELF_SHOWN or entity.parent is None:
            return entity.id
        parent = self.store.find(entity.parent)
        in_case = entity.kind == "Observable" and parent is not None and parent.kind == "Case"
        return entity.id if in_case else entity.parent

    # --- requests ----------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        """Handle a request. Raises ApiError."""
        found = self._router.find(request.method, request.path)
        if found is None:
            raise not_found(f"No such route: {request.method} {request.path}")
        route, slots = found
        self._check_type(request)
        request = request.at(slots)
        if route.public:
            return route.handler(self, NOBODY, request)
        with self.store.transaction():
            who = self._caller(request, route)
        if route.free:
            return route.handler(self, who, request)
        with self.transaction():
            return route.handler(self, who, request)

    def _check_type(self, request: Request) -> None:
        given = request.content_type
        if self.version == 5 and request.body and given not in _JSON_TYPES:
            raise bad_request(f"Content-Type {given or 'missing'} is not accepted: use application/json")

    def _caller(self, request: Request, route: Route[Handler]) -> Account:
        user = authenticate(self.store, request)
        who = account_of(self.store, user, request.headers.get("x-organisation"), self.version)
        if route.right is not None and not who.may(route.right):
            raise forbidden()
        return who

    # --- answers -----------------------------------------------------------------------------------------------------

    def show(self, entity: Entity, who: Account, dialect: int = 1) -> Document:
        """An entity as a call answers with it."""
        if dialect == 0:
            return self.view0.draw(entity)
        shown = self.view1.draw(entity)
        if entity.kind == "Case" and self.version == 5:
            shown["userPermissions"] = sorted(who.permissions)
        return shown

    def done(self, entity: Entity, who: Account, dialect: int) -> Reply:
        """What an update answers: nothing (v1), or the entity (v0)."""
        if dialect == 1:
            return NOTHING
        return Reply(200, self.show(self.store.find(entity.id) or entity, who, 0))

"""The console's addresses: who is there, may they, the page or the act, and nothing that another site could trigger."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from playbook_service.console import form, frame
from playbook_service.console.door import Door
from playbook_service.console.frame import ROOT, Around
from playbook_service.console.pages import PLACES
from playbook_service.console.person import Person
from playbook_service.console.session import Session
from playbook_service.console.visit import Act, Desk, Place, Show, Told, Visit
from playbook_service.engine import approval, switch
from playbook_service.playbook import MODES
from playbook_service.store.contract import Conflict, Filter, StoreError, Transaction
from playbook_service.web.application import Handler, Route
from playbook_service.web.html import el, said, visible
from playbook_service.web.message import Answer, Failure, Request
from propolis.errors import PropolisError
from propolis.guardrails import PolicyError

_LOG = logging.getLogger("propolis.console")
_GONE = "Your session has ended: sign in again."


class Console:
    """All pages over one desk. `secure` says that browsers reach it by HTTPS."""

    def __init__(self, desk: Desk, *, secure: bool, places: Sequence[Place] = PLACES):
        self._desk = desk
        self._places = places
        self._door = Door(desk, secure=secure)

    def begin(self) -> None:
        """Make ready what sessions are signed with. Raises Conflict where another node does so at this moment."""
        self._door.open()

    def routes(self) -> list[Route]:
        """The addresses."""
        own = [
            Route("GET", f"{ROOT}/static/console.css", _static(frame.style(), "text/css; charset=utf-8")),
            Route("GET", f"{ROOT}/static/console.js", _static(frame.script(), "text/javascript; charset=utf-8")),
            Route("GET", f"{ROOT}/static/icon.svg", _static(frame.icon(), "image/svg+xml")),
            Route("GET", f"{ROOT}/", lambda _: frame.see(ROOT)),
            Route("GET", f"{ROOT}/sign-in", self._guarded(self._door.sign_in_page)),
            Route("POST", f"{ROOT}/sign-in", self._guarded(self._door.sign_in)),
            Route("POST", f"{ROOT}/sign-out", self._guarded(self._door.sign_out)),
        ]
        none = [Route(method, f"{ROOT}/{{rest*}}", self._guarded(_nothing)) for method in ("GET", "POST")]
        return [*own, *(route for place in self._places for route in self._of(place)), *none]

    def _of(self, place: Place) -> list[Route]:
        found = []
        if place.show is not None:
            found.append(Route("GET", f"{ROOT}{place.path}", self._guarded(self._page(place, place.show))))
        if place.act is not None:
            found.append(Route("POST", f"{ROOT}{place.path}", self._guarded(self._form(place, place.act))))
        return found

    def _guarded(self, handler: Handler) -> Handler:
        """What goes wrong is a page too, for it is a person who looks."""

        def handle(request: Request) -> Answer:
            try:
                return handler(request)
            except Failure as failure:
                return self._failed(failure.status, failure.message)
            except StoreError:
                _LOG.exception("the store does not answer the console")
                return self._failed(HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer now: try again soon.")
            except PropolisError as error:
                return self._failed(HTTPStatus.BAD_REQUEST, str(error))
            except Exception:
                _LOG.exception("the console failed on %s %s", request.method, visible(request.path[:200]))
                sentence = "The service failed on this request; its log says why."
                return self._failed(HTTPStatus.INTERNAL_SERVER_ERROR, sentence)

        return handle

    def _failed(self, status: HTTPStatus, sentence: str) -> Answer:
        body = el("div", el("p", said(sentence)), el("p", el("a", "Go on", href=ROOT, class_="button")), class_="card")
        return frame.answer(status.phrase, body, Around(""), status=status)

    # pages ----------------------------------------------------------------------------------------------------------

    def _page(self, place: Place, show: Show) -> Handler:
        def handle(request: Request) -> Answer:
            with self._desk.store.reading() as work:
                here = self._door.session(work, request)
                if here is None:
                    return self._door.to_sign_in(request)
                _check_role(here.person, place)
                made = show(self._visit(request, here), work)
                if isinstance(made, Answer):
                    return frame.with_headers(made, *frame.HEADERS)
                around = self._around(work, here, place, self._door.notice(request))
            answer = frame.answer(made.title, made.body, around, live=made.live, status=made.status)
            return self._door.heard(request, answer) if around.notice else answer

        return handle

    def _visit(self, request: Request, here: Session) -> Visit:
        return Visit(self._desk, here.person, request.parameters, form.query_of(request), here.csrf)

    def _around(self, work: Transaction, here: Session, place: Place, told: str) -> Around:
        configured = str(self._desk.settings["mode"])
        lowered = switch.lowered(work)
        try:
            policy = self._desk.policy().mode or configured
        except PolicyError:
            policy = MODES[0]
        mode = min(configured, policy, lowered.mode or configured, key=MODES.index)
        return Around(
            place.path.strip("/").partition("/")[0], here.person, here.csrf, configured, mode, lowered,
            _waiting(work), told[1:], told[:1] != "-",
        )  # fmt: skip

    # acts -----------------------------------------------------------------------------------------------------------

    def _form(self, place: Place, act: Act) -> Handler:
        def handle(request: Request) -> Answer:
            form.check_origin(request)
            with self._desk.store.reading() as work:
                here = self._door.session(work, request)
            if here is None:
                raise Failure(HTTPStatus.UNAUTHORIZED, _GONE)
            fields = form.fields_of(request)
            if not form.same(fields.get("csrf", ""), here.csrf):
                raise Failure(HTTPStatus.FORBIDDEN, "This form is not of your session: load the page again.")
            _check_role(here.person, place)
            told = self._acted(place, act, self._visit(request, here), fields, _back(place, request))
            return self._door.told(request, told)

        return handle

    def _acted(self, place: Place, act: Act, visit: Visit, fields: Mapping[str, str], back: str) -> Told:
        try:
            if place.recheck:
                self._door.ask_again(visit.person)
            return act(visit, fields)
        except Conflict:
            return Told(back, "It changed in this very moment: look again, then decide.", False)
        except Failure:
            raise
        except PropolisError as error:
            return Told(back, str(error), False)


def _waiting(work: Transaction) -> int:
    """How many questions wait: counted, not read."""
    return sum(work.count(approval.KIND, Filter(state=state)) for state in (approval.ASKED, approval.WAITING))


def _static(body: bytes, kind: str) -> Callable[[Request], Answer]:
    """A file that browsers keep until it changes."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    def handle(request: Request) -> Answer:
        headers = (("Content-Type", kind), ("ETag", tag), ("Cache-Control", "no-cache"), *frame.HEADERS)
        if request.header("If-None-Match") == tag:
            return Answer(HTTPStatus.NOT_MODIFIED, b"", headers)
        return Answer(HTTPStatus.OK, body, headers)

    return handle


def _check_role(person: Person, place: Place) -> None:
    if not person.may(place.role):
        raise Failure(HTTPStatus.FORBIDDEN, f"This takes the role {place.role.word}; yours is {person.role.word}.")


def _back(place: Place, request: Request) -> str:
    """Where somebody came from whose act could not be done: the page of the same address, or the one above it."""
    path = form.here(request).partition("?")[0]
    return path if place.show is not None else path.rpartition("/")[0]


def _nothing(request: Request) -> Answer:
    raise Failure(HTTPStatus.NOT_FOUND, "There is no page at this address.")

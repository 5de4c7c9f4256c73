"""The console's addresses: who is there, may they, the page or the act, and nothing that another site could trigger."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from playbook_service.console import frame, session
from playbook_service.console.frame import ROOT, Around
from playbook_service.console.pages import PLACES
from playbook_service.console.person import Person, person_of
from playbook_service.console.session import COOKIE, NOTICE, Seal, Session
from playbook_service.console.visit import Act, Desk, Place, Show, Told, Visit
from playbook_service.engine import approval, switch
from playbook_service.hive.model import Me
from playbook_service.playbook import MODES
from playbook_service.store.contract import Conflict, StoreError, Transaction
from playbook_service.web.application import Handler, Route
from playbook_service.web.html import Child, address, el, said
from playbook_service.web.message import Answer, Failure, Request
from propolis.errors import ConfigurationError, PropolisError
from propolis.guardrails import PolicyError
from propolis.http import HttpError

_LOG = logging.getLogger("propolis.console")
_FORM = 512 * 1024  # bytes of a form: an edited playbook fits
_GONE = "Your session has ended: sign in again."


class Console:
    """All pages over one desk. `secure` says that browsers reach it by HTTPS."""

    def __init__(self, desk: Desk, *, secure: bool, places: Sequence[Place] = PLACES):
        self._desk = desk
        self._secure = secure
        self._places = places
        self._seal: Seal | None = None

    def routes(self) -> list[Route]:
        """The addresses."""
        own = [
            Route("GET", f"{ROOT}/static/console.css", _static(frame.style(), "text/css; charset=utf-8")),
            Route("GET", f"{ROOT}/static/console.js", _static(frame.script(), "text/javascript; charset=utf-8")),
            Route("GET", f"{ROOT}/sign-in", self._guarded(self._sign_in_page)),
            Route("POST", f"{ROOT}/sign-in", self._guarded(self._sign_in)),
            Route("POST", f"{ROOT}/sign-out", self._guarded(self._sign_out)),
        ]
        return [*own, *(route for place in self._places for route in self._of(place))]

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

        return handle

    def _failed(self, status: HTTPStatus, sentence: str) -> Answer:
        body = el("div", el("p", said(sentence)), el("p", el("a", "Go on", href=ROOT, class_="button")), class_="card")
        return frame.answer(status.phrase, body, Around(""), status=status)

    # pages ----------------------------------------------------------------------------------------------------------

    def _page(self, place: Place, show: Show) -> Handler:
        def handle(request: Request) -> Answer:
            with self._desk.store.reading() as work:
                here = self._session(work, request)
                if here is None:
                    return self._to_sign_in(request)
                _check_role(here.person, place)
                made = show(self._visit(request, here), work)
                if isinstance(made, Answer):
                    return Answer(made.status, made.body, (*made.headers, *frame.HEADERS))
                around = self._around(work, here, place, request)
            answer = frame.answer(made.title, made.body, around, live=made.live, status=made.status)
            return self._with(answer, self._cookie(request, NOTICE, "", 0)) if around.notice else answer

        return handle

    def _visit(self, request: Request, here: Session) -> Visit:
        query = {name: values[-1] for name, values in _words(request.environ.get("QUERY_STRING") or "").items()}
        return Visit(self._desk, here.person, request.parameters, query, here.csrf)

    def _around(self, work: Transaction, here: Session, place: Place, request: Request) -> Around:
        configured = str(self._desk.settings["mode"])
        lowered = switch.lowered(work)
        try:
            policy = self._desk.policy().mode or configured
        except PolicyError:
            policy = MODES[0]
        mode = min(configured, policy, lowered.mode or configured, key=MODES.index)
        told = self._notice_of(request)
        return Around(
            place.path.strip("/").partition("/")[0], here.person, here.csrf, configured, mode, lowered,
            len(approval.waiting(work)), told[1:], told[:1] != "-",
        )  # fmt: skip

    def _notice_of(self, request: Request) -> str:
        found = session.cookie(NOTICE, request.header("Cookie"))
        return self._sealed().opened("notice", found) if found else ""

    # acts -----------------------------------------------------------------------------------------------------------

    def _form(self, place: Place, act: Act) -> Handler:
        def handle(request: Request) -> Answer:
            _check_origin(request)
            with self._desk.store.reading() as work:
                here = self._session(work, request)
            if here is None:
                raise Failure(HTTPStatus.UNAUTHORIZED, _GONE)
            form = _form_of(request)
            if not _same(form.get("csrf", ""), here.csrf):
                raise Failure(HTTPStatus.FORBIDDEN, "This form is not of your session: load the page again.")
            _check_role(here.person, place)
            return self._told(request, self._acted(place, act, self._visit(request, here), form))

        return handle

    def _acted(self, place: Place, act: Act, visit: Visit, form: Mapping[str, str]) -> Told:
        back = f"{ROOT}{place.path}".partition("{")[0].rstrip("/")
        try:
            if place.recheck:
                self._ask_again(visit.person)
            return act(visit, form)
        except Conflict:
            return Told(back, "It changed in this very moment: look again, then decide.", False)
        except Failure:
            raise
        except PropolisError as error:
            return Told(back, str(error), False)

    def _ask_again(self, person: Person) -> None:
        """Is the account still what it was when it signed in? Raises Failure."""
        try:
            profile = self._desk.engine().hive.profile(person.login)
        except HttpError:
            sentence = "TheHive cannot be asked now whether your account may still do this: try again soon."
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from None
        if profile != person.profile:
            raise Failure(HTTPStatus.FORBIDDEN, "Your account changed in TheHive since you signed in: sign in again.")

    def _told(self, request: Request, told: Told) -> Answer:
        word = ("+" if told.good else "-") + told.sentence[:1500]
        return self._with(_see(told.path), self._cookie(request, NOTICE, self._sealed().sealed("notice", word), 60))

    # signing in and out ---------------------------------------------------------------------------------------------

    def _sign_in_page(self, request: Request) -> Answer:
        query = _words(request.environ.get("QUERY_STRING") or "")
        return self._ask_who(_own_path((query.get("to") or [ROOT])[-1]), "")

    def _ask_who(self, to: str, sentence: str, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        fields: list[Child] = [
            el("input", type="hidden", name="to", value=to),
            el("label", "Login", el("input", name="login", autocomplete="username", autofocus=True)),
            el(
                "label", "Password, or API key without a login",
                el("input", name="secret", type="password", autocomplete="current-password", required=True),
            ),
            el("button", "Sign in", type="submit", class_="button go"),
        ]  # fmt: skip
        body = el(
            "div",
            el(
                "p",
                "With your own account of TheHive. It is checked there; the console keeps no passwords.",
                class_="note",
            ),
            el("p", said(sentence), class_="notice bad", role="alert") if sentence else None,
            el("form", fields, method="post", action=f"{ROOT}/sign-in"),
            class_="sign",
        )
        return frame.answer("Sign in", body, Around(""), status=status)

    def _sign_in(self, request: Request) -> Answer:
        _check_origin(request)
        form = _form_of(request)
        to = _own_path(form.get("to") or ROOT)
        try:
            me = self._proved(form.get("login", "").strip(), form.get("secret", ""))
        except Failure as failure:
            _LOG.warning("somebody could not sign in: %s", failure.message, extra={"facts": {"remote": request.remote}})
            return self._ask_who(to, failure.message, failure.status)
        person = person_of(me, self._desk.settings["console_admins"])
        with self._desk.store.transaction() as work:
            number = session.begin(work, person, self._desk.clock.now())
            self._desk.journal.write(
                work, "signed in", operator=person.login, role=person.role.word, profile=person.profile or None,
                remote=request.remote or None,
            )  # fmt: skip
        kept = self._sealed().sealed("session", number)
        return self._with(_see(to), self._cookie(request, COOKIE, kept, int(session.SECONDS)))

    def _proved(self, login: str, secret: str) -> Me:
        """The account, by TheHive's word. Raises Failure."""
        tools = self._desk.engine()
        try:
            me = tools.hive.signed_in(login, secret) if login else tools.hive.whose(secret)
        except HttpError as error:
            if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise Failure(HTTPStatus.UNAUTHORIZED, "TheHive does not know this account and secret.") from None
            sentence = "TheHive cannot be asked now who you are: try again soon."
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from None
        except ConfigurationError as error:
            raise Failure(HTTPStatus.FORBIDDEN, error.message) from None
        if me.login == tools.account:
            raise Failure(HTTPStatus.FORBIDDEN, "The service's own account does not sign in.")
        return me

    def _sign_out(self, request: Request) -> Answer:
        _check_origin(request)
        form = _form_of(request)
        with self._desk.store.transaction() as work:
            here = self._session(work, request)
            if here is not None and _same(form.get("csrf", ""), here.csrf):
                session.end(work, here)
                self._desk.journal.write(work, "signed out", operator=here.person.login)
        return self._with(_see(f"{ROOT}/sign-in"), self._cookie(request, COOKIE, "", 0))

    def _session(self, work: Transaction, request: Request) -> Session | None:
        number = self._sealed().opened("session", session.cookie(COOKIE, request.header("Cookie")))
        return session.current(work, number, self._desk.clock.now())

    def _to_sign_in(self, request: Request) -> Answer:
        query = request.environ.get("QUERY_STRING") or ""
        to = f"{request.path}?{query}" if query else request.path
        return _see(address(f"{ROOT}/sign-in", to=to))

    def _sealed(self) -> Seal:
        if self._seal is None:
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, "The service is starting: try again soon.")
        return self._seal

    def begin(self) -> None:
        """Make ready what sessions are signed with. Raises Conflict where another node does so at this moment."""
        self._seal = session.seal_of(self._desk.store)

    def _cookie(self, request: Request, name: str, value: str, seconds: int) -> tuple[str, str]:
        """`Secure` where the browser came by HTTPS, to us or to the proxy before us."""
        secure = self._secure or request.header("X-Forwarded-Proto").lower() == "https"
        return session.set_cookie(name, value, seconds, secure=secure)

    @staticmethod
    def _with(answer: Answer, cookie: tuple[str, str]) -> Answer:
        return answer._replace(headers=(*answer.headers, cookie))


def _static(body: bytes, kind: str) -> Callable[[Request], Answer]:
    """A file that browsers keep until it changes."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'

    def handle(request: Request) -> Answer:
        headers = (("Content-Type", kind), ("ETag", tag), ("Cache-Control", "no-cache"), *frame.HEADERS)
        if request.header("If-None-Match") == tag:
            return Answer(HTTPStatus.NOT_MODIFIED, b"", headers)
        return Answer(HTTPStatus.OK, body, headers)

    return handle


def _see(path: str) -> Answer:
    """Go on there with GET."""
    return Answer(HTTPStatus.SEE_OTHER, b"", (("Location", path), *frame.HEADERS))


def _check_role(person: Person, place: Place) -> None:
    if not person.may(place.role):
        raise Failure(HTTPStatus.FORBIDDEN, f"This takes the role {place.role.word}; yours is {person.role.word}.")


def _check_origin(request: Request) -> None:
    """Another site may not post here, whatever cookies a browser sends along. Raises Failure."""
    site, origin = request.header("Sec-Fetch-Site"), request.header("Origin")
    if site not in ("", "same-origin", "none"):
        raise Failure(HTTPStatus.FORBIDDEN, "This form was sent by another site.")
    if not site and origin and urlsplit(origin).netloc != request.header("Host"):
        raise Failure(HTTPStatus.FORBIDDEN, "This form was sent by another site.")


def _form_of(request: Request) -> dict[str, str]:
    kind = request.header("Content-Type").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the form as a browser does.")
    text = request.body(_FORM).decode("utf-8", "replace")
    return {name: values[-1] for name, values in _words(text).items()}


def _words(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=200)
    except ValueError:
        raise Failure(HTTPStatus.BAD_REQUEST, "There are too many fields.") from None


def _own_path(path: str) -> str:
    """A path of the console: nobody is sent elsewhere after signing in."""
    fine = path == ROOT or path.startswith((f"{ROOT}/", f"{ROOT}?"))
    return path if fine and path.isprintable() and "\\" not in path and "//" not in path else ROOT


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())

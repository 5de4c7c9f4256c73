"""The door: who comes in, by TheHive's word; who is in; who goes out; and whether they may still do what they could."""

from __future__ import annotations

import logging
from http import HTTPStatus

from playbook_service.console import form, frame, session
from playbook_service.console.frame import ROOT, Around
from playbook_service.console.person import Person, Role, person_of
from playbook_service.console.session import COOKIE, NOTICE, Seal, Session
from playbook_service.console.visit import Desk, Told
from playbook_service.engine.approval import is_listed
from playbook_service.hive.model import Me
from playbook_service.store.contract import Transaction
from playbook_service.web.html import Child, address, el, said
from playbook_service.web.message import Answer, Failure, Request
from propolis.errors import ConfigurationError
from propolis.http import HttpError

_LOG = logging.getLogger("propolis.console")
_TOLD = 700  # characters of a sentence that outlives a redirect; a cookie of 4 KB holds as many of any script
_LONGEST = 2000  # characters of login and secret; a header holds no more of them than 8 KB
_NOBODY = "TheHive does not know this account and secret."


class Door:
    """Sessions over one desk. `secure` says that browsers reach the console by HTTPS."""

    def __init__(self, desk: Desk, *, secure: bool):
        self._desk = desk
        self._secure = secure
        self._seal: Seal | None = None

    def open(self) -> None:
        """Make ready what sessions are signed with. Raises Conflict where another node does so at this moment."""
        self._seal = session.seal_of(self._desk.store)

    # who is there ---------------------------------------------------------------------------------------------------

    def session(self, work: Transaction, request: Request) -> Session | None:
        """The session of whoever asks. One of somebody who is no longer named an administrator has ended."""
        number = self._opened(request, COOKIE, "session")
        found = session.current(work, number, self._desk.clock.now())
        if found is None or found.person.role < Role.ADMIN:
            return found
        person = found.person
        return found if is_listed(self._desk.settings["console_admins"], person.login, person.profile) else None

    def ask_again(self, person: Person) -> None:
        """Is the account still what it was when it signed in? Raises Failure."""
        try:
            profile = self._desk.engine().hive.profile(person.login)
        except HttpError:
            sentence = "TheHive cannot be asked now whether your account may still do this: try again soon."
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence) from None
        if not profile or profile != person.profile:
            raise Failure(HTTPStatus.FORBIDDEN, "Your account changed in TheHive since you signed in: sign in again.")

    def to_sign_in(self, request: Request) -> Answer:
        """Have somebody sign in who is not. A link from another site comes without the session's cookie, so the page
        is asked for once more from here before anybody is asked who they are."""
        if form.from_elsewhere(request):
            return frame.onward(form.here(request))
        return frame.see(address(f"{ROOT}/sign-in", to=form.here(request)))

    # in and out -----------------------------------------------------------------------------------------------------

    def sign_in_page(self, request: Request) -> Answer:
        """The form."""
        return self._ask_who(form.own_path(form.query_of(request).get("to") or ROOT), "")

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

    def sign_in(self, request: Request) -> Answer:
        """Begin a session; the one this browser had ends."""
        form.check_origin(request)
        fields = form.fields_of(request)
        to = form.own_path(fields.get("to") or ROOT)
        try:
            me = self._proved(fields.get("login", "").strip(), fields.get("secret", ""))
        except Failure as failure:
            _LOG.warning("somebody could not sign in: %s", failure.message, extra={"facts": {"remote": request.remote}})
            return self._ask_who(to, failure.message, failure.status)
        person = person_of(me, self._desk.settings["console_admins"])
        with self._desk.store.transaction() as work:
            before = self.session(work, request)
            if before is not None:
                session.end(work, before)
            number = session.begin(work, person, self._desk.clock.now())
            self._desk.journal.write(
                work, "signed in", operator=person.login, role=person.role.word, profile=person.profile or None,
                remote=request.remote or None,
            )  # fmt: skip
        kept = self._sealed().sealed("session", number)
        return frame.with_headers(frame.see(to), self._cookie(request, COOKIE, kept, int(session.SECONDS)))

    def _proved(self, login: str, secret: str) -> Me:
        """The account, by TheHive's word. Raises Failure."""
        tools = self._desk.engine()
        if not secret.strip() or len(login) + len(secret) > _LONGEST:
            raise Failure(HTTPStatus.UNAUTHORIZED, _NOBODY)
        try:
            me = tools.hive.signed_in(login, secret) if login else tools.hive.whose(secret)
        except HttpError as error:
            if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise Failure(HTTPStatus.UNAUTHORIZED, _NOBODY) from None
            raise _away() from None
        except ConfigurationError as error:
            raise Failure(HTTPStatus.FORBIDDEN, error.message) from None
        if me.login.casefold() == tools.account.casefold():
            raise Failure(HTTPStatus.FORBIDDEN, "The service's own account does not sign in.")
        return me

    def sign_out(self, request: Request) -> Answer:
        """End the session, on every node."""
        form.check_origin(request)
        fields = form.fields_of(request)
        with self._desk.store.transaction() as work:
            here = self.session(work, request)
            if here is not None and form.same(fields.get("csrf", ""), here.csrf):
                session.end(work, here)
                self._desk.journal.write(work, "signed out", operator=here.person.login)
        return frame.with_headers(frame.see(f"{ROOT}/sign-in"), self._cookie(request, COOKIE, "", 0))

    # cookies --------------------------------------------------------------------------------------------------------

    def notice(self, request: Request) -> str:
        """What an act left to be shown, behind a plus or a minus."""
        return self._opened(request, NOTICE, "notice")

    def told(self, request: Request, told: Told) -> Answer:
        """Go on after an act, with its sentence."""
        word = ("+" if told.good else "-") + told.sentence[:_TOLD]
        kept = self._sealed().sealed("notice", word)
        return frame.with_headers(frame.see(told.path), self._cookie(request, NOTICE, kept, 60))

    def heard(self, request: Request, answer: Answer) -> Answer:
        """The sentence was shown: take it back."""
        return frame.with_headers(answer, self._cookie(request, NOTICE, "", 0))

    def _opened(self, request: Request, name: str, purpose: str) -> str:
        found = session.cookie(name, request.header("Cookie"), secure=self._by_https(request))
        return self._sealed().opened(purpose, found) if found else ""

    def _cookie(self, request: Request, name: str, value: str, seconds: int) -> tuple[str, str]:
        return session.set_cookie(name, value, seconds, secure=self._by_https(request))

    def _by_https(self, request: Request) -> bool:
        """Did the browser come by HTTPS, to us or to the first proxy before us?"""
        first = request.header("X-Forwarded-Proto").partition(",")[0].strip().lower()
        return self._secure or first == "https"

    def _sealed(self) -> Seal:
        if self._seal is None:
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, "The service is starting: try again soon.")
        return self._seal


def _away() -> Failure:
    return Failure(HTTPStatus.SERVICE_UNAVAILABLE, "TheHive cannot be asked now who you are: try again soon.")

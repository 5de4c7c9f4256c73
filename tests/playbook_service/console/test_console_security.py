"""The console against those who may not, those who pretend, and what comes from outside."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from console_house import ANALYST, ORGADMIN, House
from filled import ATTACKER, CDN, Filled

from playbook_service.console import session
from playbook_service.console.console import Console
from playbook_service.console.errand import Errands
from playbook_service.console.frame import MENU, ROOT
from playbook_service.console.pages import PLACES
from playbook_service.console.person import Person, Role
from playbook_service.console.session import COOKIE, NOTICE
from playbook_service.console.visit import Desk, Page, Place, Told, Visit
from playbook_service.engine import lease, ruling
from playbook_service.engine.switch import Switch
from playbook_service.lab.hive import people
from playbook_service.lab.lab import ORGANISATION, PASSWORD
from playbook_service.settings import load
from playbook_service.settings.table import SETTINGS
from playbook_service.store.contract import Conflict, StoreError, Transaction
from playbook_service.web.application import Application
from playbook_service.web.html import Html, el
from playbook_service.web.message import Answer

READER = "reader@soc.example"
PERSONS = {
    Role.VIEWER: Person(READER, "Reader", "read-only", Role.VIEWER),
    Role.OPERATOR: Person(ANALYST, "Analyst", "analyst", Role.OPERATOR),
    Role.ADMIN: Person(ORGADMIN, "Org admin", "org-admin", Role.ADMIN),
}
ACTS = [place for place in PLACES if place.act is not None]
SHOWS = [place for place in PLACES if place.show is not None]
FORM = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}


class Seen(NamedTuple):
    """An answer, without a browser between."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        """A header's value, empty where there is none."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")

    @property
    def cookies(self) -> list[str]:
        """What is left with the browser."""
        return [value for name, value in self.headers if name == "Set-Cookie"]

    @property
    def text(self) -> str:
        """What people read."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.body)).strip()


class Gate:
    """A console asked directly, with sessions that were begun without TheHive."""

    def __init__(self, world: Filled, *, settings: Mapping[str, str] | None = None, places: Any = PLACES, **how: Any):
        self.world = world
        store, clock = world.store, world.clock
        self.settings = load({"PROPOLIS_MODE": "enforce", **(settings or {})})
        self.switch = Switch()
        self.desk = Desk(
            self.settings, store, clock, world.journal, lambda: world.books, world.policy, lambda: world.tools,
            self.switch, Errands(store, clock),
        )  # fmt: skip
        self.console = Console(self.desk, secure=how.get("secure", False), places=places)
        self.console.begin()
        self.application = Application(self.console.routes())

    def cookie(self, role: Role, name: str = COOKIE) -> tuple[str, str]:
        """A session of that role: its cookie, and what its forms carry."""
        with self.world.store.transaction() as work:
            number = session.begin(work, PERSONS[role], self.world.clock.now())
            found = session.current(work, number, self.world.clock.now())
        assert found is not None
        return f"{name}={session.seal_of(self.world.store).sealed('session', number)}", found.csrf

    def get(self, path: str, cookie: str = "", **more: str) -> Seen:
        """Ask for a page; `more` are lines of the WSGI environment."""
        return self._ask("GET", path, {"HTTP_COOKIE": cookie, **more}, b"")

    def post(self, path: str, form: Mapping[str, str], cookie: str = "", **more: str) -> Seen:
        """Send a form."""
        return self._ask("POST", path, {"HTTP_COOKIE": cookie, **FORM, **more}, urlencode(form).encode())

    def _ask(self, method: str, path: str, more: Mapping[str, str], body: bytes) -> Seen:
        told: list[Any] = []
        where, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": where, "QUERY_STRING": query, "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "console.soc.example", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), **more,
        }  # fmt: skip
        chunks = self.application(environ, lambda status, headers: told.extend((status, headers)))
        return Seen(int(told[0][:3]), told[1], b"".join(chunks).decode())


def filled() -> Filled:
    world = Filled()
    world.fortnight()
    return world


@pytest.fixture(scope="module")
def gate() -> Gate:
    """For tests that change nothing."""
    return Gate(filled())


@pytest.fixture(scope="module")
def open_house() -> Iterator[House]:
    """A console whose TheHive is real enough to sign in; for tests that put back what they change."""
    with House(filled()) as house:
        yield house


def made_real(place: Place) -> str:
    """An address of the place, whatever its variable parts are."""
    return ROOT + re.sub(r"\{\w+\*?\}", "something", place.path)


def paths_of(places: list[Place]) -> list[Any]:
    return [pytest.param(place, id=place.path or "/") for place in places]


# who is not signed in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", paths_of(SHOWS))
def test_no_page_is_shown_to_who_is_not_signed_in(gate: Gate, place: Place) -> None:
    answer = gate.get(made_real(place))
    assert (answer.status, answer.body) == (303, "")
    assert answer.header("Location").startswith(f"{ROOT}/sign-in?to=%2Fconsole")


@pytest.mark.parametrize("place", paths_of(ACTS))
def test_nothing_is_done_for_who_is_not_signed_in(gate: Gate, place: Place) -> None:
    answer = gate.post(made_real(place), {"csrf": "", "mode": "observe", "why": "x"})
    assert answer.status == 401
    assert "Your session has ended: sign in again." in answer.text


def test_the_way_back_after_signing_in_keeps_what_was_searched_for(gate: Gate) -> None:
    answer = gate.get("/console/decisions?q=203.0.113.0%2F24&state=act")
    assert answer.header("Location") == (
        "/console/sign-in?to=%2Fconsole%2Fdecisions%3Fq%3D203.0.113.0%252F24%26state%3Dact"
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_from_another_site_asks_once_more_before_it_asks_who_somebody_is(gate: Gate, site: str) -> None:
    """SameSite=Strict leaves the session's cookie at home on the first request from elsewhere."""
    answer = gate.get("/console/leases?find=a%26b", HTTP_SEC_FETCH_SITE=site)
    assert answer.status == 200
    assert '<meta http-equiv="refresh" content="0;url=/console/leases?find=a%26b">' in answer.body
    again = gate.get("/console/leases?find=a%26b", HTTP_SEC_FETCH_SITE="same-origin")
    assert again.status == 303


# sessions ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cookie", ["propolis_session=", "propolis_session=guessed", "propolis_session=Z3Vlc3NlZA.Z3Vlc3NlZA"]
)
def test_a_forged_session_is_none(gate: Gate, cookie: str) -> None:
    assert gate.get(ROOT, cookie).status == 303


def test_a_session_sealed_by_another_installation_is_none(gate: Gate) -> None:
    cookie, _ = Gate(filled()).cookie(Role.ADMIN)
    assert gate.get(ROOT, cookie).status == 303


def test_a_notice_is_no_session(gate: Gate) -> None:
    with gate.world.store.transaction() as work:
        number = session.begin(work, PERSONS[Role.ADMIN], gate.world.clock.now())
    sealed = session.seal_of(gate.world.store).sealed("notice", number)
    assert gate.get(ROOT, f"{COOKIE}={sealed}").status == 303


def test_a_session_is_over_after_a_shift() -> None:
    gate = Gate(filled())
    cookie, csrf = gate.cookie(Role.OPERATOR)
    gate.world.clock.advance(session.SECONDS - 1)
    assert gate.get(ROOT, cookie).status == 200
    gate.world.clock.advance(1)
    assert gate.get(ROOT, cookie).status == 303
    assert gate.post("/console/stop", {"csrf": csrf}, cookie).status == 401
    assert gate.world.said("mode set") == []


def test_who_signed_out_on_one_node_is_signed_out_on_the_others() -> None:
    world = filled()
    here, there = Gate(world), Gate(world)
    cookie, csrf = here.cookie(Role.OPERATOR)
    assert there.get(ROOT, cookie).status == 200
    answer = here.post("/console/sign-out", {"csrf": csrf}, cookie)
    assert (answer.status, answer.header("Location")) == (303, "/console/sign-in")
    assert answer.cookies == ["propolis_session=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict"]
    assert there.get(ROOT, cookie).status == 303
    assert [line["operator"] for line in world.said("signed out")] == [ANALYST]


def test_nobody_is_signed_out_by_a_form_that_is_not_theirs(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.OPERATOR)
    gate.post("/console/sign-out", {"csrf": "guessed"}, cookie)
    assert gate.get(ROOT, cookie).status == 200


def test_who_is_no_longer_named_an_administrator_is_none_from_then_on() -> None:
    world = filled()
    cookie, csrf = Gate(world).cookie(Role.ADMIN)
    changed = Gate(world, settings={"PROPOLIS_CONSOLE_ADMINS": "somebody.else@soc.example"})
    assert changed.get(ROOT, cookie).status == 303
    assert changed.post("/console/mode", {"csrf": csrf, "mode": "observe"}, cookie).status == 401
    assert Gate(world).get(ROOT, cookie).status == 200


# forms ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", paths_of(ACTS))
def test_a_form_that_is_not_of_the_session_does_nothing(gate: Gate, place: Place) -> None:
    cookie, _ = gate.cookie(Role.ADMIN)
    _, others = gate.cookie(Role.ADMIN)
    for csrf in ({}, {"csrf": ""}, {"csrf": others}, {"csrf": "\u00e9\ud83d"[:1]}):
        answer = gate.post(made_real(place), csrf, cookie)
        assert answer.status == 403
        assert "This form is not of your session: load the page again." in answer.text
    assert len(gate.world.said("mode set")) == 0


ELSEWHERE = [
    {"HTTP_SEC_FETCH_SITE": "cross-site"},
    {"HTTP_SEC_FETCH_SITE": "same-site"},
    {"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": "http://console.soc.example"},
    {"HTTP_ORIGIN": "https://evil.example"},
    {"HTTP_ORIGIN": "null"},
    {"HTTP_ORIGIN": "http://console.soc.example.evil.example"},
    {"HTTP_ORIGIN": "http://console.soc.example:8080"},
]


@pytest.mark.parametrize("sent", ELSEWHERE, ids=str)
def test_a_form_from_another_site_does_nothing_even_with_everything_right(gate: Gate, sent: dict[str, str]) -> None:
    cookie, csrf = gate.cookie(Role.OPERATOR)
    for path in ("/console/stop", "/console/sign-out", "/console/sign-in"):
        answer = gate.post(path, {"csrf": csrf, "login": ANALYST, "secret": PASSWORD}, cookie, **sent)
        assert (answer.status, answer.cookies) == (403, [])
        assert "This form was sent by another site." in answer.text
    assert gate.get(ROOT, cookie).status == 200
    assert gate.world.said("mode set") == []


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"HTTP_SEC_FETCH_SITE": "same-origin"}, {"HTTP_SEC_FETCH_SITE": "none"},
        {"HTTP_ORIGIN": "http://console.soc.example"}, {"HTTP_ORIGIN": "https://Console.SOC.example"},
    ],
    ids=str,
)  # fmt: skip
def test_a_form_of_this_site_is_taken(sent: dict[str, str]) -> None:
    gate = Gate(filled())
    cookie, csrf = gate.cookie(Role.OPERATOR)
    assert gate.post("/console/stop", {"csrf": csrf}, cookie, **sent).status == 303
    assert [line["operator"] for line in gate.world.said("mode set")] == [ANALYST]


def test_what_no_browser_sends_is_refused_with_a_sentence(gate: Gate) -> None:
    cookie, csrf = gate.cookie(Role.OPERATOR)
    right = {"csrf": csrf}
    assert gate.post("/console/stop", right, cookie, CONTENT_TYPE="application/json").status == 415
    assert gate.post("/console/stop", right, cookie, CONTENT_TYPE="text/plain").status == 415
    assert gate.post("/console/stop", right, cookie, CONTENT_LENGTH="").status == 411
    assert gate.post("/console/stop", right, cookie, CONTENT_LENGTH="99").status == 400
    assert gate.post("/console/stop", {**right, "why": "x" * 600_000}, cookie).status == 413
    many = gate.post("/console/stop", {**right, **{f"f{number}": "" for number in range(300)}}, cookie)
    assert (many.status, "There are too many fields." in many.text) == (400, True)
    assert gate.get("/console?" + "a=1&" * 300, cookie).status == 400
    assert gate.world.said("mode set") == []


# roles ------------------------------------------------------------------------------------------------------------------


def test_every_act_takes_at_least_an_operator() -> None:
    assert [place.path for place in ACTS if place.role < Role.OPERATOR] == []


@pytest.mark.parametrize("place", paths_of(ACTS))
def test_each_act_is_refused_to_every_role_below_it(gate: Gate, place: Place) -> None:
    before = len(gate.world.said("decision"))
    for role in [role for role in Role if role < place.role]:
        cookie, csrf = gate.cookie(role)
        answer = gate.post(made_real(place), {"csrf": csrf, "mode": "observe", "key": "x"}, cookie)
        assert answer.status == 403
        assert f"This takes the role {place.role.word}; yours is {role.word}." in answer.text
    assert len(gate.world.said("decision")) == before


@pytest.mark.parametrize("place", paths_of(SHOWS))
def test_each_page_is_refused_to_every_role_below_it_and_answers_the_others(gate: Gate, place: Place) -> None:
    for role in Role:
        cookie, _ = gate.cookie(role)
        status = gate.get(made_real(place), cookie).status
        assert (status == 403) == (role < place.role)
        assert status < 500


def test_a_viewer_is_offered_nothing_to_do(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.VIEWER)
    with gate.world.store.reading() as work:
        held, decided = work.find(lease.KIND)[0].key, work.find(ruling.KIND)[0].key
    for path in (*(f"/{place}" for place, _ in MENU), f"/leases/{held}", f"/decisions/{decided}"):
        page = gate.get(f"{ROOT}{path}".rstrip("/"), cookie)
        assert page.status == 200
        assert set(re.findall(r'method="post" action="([^"]*)"', page.body)) <= {"/console/sign-out"}


# TheHive has the last word ------------------------------------------------------------------------------------------------


def member(house: House, login: str, places: list[dict[str, Any]]) -> None:
    """The account's memberships from now on, as an administrator of TheHive sets them."""
    hive = house.lab.hive
    user = hive.store.by_key("User", (login,))
    assert user is not None
    with hive.transaction():
        hive.store.save(user.with_fields(organisations=places)) if hasattr(user, "with_fields") else hive.change(
            user, {"organisations": places}, house.lab.account("orgadmin")
        )


@pytest.fixture
def analysts_account(open_house: House) -> Iterator[Callable[[str], None]]:
    """Give the analyst another profile; an empty one is none at all."""
    was = [{"organisation": ORGANISATION, "profile": "analyst", "default": True}]

    def change(profile: str) -> None:
        member(open_house, ANALYST, [{**was[0], "profile": profile}] if profile else [])

    yield change
    member(open_house, ANALYST, was)


@pytest.mark.parametrize("profile", ["read-only", "org-admin", ""])
def test_an_act_of_somebody_whose_account_changed_is_refused(
    open_house: House, analysts_account: Callable[[str], None], profile: str
) -> None:
    visitor = open_house.visitor(ANALYST)
    page = visitor.get("/console/approvals")
    action = next(where for where, _ in page.forms if where.endswith("/grant"))
    analysts_account(profile)
    answer = visitor.press(page, action)
    assert answer.status == 403
    assert "Your account changed in TheHive since you signed in: sign in again." in answer.text


def test_what_makes_things_safer_is_done_all_the_same(
    open_house: House, analysts_account: Callable[[str], None]
) -> None:
    visitor, admin = open_house.visitor(ANALYST), open_house.visitor(ORGADMIN)
    page = visitor.get()
    analysts_account("read-only")
    try:
        assert "The mode is observe since" in visitor.press(page, "/console/stop").text
    finally:
        admin.press(admin.get(), "/console/mode", mode="enforce")


def test_only_what_makes_things_safer_or_only_looks_goes_without_asking_thehive() -> None:
    assert {place.path for place in ACTS if not place.recheck} == {
        "/stop", "/leases/{lease}/release", "/approvals/{approval}/deny", "/observe/again", "/sources/again",
        "/audit/verify",
    }  # fmt: skip


def test_while_thehive_is_away_one_can_release_and_stop_and_nothing_else(open_house: House) -> None:
    visitor, admin = open_house.visitor(ANALYST), open_house.visitor(ORGADMIN)
    questions, now = visitor.get("/console/approvals"), visitor.get()
    grant = next(where for where, _ in questions.forms if where.endswith("/grant"))
    open_house.lab.faults.thehive.fail = -1
    try:
        refused = visitor.press(questions, grant)
        assert refused.status == 503
        assert "TheHive cannot be asked now whether your account may still do this" in refused.text
        assert "The mode is observe since" in visitor.press(now, "/console/stop").text
        nobody = open_house.visitor()
        page = nobody.press(nobody.get(), "/console/sign-in", login=ANALYST, secret=PASSWORD)
        assert page.status == 503
        assert "TheHive cannot be asked now who you are: try again soon." in page.text
    finally:
        open_house.lab.faults.clear()
        admin.press(admin.get(), "/console/mode", mode="enforce")


# signing in -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 5])
def test_one_signs_in_with_a_password_or_with_a_key_alone(version: int) -> None:
    with House(Filled(), version=version) as house:
        assert "analyst@soc.example operator" in house.visitor(ANALYST).get().text
        keyed = house.visitor()
        page = keyed.press(keyed.get(), "/console/sign-in", login="", secret=house.lab.keys.reader)
        assert "reader@soc.example viewer" in page.text
        told = [(line["operator"], line["role"], line["profile"]) for line in house.world.said("signed in")]
        assert told == [(ANALYST, "operator", "analyst"), (READER, "viewer", "read-only")]


@pytest.mark.parametrize(
    ("login", "secret", "status"),
    [
        (ANALYST, "wrong", 401), (ANALYST, "", 401), ("", "", 401), ("", "guessed-key", 401), ("nobody@x", PASSWORD, 401),
        (f"{ANALYST}:x", PASSWORD, 401), ("", "key\r\nX-Organisation: admin", 403), ("", "\u043a\u043b\u044e\u0447", 403),
        (ANALYST, "\u0000\u202e", 401), ("a" * 100_000, "b" * 100_000, 401),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_who_cannot_prove_who_they_are_stays_outside(open_house: House, login: str, secret: str, status: int) -> None:
    visitor = open_house.visitor()
    page = visitor.press(visitor.get(), "/console/sign-in", login=login, secret=secret)
    assert page.status == status
    assert visitor.cookies == {}
    assert not secret.strip() or secret not in page.html
    assert "Traceback" not in page.html


def test_the_services_own_account_does_not_sign_in(open_house: House) -> None:
    visitor = open_house.visitor()
    page = visitor.press(visitor.get(), "/console/sign-in", login="", secret=open_house.lab.keys.service)
    assert (page.status, visitor.cookies) == (403, {})
    assert "The service's own account does not sign in." in page.text.replace("&#x27;", "'")


def test_who_works_in_another_organisation_stays_outside(open_house: House) -> None:
    hive = open_house.lab.hive
    with hive.transaction():
        who = open_house.lab.account("orgadmin")
        people.add_organisation(hive, who, {"name": "other", "description": "Another"})
        document = {"login": "eve@other.example", "name": "Eve", "organisation": "other", "profile": "org-admin"}
        people.add_user(hive, who, {**document, "password": PASSWORD})
    visitor = open_house.visitor()
    page = visitor.press(visitor.get(), "/console/sign-in", login="eve@other.example", secret=PASSWORD)
    assert (page.status, visitor.cookies) == (403, {})
    assert f"This account works in another organisation of TheHive than {ORGANISATION}." in page.text


def test_a_failed_try_is_in_the_log_without_the_secret(open_house: House, caplog: pytest.LogCaptureFixture) -> None:
    visitor = open_house.visitor()
    with caplog.at_level(logging.DEBUG):
        visitor.press(visitor.get(), "/console/sign-in", login=ANALYST, secret="sesame-open")  # noqa: S106
    assert any("somebody could not sign in" in record.getMessage() for record in caplog.records)
    assert "sesame-open" not in caplog.text


def test_signing_in_anew_gives_a_new_session_and_ends_the_old_one(open_house: House) -> None:
    visitor = open_house.visitor(ANALYST)
    old = dict(visitor.cookies)
    visitor.sign_in(ORGADMIN)
    assert visitor.cookies[COOKIE] != old[COOKIE]
    visitor.cookies = old
    assert visitor.get().forms[0][0] == "/console/sign-in"


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "/console//evil.example", "/api/v1/leases",
        "/consoles", "/console/../api", "/console/%2e%2e/api", "javascript:alert(1)", "/console\r\nX: y", "/console/ x",
        "/console/\u202e", "/console/'\"><script>", "\u0000", "x" * 100_000,
    ],
    ids=lambda to: to[:20],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_signing_in(open_house: House, to: str) -> None:
    visitor = open_house.visitor()
    page = visitor.get("/console/sign-in?" + urlencode({"to": to[:5000]}))
    assert page.form("/console/sign-in")["to"] == ROOT
    answer = visitor._send("POST", "/console/sign-in", {}, data={"login": ANALYST, "secret": PASSWORD, "to": to})
    assert (answer.status_code, answer.headers["Location"]) == (303, ROOT)


@pytest.mark.parametrize("to", ["/console", "/console?x=1", "/console/decisions?q=203.0.113.0%2F24&state=act"])
def test_one_comes_back_to_where_one_wanted_to_be(open_house: House, to: str) -> None:
    visitor = open_house.visitor()
    answer = visitor._send("POST", "/console/sign-in", {}, data={"login": ANALYST, "secret": PASSWORD, "to": to})
    assert (answer.status_code, answer.headers["Location"]) == (303, to)


def test_before_the_service_has_met_thehive_it_says_so() -> None:
    gate = Gate(filled())
    gate.application = Application(Console(gate.desk._replace(tools=lambda: None), secure=False).routes())
    assert "The service is starting: try again soon." in gate.get(ROOT, gate.cookie(Role.VIEWER)[0]).text
    answer = gate.post("/console/sign-in", {"login": ANALYST, "secret": PASSWORD})
    assert (answer.status, "The service has not met TheHive yet" in answer.text) == (503, True)


# cookies ----------------------------------------------------------------------------------------------------------------


def test_behind_a_proxy_that_ends_tls_cookies_stay_with_tls() -> None:
    gate = Gate(filled())
    plain, csrf = gate.cookie(Role.OPERATOR)
    for proto in ("https", "HTTPS", "https, http"):
        cookie, csrf = gate.cookie(Role.OPERATOR, f"__Host-{COOKIE}")
        answer = gate.post("/console/stop", {"csrf": csrf}, cookie, HTTP_X_FORWARDED_PROTO=proto)
        (left,) = answer.cookies
        assert left.startswith(f"__Host-{NOTICE}=")
        assert left.endswith("Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure")
    assert gate.get(ROOT, plain, HTTP_X_FORWARDED_PROTO="https").status == 303
    assert gate.get(ROOT, plain, HTTP_X_FORWARDED_PROTO="http").status == 200


def test_with_tls_of_its_own_cookies_are_secure_whatever_is_said() -> None:
    gate = Gate(filled(), secure=True)
    cookie, csrf = gate.cookie(Role.OPERATOR, f"__Host-{COOKIE}")
    (left,) = gate.post("/console/stop", {"csrf": csrf}, cookie, HTTP_X_FORWARDED_PROTO="http").cookies
    assert left.endswith("Secure")


def test_what_an_act_says_is_shown_once(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.VIEWER)
    kept = session.seal_of(gate.world.store).sealed("notice", "+It is being <b>released</b>.")
    answer = gate.get(ROOT, f"{cookie}; {NOTICE}={kept}")
    assert "It is being &lt;b&gt;released&lt;/b&gt;." in answer.body
    assert answer.cookies == [f"{NOTICE}=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict"]


def test_nobody_makes_the_console_say_what_they_like(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.VIEWER)
    for forged in ("K0hhY2tlZA.K0hhY2tlZA", Gate_seal("+Hacked")):
        assert "Hacked" not in gate.get(ROOT, f"{cookie}; {NOTICE}={forged}").body


def Gate_seal(text: str) -> str:
    return session.Seal(b"another").sealed("notice", text)


def test_a_sentence_never_outgrows_a_cookie() -> None:
    def act(visit: Visit, form: Mapping[str, str]) -> Told:
        return Told(ROOT, "\U0001f41d" * 100_000)

    gate = Gate(filled(), places=(Place("/say", act=act, role=Role.OPERATOR, recheck=False),))
    cookie, csrf = gate.cookie(Role.OPERATOR)
    (left,) = gate.post("/console/say", {"csrf": csrf}, cookie).cookies
    assert len(left) < 4096


# every answer -----------------------------------------------------------------------------------------------------------


def broken(visit: Visit, work: Transaction) -> Page:
    raise RuntimeError("a defect with a secret in it")


def away(visit: Visit, work: Transaction) -> Page:
    raise StoreError("/var/lib/propolis/propolis.db is gone")


def changed(visit: Visit, form: Mapping[str, str]) -> Told:
    raise Conflict("record lease L1 changed")


def a_file(visit: Visit, work: Transaction) -> Answer:
    return Answer(HTTPStatus.OK, b"x", (("Content-Type", "text/plain"),))


ODD = (
    Place("", lambda visit, work: Page("Now", Html(""))), Place("/broken", broken), Place("/away", away),
    Place("/file", a_file), Place("/things/{thing}/change", act=changed, role=Role.OPERATOR, recheck=False),
)  # fmt: skip


@pytest.fixture(scope="module")
def odd() -> Gate:
    """A console with pages that fail in every way."""
    return Gate(filled(), places=ODD)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 200), ("GET", "/sign-in", 200), ("GET", "/static/console.css", 200), ("GET", "/static/console.js", 200),
        ("GET", "/static/icon.svg", 200), ("GET", "/file", 200), ("GET", "/nothing/there", 404), ("POST", "/nothing", 404),
        ("GET", "/things/x/change", 404), ("POST", "/broken", 404), ("GET", "/broken", 500), ("GET", "/away", 503),
        ("GET", "/static/nothing.css", 404), ("POST", "/things/x/change", 303), ("GET", "/", 303), ("POST", "/sign-in", 401),
    ],
)  # fmt: skip
def test_every_answer_keeps_itself_to_itself(odd: Gate, method: str, path: str, status: int) -> None:
    cookie, csrf = odd.cookie(Role.ADMIN)
    ask = odd.get(f"{ROOT}{path}", cookie) if method == "GET" else odd.post(f"{ROOT}{path}", {"csrf": csrf}, cookie)
    assert ask.status == status
    policy = ask.header("Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert ask.header("X-Frame-Options") == "DENY"
    assert ask.header("X-Content-Type-Options") == "nosniff"
    assert ask.header("Referrer-Policy") == "same-origin"
    assert ask.header("Cross-Origin-Opener-Policy") == "same-origin"
    assert ask.header("Cache-Control") == ("no-cache" if path.startswith("/static") and status == 200 else "no-store")
    assert [name for name, _ in ask.headers].count("Content-Security-Policy") == 1


def test_a_defect_is_a_page_that_tells_nothing_of_it(odd: Gate, caplog: pytest.LogCaptureFixture) -> None:
    cookie, _ = odd.cookie(Role.ADMIN)
    answer = odd.get("/console/broken", cookie)
    assert "The service failed on this request; its log says why." in answer.text
    assert "secret" not in answer.body
    assert "a defect with a secret in it" in caplog.text


def test_a_store_that_does_not_answer_is_told_without_its_place(odd: Gate) -> None:
    cookie, _ = odd.cookie(Role.ADMIN)
    answer = odd.get("/console/away", cookie)
    assert "The store does not answer now: try again soon." in answer.text
    assert "/var/lib" not in answer.body


def test_who_decides_on_something_that_changed_is_sent_back_to_look(odd: Gate) -> None:
    cookie, csrf = odd.cookie(Role.OPERATOR)
    answer = odd.post("/console/things/a%20b/change", {"csrf": csrf}, cookie)
    assert answer.header("Location") == "/console/things/a%2520b"
    page = odd.get(ROOT, f"{cookie}; {answer.cookies[0].partition(';')[0]}")
    assert "It changed in this very moment: look again, then decide." in page.text


def test_a_style_sheet_is_sent_again_only_when_it_changed(gate: Gate) -> None:
    first = gate.get("/console/static/console.css")
    again = gate.get("/console/static/console.css", HTTP_IF_NONE_MATCH=first.header("ETag"))
    assert (again.status, again.body) == (304, "")


@pytest.mark.parametrize("place", paths_of(SHOWS))
def test_no_page_needs_what_the_policy_forbids(gate: Gate, place: Place) -> None:
    cookie, _ = gate.cookie(Role.ADMIN)
    page = gate.get(made_real(place), cookie).body
    assert re.findall(r"<[^>]* (?:style|on\w+)=", page) == []
    assert re.findall(r"<script(?! src=\"/console/static/console.js\" defer>)", page) == []
    assert re.findall(r"<style|<iframe|<object|<embed|<base|javascript:", page) == []


# what must not be seen ----------------------------------------------------------------------------------------------------


def every_page(gate: Gate, cookie: str, most: int = 150) -> Iterator[tuple[str, Seen]]:
    """All that links lead to, from the first page on."""
    seen, ahead = {ROOT}, [ROOT]
    while ahead and len(seen) < most:
        path = ahead.pop(0)
        page = gate.get(path, cookie)
        yield path, page
        links = re.findall(r'(?:href|action)="(/console[^"#]*)', page.body)
        for link in (link.replace("&amp;", "&") for link in links):
            if link not in seen and "/static/" not in link:
                seen.add(link)
                ahead.append(link)


def test_no_secret_is_on_any_page() -> None:
    secrets = {
        setting.name: f"s3cret-{setting.name}-value" for setting in SETTINGS if setting.secret and setting.type == "text"
    }  # fmt: skip
    texts = {setting.name: f"tok-{setting.name}" for setting in SETTINGS if setting.secret and setting.type == "texts"}
    environment = {f"PROPOLIS_{name.upper()}": value for name, value in {**secrets, **texts}.items()}
    world = filled()
    gate = Gate(world, settings={name: value for name, value in environment.items() if name in SAFE_TO_SET})
    cookie, csrf = gate.cookie(Role.ADMIN)
    _, others = gate.cookie(Role.ADMIN)
    with world.store.reading() as work:
        sealing = work.get("control", "console")
    assert sealing is not None
    hidden = [value for name, value in environment.items() if name in SAFE_TO_SET]
    hidden += [others, sealing.body["key"], cookie.partition("=")[2]]
    pages = 0
    for path, page in every_page(gate, cookie):
        pages += 1
        assert [value for value in hidden if value in page.body] == [], path
    assert len(hidden) >= 8
    assert pages > 40


SAFE_TO_SET = frozenset(
    f"PROPOLIS_{name}" for name in
    ("WEBHOOK_TOKEN", "THEHIVE_KEY", "CORTEX_KEY", "SMTP_PASSWORD", "FEED_TOKEN", "METRICS_TOKEN")
)  # fmt: skip
"""Secrets that need no other setting beside them."""

BAD = '<img src=x onerror=alert(1)>"\'><script>alert(2)</script>\u202e\u0007\u200b'


@pytest.fixture(scope="module")
def hostile() -> Gate:
    """Everything that comes from outside is meant to hurt."""
    world = Filled()
    long = BAD + "A" * 1_000_000
    alert = world.alert(ATTACKER, rule=BAD[:40], agent=BAD, what=long)
    case_id = world.case(128, ATTACKER, alert)
    world.contained(world.decide(case_id, ATTACKER, alert=alert, verdict=world.verdict(case_id, ATTACKER)))
    other = world.alert(BAD, agent=BAD, what=long)
    world.decide(
        world.case(129, BAD, other), BAD, kind="ask", wanted="ask", alert=other, playbook=BAD, why=BAD, rule=BAD,
        verdict=world.verdict(case_id, BAD),
    )  # fmt: skip
    for number in range(140, 144):
        world.false_positive(number, CDN, rule=BAD[:20]) if False else world.false_positive(number, CDN)
    with world.store.transaction() as work:
        world.journal.write(work, BAD, why=long, case=case_id, operator=BAD)
    return Gate(world)


def test_hostile_texts_are_inert_on_every_page(hostile: Gate) -> None:
    cookie, _ = hostile.cookie(Role.ADMIN)
    pages = 0
    for path, page in every_page(hostile, cookie, 60):
        pages += 1
        assert page.status < 500, path
        if "attachment" in page.header("Content-Disposition") and "markdown" in page.header("Content-Type"):
            continue  # a file of text: nothing of it is run
        assert "<img" not in page.body, path
        assert "<script>" not in page.body, path
        assert not set("\u202e\u0007\u200b") & set(page.body), path
        assert len(page.body) < 400_000, path
    assert pages > 20


def test_hostile_searches_are_inert(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.ADMIN)
    for place in SHOWS:
        for name in ("q", "state", "playbook", "after", "find", "responder", "at", "of", "below", "name", "against"):
            page = gate.get(f"{made_real(place)}?{urlencode({name: BAD * 200})}", cookie)
            assert page.status < 500, (place.path, name)
            assert "<img" not in page.body
            assert "\u202e" not in page.body


def test_a_path_with_letters_of_no_alphabet_is_an_ordinary_unknown_page(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.ADMIN)
    for path in ("/console/leases/\u00e9\u00ff", "/console/decisions/%00", "/console/\u0000", "/console/leases/" + "a" * 9000):
        assert gate.get(path, cookie).status in (400, 404)
        assert gate.get(path).status in (303, 404)


def test_elements_of_the_sign_in_page_are_the_frames_own(gate: Gate) -> None:
    page = gate.get("/console/sign-in?to=%2Fconsole%3Fa%3D%26quot%3B").body
    assert el("input", type="hidden", name="to", value="/console?a=&quot;") in page

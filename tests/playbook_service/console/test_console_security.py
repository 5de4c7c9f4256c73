"""The console against those who may not and those who pretend: sessions, forms, roles, cookies, headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pytest
from console_house import ANALYST
from gate import ACTS, PERSONS, SHOWS, Gate, filled, made_real

from playbook_service.console import session
from playbook_service.console.frame import MENU, ROOT
from playbook_service.console.person import Role
from playbook_service.console.session import COOKIE, NOTICE
from playbook_service.console.visit import Page, Place, Told, Visit
from playbook_service.engine import lease, ruling
from playbook_service.lab.lab import PASSWORD
from playbook_service.store.contract import Conflict, StoreError, Transaction
from playbook_service.web.html import Html
from playbook_service.web.message import Answer


@pytest.fixture(scope="module")
def gate() -> Gate:
    """For tests that change nothing."""
    return Gate(filled())


def paths_of(places: list[Place]) -> list[Any]:
    return [pytest.param(place, id=place.path or "/") for place in places]


# who is not signed in -------------------------------------------------------------------------------------------------


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


# sessions -------------------------------------------------------------------------------------------------------------


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


# forms ----------------------------------------------------------------------------------------------------------------


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


# roles ----------------------------------------------------------------------------------------------------------------


def test_every_act_takes_at_least_an_operator_but_an_answer_which_a_named_approver_gives_too() -> None:
    answers = {"/approvals/{approval}/grant", "/approvals/{approval}/deny"}
    assert {place.path for place in ACTS if place.role < Role.OPERATOR} == answers


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


# cookies --------------------------------------------------------------------------------------------------------------


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
    for forged in ("K0hhY2tlZA.K0hhY2tlZA", session.Seal(b"another").sealed("notice", "+Hacked")):
        assert "Hacked" not in gate.get(ROOT, f"{cookie}; {NOTICE}={forged}").body


def test_a_sentence_never_outgrows_a_cookie() -> None:
    def act(visit: Visit, form: Mapping[str, str]) -> Told:
        return Told(ROOT, "\U0001f41d" * 100_000)

    gate = Gate(filled(), places=(Place("/say", act=act, role=Role.OPERATOR, recheck=False),))
    cookie, csrf = gate.cookie(Role.OPERATOR)
    (left,) = gate.post("/console/say", {"csrf": csrf}, cookie).cookies
    assert len(left) < 4096


# every answer ---------------------------------------------------------------------------------------------------------


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
        ("GET", "", 200), ("GET", "/sign-in", 200), ("GET", "/static/console.css", 200),
        ("GET", "/static/console.js", 200), ("GET", "/static/icon.svg", 200), ("GET", "/file", 200),
        ("GET", "/nothing/there", 404), ("POST", "/nothing", 404), ("GET", "/things/x/change", 404),
        ("POST", "/broken", 404), ("GET", "/broken", 500), ("GET", "/away", 503), ("GET", "/static/nothing.css", 404),
        ("POST", "/things/x/change", 303), ("GET", "/", 303), ("POST", "/sign-in", 401),
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

"""What people do in the console, done in a real browser: by clicking, while pages look again, and without script."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import browser as chromium
import pytest
from browser import NARROW, Someone, lived_in
from console_house import ANALYST, APPROVER, ORGADMIN, House
from filled import ATTACKER, CDN
from playwright.sync_api import Browser, Page, Route, expect

from playbook_service.engine import approval, lease
from playbook_service.store.contract import Filter, Record
from propolis.clock import utc_text

pytestmark = pytest.mark.browser
READER = "reader@soc.example"


@pytest.fixture(scope="module")
def chrome(need: Callable[[object, str], None]) -> Iterator[Browser]:
    """One browser for all."""
    need(chromium.found(), "chromium")
    with chromium.launched() as browser:
        yield browser


@pytest.fixture
def house() -> Iterator[House]:
    """A console of one's own, to change things in."""
    with House(lived_in()) as opened:
        yield opened


@pytest.fixture
def someone(house: House, chrome: Browser) -> Iterator[Callable[..., Someone]]:
    """`someone(login)`: somebody with a browser, signed in. No page they see is complained of."""
    there: list[Someone] = []

    def come(login: str, **options: object) -> Someone:
        there.append(Someone(house, chrome, **options).visit(login))
        return there[-1]

    yield come
    for one in there:
        one.close()
    assert [trouble for one in there for trouble in one.trouble] == []


def held(house: House) -> Record:
    """The attacker's containment, which is in force."""
    with house.world.store.reading() as work:
        found = work.find(lease.KIND, Filter(state=lease.ACTIVE))
    return next(record for record in found if record.body["grant"]["target"] == ATTACKER)


def notice(page: Page) -> str:
    """What the page says of the act before it."""
    return page.get_by_role("status").first.inner_text()


# tasks ---------------------------------------------------------------------------------------------------------------


def test_sign_in_look_around_and_sign_out(house: House, chrome: Browser) -> None:
    someone = Someone(house, chrome).sign_in(ANALYST)
    page = someone.page
    for name in ("Leases", "Approvals", "Decisions", "Observe", "Sources", "False positives", "Playbooks", "Audit"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        expect(page.get_by_role("navigation", name="Pages").locator("[aria-current=page]")).to_contain_text(name)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert someone.trouble == []
    someone.close()


def test_a_wrong_password_is_told_and_tried_again(house: House, chrome: Browser) -> None:
    someone = Someone(house, chrome)
    page = someone.page
    page.goto("/console/audit")
    page.get_by_label("Login", exact=True).fill(ANALYST)
    page.get_by_label("Password, or API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("TheHive does not know this account and secret.")
    page.get_by_label("Password, or API key").fill(house.lab.keys.analyst)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")
    someone.close()


def test_grant_one_question_and_deny_another(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(APPROVER).page
    page.goto("/console/approvals")
    for target, word, told in (("203.0.113.44", "Grant", "Granted."), ("web01", "Deny", "Denied.")):
        question = page.get_by_role("article").filter(has=page.get_by_role("heading", name=target))
        expect(question.get_by_role("button", name=f"{word} it")).to_be_hidden()
        question.locator("summary", has_text=word).click()
        question.get_by_role("button", name=f"{word} it").click()
        assert notice(page).startswith(told)
    with house.world.store.reading() as work:
        given = {record.body["grant"]["target"]: record.body.get("given") for record in work.find(approval.KIND)}
    assert given == {"203.0.113.44": [[APPROVER, "granted"]], "web01": [[APPROVER, "denied"]]}


def test_release_a_containment_on_a_telephone(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(ANALYST, viewport=NARROW).page
    page.goto("/console")
    page.get_by_role("link", name="contained at this moment").click()
    page.get_by_role("link", name=ATTACKER).click()
    page.locator("summary", has_text="Release").click()
    page.get_by_label("Why (it is written into the audit chain)").fill("our own scanner")
    page.get_by_role("button", name="Release it now").click()
    assert notice(page) == "It is being released."
    line = house.world.said("release wished")[-1]
    assert (line["operator"], line["why"]) == (ANALYST, "our own scanner")


def test_renew_a_containment(house: House, someone: Callable[..., Someone]) -> None:
    before = held(house)
    page = someone(ANALYST).page
    page.goto(f"/console/leases/{before.key}")
    page.locator("summary", has_text="Renew").click()
    page.get_by_label("How much longer").fill("4h")
    page.get_by_role("button", name="Renew it").click()
    until = before.body["until"] + 4 * 3600
    assert notice(page) == f"It is renewed until {utc_text(until)[:16].replace('T', ' ')}."
    assert held(house).body["until"] == pytest.approx(until)


def test_stop_everything_and_raise_it_again(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(ANALYST).page
    page.goto("/console/leases")
    page.get_by_role("link", name="mode enforce").click()
    page.get_by_label("Why").fill("a playbook went wild")
    page.get_by_role("button", name="Stop containing: observe only").click()
    assert notice(page).startswith("The mode is observe since")
    expect(page.get_by_role("link", name="mode observe lowered from enforce")).to_be_visible()
    expect(page.get_by_role("button", name="Stop containing")).to_have_count(0)
    expect(page.get_by_label("Mode")).to_have_count(0)
    admin = someone(ORGADMIN).page
    admin.goto("/console")
    expect(admin.get_by_text("a playbook went wild")).to_be_visible()
    admin.get_by_label("Mode").select_option("enforce")
    admin.get_by_role("button", name="Set").click()
    expect(admin.get_by_role("link", name="mode enforce")).to_be_visible()
    assert [line["mode"] for line in house.world.said("mode set")] == ["observe", "enforce"]


def test_find_a_decision_and_read_its_story(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(READER).page
    page.goto("/console/decisions")
    page.get_by_label("Search, as it is written").fill(ATTACKER)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("table").get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(ATTACKER)
    story = page.get_by_role("table", name="What happened, oldest first")
    words = [re.sub(r"\s+", " ", cell) for cell in story.locator("td:nth-child(3)").all_inner_texts()]
    assert words == ["event", "alert", "verdict", "decision", "contained"]
    story.get_by_role("link", name="audit line").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit")
    page.go_back()
    with page.expect_download() as waited:
        page.get_by_role("link", name="Incident report (Markdown)").click()
    assert waited.value.suggested_filename == "incident-128.md"


def test_clear_what_was_put_aside(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(ANALYST).page
    page.goto("/console/false-positives")
    row = page.get_by_role("row").filter(has_text="suppressed").filter(has_text=CDN)
    row.locator("summary", has_text="Clear").click()
    row.get_by_role("button", name=f"Clear {CDN}").click()
    assert notice(page).startswith(f"{CDN} is no longer suppressed under rule")
    expect(page.get_by_role("row").filter(has_text="suppressed")).to_have_count(0)


def test_try_an_edited_playbook(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(ORGADMIN).page
    page.goto("/console/playbooks")
    page.get_by_role("link", name="malicious-ip").first.click()
    page.get_by_role("link", name=re.compile("Try")).first.click()
    area = page.get_by_role("textbox")
    area.fill(area.input_value().replace("mode: observe", "mode: approve", 1))
    page.get_by_role("button", name=re.compile("Try")).click()
    expect(page.locator(".notice")).to_be_visible()
    house.errands.join()
    page.reload()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    assert [line["operator"] for line in house.world.said("playbook tried")] == [ORGADMIN]


def test_verify_the_whole_chain(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(ANALYST).page
    page.goto("/console/audit")
    page.get_by_role("button", name="Verify the whole chain").click()
    expect(page.locator(".notice")).to_be_visible()
    house.errands.join()
    page.reload()
    expect(page.locator("#verify").get_by_text("sound", exact=True)).to_be_visible()


def test_without_script_one_can_act_too(house: House, chrome: Browser) -> None:
    someone = Someone(house, chrome, java_script_enabled=False).sign_in(ANALYST)
    page = someone.page
    page.get_by_role("button", name="Stop containing: observe only").click()
    assert notice(page).startswith("The mode is observe since")
    page.goto(f"/console/leases/{held(house).key}")
    page.locator("summary", has_text="Release").click()
    page.get_by_role("button", name="Release it now").click()
    assert notice(page) == "It is being released."
    someone.close()


def test_a_link_in_a_case_leads_to_its_page_and_not_to_signing_in_again(house: House, chrome: Browser) -> None:
    """SameSite=Strict keeps the session at home when another site leads here; the page asks itself once more."""
    someone = Someone(house, chrome).sign_in(READER)
    link = f'<a href="{house.url}/console/decisions?q={ATTACKER}">the decision</a>'
    someone.page.route("http://thehive.example/**", lambda route: route.fulfill(body=link, content_type="text/html"))
    someone.page.goto("http://thehive.example/case/128")
    someone.page.get_by_role("link", name="the decision").click()
    expect(someone.page.get_by_role("heading", level=1)).to_have_text("Decisions")
    expect(someone.page.get_by_label("Search, as it is written")).to_have_value(ATTACKER)
    someone.close()


def test_another_site_can_neither_frame_the_console_nor_post_to_it(house: House, chrome: Browser) -> None:
    someone = Someone(house, chrome).sign_in(ANALYST)
    bait = (
        f'<iframe name="inner" src="{house.url}/console"></iframe>'
        f'<form method="post" action="{house.url}/console/stop"><button>You have won</button></form>'
    )
    someone.page.route("http://evil.example/**", lambda route: route.fulfill(body=bait, content_type="text/html"))
    someone.page.goto("http://evil.example/")
    frame = someone.page.frame("inner")
    assert frame is not None
    assert "Propolis" not in frame.content()
    someone.page.get_by_role("button", name="You have won").click()
    expect(someone.page.get_by_text("This form was sent by another site.")).to_be_visible()
    assert house.world.said("mode set") == []
    someone.close()


# pages that look again -----------------------------------------------------------------------------------------------


def opened_live(page: Page, path: str) -> None:
    """Open a page whose clock stands until it is moved."""
    page.clock.install()
    page.goto(path)


def test_a_new_decision_appears_by_itself(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(READER).page
    opened_live(page, "/console")
    house.world.contained(house.world.attack(200, "203.0.113.222"))
    expect(page.get_by_role("link", name="203.0.113.222")).to_have_count(0)
    page.clock.run_for(5_100)
    expect(page.get_by_role("link", name="203.0.113.222").first).to_be_visible()
    expect(page.get_by_role("link", name="5 contained at this moment")).to_be_visible()


def test_what_somebody_has_open_or_in_focus_stays_so(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(APPROVER).page
    opened_live(page, "/console/approvals")
    page.locator("summary", has_text="Grant: isolate web01").click()
    house.world.clock.advance(1800)
    page.clock.run_for(5_100)
    expect(page.get_by_role("button", name=re.compile("Grant it.*web01"))).to_be_visible()
    opened_live(page, "/console")
    link = page.get_by_role("link", name=ATTACKER).first
    link.focus()
    house.world.attack(201, "203.0.113.223")
    page.clock.run_for(5_100)
    expect(page.get_by_role("link", name="203.0.113.223").first).to_be_visible()
    expect(page.get_by_role("link", name=ATTACKER).first).to_be_focused()


def test_a_page_that_can_no_longer_look_says_since_when(house: House, chrome: Browser) -> None:
    someone = Someone(house, chrome).visit(READER)
    page = someone.page
    opened_live(page, "/console")
    away: Callable[[Route], None] = lambda route: route.abort()  # noqa: E731 - a handler that is taken away again
    page.route("**/console", away)
    page.clock.run_for(5_100)
    expect(page.locator("#stale")).to_have_text(
        re.compile(r"This page is as of \d\d:\d\d:\d\d UTC: the service does not")
    )
    page.unroute("**/console", away)
    page.clock.run_for(5_100)
    expect(page.locator("#stale")).to_have_count(0)
    house.world.clock.advance(9 * 3600)
    page.clock.run_for(5_100)
    expect(page.locator("#stale")).to_have_text("Your session has ended: load the page again to sign in.")
    someone.close()


def test_a_page_stops_looking_when_there_is_nothing_more_to_come(house: House, someone: Callable[..., Someone]) -> None:
    page = someone(ANALYST).page
    opened_live(page, "/console/observe")
    house.errands.join()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(3_100)
    expect(page.get_by_text("As of")).to_be_visible()
    page.clock.run_for(60_000)
    page.evaluate("1")
    assert [url for url in asked if url.endswith("/observe")] == [f"{house.url}/console/observe"]

"""What must not be seen, and what must not come to life: on every page, whatever was stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from filled import ATTACKER, CDN, Filled
from gate import SHOWS, Gate, Reply, filled, made_real

from playbook_service.console.frame import ROOT
from playbook_service.console.person import Role
from playbook_service.settings.table import SETTINGS
from playbook_service.web.html import el


@pytest.fixture(scope="module")
def gate() -> Gate:
    """For tests that change nothing."""
    return Gate(filled())


def every_page(gate: Gate, cookie: str, most: int = 150) -> Iterator[tuple[str, Reply]]:
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
    names = [setting.name for setting in SETTINGS if setting.secret and setting.name in SAFE_TO_SET]
    environment = {f"PROPOLIS_{name.upper()}": f"s3cret-{name}-value" for name in names}
    world = filled()
    gate = Gate(world, settings=environment)
    cookie, _ = gate.cookie(Role.ADMIN)
    _, others = gate.cookie(Role.ADMIN)
    with world.store.reading() as work:
        sealing = work.get("control", "console")
    assert sealing is not None
    hidden = [*environment.values(), others, sealing.body["key"], cookie.partition("=")[2]]
    pages = 0
    for path, page in every_page(gate, cookie):
        pages += 1
        assert [value for value in hidden if value in page.body] == [], path
    assert len(hidden) == 9
    assert pages > 40


SAFE_TO_SET = ("webhook_token", "thehive_key", "cortex_key", "smtp_password", "feed_token", "metrics_token")
"""Secrets that need no other setting beside them."""

BAD = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>\u202e\u0007\u200b"


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
        world.false_positive(number, CDN)
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
    assert pages >= 15


def test_hostile_searches_are_inert(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.ADMIN)
    for place in SHOWS:
        for name in ("q", "state", "playbook", "after", "find", "responder", "at", "of", "below", "name", "against"):
            page = gate.get(f"{made_real(place)}?{urlencode({name: BAD * 200})}", cookie)
            assert page.status < 500, (place.path, name)
            assert "<img" not in page.body
            shown = re.sub(r' value="[^"]*"|<option.*?</option>', "", page.body)  # a field shows what was typed
            assert "\u202e" not in shown, (place.path, name)


def test_a_path_with_letters_of_no_alphabet_is_an_ordinary_unknown_page(gate: Gate) -> None:
    cookie, _ = gate.cookie(Role.ADMIN)
    for path in (
        "/console/leases/\u00e9\u00ff",
        "/console/decisions/%00",
        "/console/\u0000",
        "/console/leases/" + "a" * 9000,
    ):
        assert gate.get(path, cookie).status in (400, 404)
        assert gate.get(path).status in (303, 404)


def test_elements_of_the_sign_in_page_are_the_frames_own(gate: Gate) -> None:
    page = gate.get("/console/sign-in?to=%2Fconsole%3Fa%3D%26quot%3B").body
    assert el("input", type="hidden", name="to", value="/console?a=&quot;") in page

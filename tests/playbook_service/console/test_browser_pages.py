"""Every page in a real browser: nothing breaks, nothing sticks out, and whoever cannot see or point reads it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import browser as chromium
import pytest
from browser import NARROW, WIDE, Someone, lived_in, places
from console_house import ANALYST, ORGADMIN, House
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser
NAMES = tuple(places(lived_in()))
LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""What axe can find otherwise on the same page in other colours and another width."""


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A console that everybody only looks at; what is worked out in the background is worked out."""
    with House(lived_in()) as opened:
        visitor = opened.visitor(ORGADMIN)
        for page in ("observe", "sources"):
            visitor.get(f"/console/{page}")
        visitor.press(visitor.get("/console/audit"), "/console/audit/verify")
        opened.errands.join()
        yield opened


@pytest.fixture(scope="module")
def chrome(need: Callable[[object, str], None]) -> Iterator[Browser]:
    """One browser for all."""
    need(chromium.found(), "chromium")
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def admin(house: House, chrome: Browser) -> Iterator[Someone]:
    """An administrator, who is shown everything there is."""
    someone = Someone(house, chrome).visit(ORGADMIN)
    yield someone
    someone.close()


@pytest.fixture(autouse=True)
def calm(admin: Someone) -> Iterator[None]:
    """Nothing on any page is complained of: no script error, nothing the policy forbids, nothing missing."""
    admin.trouble.clear()
    yield
    assert admin.trouble == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_sound_wide_and_narrow_light_and_dark(house: House, admin: Someone, name: str) -> None:
    """All that can be opened is open; axe looks at the light page wide, and at what it looks like dark and narrow."""
    page = admin.page
    looks: tuple[tuple[dict[str, int], str, tuple[str, ...]], ...] = ((WIDE, "light", ()), (NARROW, "dark", LOOKS))
    for size, scheme, rules in looks:
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        admin.open(places(house.world)[name])
        assert admin.overflow() == []
        assert admin.axe(*rules) == []
    assert page.locator("h1").count() == 1
    if name == "nothing":
        admin.trouble.clear()  # the browser says that the answer was 404, which it was


def test_the_form_to_sign_in_is_sound_too(house: House, chrome: Browser) -> None:
    someone = Someone(house, chrome, color_scheme="dark")
    for size in (WIDE, NARROW):
        someone.page.set_viewport_size(size)  # type: ignore[arg-type]
        someone.open("/sign-in")
        assert (someone.overflow(), someone.axe(), someone.trouble) == ([], [], [])
    someone.close()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "nothing"])
def test_without_script_everything_can_be_read(house: House, chrome: Browser, plain: Someone, name: str) -> None:
    plain.page.goto(f"/console{places(house.world)[name]}")
    expect(plain.page.locator("h1")).to_be_visible()
    texts = plain.page.locator("main").inner_text()
    assert len(texts) > 80
    assert "not the script" not in texts


@pytest.fixture(scope="module")
def plain(house: House, chrome: Browser) -> Iterator[Someone]:
    """Somebody whose browser runs no script."""
    someone = Someone(house, chrome, java_script_enabled=False).visit(ANALYST)
    yield someone
    someone.close()


def test_with_the_keyboard_one_passes_the_menu_and_reaches_everything_in_order(admin: Someone) -> None:
    page = admin.page
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    page.goto("/console/leases")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the page")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the page")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("State")).to_be_focused()


_REACHED = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const all = [...document.querySelectorAll("*")];
  return {place: all.indexOf(one), seen: box.width > 0 && box.height > 0,
          ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
          what: `${one.tagName} ${one.textContent.slice(0, 40)}`};
}"""


@pytest.mark.parametrize("name", ["now", "lease", "approvals", "playbook-try"])
def test_whatever_has_the_focus_shows_it_and_it_goes_down_the_page(house: House, admin: Someone, name: str) -> None:
    page = admin.page
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    admin.open(places(house.world)[name])
    most = page.locator("a, button, summary, input:not([type=hidden]), select, textarea, [tabindex='0']").count()
    reached = []
    for _ in range(min(most, 40)):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(_REACHED))
    assert [one["what"] for one in reached if not one["ring"] or not one["seen"]] == []
    assert [one["place"] for one in reached] == sorted({one["place"] for one in reached})


def test_one_signs_in_with_the_keyboard_alone(house: House, chrome: Browser) -> None:
    someone = Someone(house, chrome)
    page = someone.page
    page.goto("/console/decisions")
    expect(page.get_by_label("Login", exact=True)).to_be_focused()
    page.keyboard.type(ANALYST)
    page.keyboard.press("Tab")
    page.keyboard.type(chromium.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Decisions")
    assert someone.trouble == []
    someone.close()


def test_with_larger_letters_nothing_sticks_out(house: House, admin: Someone) -> None:
    """WCAG 1.4.10: at 400 % a screen of 1280 is one of 320."""
    admin.page.set_viewport_size({"width": 320, "height": 256})
    for name in ("now", "lease", "decision", "audit-of", "playbook-try"):
        admin.open(places(house.world)[name])
        assert admin.overflow() == [], name

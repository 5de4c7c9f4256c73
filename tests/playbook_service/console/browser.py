"""The console in a real browser: one Chromium, many people in it, and what is looked for on every page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from console_house import ANALYST, APPROVER, House
from filled import ATTACKER, HOUR, Filled
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from playbook_service.engine import approval, decided, lease
from playbook_service.engine.version import Versions
from playbook_service.feedback import register
from playbook_service.lab.lab import PASSWORD
from playbook_service.store.contract import Filter

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_AXE = Axe()
_OVERFLOW = """() => {
  const most = document.documentElement.clientWidth;
  const within = (one) => one.closest(".scroll, pre, .unseen, nav, svg, .skip");
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > most + 1 && !within(one))
    .map((one) => `${one.tagName}.${one.className} ${one.textContent.slice(0, 60)}`)
    .concat(document.documentElement.scrollWidth > most ? ["the page itself"] : [])
    .slice(0, 5);
}"""


def found() -> str:
    """Chromium as the system has it; empty where it has none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((place for name in names if (place := shutil.which(name))), "")


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found(), args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def lived_in(world: Filled | None = None) -> Filled:
    """A busy fortnight, with questions that the lab's people may answer and playbooks whose versions are kept."""
    world = world or Filled()
    Versions(world.store, world.journal, world.clock).note(world.books)
    for number in range(100, 116):
        world.attack(number, f"203.0.113.{number}", kind="observe")
        world.clock.advance((number % 5) * HOUR)
    world.fortnight()
    world.contained(world.attack(144, "198.18.7.40"))
    world.contained(world.attack(145, "j.doe", responder="AccountDisable", playbook="compromised-account"))
    world.contained(world.attack(146, "web02", responder="IsolateHost", playbook="malware-on-host"))
    with world.store.transaction() as work:
        for record in approval.waiting(work):
            body = {**record.body, "approvers": [ANALYST, APPROVER]}
            work.save(approval.KIND, record.key, body, state=record.state, ref=record.ref, due=record.due)
    return world


def places(world: Filled) -> dict[str, str]:
    """Name -> address of every kind of page."""
    with world.store.reading() as work:
        decisions, _ = decided.newest(work, term=ATTACKER, limit=200)
        held = next(one.key for one in decisions if work.get(lease.KIND, one.key) is not None)
        over = work.find(lease.KIND, Filter(state=lease.ENDED))[0].key
        asked = approval.waiting(work)[0].key
        suppressed = work.find(register.KIND)[0].key
        stopped = decided.newest(work, state="stopped", limit=1)[0][0].key
    return {
        "now": "", "leases": "/leases", "lease": f"/leases/{held}", "lease-over": f"/leases/{over}",
        "approvals": "/approvals", "question": f"/approvals/{asked}", "decisions": "/decisions",
        "decisions-found": "/decisions?q=203.0.113.0%2F24&state=observe", "decision": f"/decisions/{held}",
        "decision-stopped": f"/decisions/{stopped}", "observe": "/observe", "sources": "/sources",
        "source": "/sources/one?name=AbuseIPDB", "false-positives": "/false-positives",
        "false-positive": f"/false-positives/{suppressed}", "playbooks": "/playbooks",
        "playbook": "/playbooks/malicious-ip", "playbook-try": "/playbooks/malicious-ip/try", "audit": "/audit?at=15",
        "audit-of": f"/audit?of={held}", "nothing": "/nothing/there",
    }  # fmt: skip


class Someone:
    """Somebody with a browser of their own. What a page complains of is kept in `trouble`."""

    def __init__(self, house: House, browser: Browser, **options: Any):
        self.house = house
        self.trouble: list[str] = []
        self.context: BrowserContext = browser.new_context(**{"base_url": house.url, "viewport": WIDE, **options})
        self.context.set_default_timeout(15_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.trouble.append(text)

    def sign_in(self, login: str) -> Someone:
        """As everybody does."""
        self.page.goto("/console")
        self.page.get_by_label("Login", exact=True).fill(login)
        self.page.get_by_label("Password, or API key").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/console")
        return self

    def visit(self, login: str) -> Someone:
        """Signed in without the form, for tests of what comes after it."""
        visitor = self.house.visitor(login)
        self.context.add_cookies(
            [
                {"name": name, "value": value, "url": f"{self.house.url}/console"}
                for name, value in visitor.cookies.items()
            ]
        )
        return self

    def open(self, path: str) -> Page:
        """A page of the console, with everything that can be opened open."""
        self.page.goto(f"/console{path}")
        self.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        return self.page

    def axe(self, *rules: str) -> list[str]:
        """What an accessibility checker finds, one line each; by all its rules, or by these."""
        only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else None
        answer = _AXE.run(self.page, options=only).response
        return [
            f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]} ({len(one['nodes'])} times)"
            for one in answer["violations"]
        ]

    def overflow(self) -> list[str]:
        """What stands out of the page to the right, so that it would have to be scrolled."""
        found: list[str] = self.page.evaluate(_OVERFLOW)
        return found

    def close(self) -> None:
        """Leave."""
        self.context.close()

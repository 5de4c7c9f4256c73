"""The page Playbooks, and trying an edited text on the service's own alerts."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from console_house import ANALYST, ORGADMIN, House, Seen, Visitor
from counted import Counted
from filled import ATTACKER, SECOND, Filled

from playbook_service.console import errand, trial
from playbook_service.console.console import Console
from playbook_service.console.errand import Errands
from playbook_service.engine import arrival, decided, lease, ruling
from playbook_service.engine.version import Versions
from playbook_service.lab.lab import PASSWORD
from playbook_service.playbook import SHIPPED, load
from playbook_service.reload import Reloading
from playbook_service.web.application import Application
from playbook_service.web.server import Server
from propolis.clock import ManualClock, SystemClock, utc_text

READER = "reader@soc.example"
PLACE = "/console/playbooks"
ONE = f"{PLACE}/malicious-ip"
TRY = f"{ONE}/try"
HOSTILE = "</textarea></li><script>alert(1)</script>\u202egnp.exe"


class Shelf:
    """A console whose playbooks are files in a folder, read again when they change, and kept as versions."""

    def __init__(self, house: House, folder: Path):
        self.house = house
        self.world = house.world
        self.folder = folder
        self._turn = 0
        clock = self.world.clock
        self.books = Reloading(folder, lambda: load(folder), strict=False, clock=clock)
        self.versions = Versions(self.world.store, self.world.journal, clock)
        self.errands = Errands(self.world.store, clock)
        self.desk = house.desk._replace(playbooks=self.books, errands=self.errands)
        console = Console(self.desk, secure=False)
        console.begin()
        self.server = Server(("127.0.0.1", 0), Application(console.routes()), SystemClock())
        self.keep()

    def keep(self) -> None:
        self.versions.note(self.books())

    def visitor(self, login: str) -> Visitor:
        visitor = Visitor(f"http://127.0.0.1:{self.server.port}")
        visitor.sign_in(login, PASSWORD)
        return visitor

    def text(self, file: str = "malicious-ip.yml") -> str:
        return (self.folder / file).read_text()

    def write(self, text: str, file: str = "malicious-ip.yml") -> None:
        """As an operator's editor does; the time of the file is another than before."""
        self._turn += 1
        self.world.clock.advance(60)
        path = self.folder / file
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(self._turn * 10**9, self._turn * 10**9))

    def tried(self, visitor: Visitor, text: str, days: str = "30") -> Seen:
        """Try a text, wait for the end, and look."""
        visitor.press(visitor.get(TRY), TRY, text=text, days=days)
        self.errands.join()
        return visitor.get(TRY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The playbooks that ship, to be edited."""
    place = tmp_path / "playbooks"
    shutil.copytree(SHIPPED, place)
    return place


@pytest.fixture
def shelf(house: House, folder: Path) -> Iterator[Shelf]:
    opened = Shelf(house, folder)
    thread = threading.Thread(target=opened.server.run, daemon=True)
    thread.start()
    yield opened
    opened.errands.join()
    opened.server.stop()
    thread.join()


def enforced(text: str) -> str:
    return text.replace("mode: observe", "mode: enforce")


# all playbooks -----------------------------------------------------------------------------------------------------


def test_every_playbook_is_there_with_kind_mode_words_version_and_file(shelf: Shelf):
    page = shelf.visitor(READER).get(PLACE)
    book = shelf.books().named("malicious-ip")
    assert book is not None
    assert "18 of 19 are enabled" in page.text
    assert "on verdict: observable.dataType is ip and observable.tags does not contain internal" in page.text
    assert book.version in page.text
    assert "malicious-ip.yml :1" in page.text
    assert "ask about one that three do. respond off" in page.text
    assert all(f"{PLACE}/{one.name}" in page.links for one in shelf.books())


def test_what_a_playbook_decided_last_leads_to_the_decision(shelf: Shelf):
    page = shelf.visitor(READER).get(PLACE)
    with shelf.world.store.reading() as work:
        (record,), _ = decided.newest(work, playbook="malicious-ip", limit=1)
    assert f"/console/decisions/{record.key}" in page.links


def test_lint_findings_are_counted_and_shown_at_their_lines(shelf: Shelf):
    shelf.write(shelf.text().replace("for: 24h", "for: 999d"))
    visitor = shelf.visitor(READER)
    assert "1 warning" in visitor.get(PLACE).text
    page = visitor.get(ONE)
    assert "#L17" in page.links
    assert 'id="L17" class="marked"' in page.html
    assert "longer than 7d" in page.text


def test_files_that_do_not_load_are_announced_with_the_line_while_the_last_sound_set_stays(shelf: Shelf):
    shelf.write(shelf.text() + "nonsense: 1\n")
    page = shelf.visitor(READER).get(PLACE)
    assert "The files on disk are not used" in page.text
    assert "malicious-ip.yml:29: nonsense: unknown key" in page.text
    assert "18 of 19 are enabled" in page.text
    since = utc_text(shelf.world.clock.now()).replace("T", " ")[:19]
    shelf.write(shelf.text() + "more: 1\n")
    assert f"Since {since} they do not load" in shelf.visitor(READER).get(PLACE).text
    shelf.write((SHIPPED / "malicious-ip.yml").read_text())
    assert "are not used" not in shelf.visitor(READER).get(PLACE).text


def test_the_page_costs_the_same_with_a_thousand_decisions_as_with_ten(folder: Path):
    costs = []
    for number in (10, 1000):
        world = Filled()
        world.fortnight()
        world.many(number)
        world.store = counted = Counted(world.store)
        with House(world) as house:
            visitor = house.visitor(READER)
            costs.append([counted.during(partial(visitor.get, at)).total for at in (PLACE, ONE, TRY)])
    assert costs[0] == costs[1]


# one playbook ------------------------------------------------------------------------------------------------------


def test_a_playbook_is_told_in_words_and_as_it_is_written(shelf: Shelf):
    page = shelf.visitor(READER).get(ONE)
    assert "observable.role is not result, referrer or related" in page.text
    assert "ask verdict.recommendation is ask; or verdict.families is at least 3" in page.text
    assert "FirewallBlock on observable, for 1d" in page.text
    assert "# Addresses that were merely mentioned" in page.text
    assert f"/console/decisions?playbook={'malicious-ip'}" in page.links


def test_a_playbook_that_is_not_there_is_a_page_that_says_so(shelf: Shelf):
    page = shelf.visitor(READER).get(f"{PLACE}/nobody")
    assert page.status == 404
    assert "No playbook in use has the name 'nobody'" in page.text


def test_its_versions_can_be_read_and_compared(shelf: Shelf):
    shelf.write(enforced(shelf.text()))
    shelf.keep()
    visitor = shelf.visitor(READER)
    page = visitor.get(ONE)
    (changed,) = [link for link in page.links if "against=" in link]
    difference = visitor.get(changed)
    assert "-mode: observe" in difference.text
    assert "+mode: enforce" in difference.text
    texts = [visitor.get(link).text for link in page.links if "?of=" in link and "against=" not in link]
    assert ["mode: enforce" in text for text in texts] == [True, False]


@pytest.mark.parametrize("query", ["", "?of=nobody", "?of=malicious-ip:1&against=x"])
def test_a_version_that_was_not_kept_is_a_page_that_says_so(shelf: Shelf, query: str):
    page = shelf.visitor(READER).get(f"{ONE}/versions{query}")
    assert page.status == 404
    assert "No such version" in page.text


def test_the_text_in_use_is_shown_also_when_the_file_is_broken_by_now(shelf: Shelf):
    shelf.write("nonsense\n")
    page = shelf.visitor(READER).get(ONE)
    assert "# Addresses that were merely mentioned" in page.text


# who may try -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [READER, ANALYST])
def test_who_is_no_administrator_sees_no_editor_and_may_not_try(shelf: Shelf, login: str):
    visitor = shelf.visitor(login)
    page = visitor.get(TRY)
    assert TRY not in [action for action, _ in page.forms]
    assert "takes the role admin" in page.text
    csrf = page.forms[0][1]["csrf"]
    refused = visitor.post(TRY, {"csrf": csrf, "text": shelf.text(), "days": "1"})
    assert refused.status == 403
    with shelf.world.store.reading() as work:
        assert trial.draft(work, "malicious-ip") is None


def test_everybody_sees_what_a_trial_found(shelf: Shelf):
    shelf.tried(shelf.visitor(ORGADMIN), enforced(shelf.text()))
    page = shelf.visitor(READER).get(TRY)
    assert "Of 15 alerts of the last 30 days, the text decides 10 otherwise" in page.text
    assert "+mode: enforce" in page.text


# what a trial says -------------------------------------------------------------------------------------------------


def test_the_same_text_decides_nothing_otherwise(shelf: Shelf):
    page = shelf.tried(shelf.visitor(ORGADMIN), shelf.text())
    assert "Of 15 alerts of the last 30 days, the text decides all as it is decided now." in page.text
    assert "The texts are the same." in page.text


def test_a_bolder_text_shows_what_would_be_contained_with_the_decision_of_then(shelf: Shelf):
    page = shelf.tried(shelf.visitor(ORGADMIN), enforced(shelf.text()))
    assert f"respond FirewallBlock {ATTACKER} act today observe (playbook mode observe) \u2192 act" in page.text
    assert "respond FirewallBlock act today observe (playbook mode observe) act 9 9" in page.text
    with shelf.world.store.reading() as work:
        records, _ = decided.newest(work, term=ATTACKER, limit=5)
    assert f"/console/decisions/{records[-1].key}" in page.links
    assert "as of 2026-11-18" in page.text


def test_a_trial_changes_nothing_but_says_that_it_was(shelf: Shelf):
    def standing() -> list[object]:
        with shelf.world.store.reading() as work:
            return [work.find(kind) for kind in (ruling.KIND, lease.KIND, arrival.KIND, "approval")]

    before, files = standing(), {path.name: path.read_bytes() for path in shelf.folder.iterdir()}
    shelf.tried(shelf.visitor(ORGADMIN), enforced(shelf.text()))
    assert standing() == before
    assert {path.name: path.read_bytes() for path in shelf.folder.iterdir()} == files
    (line,) = shelf.world.said("playbook tried")
    assert (line["playbook"], line["days"], line["operator"]) == ("malicious-ip", 30, ORGADMIN)


def test_only_the_days_that_were_asked_for_count(shelf: Shelf):
    shelf.world.clock.advance(3 * 86_400)
    shelf.world.attack(200, "203.0.113.250")
    page = shelf.tried(shelf.visitor(ORGADMIN), enforced(shelf.text()), days="1")
    assert "Of 1 alerts of the last 1 day, the text decides 1 otherwise" in page.text


def test_an_alert_that_was_suppressed_is_left_out_and_counted(shelf: Shelf):
    with shelf.world.store.transaction() as work:
        record = work.find(arrival.KIND)[0]
        work.save(arrival.KIND, record.key, record.body, version=record.version, state=arrival.SUPPRESSED)
    page = shelf.tried(shelf.visitor(ORGADMIN), shelf.text())
    assert "Of 14 alerts" in page.text
    assert "1 alerts were suppressed when they came in" in page.text


def test_an_alert_without_a_case_is_judged_by_the_verdict_on_its_value(shelf: Shelf):
    world = shelf.world
    world.clock.advance(2 * 86_400)
    key = world.alert("203.0.113.251")
    with world.store.transaction() as work:
        alert, verdict = work.get(arrival.KIND, key), work.find("verdict")[0]
        assert alert is not None
        work.save(arrival.KIND, key, alert.body, version=alert.version, state=arrival.LOOSE)
        about = {**verdict.body["observable"], "data": "203.0.113.251"}
        body = {**verdict.body, "observable": about, "at": world.clock.now()}
        work.save("verdict", "loose:1", body, state=verdict.state, ref="")
    page = shelf.tried(shelf.visitor(ORGADMIN), enforced(shelf.text()), days="1")
    assert "respond FirewallBlock 203.0.113.251 act today observe (playbook mode observe) \u2192 act" in page.text
    assert f"/console/decisions?q={key.replace(':', '%3A')}" in page.links


def test_the_newest_verdict_of_the_case_counts(shelf: Shelf):
    with shelf.world.store.transaction() as work:
        (first,) = [one for one in work.find("verdict") if one.body["observable"]["data"] == SECOND]
        full = {**first.body["full"], "recommendation": "observe", "verdict": "unknown", "families": 0}
        body = {**first.body, "full": full, "at": first.body["at"] + 60}
        work.save("verdict", first.key[:-1] + "2", body, state="unknown", ref=first.ref)
    page = shelf.tried(shelf.visitor(ORGADMIN), enforced(shelf.text()))
    assert "the text decides 9 otherwise" in page.text
    assert f"respond FirewallBlock {SECOND} act" not in page.text


def test_a_trial_says_what_it_left_out(shelf: Shelf):
    draft = trial.begin(
        shelf.desk, shelf.books().named("malicious-ip"), enforced(shelf.text()), 30, ORGADMIN, trial.Limits(alerts=5)
    )  # fmt: skip
    shelf.errands.join()
    assert draft.sound
    page = shelf.visitor(READER).get(TRY)
    assert "Of 5 alerts" in page.text
    assert "Only the newest 5 alerts were taken; 10 older are left out." in page.text


class Hurried(ManualClock):
    """A clock that leaps ahead by an hour after so many readings."""

    def __init__(self, now: float, readings: int):
        super().__init__(now)
        self._left = readings

    def monotonic(self) -> float:
        self._left -= 1
        return 0.0 if self._left >= 0 else 3600.0


@pytest.mark.parametrize(
    ("readings", "sentence"),
    [
        (1, "Time was up before all alerts on record had been looked at: this is a part of the period."),
        (2, "Time was up before the oldest 15 alerts were reached."),
    ],
)
def test_a_trial_that_takes_too_long_ends_and_says_how_far_it_came(shelf: Shelf, readings: int, sentence: str):
    desk = shelf.desk._replace(clock=Hurried(shelf.world.clock.now(), readings))
    book = shelf.books().named("malicious-ip")
    trial.begin(desk, book, enforced(shelf.text()), 30, ORGADMIN, trial.LIMITS)
    shelf.errands.join()
    assert sentence in shelf.visitor(READER).get(TRY).text


def test_while_it_runs_the_page_says_how_far_it_is_and_looks_again(shelf: Shelf):
    shelf.tried(shelf.visitor(ORGADMIN), shelf.text())
    with shelf.world.store.transaction() as work:
        drafted, begun = work.get(trial.KIND, "malicious-ip"), work.get(errand.KIND, "trial:malicious-ip")
        assert drafted is not None
        assert begun is not None
        work.save(trial.KIND, "malicious-ip", {**drafted.body, "done": 2000, "of": 12000})
        work.save(errand.KIND, begun.key, {**begun.body, "began": shelf.world.clock.now()}, state=errand.RUNNING)
    visitor = shelf.visitor(ORGADMIN)
    page = visitor.get(TRY)
    assert "2,000 of 12,000 alerts" in page.text
    assert 'data-live="2"' in page.html
    again = visitor.press(page, TRY, text=shelf.text(), days="1")
    assert "runs already" in again.text


def test_a_trial_says_when_the_set_in_use_has_changed_since(shelf: Shelf):
    shelf.tried(shelf.visitor(ORGADMIN), shelf.text())
    shelf.write(enforced(shelf.text()))
    assert "have changed since: try the text again" in shelf.visitor(READER).get(TRY).text


# texts that are wrong ----------------------------------------------------------------------------------------------


def test_a_text_that_does_not_load_shows_its_faults_beside_it_and_runs_nothing(shelf: Shelf):
    text = shelf.text().replace("mode: observe", "mode: bold").replace("do: tag", "do: tagg")
    visitor = shelf.visitor(ORGADMIN)
    page = visitor.press(visitor.get(TRY), TRY, text=text, days="7")
    assert "It does not load, so nothing was run: 2 faults." in page.text
    assert '"bold"' in page.text
    assert 'id="T4" class="marked"' in page.html
    assert {"#T4", "#T22"} <= set(page.links)
    assert page.form(TRY)["text"].lstrip("\n") == text
    assert shelf.world.said("playbook tried") == []
    with shelf.world.store.reading() as work:
        assert work.get(errand.KIND, "trial:malicious-ip") is None


def test_the_editor_begins_with_the_text_in_use(shelf: Shelf):
    shelf.tried(shelf.visitor(ORGADMIN), enforced(shelf.text()))
    visitor = shelf.visitor(ORGADMIN)
    assert visitor.get(TRY).form(TRY)["text"].lstrip("\n") == shelf.text()
    assert visitor.get(f"{TRY}?text=tried").form(TRY)["text"].lstrip("\n") == enforced(shelf.text())


@pytest.mark.parametrize(
    ("text", "days", "sentence"),
    [
        ("x", "2", "The days are one of 1, 7, 30."),
        ("x", "many", "The days are a whole number."),
        ("x" * 100_001, "7", "The text has 100,001 characters; 100,000 are tried at most."),
    ],
)
def test_what_cannot_be_tried_gets_one_sentence(shelf: Shelf, text: str, days: str, sentence: str):
    visitor = shelf.visitor(ORGADMIN)
    assert sentence in visitor.press(visitor.get(TRY), TRY, text=text, days=days).text


def test_while_the_policy_cannot_be_read_nothing_is_tried(shelf: Shelf):
    visitor = shelf.visitor(ORGADMIN)
    page = visitor.get(TRY)
    shelf.world.policy_text = "firewall: {own: [nonsense]}"
    again = visitor.press(page, TRY, text=shelf.text(), days="7")
    assert "policy" in again.text
    with shelf.world.store.reading() as work:
        assert trial.draft(work, "malicious-ip") is None


# hostile and empty -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [READER, ORGADMIN])
def test_hostile_text_is_inert_wherever_it_stands(shelf: Shelf, login: str):
    admin = shelf.visitor(ORGADMIN)
    shelf.write(shelf.text() + f"# {HOSTILE}\n")
    shelf.keep()
    faulty = shelf.text() + f"{HOSTILE}: 1\n"
    admin.press(admin.get(TRY), TRY, text=faulty, days="7")
    visitor = shelf.visitor(login)
    pages = [visitor.get(at) for at in (PLACE, ONE, TRY, f"{TRY}?text=tried")]
    shelf.tried(admin, shelf.text() + f"# {HOSTILE}\n")
    links = [link for link in pages[1].links if "/versions?" in link]
    pages += [visitor.get(at) for at in (TRY, f"{TRY}?text=tried", *links)]
    for page in pages:
        assert page.status == 200
        assert page.tags.count("script") == 1
        assert "<script>alert" not in page.html
    assert "\u202e" not in pages[1].html
    assert "<U+202E>" in pages[1].text
    if login == ORGADMIN:
        assert "characters that nobody sees" in pages[2].text


def test_a_file_of_a_megabyte_is_shown_in_part(shelf: Shelf):
    shelf.write(shelf.text() + "# x\n" * 200_000)
    shelf.keep()
    visitor = shelf.visitor(ORGADMIN)
    page = visitor.get(ONE)
    assert "198,028 more lines are not shown" in page.text
    assert len(page.html) < 1_000_000


def test_without_alerts_and_decisions_every_page_says_so(folder: Path):
    with House() as house:
        opened = Shelf(house, folder)
        thread = threading.Thread(target=opened.server.run, daemon=True)
        thread.start()
        try:
            visitor = opened.visitor(ORGADMIN)
            assert "nothing on record" in visitor.get(PLACE).text
            assert "No decision of it is on record." in visitor.get(ONE).text
            page = opened.tried(visitor, opened.text())
            assert "No alert of the last 30 days is on record to try it on." in page.text
        finally:
            opened.server.stop()
            thread.join()

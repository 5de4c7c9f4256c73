"""The demo shows what it promises, on both versions of TheHive, and says so truthfully."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests

from playbook_service import cli
from playbook_service.commands import demo
from playbook_service.demo import leave, story, summary
from playbook_service.demo.calendar import moved
from playbook_service.demo.ledger import Ledger, Row, median
from playbook_service.demo.people import Person
from playbook_service.demo.play import Play, rendered
from playbook_service.demo.shelf import Shelf
from playbook_service.demo.stage import Stage, Terms
from playbook_service.demo.voice import Voice
from playbook_service.demo.witness import Unseen
from playbook_service.playbook import SHIPPED, load
from propolis.clock import ManualClock, SystemClock
from propolis.errors import ConfigurationError, InputError
from propolis.http import session

Document = dict[str, Any]
LEASE = "15s"


class Run:
    """A demo in a process of its own: `out` is read until it has said all it has to say."""

    def __init__(self, folder: Path, *options: str):
        folder.mkdir()
        self.folder = folder
        (folder / "propolis.yml").write_text("no_such_setting: 1\n", encoding="utf-8")
        self.errors = (folder / "stderr").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "playbook_service", "demo", "--format", "json", "--lease", LEASE, *options],
            cwd=folder, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env={**os.environ, "PROPOLIS_MODE": "nonsense", "PYTHONPATH": str(Path(demo.__file__).parents[2])},
        )  # fmt: skip

    def document(self) -> Document:
        """The next JSON document of the output."""
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            if line.rstrip("\n") == "}":
                return dict(json.loads(text))
        self.errors.seek(0)
        raise AssertionError(f"the demo ended without a result: {text}{self.errors.read()}")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.close()
        return code

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Run]]:
    """Both at the same time: most of it is waiting."""
    folder = tmp_path_factory.mktemp("demo")
    started = {
        5: Run(folder / "5", "--report", str(folder / "report.html")),
        4: Run(folder / "4", "--version", "4", "--serve"),
    }
    yield started
    for run in started.values():
        if run.process.poll() is None:
            run.close()


@pytest.fixture(scope="module")
def five(runs: dict[int, Run]) -> Document:
    document = runs[5].document()
    document["code"] = runs[5].process.wait(60)
    document["report"] = runs[5].folder.with_name("report.html").read_text(encoding="utf-8")
    runs[5].close()
    return document


@pytest.fixture(scope="module")
def four(runs: dict[int, Run]) -> Document:
    return runs[4].document()


@pytest.fixture(params=["five", "four"], ids=["thehive5", "thehive4"])
def result(request: pytest.FixtureRequest) -> Document:
    return dict(request.getfixturevalue(request.param))


def rows(result: Document, decision: str) -> list[Document]:
    return [row for row in result["rows"] if row["decision"] == decision]


def test_every_promise_is_kept(result: Document):
    assert [promise["text"] for promise in result["promises"] if not promise["kept"]] == []
    assert len(result["promises"]) == 20
    assert result["ok"]


def test_it_ends_by_itself_with_0_and_soon(five: Document):
    assert five["code"] == 0
    assert five["version"] == 5
    assert five["numbers"]["seconds"] < 110


def test_in_observe_mode_nothing_is_contained(result: Document):
    (row,) = rows(result, "observed")
    assert row["target"] == "203.0.113.17"
    assert row["contained_at"] == row["released_at"] == 0
    assert row["decided_at"] > row["alert_at"] > 0


def test_what_was_asked_was_contained_after_the_answer_and_names_who_gave_it(result: Document):
    asked = rows(result, "asked")
    assert {"203.0.113.17", "203.0.113.41", "backup", "FIN-WS07"} < {row["target"] for row in asked}
    for row in asked:
        assert row["who"] == "approver@soc.example"
        assert row["alert_at"] <= row["decided_at"] <= row["answered_at"] <= row["contained_at"]
    assert {row["where"] for row in asked} == {"the lab firewall", "the lab directory", "the lab EDR"}


def test_strong_evidence_acts_alone(result: Document):
    (row,) = rows(result, "acted alone")
    assert (row["target"], row["answered_at"]) == ("203.0.113.99", 0)
    assert row["who"].startswith("playbook ")
    assert 0 < row["seconds"]["to_containment"] < 30


def test_a_guardrail_contains_nothing(result: Document):
    (row,) = rows(result, "refused")
    assert (row["target"], row["contained_at"]) == ("198.51.100.80", 0)


def test_what_was_started_by_hand_became_a_lease_of_the_analyst(result: Document):
    (row,) = rows(result, "by hand")
    assert row["who"] == "analyst@soc.example"
    assert row["released_at"] > row["contained_at"] > 0


def test_every_lease_ended_at_its_end_but_for_the_mistake_which_ended_before(result: Document):
    contained = [row for row in result["rows"] if row["contained_at"]]
    assert len(contained) == 7
    early = [row for row in contained if row["released_by"] != "its end"]
    assert [row["story"] for row in early] == ["false positive"]
    assert "FalsePositive by analyst@soc.example" in early[0]["released_by"]
    assert early[0]["released_at"] < early[0]["until"]
    assert all(row["released_at"] >= row["until"] for row in contained if row not in early)


def test_the_numbers_add_up(result: Document):
    numbers = result["numbers"]
    assert numbers["contained"] == numbers["released"] == 7
    assert numbers["asked"] >= numbers["granted"] == 5
    assert (numbers["suppressed"], numbers["refused"]) == (1, 1)
    assert numbers["analyzers"] > numbers["verdicts"] > 0
    assert 0 < numbers["seconds_alone"] < 30


def test_the_story_is_told_in_order_and_shows_traffic_before_and_after(result: Document):
    times = [when for when, _, _ in result["story"]]
    assert times == sorted(times)
    probes = [text for _, who, text in result["story"] if who == "probe" and "203.0.113.99" in text]
    assert probes[0].endswith("passes the firewall")
    assert "is dropped at the firewall" in probes[1]
    assert probes[-1].endswith("passes the firewall")


def test_the_report_tells_of_what_was_contained(five: Document):
    assert five["report"].startswith("<!doctype html>")
    numbers = five["numbers"]
    said = f"{numbers['alerts']} alerts came in and made {numbers['cases']} cases; {numbers['contained']} containments"
    assert said in " ".join(re.sub("<[^>]+>", " ", five["report"]).split())


def test_it_stays_up_where_it_is_told_to_and_ends_when_it_is_stopped(runs: dict[int, Run], four: Document):
    assert four["version"] == 4
    described = runs[4].document()
    with session(described["propolis"]["url"]) as client:
        assert client.get("/healthz").json() == {"ok": True}
    with session(described["thehive"]["url"], headers={"Authorization": "Bearer " + _key(described)}) as client:
        assert client.get("/api/v1/user/current").json()["login"] == "analyst@soc.example"
    console = described["propolis"]["console"]
    assert console["url"] == f"{described['propolis']['url']}/console"
    assert {person["login"]: person["role"] for person in console["people"]} == {
        "reader@soc.example": "viewer", "analyst@soc.example": "operator", "approver@soc.example": "operator",
        "orgadmin@soc.example": "admin",
    }  # fmt: skip
    for person in console["people"]:
        assert role_in_console(console["url"], person["login"], described["password"]) == person["role"]
    config = f"{described['propolis']['folder']}/propolis.yml"
    assert cli.main(["doctor", "--config", config, "--no-probe", "--format", "json"]) == 0
    assert "web02" in page_in_console(console["url"], "approvals", "approver@soc.example", described["password"])
    assert runs[4].end() == 0


def page_in_console(url: str, place: str, login: str, password: str) -> str:
    """A page of the console as somebody sees it who signs in with their password."""
    with requests.Session() as browser:
        form = {"login": login, "secret": password, "to": f"/console/{place}".rstrip("/")}
        return browser.post(f"{url}/sign-in", data=form, timeout=30).text


def role_in_console(url: str, login: str, password: str) -> str:
    """The role that the console shows somebody in."""
    found = re.search(
        r"\b(viewer|operator|admin)\b", page_in_console(url, "", login, password).partition("</header>")[0]
    )
    assert found is not None
    return found[1]


def test_what_is_left_to_look_at_is_told_to_people_too():
    people = [{"login": "reader@soc.example", "role": "viewer", "may": "sees everything"}]
    propolis = {
        "url": "http://p",
        "webhookToken": "t",
        "folder": "/f",
        "console": {"url": "http://p/console", "people": people},
    }
    server = {"url": "http://h", "keys": {"reader": "k"}, "logins": {"reader": "reader@soc.example"}}
    described = {
        "thehive": server,
        "cortex": server,
        "propolis": propolis,
        "organisation": "o",
        "password": "secret-word",
    }
    lines = list(leave.told(described, "web02"))
    console = next(line for line in lines if line.startswith("Console"))
    assert console.split() == ["Console", "http://p/console", "password", "secret-word"]
    assert any(line.split()[:2] == ["reader@soc.example", "viewer"] for line in lines)
    assert any("one question waits, about web02" in line for line in lines)
    assert not any("one question waits" in line for line in leave.told(described, ""))


def test_the_summary_names_the_console_and_the_report_in_a_line_each(tmp_path: Path):
    out = StringIO()
    with Stage(tmp_path, Terms(5, 30)) as stage, Person(stage.lab, "analyst") as analyst:
        play = Play(stage, Voice(SystemClock(), out), {"analyst": analyst})
        summary.count(play)
        summary.show(play, leave.console_of(stage), tmp_path / "report.html")
        assert f"the console at {stage.url}/console" in out.getvalue()
    assert f"`propolis report`, here {tmp_path / 'report.html'}" in out.getvalue()


def test_a_report_that_cannot_be_written_is_said_so(tmp_path: Path):
    with Stage(tmp_path, Terms(5, 30)) as stage, Person(stage.lab, "analyst") as analyst:
        play = Play(stage, Voice(SystemClock(), None), {"analyst": analyst})
        with pytest.raises(ConfigurationError, match="--report cannot be written"):
            leave.write_report(play, tmp_path / "nowhere" / "report.html")


def _key(described: Document) -> str:
    return str(described["thehive"]["keys"]["analyst"])


# when it goes wrong


def test_what_is_not_seen_is_said_and_the_story_goes_on(tmp_path: Path):
    def fails(play: Play) -> None:
        raise Unseen("Not seen within 0 s: a miracle.")

    def breaks(play: Play) -> None:
        raise InputError("The stage is on fire.")

    def works(play: Play) -> None:
        play.ledger.promise("something good", True)

    out = StringIO()
    with Stage(tmp_path, Terms(5, 30)) as stage, Person(stage.lab, "analyst") as analyst:
        play = Play(stage, Voice(SystemClock(), out), {"analyst": analyst})
        parts = (story.Part("1. A", fails), story.Part("2. B", breaks), story.Part("3. C", works))
        story.perform(play, parts)
    assert [promise.kept for promise in play.ledger.promises] == [False, False, True]
    assert not play.ledger.kept
    assert "NOT SEEN: Not seen within 0 s: a miracle." in out.getvalue()
    assert "FAILED: The stage is on fire." in out.getvalue()


def test_only_promises_that_were_all_kept_end_in_0():
    ledger = Ledger()
    assert demo.exit_code(ledger) == 1, "a demo that promised nothing showed nothing"
    ledger.promise("one", True)
    assert demo.exit_code(ledger) == 0
    ledger.promise("another", None)
    assert demo.exit_code(ledger) == 1


def test_a_folder_that_holds_something_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    assert cli.main(["demo", "--keep", str(tmp_path)]) == 2
    assert "--keep wants a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_lease_that_is_no_duration_is_refused(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["demo", "--lease", "soon"]) == 2
    assert "not a duration" in capsys.readouterr().err


# the parts


def test_switching_a_mode_changes_one_word_and_is_seen(tmp_path: Path):
    shelf = Shelf(tmp_path / "playbooks")
    assert shelf.changes() == []
    assert shelf.switch("approve", "malicious-ip", "brute-force") == ["malicious-ip", "brute-force"]
    assert shelf.switch("approve", "malicious-ip") == []
    assert shelf.changes() == [
        "brute-force: -mode: observe", "brute-force: +mode: approve", "malicious-ip: -mode: observe",
        "malicious-ip: +mode: approve",
    ]  # fmt: skip
    modes = {book.name: book.mode for book in load(shelf.folder)}
    assert (modes["malicious-ip"], modes["web-attack"]) == ("approve", "observe")
    assert len(modes) == len(load(SHIPPED))


def test_a_playbook_without_a_mode_cannot_be_switched(tmp_path: Path):
    with pytest.raises(InputError, match="no line `mode:`"):
        Shelf(tmp_path / "playbooks").switch("enforce", "addresses")


def test_moments_move_to_now_dates_by_days_and_everything_else_stays():
    now = 1_797_600_100.0  # 31 days later, at the same time of day
    text = (
        '{"a":"2026-11-17T13:21:40.123+00:00","b":"2026-11-16 08:00:00","c":"2026-11-17",'
        '"last_analysis_date":1794849302,"id":"1794881647.14228","log":"Nov 17 13:21:40 at 2026-11-17",'
        '"d":"2026-13-99"}'
    )
    later = json.loads(moved(text, now))
    assert (later["a"], later["b"], later["c"]) == (
        "2026-12-18T13:21:40.123+00:00", "2026-12-17 08:00:00", "2026-12-18",
    )  # fmt: skip
    assert later["last_analysis_date"] == 1794849302 + 31 * 86_400
    assert {name: later[name] for name in ("id", "log", "d")} == {
        "id": "1794881647.14228", "log": "Nov 17 13:21:40 at 2026-11-17", "d": "2026-13-99",
    }  # fmt: skip


def test_samples_can_be_moved_back_too():
    assert json.loads(moved('{"a":"2026-11-17T13:21:40"}', 1_751_376_100.0)) == {"a": "2025-07-01T13:21:40"}


def test_lines_fit_100_columns_and_have_no_colour_off_a_terminal():
    out = StringIO()
    voice = Voice(ManualClock(), out)
    voice.act("A title")
    voice.tell("Propolis", "a long sentence " * 30)
    voice.quote(["a long line of a text " * 20])
    assert max(len(line) for line in out.getvalue().splitlines()) <= 100
    assert "\x1b" not in out.getvalue()
    assert [who for _, who, _ in voice.lines] == ["", "Propolis"]


def test_a_terminal_gets_colours():
    out = StringIO()
    Voice(ManualClock(), out, colour=True).tell("probe", "is dropped", "stopped")
    assert re.search(r"\x1b\[\d", out.getvalue())


def test_a_tasks_text_is_shown_as_thehive_renders_it():
    text = "**FirewallBlock** on `203.0.113.7`\n\nWhy: malicious\\-ip\\: Crowdsec\\_Analyzer"
    assert rendered(text) == ["FirewallBlock on 203.0.113.7", "Why: malicious-ip: Crowdsec_Analyzer"]


def test_the_time_that_people_take_is_not_ours():
    row = Row("s", 1, "t", "e", "asked", alert_at=100, decided_at=102, answered_at=160, contained_at=163)
    assert (row.thought, row.took, row.ours) == (2, 63, 5)
    alone = Row("s", 1, "t", "e", "acted alone", alert_at=100, decided_at=102, contained_at=103)
    assert (alone.took, alone.ours) == (3, 3)
    assert Row("s", 1, "t", "e", "refused", alert_at=100, decided_at=102).ours == 0
    assert median([0, 1, 3, 5]) == 3
    assert median([0]) == 0


def test_the_options_are_explained():
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    text = parser.format_help()
    assert all(option in text for option in ("--version", "--serve", "--format", "--lease", "--keep", "--report"))

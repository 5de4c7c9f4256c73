"""`propolis report`, as somebody at a terminal uses it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from month_store import Telling

from playbook_service.cli import main

PERIOD = ["--since", "2026-11-01", "--until", "2026-12-01"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Telling]:
    """A data folder with a story in it, and the settings that lead there."""

    def tell(file: str) -> Telling:
        data = tmp_path / "data"
        data.mkdir()
        monkeypatch.chdir(tmp_path)
        for name in ("CONFIG", "THEHIVE_URL", "THEHIVE_KEY"):
            monkeypatch.delenv(f"PROPOLIS_{name}", raising=False)
        monkeypatch.setenv("PROPOLIS_DATA_DIR", str(data))
        telling = Telling(data)
        if file:
            telling.tell(file)
        monkeypatch.setattr("playbook_service.commands.opened.SystemClock", lambda: telling.clock)
        return telling

    return tell


def test_a_period_as_json(place: Callable[[str], Telling], capsys: pytest.CaptureFixture[str]):
    place("month.yml")
    assert main(["report", *PERIOD, "--format", "json", "--minutes", "case=20,answer=0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["containments"]["total"]) == ("propolis-report/1", 6)
    assert {step["name"]: step["minutes"] for step in found["hours_saved"]["steps"]}["case"] == 20


def test_a_period_as_a_page_in_a_file_for_its_owner_only(
    place: Callable[[str], Telling], tmp_path: Path, read_page: Callable[[str], str], capsys: pytest.CaptureFixture[str]
):
    place("month.yml")
    file = tmp_path / "november.html"
    assert main(["report", *PERIOD, "--output", str(file)]) == 0
    assert "10 alerts came in and made 7 cases; 6 containments" in read_page(file.read_text(encoding="utf-8"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr() == ("", f"written to {file}\n")


def test_without_a_period_it_is_the_last_thirty_days(
    place: Callable[[str], Telling], capsys: pytest.CaptureFixture[str]
):
    place("month.yml").entry({"at": "2026-12-01T12:00:00Z", "line": {"action": "suppressed", "alert": "x"}})
    assert main(["report", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["from"], found["until"]) == ("2026-11-01T12:00:00Z", "2026-12-01T12:00:00Z")


def test_a_chain_that_was_altered_is_a_finding(place: Callable[[str], Telling], capsys: pytest.CaptureFixture[str]):
    telling = place("month.yml")
    telling.store.close()
    with sqlite3.connect(telling.place) as database:
        database.execute("update log set body = replace(body, 'anna', 'nobody') where log = 'audit'")
    assert main(["report", *PERIOD]) == 1
    shown = capsys.readouterr()
    assert "The audit chain of this period is NOT sound" in shown.out
    assert "findings; run `propolis audit verify`" in shown.err


def test_one_case_in_every_form(place: Callable[[str], Telling], capsys: pytest.CaptureFixture[str]):
    place("incident.yml")
    assert main(["report", "--case", "128", "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("# Incident report, Case 128: ")
    assert main(["report", "--case", "~41", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["number"] == 128
    assert main(["report", "--case", "128"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--case", "404"], "There is no case '404' in this store"),
        (["--case", "128", "--since", "7d"], "leave --since, --until and --minutes out"),
        (["--attach"], "say which with --case"),
        (["--format", "markdown"], "markdown is for one case"),
        (["--since", "soon"], "--since: 'soon' is no date"),
        (["--since", "1d", "--until", "2d"], "--since must lie before --until"),
        (["--minutes", "coffee=5"], "names no step: write <step>=<minutes> with a step of suppressed, verdict"),
        (["--minutes", "case=ages"], "'case=ages' is no number of minutes"),
        (["--minutes", "case=nan"], "'case=nan' is no number of minutes"),
        (["--output", "no/such/folder/x.html"], "cannot be written: No such file or directory"),
        (["--case", "128", "--attach"], "TheHive's address is missing: set thehive_url."),
    ],
)
def test_mistakes_get_a_sentence(
    place: Callable[[str], Telling], capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
):
    place("incident.yml")
    assert main(["report", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_without_a_data_folder_there_is_nothing_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "nowhere"))
    assert main(["report"]) == 2
    assert "There is no data folder" in capsys.readouterr().err

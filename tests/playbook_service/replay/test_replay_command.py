"""The command as people call it: exit codes, input, output, complaints."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys

import pytest

from playbook_service.cli import main
from playbook_service.replay.progress import Progress
from propolis.clock import ManualClock


@pytest.fixture
def file(tmp_path, lines):
    place = tmp_path / "alerts.json"
    place.write_bytes(b"".join(lines))
    return str(place)


def test_the_samples_are_one_command_away(capsys):
    assert main(["replay", "--samples"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("93 alerts from")
    assert told.err == ""


@pytest.mark.parametrize("form", ["table", "json", "html"])
def test_every_format_can_be_written_to_a_file(file, tmp_path, capsys, form):
    target = tmp_path / "out"
    assert main(["replay", file, "--format", form, "--output", str(target)]) == 0
    assert capsys.readouterr().out == ""
    text = target.read_text(encoding="utf-8")
    assert {"table": "93 alerts", "json": '{"schema"', "html": "<!doctype html>"}[form] in text[:60]


def test_bad_lines_are_named_and_make_the_exit_code_one(tmp_path, lines, capsys):
    place = tmp_path / "alerts.json"
    place.write_bytes(lines[0] + b"broken\n" + lines[1])
    assert main(["replay", str(place)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("2 alerts")
    assert "alerts.json:2: The alert is not valid JSON" in told


def test_with_json_on_standard_output_complaints_go_elsewhere(tmp_path, lines, capsys):
    place = tmp_path / "alerts.json"
    place.write_bytes(lines[0] + b"broken\n")
    assert main(["replay", str(place), "--format", "json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["totals"]["alerts"] == 1
    assert "alerts.json:2: " in told.err


def test_an_empty_file_is_a_finding(tmp_path, capsys):
    place = tmp_path / "empty.json"
    place.touch()
    assert main(["replay", str(place)]) == 1
    assert "No alert of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "name a file of alerts"),
        (["/nowhere/alerts.json"], "/nowhere/alerts.json: cannot be read: No such file or directory."),
        (["FILE", "--samples"], "either a file or --samples"),
        (["FILE", "--playbooks", "/nowhere"], "no such file or directory of playbooks"),
        (["FILE", "--policy", "/nowhere"], "/nowhere: cannot be read"),
        (["FILE", "--reports", "/nowhere"], "/nowhere: cannot be read"),
        (["FILE", "--since", "tomorrow"], "--since: 'tomorrow' is no date"),
        (["FILE", "--since", "2026-11-18", "--until", "2026-11-17"], "--since must lie before --until"),
        (["FILE", "--output", "/nowhere/out"], "/nowhere/out: cannot be written"),
        (["-", "--reports", "-"], "standard input (-) can be only one of the files"),
        (["FILE", "--limit", "0"], "--limit"),
        (["FILE", "--format", "pdf"], "--format"),
        (["FILE", "--profile", "guess"], "--profile"),
    ],
)
def test_what_is_wrong_with_the_call_is_said_and_the_exit_code_is_two(file, capsys, arguments, complaint):
    assert main(["replay", *(file if word == "FILE" else word for word in arguments)]) == 2
    assert complaint in capsys.readouterr().err


def test_a_bad_policy_is_refused_as_a_whole(file, tmp_path, capsys):
    place = tmp_path / "policy.yml"
    place.write_text("firewall:\n  own: [192.0.2.0/240]\n", encoding="utf-8")
    assert main(["replay", file, "--policy", str(place)]) == 2
    assert "firewall.own" in capsys.readouterr().err


def test_bad_playbooks_are_refused_with_all_their_faults(file, tmp_path, capsys):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "bad.yml").write_text("kind: respond\nname: x\nwhen: {nothing: 1}\n", encoding="utf-8")
    assert main(["replay", file, "--playbooks", str(tmp_path / "books")]) == 2
    assert "bad.yml" in capsys.readouterr().err


def test_a_period_leaves_out_what_lies_outside(file, capsys):
    assert main(["replay", file, "--since", "2026-11-17T13:00", "--until", "2026-11-18", "--format", "json"]) == 0
    totals = json.loads(capsys.readouterr().out)["totals"]
    assert totals["alerts"] + totals["outside_period"] == 93
    assert 0 < totals["alerts"] < 20


def test_a_comparison_that_finds_a_difference_is_a_finding(samples, fixtures, capsys):
    books = [str(fixtures / "replay" / f"playbooks-{which}") for which in ("before", "after")]
    same = ["replay", "--samples", "--format", "json", "--playbooks", books[0], "--against"]
    assert main([*same, books[0]]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []
    assert main([*same, books[1]]) == 1
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert changes
    for change in changes:
        assert change["before"] != change["after"]
        assert change["playbooks"] == ["block"]
        assert change["why_before"]
        assert change["why_after"]


def test_the_count_profile_says_so(capsys):
    main(["replay", "--samples", "--profile", "count"])
    assert "profile count" in capsys.readouterr().out


def test_standard_input_plain_or_packed(lines):
    for data in (b"".join(lines), gzip.compress(b"".join(lines))):
        done = subprocess.run(
            [sys.executable, "-m", "playbook_service", "replay", "-"], input=data, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(b"93 alerts from")
        assert done.stderr == b""


def test_a_terminal_of_another_alphabet_is_no_crash(tmp_path, raw):
    place = tmp_path / "alerts.json"
    place.write_bytes(
        raw(rule={"description": "\u4e2d\u6587 \U0001f41d", "level": 12}, agent={"id": "1", "name": "\udc80"})
    )
    for form in ("table", "json", "html"):
        command = [sys.executable, "-m", "playbook_service", "replay", str(place), "--format", form]
        done = subprocess.run(
            command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "latin-1"}
        )
        assert done.returncode == 0, done.stderr


def test_a_reader_that_goes_away_is_no_crash():
    pipe = f"{sys.executable} -m playbook_service replay --samples --format json | head -c 10"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, check=False)
    assert b"Traceback" not in done.stderr


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_and_taken_away_again():
    clock, terminal = ManualClock(), Terminal()
    with Progress(io.BytesIO(), terminal, clock) as progress:
        for number in range(2_000):
            clock.advance(0.001)
            progress.tick(number)
    assert "1,000 a second" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_progress_is_silent_where_nobody_looks():
    stream = io.StringIO()
    with Progress(io.BytesIO(), stream, ManualClock()) as progress:
        for number in range(2_000):
            progress.tick(number)
    assert stream.getvalue() == ""


def test_colour_follows_the_terminal_and_no_color(monkeypatch):
    from playbook_service.commands.replay import _paper

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _paper(Terminal()).ink("x", "act") != "x"
    assert _paper(io.StringIO()).ink("x", "act") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert _paper(Terminal()).ink("x", "act") == "x"


def test_help_names_every_option(capsys):
    assert main(["replay", "--help"]) == 0
    told = capsys.readouterr().out
    options = "--samples --reports --playbooks --against --labels --policy --profile --mode --since --until --format"
    for option in f"{options} --output --limit".split():
        assert option in told


def test_the_handbook_names_every_option(capsys, root):
    main(["replay", "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    docs = (root / "docs" / "replay.md").read_text(encoding="utf-8")
    assert not [option for option in options if f"`{option}" not in docs]


def test_the_benchmark_measures_what_it_says(root):
    """A few hundred alerts, so that it cannot rot unseen; what it measures is not looked at."""
    for what in ("replay", "baseline", "reading"):
        command = [
            sys.executable,
            str(root / "bench" / "bench_replay.py"),
            "--measure",
            what,
            "--alerts",
            "300",
            "--fresh",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert set(json.loads(done.stdout)) == {"seconds", "peak"}

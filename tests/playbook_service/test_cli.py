"""The command line's frame: registry, exit codes, errors for people, readers that go away."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import propolis
from playbook_service import cli
from playbook_service.cli import COMMANDS, main
from playbook_service.playbook import load


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_registry_is_there_and_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module(COMMANDS[name].module)

    assert callable(module.run)
    assert main([name, "--help"]) == 0
    assert f"usage: propolis {name}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    shown = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert name in shown
        assert command.help.split(":")[0] in " ".join(shown.split())


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"propolis {propolis.__version__}\n"


def test_no_command_at_all_shows_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "commands" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["lnit"], ["lint", "--fromat", "json"], ["lint", "--format", "xml"]])
def test_a_slip_of_the_finger_is_a_usage_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage: propolis" in capsys.readouterr().err


def test_a_command_is_imported_only_when_it_is_called() -> None:
    listing = "import sys; from playbook_service import cli; cli.main(['--version']); print(sorted(sys.modules))"

    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)

    assert "playbook_service.commands" not in done.stdout
    assert "'yaml'" not in done.stdout


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    for number in range(2_000):
        (tmp_path / f"{number}.yml").write_text(
            f"{{kind: respond, name: p{number}, on: case, actions: [{{do: flag}}]}}"
        )
    command = [sys.executable, "-m", "playbook_service", "lint", str(tmp_path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()

    assert process.returncode == cli.PIPE_CLOSED
    assert err == ""


def test_an_error_for_people_is_printed_without_a_traceback_one_line_a_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty = Path(__file__).resolve().parents[1] / "fixtures" / "playbooks" / "faulty" / "key_twice.yml"
    monkeypatch.setattr("playbook_service.commands.lint.run", lambda _arguments: len(load(faulty)))

    assert main(["lint"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(": ")[:3] for line in err.splitlines()] == [
        ["propolis", f"{faulty}:7", "when.observable.dataType"],
        ["propolis", f"{faulty}:8", "name"],
    ]


def test_an_interrupt_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("playbook_service.commands.lint.run", interrupted)

    assert main(["lint"]) == 130
    assert capsys.readouterr().err == "propolis: interrupted\n"

"""`propolis mode`, beside a running service or without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data_folder import Folder

from playbook_service.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


def test_it_says_how_things_stand(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    with folder.work():
        pass
    assert main(["mode"]) == 0
    assert capsys.readouterr().out == "The mode is enforce, as configured.\n"


def test_the_kill_switch_is_one_word_and_is_on_record(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    with folder.work():
        pass
    assert main(["mode", "observe", "--why", "the proxy was blocked"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("The mode is observe, lowered from enforce by operator at the command line at ")
    assert said.endswith(": the proxy was blocked.\n")
    (line,) = folder.audited()
    assert (line["action"], line["mode"], line["before"], line["configured"]) == (
        "mode set", "observe", "enforce", "enforce",
    )  # fmt: skip


def test_it_is_raised_again_up_to_what_is_configured(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    with folder.work():
        pass
    assert main(["mode", "observe"]) == 0
    assert main(["mode", "enforce", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert told == {"configured": "enforce", "mode": "enforce", "lowered": None}


def test_never_above_what_is_configured(
    folder: Folder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with folder.work():
        pass
    monkeypatch.setenv("PROPOLIS_MODE", "approve")
    assert main(["mode", "enforce"]) == 2
    assert "The configuration allows approve at most" in capsys.readouterr().err

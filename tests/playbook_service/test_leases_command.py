"""`propolis leases`, beside a running service or without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from data_folder import Folder

from playbook_service.cli import COMMANDS, Command, main
from playbook_service.engine import lease


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setitem(COMMANDS, "leases", Command("playbook_service.commands.leases", "what is contained"))
    return Folder(tmp_path, monkeypatch)


def test_what_is_in_force_is_listed_the_first_to_end_first(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.lease("P222", "203.0.113.9", 7200)
    folder.lease("P111")
    assert main(["leases"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["LEASE", "RESPONDER", "TARGET"]
    assert first.split()[:3] == ["P222", "FirewallBlock", "203.0.113.9"]
    assert second.startswith("P111")


def test_nothing_is_said_as_such(folder: Folder, capsys: pytest.CaptureFixture[str]):
    with folder.work():
        pass
    assert main(["leases", "list"]) == 0
    assert capsys.readouterr().out == "Nothing is contained.\n"


def test_json_for_programs(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.lease("P111")
    assert main(["leases", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["leases"]
    assert (found["lease"], found["state"], found["target"], found["case"]) == ("P111", "active", "203.0.113.7", "~8")
    assert 86_000 < found["left"] <= 86_400


def test_one_lease_in_full_by_the_beginning_of_its_id(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.lease("P111")
    folder.lease("P122")
    assert main(["leases", "show", "P11"]) == 0
    shown = capsys.readouterr().out
    assert "3 sources agree" in shown
    assert "fw1" in shown
    assert main(["leases", "show", "P1"]) == 2
    assert "2 leases in force begin with 'P1'" in capsys.readouterr().err


def test_release_ends_it_now_and_tells_who(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.lease("P111")
    assert main(["leases", "release", "P111"]) == 0
    assert "is being released" in capsys.readouterr().out
    record = folder.record(lease.KIND, "P111")
    assert record.body["ended_by"] == "operator at the command line"
    assert record.body["until"] <= folder.clock.now()
    with folder.work() as (work, _):
        (item,) = [one for one in work.claim("step", "test", seconds=1, limit=9) if one.key == "release:P111"]
        assert item.due <= folder.clock.now()
    assert folder.audited()[-1]["action"] == "release wished"


def test_releasing_what_is_over_is_a_finding_and_what_is_unknown_a_mistake(folder: Folder):
    folder.lease("P111")
    with folder.work() as (work, _):
        record = work.get(lease.KIND, "P111")
        assert record is not None
        work.save(lease.KIND, "P111", record.body, state=lease.ENDED)
    assert main(["leases", "release", "P111"]) == 1
    assert main(["leases", "release", "nonsense"]) == 2
    assert main(["leases", "release"]) == 2


def test_renew_and_make_permanent(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.lease("P111")
    assert main(["leases", "renew", "P111", "--for", "4h"]) == 0
    assert "is to last until" in capsys.readouterr().out
    record = folder.record(lease.KIND, "P111")
    assert record.body["until"] == pytest.approx(folder.clock.now() + 86_400 + 4 * 3600, abs=60)
    assert main(["leases", "renew", "P111", "--permanent"]) == 0
    assert main(["leases"]) == 0
    assert "never" in capsys.readouterr().out
    assert main(["leases", "renew", "P111", "--for", "1h"]) == 2
    assert "permanent" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--for", "soon"], [], ["--for", "1h", "--permanent"]])
def test_a_renewal_says_how_long(folder: Folder, words: list[str]):
    folder.lease("P111")
    assert main(["leases", "renew", "P111", *words]) == 2


def test_in_observe_mode_nothing_is_renewed(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROPOLIS_MODE", "observe")
    folder.lease("P111")
    assert main(["leases", "renew", "P111", "--for", "1h"]) == 2
    assert main(["leases", "release", "P111"]) == 0


def test_an_invalid_policy_refuses_renewals_but_never_a_release(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.lease("P111")
    (folder.place.parent / "policy.yml").write_text("firewall: {own: [nonsense]}\n")
    assert main(["leases", "renew", "P111", "--for", "1h"]) == 2
    assert "policy.yml" in capsys.readouterr().err
    assert main(["leases", "release", "P111"]) == 0


def test_without_a_data_folder_nothing_is_made(folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert main(["leases"]) == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_hostile_target_moves_no_cursor(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.lease("P111", "\x1b[2Jevil\u202e")
    assert main(["leases"]) == 0
    assert main(["leases", "show", "P111"]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown

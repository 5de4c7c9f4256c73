"""`propolis approvals`: whoever answers presents their own TheHive key; the rules are those of an answer in TheHive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_folder import SERVICE, Folder

from playbook_service.cli import COMMANDS, Command, main
from playbook_service.engine import approval
from playbook_service.lab import Lab
from playbook_service.lab.lab import ORGANISATION

ANALYST, APPROVER = "analyst@soc.example", "approver@soc.example"


@pytest.fixture(scope="module", params=[4, 5], ids=["thehive4", "thehive5"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab(request.param) as lab:
        yield lab


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setitem(COMMANDS, "approvals", Command("playbook_service.commands.approvals", "what waits"))
    return Folder(tmp_path, monkeypatch)


@pytest.fixture
def joined(folder: Folder, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """With a TheHive."""
    monkeypatch.setenv("PROPOLIS_THEHIVE_URL", lab.thehive_url)
    monkeypatch.setenv("PROPOLIS_THEHIVE_KEY", lab.keys.service)
    monkeypatch.setenv("PROPOLIS_THEHIVE_ORGANISATIONS", ORGANISATION)
    return folder


def given(folder: Folder, key: str = "P111") -> list[list[str]]:
    found: list[list[str]] = folder.record(approval.KIND, key).body["given"]
    return found


def test_open_questions_are_listed_and_shown(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.question("P111")
    assert main(["approvals"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["P111", "IsolateHost", "web01", "4h"]
    assert main(["approvals", "show", "P1"]) == 0
    shown = capsys.readouterr().out
    assert "IsolateHost" in shown
    assert "score 0.97" in shown
    assert main(["approvals", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["approvals"][0]["approval"] == "P111"


def test_an_analyst_grants_with_their_own_key(joined: Folder, lab: Lab, monkeypatch: pytest.MonkeyPatch):
    joined.question("P111")
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", lab.keys.analyst)
    assert main(["approvals", "grant", "P111"]) == 0
    assert given(joined) == [[ANALYST, approval.GRANTED]]
    assert (joined.audited()[-1]["action"], joined.audited()[-1]["operator"]) == ("approval answered", ANALYST)
    with joined.work() as (work, _):
        (item,) = [one for one in work.claim("step", "test", seconds=1) if one.key == "approve:P111"]
        assert item.due <= joined.clock.now()


def test_a_key_from_a_file_denies(joined: Folder, lab: Lab, tmp_path: Path):
    joined.question("P111")
    (tmp_path / "key").write_text(f"{lab.keys.analyst}\n")
    assert main(["approvals", "deny", "P111", "--key-file", str(tmp_path / "key")]) == 0
    assert given(joined) == [[ANALYST, approval.DENIED]]


@pytest.mark.parametrize(("who", "says"), [("service", "own account"), ("reader", "not one of those")])
def test_who_may_not_approve_in_thehive_may_not_here(
    joined: Folder, lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], who: str, says: str
):
    joined.question("P111", (APPROVER,))
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", getattr(lab.keys, who))
    assert main(["approvals", "grant", "P111"]) == 2
    assert says in capsys.readouterr().err
    assert given(joined) == []


def test_the_services_account_is_known_where_anybody_may_answer(
    joined: Folder, lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    joined.question("P111")
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", lab.keys.service)
    assert main(["approvals", "grant", "P111"]) == 2
    assert "own account" in capsys.readouterr().err
    assert SERVICE not in str(given(joined))


def test_a_key_that_thehive_does_not_know_is_no_answer_and_is_not_repeated(
    joined: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    joined.question("P111")
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", "not-a-key-of-anybody")
    assert main(["approvals", "grant", "P111"]) == 2
    said = capsys.readouterr()
    assert "401" in said.err
    assert "not-a-key-of-anybody" not in said.err + said.out
    assert given(joined) == []


def test_two_of_two_are_two_people(joined: Folder, lab: Lab, monkeypatch: pytest.MonkeyPatch):
    joined.question("P111", needed=2)
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", lab.keys.analyst)
    assert main(["approvals", "grant", "P111"]) == 0
    assert main(["approvals", "grant", "P111"]) == 2
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", lab.keys.approver)
    assert main(["approvals", "grant", "P111"]) == 0
    assert [login for login, _ in given(joined)] == [ANALYST, APPROVER]


def test_without_the_services_key_the_answerers_own_is_enough(
    joined: Folder, lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PROPOLIS_THEHIVE_KEY")
    joined.question("P111")
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", lab.keys.analyst)
    assert main(["approvals", "grant", "P111"]) == 0
    assert given(joined) == [[ANALYST, approval.GRANTED]]


@pytest.mark.parametrize("state", [approval.GRANTED, approval.DENIED, approval.EXPIRED])
def test_what_was_answered_is_not_answered_again(
    joined: Folder, lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: str
):
    joined.question("P111")
    with joined.work() as (work, _):
        record = work.get(approval.KIND, "P111")
        assert record is not None
        work.save(approval.KIND, "P111", record.body, state=state)
    monkeypatch.setenv("PROPOLIS_ANSWER_KEY", lab.keys.analyst)
    assert main(["approvals", "grant", "P111"]) == 2
    assert f"was {state} already" in capsys.readouterr().err


def test_what_is_needed_is_said(folder: Folder, capsys: pytest.CaptureFixture[str]):
    folder.question("P111")
    assert main(["approvals", "grant"]) == 2
    assert main(["approvals", "grant", "P111"]) == 2
    assert "PROPOLIS_ANSWER_KEY" in capsys.readouterr().err
    assert main(["approvals", "grant", "P111", "--key-file", "missing"]) == 2
    assert main(["approvals", "show", "nonsense"]) == 2

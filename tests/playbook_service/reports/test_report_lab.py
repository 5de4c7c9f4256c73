"""From an alert to the report on its case in TheHive, on the lab, for TheHive 5 and 4."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scenario_soc import Soc

from playbook_service.cli import main
from playbook_service.lab.hive.entity import Entity
from playbook_service.reports.attach import TASK


@pytest.fixture(params=[5, 4], ids=["thehive-5", "thehive-4"])
def soc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Soc]:
    with Soc(tmp_path, request.param) as found:
        settings = {"DATA_DIR": tmp_path / "data", "THEHIVE_URL": found.lab.thehive_url,
                    "THEHIVE_KEY": found.lab.keys.service}  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setenv(f"PROPOLIS_{name}", str(value))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("playbook_service.commands.opened.SystemClock", lambda: found.clock)
        yield found


def attached(soc: Soc, case: str) -> list[Entity]:
    """The files on a case (TheHive 5), or on log lines of its task for reports (TheHive 4), oldest first."""
    with soc.lab.hive.transaction():
        store = soc.lab.hive.store
        if soc.version == 5:
            return store.children(case, "Attachment")
        (task,) = [one for one in store.children(case, "Task") if one["title"] == TASK]
        assert task["status"] != "Waiting"  # it asks nobody for anything
        return [file for log in store.children(task.id, "Log") for file in store.children(log.id, "Attachment")]


def test_a_case_is_told_and_hangs_on_the_case(
    soc: Soc, capsys: pytest.CaptureFixture[str], read_page: Callable[[str], str]
):
    user = soc.alert("account")
    question = soc.question(user)
    soc.set_task(question.body["tasks"][0], "Completed")
    lease = soc.until(lambda: soc.lease(user), "the account is disabled")
    number = str(next(one.body["number"] for one in soc.records("case") if one.key == lease.ref))
    assert main(["report", "--case", number, "--attach"]) == 0
    assert f"Case {number}: attached" in capsys.readouterr().out
    (file,) = attached(soc, lease.ref)
    text = read_page(soc.lab.hive.blobs[file["digest"]].decode())
    assert f"granted by approver@soc.example ({user})" in text
    assert f"disable {user}: contained until" in text
    assert "read back from the lab directory" in text

    soc.move(2)
    assert main(["report", "--case", number, "--attach", "--format", "markdown"]) == 0
    names = [one["name"] for one in attached(soc, lease.ref)]
    assert len(set(names)) == 2
    assert all(name.startswith(f"propolis-case-{number}-2") for name in names)


def test_the_figures_of_a_real_run(soc: Soc, capsys: pytest.CaptureFixture[str]):
    address = soc.alert("block")
    soc.until(lambda: soc.lease(address), "the address is blocked")
    soc.move(1)
    assert main(["report", "--since", "1d"]) == 0
    page = capsys.readouterr().out
    assert "1 alert came in and made 1 case; 1 containment in all." in page


def test_a_case_that_thehive_does_not_have_is_told_but_cannot_carry_it(soc: Soc, capsys: pytest.CaptureFixture[str]):
    address = soc.alert("block")
    lease = soc.until(lambda: soc.lease(address), "the address is blocked")
    soc.approver.request("DELETE", f"/api/v1/case/{lease.ref}", accept=(204,))
    assert main(["report", "--case", lease.ref, "--attach"]) == 2
    assert f"There is no case {lease.ref} in TheHive" in capsys.readouterr().err
    assert main(["report", "--case", lease.ref]) == 0
    assert address in capsys.readouterr().out

"""Records: what FIM sees of a containment is its name, and the name is true."""

from __future__ import annotations

import re
import time

import pytest
from agent_lab import ATTACKER4, MARK, Agent, Record

from propolis.containment.mark import mark

pytestmark = pytest.mark.root

NAME = re.compile(r"[a-z]+~[A-Za-z0-9@.+=%-]+~[0-9]+~[A-Za-z0-9@.+=%-]+")


def test_a_record_is_one_file_whose_name_says_everything(agent: Agent) -> None:
    agent.call("block", "2001:db8:7::/48", "60", MARK)
    (name,) = agent.home.names()
    until = Record.parse(name).until
    assert name == f"block~2001%3Adb8%3A7%3A%3A%2F48~{until}~propolis%20case=128%20by=analyst@soc.example"
    assert abs(until - time.time() - 60) <= 3
    content = agent.home.content("block")
    assert content["mark"] == MARK
    assert "the kernel ends it in" in content["found"]


@pytest.mark.parametrize(
    "text",
    [
        "propolis",
        mark(case="128", by="analyst@soc.example", job="AY-x_9", at="2026-01-02T03:04:05Z", lease="l:1/2"),
        "propolis a/b:c_d+e=f-g@h.i",
    ],
)
def test_every_mark_comes_back_from_the_name_as_it_went_in(agent: Agent, text: str) -> None:
    agent.call("block", ATTACKER4, "60", text)
    (name,) = agent.home.names()
    assert NAME.fullmatch(name)
    assert Record.parse(name).mark == text


def test_a_name_that_would_be_too_long_is_cut_between_characters_and_the_content_has_all(agent: Agent) -> None:
    long = ("propolis " + ":/" * 60)[:120]
    agent.call("block", "2001:db8:1111:2222:3333:4444:5555:6666", "60", long)
    agent.call("renew-records")
    (name,) = agent.home.names()
    assert 250 < len(name) <= 255
    assert NAME.fullmatch(name)
    assert long.startswith(Record.parse(name).mark)
    assert agent.home.content("block")["mark"] == long


def test_a_record_that_is_true_is_not_written_again(agent: Agent) -> None:
    """FIM would report each rewriting."""
    agent.call("block", ATTACKER4, "60", MARK)
    (path,) = agent.home.records_folder.iterdir()
    before = path.stat()
    for _ in range(3):
        agent.call("renew-records")
    (again,) = agent.home.records_folder.iterdir()
    assert (again.name, again.stat().st_ino, again.stat().st_mtime_ns) == (path.name, before.st_ino, before.st_mtime_ns)


def test_a_record_without_its_containment_goes_and_one_that_is_missing_comes_back(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "60", MARK)
    (path,) = agent.home.records_folder.iterdir()
    path.unlink()
    folder = agent.home.records_folder
    lies = [f"block~203.0.113.8~{int(time.time()) + 900}~propolis", f"isolate~host~{int(time.time()) + 900}~propolis"]
    lies += ["lock~bob~0~propolis", "quarantine~" + "0" * 32 + "~0~propolis", "isolating~host~1~propolis"]
    for lie in lies:
        (folder / lie).touch()
    agent.call("renew-records")
    assert [(record.verb, record.target) for record in agent.home.records()] == [("block", ATTACKER4)]


def test_after_a_reboot_the_records_of_what_the_kernel_forgot_go(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "3600", MARK)
    agent.lab.nft("agent", "flush", "ruleset")
    agent.call("renew-records")
    assert agent.home.names() == []


def test_a_clock_that_jumped_gives_the_record_a_new_end(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "60", MARK)
    (path,) = agent.home.records_folder.iterdir()
    until = Record.parse(path.name).until
    path.rename(path.with_name(path.name.replace(str(until), str(until + 7200))))
    agent.call("renew-records")
    record = agent.home.record("block")
    assert record is not None
    assert abs(record.until - until) <= 3


def test_the_newest_refusal_stays_for_an_hour_or_until_it_is_overtaken(agent: Agent) -> None:
    agent.home.configure("never = 203.0.113.0/28")
    agent.call("block", ATTACKER4, "60", MARK)
    old = agent.home.records_folder / f"refused~block.203.0.113.8~{int(time.time()) - 3700}~nonsense"
    fresh = agent.home.records_folder / f"refused~block.203.0.113.9~{int(time.time()) - 3500}~nonsense"
    old.touch()
    fresh.touch()
    agent.call("block", ATTACKER4, "60", MARK)
    assert {record.target for record in agent.home.records()} == {f"block.{ATTACKER4}", "block.203.0.113.9"}
    agent.home.configure("never = 192.0.2.0/24")
    agent.call("block", ATTACKER4, "60", MARK)
    assert f"block.{ATTACKER4}" not in {record.target for record in agent.home.records()}


def test_files_of_somebody_else_in_the_folder_are_left_alone(agent: Agent) -> None:
    agent.call("renew-records")
    (agent.home.records_folder / "README").touch()
    agent.call("renew-records")
    assert agent.home.names() == ["README"]


def test_everything_it_writes_is_roots_alone(agent: Agent) -> None:
    agent.call("block", ATTACKER4, "60", MARK)
    for path in (agent.home.folder / "active-response").rglob("propolis*"):
        if path.name != "propolis-contain":
            assert path.stat().st_mode & 0o077 == 0, path
    assert (agent.home.records_folder.stat().st_mode & 0o7777) == 0o700

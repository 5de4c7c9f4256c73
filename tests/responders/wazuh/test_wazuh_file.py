"""QuarantineFile's backend `wazuh`: the suite, and what is a file's own: its path, and its name in the vault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_agent import FakeAgent, vault_id
from fake_wazuh import PASSWORD
from suite import BackendSuite, HttpFailures, refused, run, undo
from wazuh_bench import LeftToOthers, WazuhBench, faults, opened
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Target
from propolis.containment.responder import Workbench
from propolis.errors import InputError
from propolis.worker.items import Items

backends = load_backend("QuarantineFile", "wazuh")


def aim(path: str, host: str = "web01") -> Target:
    return Target("file", path, "test", (("host", host),))


class FileBench(WazuhBench):
    responder = "QuarantineFile"
    verb = "quarantine"
    target = aim("/tmp/.x/drop per")
    other = aim("/tmp/.x/drop per", "web02")
    missing = aim("/tmp/x", "nowhere")
    protected = (aim("/etc/passwd"), aim("/bin/bash"), aim("/var/ossec/bin/wazuh-agentd"), aim("/tmp/x", "wazuh"))
    hostile = tuple(
        aim(path)
        for path in (
            "tmp/x",
            "/tmp/../etc/passwd",
            "/tmp//x",
            '/tmp/x","-","',
            "/tmp/x\\y",
            "/tmp/\u202ex",
            "/tmp/größe",
            "/tmp/x\n",
            "C:\\Users\\x\\y.exe",
            "a" * 64,
        )
    )

    def __init__(self, *more: Any):
        super().__init__(*more)
        self.wazuh.add("000", "wazuh", "127.0.0.1")

    def backend(self, **changes: Any) -> Backend:
        made: Backend = backends.WazuhVault(self.manager(**changes), self.clock, 30)
        return made

    def place(self, target: Target) -> FakeAgent:
        return self.wazuh.agents["004" if dict(target.hints)["host"] == "web02" else "003"]

    def key(self, target: Target) -> str:
        return vault_id(target.value)


@pytest.fixture
def bench() -> Iterator[FileBench]:
    with opened(FileBench) as made:
        yield made


class TestWazuhFile(LeftToOthers, BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def test_the_path_goes_in_and_the_vaults_name_comes_back(bench: FileBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert [command["arguments"][:3] for command in bench.commands()] == [
        ["quarantine", "/tmp/.x/drop per", "-"],
        ["restore", "94c1044a01f0a8791ee84ecf7d7c1d28"],  # printf %s '/tmp/.x/drop per' | sha256sum | cut -c1-32
    ]


def test_what_the_program_does_not_take_is_told_with_its_reason(bench: FileBench) -> None:
    bench.wazuh.agents["003"].spared.add("/tmp/.x/drop per")
    assert "it said: /tmp/.x/drop per is never touched" in refused(
        bench, lambda: run(bench, bench.target), BackendError
    )


def test_a_file_that_was_put_back_meanwhile_by_hand_is_told(bench: FileBench) -> None:
    run(bench, bench.target)
    bench.release_by_other_hands(bench.target)
    bench.clock.advance(5)
    assert undo(bench, bench.target).result == "already_released"


def test_a_hash_alone_is_refused_with_what_to_do(bench: FileBench) -> None:
    assert "full path" in refused(bench, lambda: run(bench, aim("ab" * 32)), InputError)


def test_a_file_of_a_windows_host_is_refused(bench: FileBench) -> None:
    bench.wazuh.agents["003"].platform = "windows"
    assert "files of Linux hosts" in refused(bench, lambda: run(bench, bench.target), InputError)
    assert bench.writes() == []


@pytest.mark.shared
def test_every_request_is_one_of_the_official_description(bench: FileBench, shared: Path) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert faults(bench, shared) == []


def test_it_is_made_from_its_items() -> None:
    items = {"wazuh_url": "https://w.example.org:55000", "wazuh_user": "propolis", "wazuh_password": PASSWORD}
    made = backends.make(Workbench(Items(items), ManualClock(), None))
    assert (made.name, made.expires, made.where) == ("wazuh", False, "Wazuh at https://w.example.org:55000")

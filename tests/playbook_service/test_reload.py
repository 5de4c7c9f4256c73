"""A file that changes is read again; a faulty change is refused, or keeps what was sound, as its content demands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from playbook_service.playbook import load
from playbook_service.reload import Reloading
from propolis.errors import PropolisError
from propolis.guardrails import Policy, PolicyError

SOUND = "kind: enrich\nname: a\ndescription: d\non: observable\nanalyzers: [AbuseIPDB]\n"


def write(path: Path, text: str, turn: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(turn * 10**9, turn * 10**9))


def test_playbooks_are_read_again_when_a_file_changes_comes_or_goes(tmp_path: Path):
    write(tmp_path / "a.yml", SOUND, 1)
    playbooks = Reloading(tmp_path, lambda: load(tmp_path), strict=False)
    first = playbooks()
    assert playbooks() is first
    write(tmp_path / "b.yml", SOUND.replace("name: a", "name: b"), 2)
    assert {playbook.name for playbook in playbooks()} == {"a", "b"}
    (tmp_path / "b.yml").unlink()
    assert {playbook.name for playbook in playbooks()} == {"a"}


def test_a_faulty_change_of_playbooks_leaves_the_sound_ones_in_use(tmp_path: Path):
    write(tmp_path / "a.yml", SOUND, 1)
    playbooks = Reloading(tmp_path, lambda: load(tmp_path), strict=False)
    first = playbooks()
    write(tmp_path / "a.yml", SOUND + "nonsense: true\n", 2)
    assert playbooks() is first
    write(tmp_path / "a.yml", SOUND.replace("AbuseIPDB", "OTXQuery"), 3)
    assert playbooks().digest != first.digest


def test_a_faulty_change_of_the_policy_refuses_everything_until_it_is_mended(tmp_path: Path):
    path = tmp_path / "policy.yml"
    write(path, "firewall: {own: [198.51.100.0/24]}", 1)
    policy = Reloading(path, lambda: Policy.parse(path.read_text()), strict=True)
    assert policy().own_is_set
    write(path, "firewall: {own: [nonsense]}", 2)
    for _ in range(2):
        with pytest.raises(PolicyError):
            policy()
    write(path, "firewall: {own: [192.0.2.0/24]}", 3)
    assert policy().own_is_set


def test_the_first_reading_must_be_sound(tmp_path: Path):
    write(tmp_path / "a.yml", "nonsense", 1)
    with pytest.raises(PropolisError):
        Reloading(tmp_path, lambda: load(tmp_path), strict=False)()

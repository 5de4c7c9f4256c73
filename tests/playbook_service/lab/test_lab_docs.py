"""The page about the lab names every switch, every option and every member that is meant to be used."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import pytest

from playbook_service.commands import lab as command
from playbook_service.lab import Lab
from playbook_service.lab.faults import HookFaults, JobFaults, ServerFaults
from playbook_service.lab.lab import Keys

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "lab.md").read_text(encoding="utf-8")
SWITCHES = sorted(
    {
        field.name
        for group in (ServerFaults, HookFaults, JobFaults)
        for field in dataclasses.fields(group)
        if not field.name.startswith("_")
    }
)


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_is_explained(switch: str):
    assert f"`{switch}`" in PAGE


def test_every_option_is_explained():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    options = {name for action in parser._actions for name in action.option_strings if name.startswith("--")} - {
        "--help"
    }
    assert [name for name in sorted(options) if name not in PAGE] == []


def test_every_key_and_member_is_explained():
    members = {name for name, value in vars(Lab).items() if not name.startswith("_") and callable(value)}
    spelled_out = {"start", "stop", "start_cortex", "stop_cortex", "restart_cortex", "account", "describe"}
    keys = {field.name for field in dataclasses.fields(Keys)}
    assert [name for name in sorted(keys | (members - spelled_out)) if name not in PAGE] == []

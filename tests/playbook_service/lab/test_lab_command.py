"""`propolis lab`: the lab alone, as a program."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from playbook_service.commands import lab as command
from propolis.errors import ConfigurationError
from propolis.http import session

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import argparse, sys
from playbook_service.commands import lab
parser = argparse.ArgumentParser()
lab.add_arguments(parser)
sys.exit(lab.run(parser.parse_args()))
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def printed(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The line of JSON that it prints once it serves."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize(("version", "prefix"), [("4", "4.1"), ("5", "5.")])
def test_it_prints_addresses_and_keys_and_ends_when_told(version: str, prefix: str):
    process = started("--thehive", "127.0.0.1:0", "--cortex", "127.0.0.1:0", "--version", version)
    try:
        shown = printed(process)
        headers = {"Authorization": f"Bearer {shown['thehive']['keys']['service']}"}
        client = session(shown["thehive"]["url"], headers=headers)
        assert client.get("api/v1/status").json()["version"].startswith(prefix)
        assert client.get("api/v1/user/current").json()["login"] == shown["thehive"]["logins"]["service"]
        client.close()
        assert shown["thehive_key"] == shown["thehive"]["keys"]["service"]
        headers = {"Authorization": f"Bearer {shown['cortex']['keys']['service']}"}
        client = session(shown["cortex"]["url"], headers=headers)
        names = {one["name"] for one in client.get("api/analyzer").json()}
        client.close()
        assert {"WazuhAlert_1_0", "ConsensusScore_1_0"} <= names <= set(shown["cortex"]["workers"])
        assert "AccountDisable_1_0" in shown["notEnabled"]  # nothing says which directory is meant
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == "The lab has stopped.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--thehive", "9000"], "--thehive must be HOST:PORT"),
        (["--cortex", "localhost:http"], "--cortex must be HOST:PORT"),
        (["--analyzers", "/nowhere/at/all"], "does not exist"),
        (["--thehive", "203.0.113.1:9000"], "cannot listen there"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(arguments: list[str], message: str):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with pytest.raises(ConfigurationError, match=message):
        command.run(parser.parse_args(["--cortex", "127.0.0.1:0", *arguments]))
    assert [one.name for one in threading.enumerate() if one.name.startswith("lab-")] == []

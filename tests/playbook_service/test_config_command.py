"""`propolis config`: what holds, where it came from, and everything that is wrong, with no secret in it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pytest

from playbook_service.commands import config
from playbook_service.settings import SETTINGS
from propolis.errors import PropolisError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and no setting from outside."""
    for row in SETTINGS:
        monkeypatch.delenv(row.variable, raising=False)
        monkeypatch.delenv(f"{row.variable}_FILE", raising=False)
    monkeypatch.delenv("PROPOLIS_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str) -> int:
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    try:
        return config.run(parser.parse_args(words))
    except PropolisError as error:
        print(error, file=sys.stderr)
        return 2


def test_every_setting_is_shown_with_where_it_came_from(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (place / "propolis.yml").write_text("mode: approve\nworkers: 2\nretention: 36h\n")
    monkeypatch.setenv("PROPOLIS_WORKERS", "8")
    assert call() == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert rows.keys() == {"setting"} | {row.name for row in SETTINGS}
    assert rows["mode"] == ["mode", "approve", "propolis.yml"]
    assert rows["workers"] == ["workers", "8", "PROPOLIS_WORKERS"]
    assert rows["retention"] == ["retention", "1d12h", "propolis.yml"]
    assert rows["listen"] == ["listen", "127.0.0.1:8080", "default"]
    assert rows["policy"] == ["policy", "not", "set", "default"]


def test_only_what_was_changed_may_be_asked_for(place: Path, capsys: pytest.CaptureFixture[str]):
    assert call("--changed") == 0
    assert capsys.readouterr().out == "Everything is as it ships.\n"
    (place / "propolis.yml").write_text("mode: approve\n")
    assert call("--changed", "--format", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)["settings"]
    assert row == {
        "name": "mode", "value": "approve", "from": "propolis.yml", "variable": "PROPOLIS_MODE", "secret": False
    }  # fmt: skip


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_shown_wherever_it_came_from(
    form: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    secrets = {row.name: f"s3cret-{row.name}" for row in SETTINGS if row.secret}
    secrets["notify"] = "slack:https://hooks.example.org/s3cret-notify"
    secrets["feed_readers"] = "firewall:s3cret-reader"
    for name, value in secrets.items():
        monkeypatch.setenv(f"PROPOLIS_{name.upper()}", value)
    (place / "key").write_text("s3cret-from-a-file\n")
    monkeypatch.delenv("PROPOLIS_THEHIVE_KEY")
    monkeypatch.setenv("PROPOLIS_THEHIVE_KEY_FILE", str(place / "key"))
    assert call("--format", form) == 0
    said = "".join(capsys.readouterr())
    assert "s3cret" not in said
    assert said.count("********") == len(secrets)
    assert "PROPOLIS_THEHIVE_KEY_FILE" in said


@pytest.mark.parametrize("form", ["text", "json"])
def test_all_faults_of_the_settings_are_said_at_once(
    form: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (place / "propolis.yml").write_text("mode: sometimes\nwrokers: 4\n")
    monkeypatch.setenv("PROPOLIS_RETENTION", "long")
    assert call("--format", form) == 2
    out = capsys.readouterr()
    said = json.loads(out.out)["faults"] if form == "json" else out.err.splitlines()
    assert len(said) == 3
    for fault, where in (("sometimes", "propolis.yml"), ("did you mean workers?", "propolis.yml"),
                         ("must be a duration", "PROPOLIS_RETENTION")):  # fmt: skip
        assert any(fault in line and where in line for line in said)


def test_all_faults_of_what_the_settings_name_are_said_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (place / "policy.yml").write_text("firewall: {own: nonsense}\n")
    (place / "propolis.yml").write_text(
        "listen: 0.0.0.0:8080\npolicy: policy.yml\nplaybooks: nowhere\nfeeds: [list:mac]\ntls_certificate: none.pem\n"
        "siem_mapping: none.yml\naudit_syslog: 'host:many'\nescalation: none.yml\nsources: none.yml\n"
    )
    monkeypatch.setenv("PROPOLIS_NOTIFY", "pigeon:https://example.org/s3cret-place")
    assert call("--format", "json") == 2
    told = json.loads(capsys.readouterr().out)
    said = "\n".join(told["faults"])
    for word in (
        "webhook_token",
        "policy.yml",
        "nowhere",
        "feeds",
        "tls_certificate",
        "none.yml",
        "host:many",
        "<kind>:<URL>",
    ):
        assert word in said
    assert "<kind>:<URL>" in said
    assert "s3cret-place" not in said
    assert len(told["settings"]) == len(SETTINGS), "what holds is shown all the same"


def test_a_named_settings_file_that_is_not_there_is_a_fault(place: Path, capsys: pytest.CaptureFixture[str]):
    assert call("--config", "none.yml") == 2
    assert "none.yml" in capsys.readouterr().err

"""`propolis backends`: a person finds out what can be worked with, and how far it was tried."""

from __future__ import annotations

import json

import pytest

from playbook_service.cli import DONE, USAGE, main


def test_every_backend_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends"]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["responder", "backend"]
    assert any(line.split()[:2] == ["FirewallBlock", "edl"] for line in lines)


def test_one_backend_is_shown_with_rights_undo_and_items(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends", "crowdsec"]) == DONE
    out = capsys.readouterr().out
    assert "cscli machines add" in out
    assert "crowdsec_password (string, secret)" in out
    assert "undo" in out


def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends", "nftables", "--format", "json"]) == DONE
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["responder"], row["expires"], row["tested"]) == ("FirewallBlock", True, "product")


def test_an_unknown_name_lists_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends", "checkpoint"]) == USAGE
    assert "There is no backend checkpoint; there are activedirectory," in capsys.readouterr().err

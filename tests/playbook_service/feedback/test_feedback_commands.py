"""The commands over a store in a file, as an operator runs them beside the service."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from feedback_shop import ANNA, ATTACKER, DAY, Shop, decision, seen

from playbook_service.audit.journal import Journal
from playbook_service.cli import main
from playbook_service.commands import observations, sources, suppressions
from playbook_service.commands.opened import Opened
from playbook_service.feedback import register
from playbook_service.feedback.label import Count
from playbook_service.settings import load
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError, InputError

KEY = register.key_of(Count("sshd", "5760", "ip", ATTACKER))
Run = Callable[..., str]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    clock = ManualClock()
    shop = Shop(store=SqliteStore(tmp_path / "propolis.db", clock), clock=clock)
    yield shop
    shop.store.close()


@pytest.fixture
def run(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as the command line does; what it printed."""

    def call(module: ModuleType, *words: str) -> str:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        data = Opened(load({}), shop.store, shop.clock, shop.journal)
        assert module.perform(parser.parse_args(words), data) == 0
        return capsys.readouterr().out

    return call


@pytest.fixture
def closed(shop: Shop) -> Shop:
    """Three false positives on one address."""
    for number in (1, 2, 3):
        shop.false_positive(number)
        shop.clock.advance(DAY)
    return shop


def test_the_list_shows_what_is_suppressed_and_until_when(closed: Shop, run: Run):
    shown = run(suppressions)
    assert KEY in shown
    assert f"ip {ATTACKER}" in shown
    assert "2026-01-31T00:00:00Z" in shown
    assert shown.endswith("1 suppress, 0 count but do not suppress yet (3 are needed).\n")


def test_what_only_counts_is_listed_on_request(shop: Shop, run: Run):
    shop.false_positive(1)
    shop.clock.advance(60)
    assert KEY not in run(suppressions)
    assert KEY in run(suppressions, "list", "--all")


def test_explain_says_who_closed_what_when(closed: Shop, run: Run):
    shown = run(suppressions, "explain", KEY[:8])
    assert f"2026-01-01T00:00:00Z  case 1 closed as FalsePositive by {ANNA}" in shown
    assert "3 closings count: it is suppressed until 2026-01-31T00:00:00Z, if nothing more happens." in shown


def test_clear_ends_it_and_leaves_a_line_in_the_audit(closed: Shop, run: Run):
    assert "counts from 0" in run(suppressions, "clear", KEY)
    assert run(suppressions).startswith("0 suppress")
    assert "cleared by" in run(suppressions, "explain", KEY)
    (line,) = closed.said("suppression cleared")
    assert line["operator"].endswith("at the command line")
    assert Journal(closed.store, closed.clock).verify() == []


def test_noisiest_ranks_rules(closed: Shop, run: Run):
    closed.false_positive(4, rule="5710", resolution="TruePositive")
    closed.false_positive(5, rule="5710")
    assert [row["rule_id"] for row in json.loads(run(suppressions, "noisiest", "--format", "json"))] == ["5760", "5710"]
    assert "100%" in run(suppressions, "noisiest")


def test_json_everywhere(closed: Shop, run: Run):
    closed.hive.open("~9", seen(ATTACKER))
    closed.decided("~9", decision(), closed.spoke("~9", AbuseIPDB="malicious"))
    closed.close("~9", "TruePositive")
    listed: Any = json.loads(run(suppressions, "list", "--all", "--format", "json"))
    assert listed[0]["closures"][0]["by"] == ANNA
    assert json.loads(run(suppressions, "explain", KEY, "--format", "json"))["key"] == KEY
    (score,) = json.loads(run(observations, "--format", "json"))["scores"]
    assert (score["playbook"], score["right"], score["earned"]) == ("malicious-ip", 1, False)
    (source,) = json.loads(run(sources, "--format", "json"))["sources"]
    assert (source["source"], source["malicious"]) == ("AbuseIPDB", {"malicious": 1.0})
    (reason,) = json.loads(run(sources, "learned", "abuseipdb", "--format", "json"))
    assert reason["word"] == "malicious"
    assert json.loads(run(sources, "drift", "--format", "json")) == []
    assert json.loads(run(sources, "reset", "AbuseIPDB", "--format", "json")) == {"reset": "AbuseIPDB"}
    assert json.loads(run(suppressions, "clear", KEY, "--format", "json"))["standing"] == 0


def test_observations_say_what_is_missing_for_a_promotion(shop: Shop, run: Run):
    assert "nothing to score" in run(observations)
    shop.hive.open("~1", seen(ATTACKER))
    shop.decided("~1", decision())
    shop.close("~1", "TruePositive")
    shown = run(observations)
    assert "100.0%" in shown
    assert "stay: 72 more right cases in a row are needed" in shown
    each = run(observations, "--playbook", "malicious-ip")
    assert "act respond FirewallBlock" in each
    assert "nothing to score" in run(observations, "--playbook", "other")


def test_sources_show_what_was_learned_why_and_forget_it(shop: Shop, run: Run):
    shop.hive.open("~1", seen(ATTACKER, ioc=True))
    shop.spoke("~1", AbuseIPDB="malicious", Homemade="malicious")
    shop.close("~1", "TruePositive")
    shown = run(sources)
    assert re.search(r"AbuseIPDB +B +1 ", shown)
    assert "unrated" in shown
    assert "1 case closed TruePositive, 0 FalsePositive: the base rate is 9.5%." in shown
    assert "1 of 50 labelled verdicts" in shown
    why = run(sources, "learned", "AbuseIPDB")
    assert f"ip {ATTACKER}" in why
    assert "1 label behind what is known of AbuseIPDB." in why
    assert "weighed by its grade alone" in run(sources, "reset", "AbuseIPDB")
    assert "0 labels behind" in run(sources, "learned", "AbuseIPDB")


def test_drift_is_shown_with_its_suggestion(shop: Shop, run: Run):
    for number in range(80):
        level = "malicious" if number < 30 else "none"
        shop.spoke("", f"2001:db8::{number:x}", AbuseIPDB=level, OTXQuery=level)
    assert "consider one family for both" in run(sources, "drift")


def test_what_an_attacker_wrote_does_not_steer_the_terminal(shop: Shop, run: Run):
    for number in (1, 2, 3):
        shop.false_positive(number, decoder={"name": "ssh\x1b[2Jd"})
    shop.clock.advance(60)
    assert "\x1b" not in run(suppressions)
    (entry,) = json.loads(run(suppressions, "--format", "json"))
    assert "\x1b" not in run(suppressions, "explain", entry["key"])


@pytest.mark.parametrize(
    ("module", "words", "fault"),
    [
        (suppressions, ("clear",), "name the key"),
        (suppressions, ("explain", "beef"), "no key is or begins"),
        (sources, ("reset",), "name the source"),
        (sources, ("reset", "Nobody"), "nothing was learned"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run: Run, module: ModuleType, words: tuple[str, ...], fault: str):
    with pytest.raises((ConfigurationError, InputError), match=fault):
        run(module, *words)


@pytest.mark.parametrize("command", ["suppressions", "observations", "sources"])
def test_beside_a_service_that_has_nothing_yet(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path))
    assert main([command]) == 0
    assert main([command, "--format", "json"]) == 0
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "nowhere"))
    assert main([command]) == 2
    assert "nowhere" in capsys.readouterr().err

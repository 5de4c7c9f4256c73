"""docs/wazuh.md and the files beside the script say what is true."""

from __future__ import annotations

import argparse
import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from integration_lab import ROOT, SCRIPTS

from playbook_service.commands import follow

PAGE = (ROOT / "docs" / "wazuh.md").read_text(encoding="utf-8")


def example(name: str) -> str:
    found = re.search(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_options_of_the_script_are_the_documented_ones_with_their_defaults():
    defaults = runpy.run_path(str(SCRIPTS / "custom-propolis.py"))["DEFAULTS"]
    table = PAGE.split("### Options")[1].split("### What happens when")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|([^|]*)\|", table, re.MULTILINE)
    documented = {name: default.strip() for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    assert documented.keys() == defaults.keys()
    for name in ("max_spool_bytes", "min_level", "timeout", "budget"):
        assert documented[name] == str(defaults[name])


def test_the_example_settings_are_the_file_that_is_installed_and_hold_known_options():
    shipped = json.loads((SCRIPTS / "propolis.json.example").read_text())
    assert json.loads(example("propolis.json")) == shipped
    assert shipped.keys() <= runpy.run_path(str(SCRIPTS / "custom-propolis.py"))["DEFAULTS"].keys()


def test_what_the_installation_copies_is_there():
    for path in re.findall(r"deploy/wazuh/integration/[\w.-]+", PAGE):
        assert (ROOT / path).is_file(), path


def test_the_configuration_for_ossec_conf_names_the_script_and_asks_for_json():
    blocks = ElementTree.parse(SCRIPTS / "ossec.conf.example").getroot().findall("integration")  # noqa: S314 - ours
    assert [block.findtext("name") for block in blocks] == ["custom-propolis"] * len(blocks)
    assert {block.findtext("alert_format") for block in blocks} == {"json"}
    assert (SCRIPTS / "custom-propolis").is_file()


def test_the_options_of_follow_are_the_documented_ones():
    parser = argparse.ArgumentParser()
    follow.add_arguments(parser)
    known = {word for action in parser._actions for word in action.option_strings if word.startswith("--")} - {"--help"}
    section = PAGE.split("## Following alerts.json")[1].split("## Which alerts to send")[0]
    section = re.sub(r"`useradd[^`]*`", "", section)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section)) == known


def test_the_units_are_sound(tmp_path: Path, need: Callable[[object, str], None]):
    need(shutil.which("systemd-analyze"), "systemd-analyze")
    program = Path(shutil.which("true") or "/bin/true")
    for name, text in {
        "propolis-drain.service": (SCRIPTS / "propolis-drain.service").read_text(),
        "propolis-drain.timer": (SCRIPTS / "propolis-drain.timer").read_text(),
        "propolis-follow.service": example("propolis-follow.service"),
    }.items():
        (tmp_path / name).write_text(re.sub(r"ExecStart=\S+", f"ExecStart={program}", text))
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(str(path) for path in tmp_path.iterdir())],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if "propolis-" in line]
    assert told == []

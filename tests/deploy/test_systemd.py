"""The unit: read by systemd's own programs, measured by its own exposure scale."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from playbook_service.settings.table import SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent
UNIT = ROOT / "deploy" / "systemd" / "propolis.service"
DROP_INS = [UNIT.with_name(f"{name}.conf.example") for name in ("cortex", "metrics")]
MOST_EXPOSED = 11  # tenths of systemd's scale, which ends at 100: where this unit stands

Need = Callable[[object, str], None]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here."""
    text = UNIT.read_text("utf-8").replace("/opt/propolis/.venv/bin/propolis", shutil.which("true") or "/bin/true")
    text = text.replace("User=propolis\nGroup=propolis", "User=daemon\nGroup=daemon")
    path = tmp_path / "propolis.service"
    path.write_text(text, "utf-8")
    return path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


def values(text: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def test_systemd_has_nothing_to_say_about_the_unit(unit: Path, need: Need):
    need(shutil.which("systemd-analyze"), "systemd-analyze (Debian's systemd)")
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    about = [line for line in done.stderr.splitlines() if "propolis" in line]
    assert (done.returncode, about) == (0, [])


def test_the_unit_is_exposed_as_little_as_systemd_can_measure(unit: Path, need: Need):
    need(shutil.which("systemd-analyze"), "systemd-analyze (Debian's systemd)")
    done = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", str(unit))
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr


@pytest.mark.parametrize("path", [UNIT, *DROP_INS], ids=lambda path: path.name)
def test_every_variable_of_the_unit_is_a_setting_and_every_secret_comes_as_a_credential(path: Path):
    text = path.read_text("utf-8")
    known = {row.variable: row.secret for row in SETTINGS}
    credentials = {line.split(":")[0] for line in values(text, "LoadCredential")}
    named = dict(line.split("=", 1) for line in values(text, "Environment"))
    for variable, value in named.items():
        if variable == "PROPOLIS_CONFIG":
            continue
        setting = variable.removesuffix("_FILE")
        assert setting in known
        assert known[setting] == variable.endswith("_FILE")
        if known[setting]:
            assert value.removeprefix("%d/") in credentials


def test_a_fault_in_the_settings_is_not_started_again_and_again():
    from playbook_service.cli import USAGE

    text = UNIT.read_text("utf-8")
    assert values(text, "Restart") == ["always"]
    assert values(text, "RestartPreventExitStatus") == [str(USAGE)]
    assert int(values(text, "TimeoutStopSec")[0]) > 90  # as long as a step may take, docs/service.md


def test_the_user_is_made_by_sysusers_without_a_shell(tmp_path: Path, need: Need):
    need(shutil.which("systemd-sysusers"), "systemd-sysusers (Debian's systemd)")
    need(os.geteuid() == 0, "root")
    (tmp_path / "etc").mkdir()
    source = ROOT / "deploy" / "systemd" / "propolis.sysusers.conf"
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", "-"],
        input=source.read_text("utf-8"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    line = next(row for row in (tmp_path / "etc" / "passwd").read_text("utf-8").splitlines() if "propolis" in row)
    assert line.endswith(":/var/lib/propolis:/usr/sbin/nologin")

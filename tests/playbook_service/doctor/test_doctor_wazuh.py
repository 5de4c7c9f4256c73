"""On the Wazuh manager: is the script there, may Wazuh execute it, is it called, and does the log complain?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from playbook_service.doctor import wazuh
from playbook_service.doctor.finding import Finding
from playbook_service.doctor.inbox import Arrivals
from propolis.clock import ManualClock

BLOCK = """<ossec_config>
  <!-- <integration><name>custom-propolis</name></integration> -->
  <integration>
    <name>custom-propolis</name>
    <level>5</level>
    <alert_format>json</alert_format>
  </integration>
</ossec_config>
"""


@pytest.fixture
def ossec(tmp_path: Path) -> Path:
    """A manager's folder in good order."""
    for name in ("integrations", "etc", "logs"):
        (tmp_path / name).mkdir()
    script = tmp_path / "integrations/custom-propolis"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o750)
    (tmp_path / "integrations/custom-propolis.py").write_text("")
    key = tmp_path / "etc/propolis.key"
    key.write_text("the-webhook-token")
    key.chmod(0o640)
    (tmp_path / "etc/propolis.json").write_text(
        json.dumps({"hook_url": "https://propolis.example.org:8080/hooks/wazuh", "api_key_file": str(key)})
    )
    (tmp_path / "queue/propolis").mkdir(parents=True)
    (tmp_path / "etc/ossec.conf").write_text(BLOCK)
    log = "wazuh-integratord: INFO: Enabling integration for: 'custom-propolis'.\n"
    (tmp_path / "logs/ossec.log").write_text(log)
    return tmp_path


def look(folder: Path) -> dict[str, Finding]:
    return {one.name: one for one in wazuh.manager(folder)}


def test_a_manager_in_good_order(ossec: Path):
    found = look(ossec)
    assert {one.state for one in found.values()} == {"ok"}
    assert found["ossec.conf"].text == "custom-propolis -> https://propolis.example.org:8080/hooks/wazuh, level 5"


def test_the_key_is_not_told(ossec: Path):
    assert "the-webhook-token" not in "".join(str(one) for one in look(ossec).values())


@pytest.mark.parametrize(("mode", "says"), [(0o640, "cannot be executed"), (0o757, "can be written by anybody")])
def test_a_script_with_the_wrong_mode(ossec: Path, mode: int, says: str):
    (ossec / "integrations/custom-propolis").chmod(mode)
    assert says in look(ossec)["script"].text
    assert look(ossec)["script"].fix.startswith("chmod 750 ")


def test_a_script_that_is_missing_or_no_program(ossec: Path):
    script = ossec / "integrations/custom-propolis"
    script.write_text("import sys\n")
    assert "does not begin with #!" in look(ossec)["script"].text
    script.write_text("#!/bin/sh\n")
    (ossec / "integrations/custom-propolis.py").unlink()
    assert look(ossec)["script"].text == "custom-propolis.py is not beside it"
    script.unlink()
    assert look(ossec)["script"].state == "fail"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("    <name>custom-propolis</name>", "    <name>custom-other</name>", "Wazuh never starts it"),
        ("<level>", "<hook_url>https:// propolis</hook_url><level>", "holds a blank"),
        ("<alert_format>json</alert_format>", "", "lacks <alert_format>json</alert_format>"),
    ],
    ids=["another name", "a blank", "not as JSON"],
)
def test_a_configuration_that_does_not_call_it(ossec: Path, before: str, after: str, says: str):
    (ossec / "etc/ossec.conf").write_text(BLOCK.replace(before, after))
    assert says in look(ossec)["ossec.conf"].text
    assert look(ossec)["ossec.conf"].state == "fail"


def test_nothing_says_where_the_service_is(ossec: Path):
    (ossec / "etc/propolis.json").unlink()
    assert "says where the service is" in look(ossec)["ossec.conf"].text
    assert look(ossec)["key"].state == "unknown"


def test_a_key_in_ossec_conf_works_and_is_advised_against(ossec: Path):
    (ossec / "etc/ossec.conf").write_text(BLOCK.replace("<level>", "<api_key>the-webhook-token</api_key><level>"))
    found = look(ossec)["ossec.conf"]
    assert found.state == "warn"
    assert "the-webhook-token" not in str(found)


def test_a_key_file_that_is_empty_open_or_missing(ossec: Path):
    key = ossec / "etc/propolis.key"
    key.chmod(0o644)
    assert look(ossec)["key"].state == "warn"
    key.write_text("")
    assert look(ossec)["key"].text.endswith("is empty")
    key.unlink()
    assert look(ossec)["key"].state == "fail"


def test_alerts_that_wait_on_the_manager(ossec: Path):
    spool = ossec / "queue/propolis"
    (spool / "refused").mkdir()
    (spool / "refused" / "1.json").write_text("{}")
    assert look(ossec)["spool"].text.startswith("1 alerts that the service refused")
    for number in range(101):
        (spool / f"{number}.json").write_text("{}")
    assert look(ossec)["spool"].text.startswith("101 alerts wait")


def test_the_example_that_ships_is_sound(ossec: Path):
    """The files of deploy/wazuh/integration, put where they belong."""
    source = Path(__file__).resolve().parents[3] / "deploy/wazuh/integration"
    shutil.copy(source / "ossec.conf.example", ossec / "etc/ossec.conf")
    for name in ("custom-propolis", "custom-propolis.py"):
        shutil.copy(source / name, ossec / "integrations" / name)
        (ossec / "integrations" / name).chmod(0o750)
    assert {one.state for one in look(ossec).values()} == {"ok"}


def test_complaints_of_the_integrator(ossec: Path):
    log = ossec / "logs/ossec.log"
    line = (
        "2026/01/01 00:00:00 wazuh-integratord: ERROR: Unable to run integration for custom-propolis -> integrations\n"
    )
    log.write_text("x" * 300_000 + "\n" + line * 3)
    assert look(ossec)["integrator"].text.startswith(f"3 complaints in {log}, the last: Unable to run integration")
    log.write_text("nothing of it\n")
    assert look(ossec)["integrator"].state == "later"


def test_a_folder_that_is_no_managers(tmp_path: Path):
    assert [one.state for one in wazuh.manager(tmp_path)] == ["unknown"]


@pytest.mark.parametrize(
    ("wazuh_at", "siem_at", "state"),
    [(None, None, "later"), (-60.0, None, "ok"), (None, -60.0, "ok"), (-90_000.0, None, "warn")],
)
def test_alerts_received(wazuh_at: float | None, siem_at: float | None, state: str):
    clock = ManualClock()

    def moment(offset: float | None) -> float | None:
        return None if offset is None else clock.now() + offset

    assert wazuh.received(Arrivals(moment(wazuh_at), moment(siem_at), None, 2), clock).state == state

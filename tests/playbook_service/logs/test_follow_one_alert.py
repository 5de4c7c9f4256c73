"""From the Wazuh alert to the undo at the product, found by one grep for the alert's id, as docs/operate.md says."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scenario_soc import Soc

from playbook_service.logs.setup import configure
from playbook_service.settings import load

DAY = 86_400.0
WHOLE_WAY = [
    "alert in TheHive", "case opened", "analyzer started", "analyzer has answered", "verdict", "decision",
    "containment wished", "contained", "released",
]  # fmt: skip


@pytest.fixture(params=[("json", 5), ("text", 4)], ids=["json-thehive5", "text-thehive4"])
def logged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Soc, Path, str]]:
    """A SOC whose service logs to a file."""
    form, version = request.param
    root, file = logging.getLogger(), tmp_path / "propolis.log"
    before, level = root.handlers[:], root.level
    with file.open("w", encoding="utf-8") as stream, Soc(tmp_path, version, log_format=form) as soc:
        settings = load({"PROPOLIS_LOG_FORMAT": form, "PROPOLIS_WEBHOOK_TOKEN": "hook-s3cret-0f-the-tests"})
        configure(settings, stream=stream)
        try:
            yield soc, file, form
        finally:
            root.handlers[:] = before
            root.setLevel(level)
            logging.captureWarnings(False)


def grep(word: str, file: Path) -> list[str]:
    """What an operator sees."""
    done = subprocess.run(["grep", "-F", word, str(file)], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def read(line: str, form: str) -> dict[str, Any]:
    """The facts of a line of either form."""
    if form == "json":
        return dict(json.loads(line))
    head, _, message = line.rpartition(" : ")
    words = head.split()
    return {"message": message, "logger": words[2], **dict(word.split("=", 1) for word in words[3:] if "=" in word)}


def test_one_grep_for_an_alerts_id_tells_its_whole_way(logged: tuple[Soc, Path, str]):
    soc, file, form = logged
    address, other = soc.alert("block"), soc.alert("block")
    lease = soc.until(lambda: soc.lease(address), "the address is blocked")
    soc.until(lambda: soc.lease(other), "so is the other")
    mark = soc.firewall.path.read_text(encoding="utf-8")
    soc.move(DAY + 60)
    soc.until(lambda: soc.lease(address, "ended"), "the block is undone")
    soc.until(lambda: any("released" in line for line in grep("1790000000.1", file)), "the log says so")

    lines = [read(line, form) for line in grep("1790000000.1", file)]
    said = [line["message"] for line in lines]
    assert [word for word in WHOLE_WAY if word not in said] == []
    assert said.index("contained") < said.index("released")
    assert {line["trace"].partition(":")[2] for line in lines if "trace" in line} == {"1790000000.1"}
    # the id leads to every other name of the same thing
    by = {line["message"]: line for line in lines}
    assert by["case opened"]["case"] == lease.ref
    assert by["contained"]["lease"] == lease.key
    assert f"lease={lease.key}" in mark, "the product's own mark names the lease"
    jobs = {job.id for job in soc.lab.cortex.jobs.all()}
    assert by["contained"]["job"] in jobs, "Cortex's job of the responder"
    assert {line["cortex_job"] for line in lines if line["message"] == "analyzer started"} <= jobs
    with soc.lab.hive.transaction():
        made = soc.lab.hive.store.find(by["alert in TheHive"]["hive"])
    assert made is not None
    assert made["sourceRef"] == "1790000000.1", "TheHive's alert names Wazuh's"
    # and nothing of the other alert's is among them
    assert other not in "\n".join(grep("1790000000.1", file))
    # the audit chain has the same id
    traced = [line for line in soc.service.journal.lines() if line.get("trace", "").endswith(":1790000000.1")]
    assert {"verdict", "decision", "containment wished", "contained", "released"} <= {line["action"] for line in traced}
    assert soc.service.journal.verify() == []


def test_an_analysts_answer_is_on_the_trail_of_the_alert_it_is_about(logged: tuple[Soc, Path, str]):
    soc, file, form = logged
    user = soc.alert("account")
    question = soc.question(user)
    soc.set_task(question.body["tasks"][0], "Completed")
    soc.until(lambda: soc.lease(user), "the account is disabled")
    soc.until(lambda: any("contained" in line for line in grep("1790000000.1", file)), "the log says so")
    lines = {line["message"]: line for line in (read(text, form) for text in grep("1790000000.1", file))}
    assert lines["approval granted"]["operator"] == "approver@soc.example"
    assert lines["approval asked"]["lease"] == lines["contained"]["lease"] == question.key


def test_what_an_attacker_writes_into_an_alert_makes_no_line_of_its_own(logged: tuple[Soc, Path, str]):
    soc, file, form = logged
    forged = 'x"\n2026-01-01T00:00:00.000Z INFO propolis.event trace=wazuh:1 lease=L1 : released\r\x1b[2J\u2028\u202e'
    soc.alert("account", dstuser=forged)
    soc.until(lambda: any(one["action"] == "decision" for one in soc.service.journal.lines()), "it is decided upon")
    soc.until(lambda: grep("decision", file), "the log says so")
    for line in file.read_text(encoding="utf-8").split("\n"):
        assert line.isprintable()
        assert not line.startswith("2026-01-01")
        assert line == "" or read(line, form).get("lease") != "L1"
    assert "hook-s3cret" not in file.read_text(encoding="utf-8")

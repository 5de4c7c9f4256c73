"""`propolis serve` with `log_format: json` writes nothing but JSON; and the events that docs/operate.md names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")


def test_every_line_of_a_service_that_logs_json_is_json(tmp_path: Path):
    environment = {
        "PATH": "/usr/bin:/bin", "PROPOLIS_LISTEN": "127.0.0.1:0", "PROPOLIS_DATA_DIR": str(tmp_path / "data"),
        "PROPOLIS_THEHIVE_URL": "http://127.0.0.1:9", "PROPOLIS_THEHIVE_KEY": "s3cret-key",
        "PROPOLIS_LOG_FORMAT": "json",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "playbook_service", "serve"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(json.loads(line))
            if "waits for TheHive" in said[-1]["message"]:
                process.terminate()
        watchdog.cancel()
    assert process.returncode == 0
    messages = [line["message"] for line in said]
    assert any(text.startswith("propolis listens on 127.0.0.1:") for text in messages)
    assert all({"at", "level", "logger", "message"} <= line.keys() for line in said)
    assert "s3cret-key" not in str(said)


def test_every_event_that_the_page_names_is_one_of_the_code():
    rows = re.search(r"\| line \| what it leads to \|\n(.*?)\n\n", PAGE, re.DOTALL)
    assert rows is not None
    named = {name for row in rows.group(1).splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "playbook_service").rglob("*.py"))
    approvals = {"approval granted", "approval denied"}  # made of a word and the state
    assert {name for name in named - approvals if f'"{name}"' not in code} == set()
    assert len(named) > 10

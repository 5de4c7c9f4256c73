#!/usr/bin/env python3
"""How long a WazuhAlert job takes from the start of its process to its report, against the least a worker can take.

    python bench/bench_start.py [rounds]

The baseline is `python -c "import cortexutils.analyzer"`. Both are run in turn, so that a busy machine slows both; the
medians and their ratio are printed. The budget is a ratio of 2.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a clone, without installing it

from propolis.clock import SystemClock  # noqa: E402

BUDGET = 2.0
STORIES = ("sshd_unknown_user", "sysmon_1_process", "web_access_sql_injection", "suricata_http")


def main(rounds: int) -> int:
    """Print the medians and return 1 where the budget is exceeded."""
    with tempfile.TemporaryDirectory() as place:
        worker = str(ROOT / "analyzers" / "WazuhAlert" / "wazuh_alert.py")
        jobs = [[sys.executable, worker, _job(Path(place) / story, story)] for story in STORIES]
        baseline: list[float] = []
        own: list[float] = []
        for number in range(rounds):
            baseline.append(_seconds([sys.executable, "-c", "import cortexutils.analyzer"]))
            own.append(_seconds(jobs[number % len(jobs)]))
    ratio = statistics.median(own) / statistics.median(baseline)
    print(f"import cortexutils.analyzer  {statistics.median(baseline) * 1000:7.1f} ms")
    print(f"WazuhAlert, start to report  {statistics.median(own) * 1000:7.1f} ms")
    print(f"ratio                        {ratio:7.2f}    (budget {BUDGET})")
    return int(ratio > BUDGET)


def _job(place: Path, story: str) -> str:
    (place / "input").mkdir(parents=True)
    (place / "output").mkdir()
    alert = json.loads((ROOT / "tests" / "fixtures" / "wazuh_alert" / f"{story}.json").read_text())["alert"]
    job = {"data": json.dumps(alert), "dataType": "wazuh-alert", "tlp": 2, "pap": 2, "parameters": {}, "config": {}}
    (place / "input" / "input.json").write_text(json.dumps(job))
    return str(place)


def _seconds(command: list[str]) -> float:
    clock = SystemClock()
    started = clock.monotonic()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    return clock.monotonic() - started


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40))

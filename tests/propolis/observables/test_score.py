"""The bar on real alerts that experts have labelled. The set stands beside the repository and belongs to others."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from propolis.alert import Alert
from propolis.observables import extract

BAR = 0.97
pytestmark = pytest.mark.shared


def _tool(shared: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, shared / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_precision_and_recall_on_labelled_alerts(shared: Path, tmp_path: Path) -> None:
    split = shared / "data" / "wazuh_alerts" / "dev"
    predictions = tmp_path / "predictions.jsonl"
    with open(split / "alerts.jsonl", encoding="utf-8") as alerts, open(predictions, "w", encoding="utf-8") as out:
        for number, line in enumerate(alerts):
            found = [{"dataType": seen.data_type, "data": seen.data} for seen in extract(Alert(json.loads(line)))]
            out.write(json.dumps({"n": number, "observables": found}) + "\n")
    total, _, wrong = _tool(shared, "score_observables").score(str(split), str(predictions))
    misses = "\n".join(" ".join(str(part)[:120] for part in row) for row in wrong)
    assert total["tp"] / (total["tp"] + total["fp"]) >= BAR, f"precision is below the bar:\n{misses}"
    assert total["tp"] / (total["tp"] + total["fn"]) >= BAR, f"recall is below the bar:\n{misses}"
    assert total["never"] == 0, f"something that is no observable was taken for one:\n{misses}"


@pytest.mark.timeout(300)
def test_the_worker_itself_as_cortex_runs_it(shared: Path, root: Path) -> None:
    """One process for each labelled alert."""
    worker = root / "analyzers" / "WazuhAlert" / "wazuh_alert.py"
    command = [sys.executable, str(shared / "tools" / "score_worker.py"), str(shared / "data" / "wazuh_alerts" / "dev")]
    bar = ["--worker", str(worker), "--show", "40", "--min-recall", str(BAR), "--min-precision", str(BAR)]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*command, *bar], capture_output=True, text=True, env={**os.environ, "PATH": path}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_findings_of_wazuh_5_are_read(shared: Path) -> None:
    lines = (shared / "data" / "wazuh_alerts" / "v5_findings.jsonl").read_text(encoding="utf-8").splitlines()
    alerts = [Alert(json.loads(line)) for line in lines]
    assert {alert.schema for alert in alerts} == {"5.x"}
    assert all(alert.description and alert.agent_id and 1 <= alert.level <= 16 for alert in alerts)
    assert sum(1 for alert in alerts if extract(alert)) >= 24

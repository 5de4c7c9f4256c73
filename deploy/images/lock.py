#!/usr/bin/env python3
"""Write the lock files of the images: every distribution pinned to one version and its hashes, for every platform.

    pip install uv && python3 deploy/images/lock.py            # newest versions that the requirements allow

An image is built from its lock alone (`pip install --require-hashes`), so what is in it changes only by a commit.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = Path(__file__).resolve().parent / "locks"
OLDEST = "3.11"
"""The oldest Python that an image may be built on; the base image has a newer one."""
HEADER = "# Written by deploy/images/lock.py; do not edit.\n"


def workers() -> list[str]:
    """The folders of the bundle that hold a worker, such as `responders/FirewallBlock`."""
    rooms = ("analyzers", "responders")
    return sorted({f"{room}/{path.parent.name}" for room in rooms for path in (ROOT / room).glob("*/requirements.txt")})


def wanted(worker: str) -> list[str]:
    """What a worker's image needs: its own requirements, and `requests` where a backend may speak HTTP."""
    text = (ROOT / worker / "requirements.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [*lines, "requests>=2.31,<3"] if (ROOT / worker / "backends").is_dir() else lines


def lock(requirements: list[str], target: Path) -> None:
    """Resolve and write. A subprocess that fails ends this with its own words."""
    done = subprocess.run(
        [
            *("uv", "pip", "compile", "-", "--quiet", "--universal", "--python-version", OLDEST),
            *("--generate-hashes", "--no-annotate", "--no-header"),
        ],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"lock.py: {target.name}: {done.stderr.strip()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(HEADER + done.stdout, encoding="utf-8")


def main() -> None:
    """All locks: one for each worker, one for the service."""
    for worker in workers():
        lock(wanted(worker), LOCKS / f"{worker}.txt")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock([*project["dependencies"], *project["optional-dependencies"]["postgres"]], LOCKS / "service.txt")


if __name__ == "__main__":
    main()

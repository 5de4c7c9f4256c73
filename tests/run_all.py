"""Run the tests in three processes at the same time: those that work on real machines and daemons, and two of others.

`python tests/run_all.py [pytest's arguments]` ends with 0 only where all do. The first process owns the network
namespaces, the daemons and the browser, so that no two tests want the same one; the others need only themselves. Tests
that take minutes without telling more than a shorter one does (mark `long`) are left to `make test-long`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
REAL = "root or daemon or browser"
OTHERS = f"not ({REAL}) and not long"
SERVICE = ("tests/playbook_service", "tests/crash")
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("on real machines", ("-m", f"({REAL}) and not long")),
    ("of the service", ("-m", OTHERS, *SERVICE)),
    ("of everything else", ("-m", OTHERS, *(f"--ignore={folder}" for folder in SERVICE))),
)


def main(arguments: list[str]) -> int:
    """The worst of the exit codes; what they say follows each other, so that it can be read."""
    with tempfile.TemporaryDirectory() as folder:
        started = [
            _start(Path(folder) / f"{number}.txt", [*chosen, *arguments]) for number, (_, chosen) in enumerate(PARTS)
        ]
        codes = []
        for (name, _), (process, said) in zip(PARTS, started, strict=True):
            codes.append(process.wait())
            said.seek(0)
            print(f"\n=== tests {name} ===\n{said.read()}", flush=True)
            said.close()
    return max(codes)


def _start(path: Path, arguments: list[str]) -> tuple[subprocess.Popen[str], IO[str]]:
    said = path.open("w+")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, text=True), said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

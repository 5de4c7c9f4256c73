"""Run every test in two processes at the same time: those that work on real machines and daemons, and the others.

`python tests/run_all.py [pytest's arguments]` ends with 0 only where both do. The first process owns the network
namespaces, the daemons and the browser, so that no two tests want the same one; the others need only themselves.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
REAL = "root or daemon or browser"
PARTS = (("on real machines", REAL), ("on everything else", f"not ({REAL})"))


def main(arguments: list[str]) -> int:
    """The worse of both exit codes; what they say follows each other, so that it can be read."""
    with tempfile.TemporaryDirectory() as folder:
        started = [_start(Path(folder) / f"{number}.txt", marks, arguments) for number, (_, marks) in enumerate(PARTS)]
        codes = []
        for (name, _), (process, said) in zip(PARTS, started, strict=True):
            codes.append(process.wait())
            said.seek(0)
            print(f"\n=== tests {name} ===\n{said.read()}", flush=True)
            said.close()
    return max(codes)


def _start(path: Path, marks: str, arguments: list[str]) -> tuple[subprocess.Popen[str], IO[str]]:
    said = path.open("w+")
    command = [sys.executable, "-m", "pytest", "-m", marks, "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT, text=True), said


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

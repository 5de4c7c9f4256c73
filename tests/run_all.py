"""Run the tests in three processes at the same time: those that work on real machines and daemons, and two of others.

`python tests/run_all.py [pytest's arguments]` ends with 0 only where all do. The first process owns the network
namespaces, the daemons and the browser, so that no two tests want the same one; the others need only themselves. Tests
that take minutes without telling more than a shorter one does (mark `long`) are left to `make test-long`.

Three processes share the machine's cores, and some tests watch a kernel or a daemon keep its seconds. So a few tests
that failed are run once more, by themselves, and named; more than a few, or one that fails again, is a failure.
"""

from __future__ import annotations

import os
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


FEW = 5
"""So many failures may come of a busy machine; more do not."""


def main(arguments: list[str]) -> int:
    """0 where all passed, some of them by themselves; what the processes say follows each other, to be read."""
    with tempfile.TemporaryDirectory() as folder:
        failed = Path(folder) / "failed"
        failed.touch()
        os.environ["PROPOLIS_TESTS_FAILED"] = str(failed)
        code = _together(arguments)
        del os.environ["PROPOLIS_TESTS_FAILED"]
        names = list(dict.fromkeys(failed.read_text(encoding="utf-8").splitlines()))
    if code != 1 or not 0 < len(names) <= FEW:  # 1 is pytest's word for failed tests; others are worse
        return code
    print(f"\n=== {len(names)} failed while others ran; once more, by themselves ===", *names, sep="\n", flush=True)
    again = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *names]
    return subprocess.run(again, cwd=ROOT, check=False).returncode


def _together(arguments: list[str]) -> int:
    """The worst of the three exit codes."""
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

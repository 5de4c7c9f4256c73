#!/usr/bin/env python3
"""QuarantineFile and RestoreFile: take one file on one host out of use, and give back what was taken."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # the bundle's root: Cortex starts this file with only its own folder on the path

import propolis

if ROOT not in Path(propolis.__file__).resolve().parents:
    sys.exit(f"propolis was loaded from {propolis.__file__}, not from this bundle at {ROOT}.")

from backends import BACKENDS

from propolis.containment.file import FileResponder


class QuarantineFile(FileResponder):
    """Takes a file out of use, by one of the backends beside this file."""

    worker_name = "QuarantineFile"
    backends = BACKENDS


if __name__ == "__main__":
    QuarantineFile.main()

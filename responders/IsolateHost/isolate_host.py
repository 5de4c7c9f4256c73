#!/usr/bin/env python3
"""IsolateHost and ReleaseHost: cut a host off from everything but its management, for a time, and take it back."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # the bundle's root: Cortex starts this file with only its own folder on the path

import propolis

if ROOT not in Path(propolis.__file__).resolve().parents:
    sys.exit(f"propolis was loaded from {propolis.__file__}, not from this bundle at {ROOT}.")

from backends import BACKENDS

from propolis.containment.host import HostResponder


class IsolateHost(HostResponder):
    """Cuts a host off, by one of the backends beside this file."""

    worker_name = "IsolateHost"
    backends = BACKENDS


if __name__ == "__main__":
    IsolateHost.main()

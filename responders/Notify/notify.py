#!/usr/bin/env python3
"""Notify: tell people outside TheHive of a case, alert, task or observable, by chat, webhook and mail."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # the bundle's root: Cortex starts this file with only its own folder on the path

import propolis

if ROOT not in Path(propolis.__file__).resolve().parents:
    sys.exit(f"propolis was loaded from {propolis.__file__}, not from this bundle at {ROOT}.")

from propolis.notify.responder import NotifyResponder

if __name__ == "__main__":
    NotifyResponder.main()

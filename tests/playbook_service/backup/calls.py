"""The commands as a person calls them, and a node's data to call them on."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from propolis.errors import PropolisError

ROOT = Path(__file__).resolve().parents[3]


def call(verb: str, *words: str | Path) -> int:
    """The exit code; a fault is printed to standard error as the command line prints it."""
    module = importlib.import_module(f"playbook_service.commands.{verb}")
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    try:
        return int(module.run(parser.parse_args([str(word) for word in words])))
    except PropolisError as error:
        print(f"propolis: {error}", file=sys.stderr)
        return 2

"""The gate as a module, and an nft that keeps a log of every change it was asked for."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from propolis.containment.gate import GATE

_WRAPPER = """#!/bin/sh
# nft with a log: every change is one line in {log}; with the file {lose} it acts and its caller dies before the answer
case " $* " in *" list "*|*" -c "*) exec nft "$@" ;; esac
input=$(cat)
printf '%s\\n' "$input" >> {log}
if [ -e {lose} ]; then
  rm {lose}
  printf '%s' "$input" | nft "$@"
  kill -9 $PPID
  exit 1
fi
printf '%s' "$input" | nft "$@"
"""


def load_gate() -> ModuleType:
    """`deploy/ssh/propolis-gate` as a module."""
    if "propolis_gate" in sys.modules:
        return sys.modules["propolis_gate"]
    loader = importlib.machinery.SourceFileLoader("propolis_gate", str(GATE))
    spec = importlib.util.spec_from_loader("propolis_gate", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["propolis_gate"] = module
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = bytecode
    return module


class LoggedNft:
    """A wrapper script around nft in a folder."""

    def __init__(self, folder: Path):
        self.path = folder / "nft"
        self._log, self._lose = folder / "nft.log", folder / "nft.lose"
        self.path.write_text(_WRAPPER.format(log=self._log, lose=self._lose))
        self.path.chmod(0o755)

    def writes(self) -> list[str]:
        """Every transaction so far."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def forget(self) -> None:
        """Begin a new log."""
        self._log.unlink(missing_ok=True)
        self._lose.unlink(missing_ok=True)
        self.path.chmod(0o755)

    def lose_next_answer(self) -> None:
        """Carry out the next transaction and kill the gate before it answers."""
        self._lose.touch()

    def break_it(self) -> None:
        """It cannot be started any more."""
        self.path.chmod(0o644)


def write_config(path: Path, **limits: Any) -> Path:
    """A gate.json."""
    path.write_text(json.dumps(limits))
    path.chmod(0o644)
    return path

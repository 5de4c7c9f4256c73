"""Wazuh's side, as integratord plays it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intake_lab import CLOCK, KEY

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "deploy" / "wazuh" / "integration"
_NUMBERS = itertools.count(1142867)  # integratord takes random ones, negative too


class Manager:
    """A Wazuh manager's folder, and its integratord.

    The calling convention is that of src/os_integrator/integrator.c, 4.14: one string cut at blanks into at most nine
    parts, empty ones included; standard input is /dev/null; the alert and options files are deleted on return.
    """

    def __init__(self, folder: Path):
        self.home = folder / "ossec"
        for name in ("integrations", "logs", "queue", "etc", "tmp", "framework/python/bin"):
            (self.home / name).mkdir(parents=True)
        (self.home / "framework/python/bin/python3").symlink_to(os.path.realpath(sys.executable))
        for name in ("custom-propolis", "custom-propolis.py"):
            shutil.copy(SCRIPTS / name, self.home / "integrations" / name)
        self.script = self.home / "integrations" / "custom-propolis"
        self.spool = self.home / "queue" / "propolis"
        self.configure()

    def configure(self, url: str = "", key: str = KEY, debug: bool = False, options: Any = None) -> None:
        """What ossec.conf says of the integration."""
        self.url, self.key, self.debug, self.options = url, key, debug, options

    def start(self, text: str | dict[str, Any]) -> tuple[subprocess.Popen[str], Callable[[], None]]:
        """Start the script for one alert; the second part is what integratord does when it has ended."""
        number = f"{int(CLOCK.now())}--{next(_NUMBERS)}"
        file, options = self.home / f"tmp/custom-propolis-{number}.alert", ""
        file.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
        if self.options is not None:
            options = f"{self.home}/tmp/custom-propolis-{number}.options"
            Path(options).write_text(json.dumps(self.options), encoding="utf-8")
        debug, silence = ("debug", "") if self.debug else ("", "> /dev/null 2>&1")
        command = f"{self.script} {file} {self.key} {self.url} {debug} {options} 10 3 {silence}"
        process = subprocess.Popen(
            command.split(" ", 8), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, cwd=self.home, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip

        def clean() -> None:
            file.unlink()
            if options:
                Path(options).unlink()

        return process, clean

    def run(self, text: str | dict[str, Any]) -> tuple[int, str]:
        """One alert as integratord does it: wait, delete. Exit code and output."""
        process, clean = self.start(text)
        output, _ = process.communicate(timeout=60)
        clean()
        return process.returncode, output

    def drain(self) -> tuple[int, str]:
        """What the timer starts."""
        done = subprocess.run(
            [str(self.script), "--drain"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    def waiting(self) -> list[dict[str, Any]]:
        """What lies in the spool, oldest first."""
        return [json.loads(path.read_bytes()) for path in sorted(self.spool.glob("[0-9]*.json"))]

    def patience_over(self) -> None:
        """The pause after a failed try is over."""
        (self.spool / ".away").unlink()

    def log(self) -> str:
        """integrations.log."""
        path = self.home / "logs" / "integrations.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

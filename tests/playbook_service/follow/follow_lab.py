"""alerts.json as analysisd, monitord and logrotate treat it, and `propolis follow` beside it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from intake_lab import CLOCK, KEY, Propolis, alert

from playbook_service.follow.checkpoint import Counts, StateFolder
from playbook_service.follow.follower import Follower, Pace
from playbook_service.follow.sender import Sender
from playbook_service.follow.sieve import Sieve
from propolis.clock import Clock, ManualClock
from propolis.http import session

ROOT = Path(__file__).resolve().parents[3]
CHILD = Path(__file__).with_name("follow_child.py")
_NOVEMBER = date(2026, 11, 1)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENOUGH = 40  # looks at the file after the last step, so that whatever is to follow has followed


def line(number: int, **more: Any) -> bytes:
    """A line of alerts.json."""
    return json.dumps(alert(number, **more)).encode() + b"\n"


def lines(numbers: Sequence[int] | range) -> bytes:
    """Several."""
    return b"".join(map(line, numbers))


class Alerts:
    """The folder logs/alerts, on a day in November. alerts.json is a hard link to the day's file, as in Wazuh."""

    def __init__(self, folder: Path, day: int = 20):
        self.folder = folder / "alerts"
        self.file = self.folder / "alerts.json"
        self.day, self.part = day, 0
        self._link()

    def dated(self, day: int, part: int = 0) -> Path:
        """The day's own file, days counted from the beginning of November; `part` counts those within a day."""
        when = _NOVEMBER + timedelta(days=day - 1)
        name = f"ossec-alerts-{when:%d}-{part:03}.json" if part else f"ossec-alerts-{when:%d}.json"
        return self.folder / f"{when:%Y}" / _MONTHS[when.month - 1] / name

    def write(self, data: bytes) -> None:
        """Append, as analysisd does."""
        with self.file.open("ab") as stream:
            stream.write(data)

    def next_day(self) -> None:
        """Midnight: analysisd begins a file and links it."""
        self.day, self.part = self.day + 1, 0
        self._link()

    def next_part(self) -> None:
        """`max_output_size` or `rotate_interval`."""
        self.part += 1
        self._link()

    def pack(self, day: int, part: int = 0) -> None:
        """What monitord does a while after midnight: the packed file, then the other is removed."""
        pack(self.dated(day, part))

    def _link(self) -> None:
        new = self.dated(self.day, self.part)
        new.parent.mkdir(parents=True, exist_ok=True)
        new.touch()
        self.file.unlink(missing_ok=True)
        self.file.hardlink_to(new)


class PlainFile:
    """An alerts.json that logrotate looks after."""

    def __init__(self, folder: Path):
        self.file = folder / "alerts.json"
        self.file.touch()

    def write(self, data: bytes) -> None:
        with self.file.open("ab") as stream:
            stream.write(data)

    def shift(self) -> None:
        """.1 becomes .2 and so on."""
        for number in (3, 2, 1):
            for end in ("", ".gz"):
                old = self.file.with_name(f"alerts.json.{number}{end}")
                if old.exists():
                    old.rename(self.file.with_name(f"alerts.json.{number + 1}{end}"))

    def rename(self) -> None:
        """logrotate with `create`."""
        self.shift()
        self.file.rename(self.file.with_name("alerts.json.1"))
        self.file.touch()

    def copy_truncate(self) -> None:
        """logrotate with `copytruncate`."""
        self.shift()
        shutil.copy(self.file, self.file.with_name("alerts.json.1"))
        os.truncate(self.file, 0)


def pack(path: Path) -> None:
    """gzip a file."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


class Steps(ManualClock):
    """A clock that does the next step when the follower had nothing to do `spacing` times in a row."""

    def __init__(self, *steps: Callable[[], Any], spacing: int = 1):
        super().__init__()
        self.steps = list(steps)
        self._spacing = spacing
        self._idle = 0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._idle += 1
        if self.steps and self._idle >= self._spacing:
            self._idle = 0
            self.steps.pop(0)()

    def over(self) -> bool:
        """Whether all is done and seen."""
        return not self.steps and self._idle > _ENOUGH


class Follow:
    """`propolis follow` in this process, life after life over one state folder."""

    def __init__(self, file: Path, service: Propolis | str, folder: Path, sieve: Sieve | None = None):
        self.file, self.sieve = file, sieve or Sieve()
        self.url = service if isinstance(service, str) else service.url.removesuffix("/hooks/wazuh")
        self.state = StateFolder(folder / "state", file)
        self.waits: list[str] = []

    def once(self, *, from_start: bool = False, clock: Clock | None = None, longest: int = 256 * 1024) -> Counts:
        """A life that sends what is there."""
        return self._run(clock or ManualClock(), lambda: False, from_start, True, longest)

    def through(self, *steps: Callable[[], Any], spacing: int = 12) -> Counts:
        """A life that goes on while these steps happen, three seconds apart, and ends when all is seen."""
        clock = Steps(*steps, spacing=spacing)
        return self._run(clock, clock.over, False, False, 256 * 1024)

    def _run(self, clock: Clock, stopping: Callable[[], bool], from_start: bool, once: bool, longest: int) -> Counts:
        headers = {"Authorization": f"Bearer {KEY}"}
        with session(self.url, headers=headers, retries=0) as client, self.state.held():
            sender = Sender(client, "/hooks/wazuh", clock, stopping, self.waits.append)
            pace = Pace(longest=longest)
            follower = Follower(self.file, self.state, self.sieve, sender, clock, pace=pace, stopping=stopping)
            return follower.run(from_start=from_start, once=once)

    def outcasts(self) -> list[dict[str, Any]]:
        """What was set aside."""
        path = self.state.folder / "set-aside.jsonl"
        return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def command(file: Path, url: str, state: Path, *more: str) -> list[str]:
    """The command line of `propolis follow`, from the first line on."""
    return [sys.executable, str(CHILD), str(file), "--to", url, "--state", str(state), "--from", "start", *more]


def start(*words: str, key: str = KEY, **options: Any) -> subprocess.Popen[str]:
    """A real process."""
    environment = {**os.environ, "PROPOLIS_WEBHOOK_TOKEN": key}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(words, env=environment, cwd=ROOT, **given)


def until(condition: Callable[[], Any], what: str, patience: float = 30.0) -> None:
    """Wait for it."""
    end = CLOCK.monotonic() + patience
    while not condition():
        assert CLOCK.monotonic() < end, f"waited {patience:.0f} s for {what}"
        CLOCK.sleep(0.02)

"""Killed at chosen moments and at others: every line is delivered, and in the inbox each is exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from follow_lab import Alerts, command, line, lines, start, until
from intake_lab import Propolis, propolis

PORTION = 1_000
FIFTY_THOUSAND = pytest.param(50_000, marks=pytest.mark.timeout(300))
MILLION = pytest.param(1_000_000, marks=(pytest.mark.long, pytest.mark.timeout(3600)))
KILLS = {7, 15, 22, 31, 44}  # after so many portions
AHEAD = 4_000  # lines that the writer is ahead at most


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=30)
    return process.returncode


class Executioner:
    """Kills the sender as its request comes in, before or after the service has committed it."""

    def __init__(self, after: bool):
        self.after = after
        self.victim: int | None = None

    def __call__(self, application: Any) -> Callable[..., Any]:
        def around(environ: dict[str, Any], start_response: Any) -> Any:
            body = int(environ.get("CONTENT_LENGTH") or 0)
            victim = self.victim if body > 2 else None  # `[]` is the greeting
            if victim and not self.after:
                os.kill(victim, signal.SIGKILL)
                start_response("503 Service Unavailable", [("Content-Length", "0")])
                return []
            answer = application(environ, start_response)
            if victim:
                os.kill(victim, signal.SIGKILL)
            return answer

        return around


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after it"])
def test_killed_around_the_commit_the_line_is_in_the_inbox_once(tmp_path: Path, after: bool):
    wazuh, executioner = Alerts(tmp_path), Executioner(after)
    wazuh.write(lines(range(10)))
    with propolis(tmp_path / "service", around=executioner) as service:
        words = command(wazuh.file, service.url, tmp_path / "state")
        assert ended(start(*words, "--once")) == 0
        wazuh.write(lines(range(10, 20)))
        stopped = start(*words)
        stopped.send_signal(signal.SIGSTOP)
        executioner.victim = stopped.pid
        stopped.send_signal(signal.SIGCONT)
        assert ended(stopped) == -signal.SIGKILL
        executioner.victim = None
        assert service.count() == (20 if after else 10)
        assert ended(start(*words, "--once")) == 0
        assert service.ids() == [f"1795304791.{number}" for number in range(20)]


class Story:
    """Portions of a thousand lines: rotated now and then, packed sometimes, killed five times."""

    def __init__(self, folder: Path, service: Propolis):
        self.wazuh = Alerts(folder)
        self.service = service
        self.words = command(self.wazuh.file, service.url, folder / "state")
        self.process = start(*self.words)
        self.kills = 0

    def portion(self, number: int) -> None:
        begin = number * PORTION
        if number in KILLS:
            self.wazuh.write(lines(range(begin, begin + PORTION // 2)))
            self.process.kill()
            assert ended(self.process) == -signal.SIGKILL
            self.kills += 1
            half = line(begin + PORTION // 2)
            self.wazuh.write(half[:50])
            self.wazuh.write(half[50:] + lines(range(begin + PORTION // 2 + 1, begin + PORTION)))
            self.rotate(number, packing=True)
            self.process = start(*self.words)
        else:
            self.wazuh.write(lines(range(begin, begin + PORTION)))
            if number % 4 == 3:
                self.rotate(number, packing=number % 8 == 3)
        until(lambda: begin + PORTION - self.service.taken() <= AHEAD, "the follower", 60)

    def rotate(self, number: int, packing: bool) -> None:
        """Midnight each third time, else a part of the day."""
        day, part = self.wazuh.day, self.wazuh.part
        if number % 3 == 0:
            self.wazuh.next_day()
        else:
            self.wazuh.next_part()
        if packing:
            self.wazuh.pack(day, part)


@pytest.mark.parametrize("total", [FIFTY_THOUSAND, MILLION])
def test_every_line_through_rotation_and_five_kills(tmp_path: Path, total: int):
    with propolis(tmp_path / "service", backlog_limit=2 * total) as service:  # nobody works the inbox off here
        story = Story(tmp_path, service)
        try:
            for number in range(total // PORTION):
                story.portion(number)
            until(lambda: service.taken() == total, "the last line", 60)
        finally:
            story.process.terminate()
            output, errors = story.process.communicate(timeout=30)
        assert story.kills == len(KILLS)
        assert story.process.returncode == 0, errors
        assert "0 set aside" in output
        assert "missing" not in errors
        assert sorted(service.ids(), key=lambda one: int(one.partition(".")[2])) == [
            f"1795304791.{number}" for number in range(total)
        ]

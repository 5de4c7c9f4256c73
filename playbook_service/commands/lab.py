"""`propolis lab`: start the embedded TheHive and Cortex alone, print where they are, run until interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playbook_service.lab import Lab
from playbook_service.lab.sharedclock import SharedClock
from propolis.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("--thehive", metavar="HOST:PORT", default="127.0.0.1:9000", help="where TheHive listens")
    parser.add_argument("--cortex", metavar="HOST:PORT", default="127.0.0.1:9001", help="where Cortex listens")
    parser.add_argument("--version", type=int, choices=(4, 5), default=5, help="which TheHive to be (default: 5)")
    for kind in ("analyzers", "responders"):
        text = f"folder of {kind} (default: this project's own, in a clone); repeatable"
        parser.add_argument(f"--{kind}", metavar="DIR", type=Path, action="append", help=text)
    parser.add_argument(
        "--reports", metavar="FILE", type=Path, action="append", default=None,
        help="recorded reports that analyzers answer from (default: the sample reports); repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--answer-delay", metavar="SECONDS", type=float, default=0.5, help="time a recorded answer takes"
    )
    parser.add_argument("--clock", metavar="FILE", type=Path, help="a clock that stands still and that a test moves")
    parser.add_argument("--webhook", metavar="URL", help="have TheHive send every event of the organisation there")
    parser.add_argument("--webhook-version", type=int, choices=(0, 1), default=1, help="the form of those messages")
    parser.add_argument("--webhook-token", metavar="TEXT", help="bearer token to send along with them")


def run(arguments: argparse.Namespace) -> int:
    """Run the lab; 0 after an interrupt or SIGTERM, 2 where it cannot start."""
    try:
        lab = _lab(arguments)
        left = lab.enable_all()
        with _signals() as stop, lab:
            if arguments.webhook:
                lab.notify(arguments.webhook, dialect=arguments.webhook_version, auth=_auth(arguments.webhook_token))
            indent = 2 if sys.stdout.isatty() else None  # for people; a program reads one line
            print(json.dumps({**lab.describe(), "notEnabled": left}, indent=indent), flush=True)
            while not stop.wait(0.2):
                continue
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigurationError(f"The lab cannot listen there: {error.strerror}; choose other ports.") from error
    sys.stderr.write("The lab has stopped.\n")
    return 0


def _lab(arguments: argparse.Namespace) -> Lab:
    for option, address in (("--thehive", arguments.thehive), ("--cortex", arguments.cortex)):
        if not address.rpartition(":")[2].isdigit() or not address.rpartition(":")[0]:
            raise ConfigurationError(f"{option} must be HOST:PORT, for example 127.0.0.1:9000.")
    reports = arguments.reports or _beside("playbook_service/samples/reports.jsonl")
    analyzers = arguments.analyzers or _beside("analyzers")
    responders = arguments.responders or _beside("responders")
    for path in [*reports, *analyzers, *responders]:
        if not path.exists():
            raise ConfigurationError("This file or folder does not exist.", source=str(path))
    return Lab(
        arguments.version, thehive=arguments.thehive, cortex=arguments.cortex, analyzers=analyzers,
        responders=responders, reports=reports, answer_delay=arguments.answer_delay,
        clock=SharedClock(arguments.clock) if arguments.clock else None,
    )  # fmt: skip


def _beside(name: str) -> list[Path]:
    """A place below the root that this package stands in, if it is there."""
    path = Path(__file__).resolve().parents[2] / name
    return [path] if path.exists() else []


def _auth(token: str | None) -> dict[str, str]:
    return {"type": "bearer", "key": token} if token else {"type": "none"}


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that is set when the program is interrupted or told to end."""
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()

    before = [(number, signal.signal(number, end)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)

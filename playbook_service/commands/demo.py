"""`propolis demo`: the lab, the service and the sample alerts, told as it happens; ends by itself."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playbook_service.cli import DONE, FINDINGS
from playbook_service.demo import leave, story, summary
from playbook_service.demo.ledger import Ledger
from playbook_service.demo.people import Person
from playbook_service.demo.play import Play
from playbook_service.demo.stage import Stage, Terms
from playbook_service.demo.voice import Voice
from propolis.clock import SystemClock
from propolis.duration import parse_duration
from propolis.errors import ConfigurationError

_PEOPLE = ("analyst", "approver")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this command."""
    parser.add_argument("--version", type=int, choices=(4, 5), default=5, help="which TheHive to play on (default: 5)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="json: one document at the end")
    parser.add_argument("--serve", action="store_true", help="leave everything up afterwards, and print where it is")
    parser.add_argument(
        "--lease", metavar="DURATION", default="25s", help="cut containments to this, to see their end (default: 25s)"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write what `propolis report` makes of it, a page")
    parser.add_argument(
        "--keep", metavar="DIR", type=Path, help="a new folder for settings, store, audit and log (default: removed)"
    )


def run(arguments: argparse.Namespace) -> int:
    """0 where every promise was seen, else 1. Raises ConfigurationError for options that cannot be."""
    clock = SystemClock()
    terms = Terms(arguments.version, parse_duration(arguments.lease))
    quiet = arguments.format == "json"
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    voice = Voice(clock, None if quiet else sys.stdout, colour=colour)
    with _folder(arguments.keep) as folder, Stage(folder, terms, clock) as stage, ExitStack() as people:
        persons = {name: people.enter_context(Person(stage.lab, name)) for name in _PEOPLE}
        play = Play(stage, voice, persons)
        _perform(play, arguments.report)
        if quiet:
            print(json.dumps(summary.document(play), indent=1), flush=True)
        if arguments.serve:
            _stay(play, as_json=quiet)
        return exit_code(play.ledger)


def exit_code(ledger: Ledger) -> int:
    """0 only where there were promises and every one of them was seen to be kept."""
    return DONE if ledger.kept else FINDINGS


def _perform(play: Play, report: Path | None) -> None:
    story.opening(play)
    story.perform(play)
    summary.count(play)
    if report is not None:
        leave.write_report(play, report)
    summary.show(play, leave.console_of(play.stage), report)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="propolis-demo-") as name:
            yield Path(name)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise ConfigurationError(f"--keep wants a new or empty folder, and {keep} is not.")
    keep.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield keep


def _stay(play: Play, *, as_json: bool) -> None:
    """Say where everything is, and wait for Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    asked = story.encore(play)
    found = leave.described(play.stage)
    print(json.dumps(found, indent=2) if as_json else "\n".join(leave.told(found, asked)), flush=True)
    print("Everything stays up until Ctrl-C.", file=sys.stderr, flush=True)
    stop.wait()

"""`propolis replay`: run a file of Wazuh alerts through playbooks, in dry run."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from playbook_service.cli import DONE, FINDINGS
from playbook_service.playbook import MODES, SHIPPED, Playbooks, load
from playbook_service.replay.document import Writer
from playbook_service.replay.evidence import Evidence, read_evidence
from playbook_service.replay.fault import Faults
from playbook_service.replay.history import History, read_history
from playbook_service.replay.period import Period, moment
from playbook_service.replay.pipeline import Setup
from playbook_service.replay.progress import Progress
from playbook_service.replay.run import Result, Sink
from playbook_service.replay.run import run as run_alerts
from playbook_service.replay.source import items
from playbook_service.replay.table import Paper, render
from propolis.clock import Clock, SystemClock
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy
from propolis.verdict import Options, load_sources

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
ROWS = 30  # rows of a table on a terminal
STORIES = 40  # cases on the page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to replay, with which reports, playbooks, labels and policy, and how to show it."""
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="alerts.json, JSONL, a JSON array or an indexer's answer; .gz too; - for stdin",
    )
    parser.add_argument(
        "--samples", action="store_true", help="replay the bundled samples, with their reports, labels and policy"
    )
    parser.add_argument(
        "--reports", metavar="FILE", help="recorded analyzer jobs, one a line, as GET /api/job/<id>/report gives them"
    )
    parser.add_argument("--playbooks", metavar="DIR", help="the playbooks to decide with (default: those that ship)")
    parser.add_argument(
        "--against", metavar="DIR", help="other playbooks: show what they decide differently (before), and why"
    )
    parser.add_argument(
        "--labels", metavar="FILE", help="how cases were closed, one JSON label a line: feeds the suppression"
    )
    parser.add_argument("--policy", metavar="FILE", help="the guardrails' policy (default: the built-in rules)")
    parser.add_argument(
        "--profile",
        choices=("evidence", "count"),
        default="evidence",
        help="how reports are weighed (default: evidence)",
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="enforce",
        help="the service's mode, the ceiling of every playbook's own (default: enforce)",
    )
    parser.add_argument(
        "--since", metavar="WHEN", help="from this date (2026-11-17), moment, or span back from now (36h) on"
    )
    parser.add_argument("--until", metavar="WHEN", help="before this date, moment, or span back from now")
    parser.add_argument("--format", choices=("table", "json", "html"), default="table", help="default: table")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to standard output")
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help="list at most N rows a table, alerts (json) or stories (html); totals are complete",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """0: done. 1: lines could not be read, there was no alert, or --against decides differently.

    Raises ConfigurationError (exit code 2) for what is wrong with the arguments or the files they name.
    """
    clock = clock or SystemClock()
    file = _input(arguments)
    name = "bundled samples" if arguments.samples else file
    side: list[Faults] = []
    setup = _setup(arguments, side)
    period = _period(arguments, clock)
    faults = Faults(name)
    with opened_input(file) as stream, _output(arguments) as target:
        writer = Writer(target, arguments.limit) if arguments.format == "json" else None
        if writer:
            writer.begin(setup, name)
        sink: Sink | None = writer.alert if writer else None
        with Progress(stream, sys.stderr, clock) as progress:
            summary = run_alerts(items(stream), setup, faults, period=period, sink=sink, tick=progress.tick)
        result = Result(setup, summary, (faults, *side), name)
        _write(result, arguments, target, writer)
    _tell_faults(result, arguments)
    return DONE if result.clean else FINDINGS


def _input(arguments: argparse.Namespace) -> str:
    if arguments.samples:
        if arguments.file:
            raise ConfigurationError("give either a file or --samples, not both.")
        arguments.reports = arguments.reports or str(SAMPLES / "reports.jsonl")
        arguments.labels = arguments.labels or str(SAMPLES / "labels.jsonl")
        arguments.policy = arguments.policy or str(SAMPLES / "policy.yml")
        return str(SAMPLES / "alerts.jsonl")
    if not arguments.file:
        raise ConfigurationError("name a file of alerts, - for standard input, or --samples for the bundled ones.")
    return str(arguments.file)


def _setup(arguments: argparse.Namespace, side: list[Faults]) -> Setup:
    if [arguments.file, arguments.reports, arguments.labels, arguments.policy].count("-") > 1:
        raise ConfigurationError("standard input (-) can be only one of the files.")
    playbooks = load(arguments.playbooks or SHIPPED)
    against: Playbooks | None = load(arguments.against) if arguments.against else None
    sources = load_sources()
    evidence, history = Evidence(), History()
    if arguments.reports:
        with opened_input(arguments.reports) as stream:
            evidence = read_evidence(stream, sources, _side(arguments.reports, side))
    if arguments.labels:
        with opened_input(arguments.labels) as stream:
            history = read_history(stream, _side(arguments.labels, side))
    options = Options(profile=arguments.profile, sources=sources)
    return Setup(playbooks, _policy(arguments.policy), evidence, history, options, arguments.mode, against)


def _side(name: str, side: list[Faults]) -> Faults:
    side.append(Faults(name))
    return side[-1]


def _policy(name: str | None) -> Policy:
    if not name:
        return Policy.parse(None)
    with opened_input(name) as stream:
        try:
            return Policy.parse(stream.read().decode("utf-8"), source=_short(name))
        except UnicodeDecodeError:
            raise ConfigurationError("the policy is not UTF-8 text.", source=name) from None


def _short(name: str) -> str:
    return Path(name).name


def _period(arguments: argparse.Namespace, clock: Clock) -> Period | None:
    now = clock.now()
    start = moment(arguments.since, "--since", now) if arguments.since else None
    end = moment(arguments.until, "--until", now) if arguments.until else None
    if start is not None and end is not None and start >= end:
        raise ConfigurationError("--since must lie before --until: no alert lies between them.")
    return Period(start, end) if arguments.since or arguments.until else None


@contextmanager
def opened_input(name: str) -> Iterator[IO[bytes]]:
    """A file that a command was given, or standard input for `-`. Raises ConfigurationError where it cannot be read."""
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(name, "rb")  # noqa: SIM115 - closed below; opening alone is what may fail for a person's reason
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}.", source=name) from None
    with stream:
        yield stream


@contextmanager
def _output(arguments: argparse.Namespace) -> Iterator[IO[str]]:
    if not arguments.output:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to fail
        yield sys.stdout
        return
    try:
        stream = open(arguments.output, "w", encoding="utf-8", errors="replace")  # noqa: SIM115 - as above
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}.", source=arguments.output) from None
    with stream:
        yield stream


def _write(result: Result, arguments: argparse.Namespace, target: IO[str], writer: Writer | None) -> None:
    if writer is not None:
        writer.end(result)
    elif arguments.format == "html":
        from playbook_service.replay.page import page

        target.write(page(result, stories=arguments.limit or STORIES))
    else:
        paper = _paper(target)
        for line in render(result, paper, limit=arguments.limit or ROWS):
            target.write(line + "\n")


def _paper(target: IO[str]) -> Paper:
    width = shutil.get_terminal_size((120, 40)).columns
    return Paper(width, colour=target.isatty() and not os.environ.get("NO_COLOR"))


def _tell_faults(result: Result, arguments: argparse.Namespace) -> None:
    """Where the result goes into a file or is JSON, people still see what could not be read."""
    if arguments.format == "table" and not arguments.output:
        return
    for faults in result.faults:
        for sentence in faults.sentences():
            print(f"propolis: {sentence}", file=sys.stderr)

"""`propolis attack-coverage`: ATT&CK techniques that alerts name, how the playbooks answer, and a Navigator layer."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from playbook_service.attack.coverage import Answer, Coverage, answer_of
from playbook_service.attack.layer import About, layer
from playbook_service.attack.recorded import alerts, answers, merged
from playbook_service.attack.summary import HEAD, NO_REPORTS, closing, document, opening, rows
from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import opened, print_json, print_table
from playbook_service.commands.replay import SAMPLES, opened_input
from playbook_service.engine.draft import key_of
from playbook_service.export.target import whole_file
from playbook_service.parts import playbooks_of, policy_of
from playbook_service.playbook import MODES, SHIPPED, Playbooks, load
from playbook_service.replay.evidence import Evidence, read_evidence
from playbook_service.replay.fault import Faults
from playbook_service.replay.history import History, read_history
from playbook_service.replay.period import Period, moment
from playbook_service.replay.pipeline import Outcome, Setup
from playbook_service.replay.progress import Progress
from playbook_service.replay.run import run as run_alerts
from playbook_service.replay.source import Item, items
from playbook_service.replay.summary import Summary
from propolis.clock import Clock, SystemClock, utc_text
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy
from propolis.verdict import Options, load_sources

ROWS = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which alerts, which playbooks, and where the layer goes."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="alerts as `replay` reads them; - for stdin")
    parser.add_argument("--samples", action="store_true", help="the bundled samples, with their reports and policy")
    parser.add_argument("--store", action="store_true", help="the alerts in the service's store, and what it decided")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file of the service, for --store")
    parser.add_argument("--playbooks", metavar="DIR", help="the playbooks (default: the service's, or those that ship)")
    parser.add_argument("--reports", metavar="FILE", help="recorded analyzer jobs, as for `replay`")
    parser.add_argument("--policy", metavar="FILE", help="the guardrails' policy")
    parser.add_argument("--mode", choices=MODES, help="the service's mode (default: the service's, or enforce)")
    parser.add_argument("--since", metavar="WHEN", help="from this date, moment, or span back from now (30d) on")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write the Navigator layer (format 4.5) there")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the summary")


def run(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """0: done. 1: there was no alert, or lines could not be read.

    Raises ConfigurationError (2) for what is wrong with the arguments or the files they name.
    """
    clock = clock or SystemClock()
    if [bool(arguments.file), arguments.samples, arguments.store].count(True) != 1:
        raise ConfigurationError("name a file of alerts (- for standard input), or --samples, or --store: one of them.")
    start = moment(arguments.since, "--since", clock.now()) if arguments.since else None
    period = Period(start) if start is not None else None
    return (_of_store if arguments.store else _of_file)(arguments, period, clock)


def _of_file(arguments: argparse.Namespace, period: Period | None, clock: Clock) -> int:
    if [arguments.file, arguments.reports, arguments.policy].count("-") > 1:
        raise ConfigurationError("standard input (-) can be only one of the files.")
    name = "the bundled samples" if arguments.samples else str(arguments.file)
    side: list[Faults] = []
    setup = _setup(arguments, side)
    coverage, faults = Coverage(), Faults(name)
    file = str(SAMPLES / "alerts.jsonl") if arguments.samples else str(arguments.file)
    with opened_input(file) as stream, Progress(stream, sys.stderr, clock) as progress:
        summary = _count(items(stream), setup, faults, period, coverage, tick=progress.tick)
    return _tell(arguments, coverage, _about(name, setup, summary), [faults, *side])


def _of_store(arguments: argparse.Namespace, period: Period | None, clock: Clock) -> int:
    """With the service's own playbooks, what it decided counts too: it had the reports that a store does not keep."""
    with opened(arguments.config) as found:
        settings = found.settings
        policy = _policy(arguments.policy) if arguments.policy else policy_of(settings)()
        playbooks = load(arguments.playbooks) if arguments.playbooks else playbooks_of(settings)()
        setup = Setup(playbooks, policy, Evidence(), History(), ceiling=arguments.mode or str(settings["mode"]))
        recorded = {} if arguments.playbooks or arguments.mode else answers(found.store)
        coverage, faults = Coverage(), Faults("the store")
        with Progress(io.BytesIO(), sys.stderr, clock) as progress:
            summary = _count(alerts(found.store), setup, faults, period, coverage, recorded, progress.tick)
    return _tell(arguments, coverage, _about("the service's store", setup, summary), [faults])


def _count(
    found: Iterable[Item],
    setup: Setup,
    faults: Faults,
    period: Period | None,
    coverage: Coverage,
    recorded: dict[str, Answer] | None = None,
    tick: Callable[[int], None] | None = None,
) -> Summary:
    """Take every alert through the playbooks, and count its techniques."""

    def sink(_number: int, outcome: Outcome, _disposition: str) -> None:
        answer = answer_of(outcome, setup.playbooks)
        known = recorded.get(key_of(outcome.alert)) if recorded else None
        answer = merged(answer, known) if known else answer
        coverage.add(outcome.alert, answer, suppressed=bool(outcome.suppressed))

    return run_alerts(found, setup, faults, period=period, sink=sink, tick=tick)


def _setup(arguments: argparse.Namespace, side: list[Faults]) -> Setup:
    samples = SAMPLES if arguments.samples else None
    reports: str | None = arguments.reports or (str(samples / "reports.jsonl") if samples else None)
    policy: str | None = arguments.policy or (str(samples / "policy.yml") if samples else None)
    sources, evidence, history = load_sources(), Evidence(), History()
    if reports:
        side.append(Faults(reports))
        with opened_input(reports) as stream:
            evidence = read_evidence(stream, sources, side[-1])
    if samples:
        side.append(Faults("labels.jsonl"))
        with opened_input(str(samples / "labels.jsonl")) as stream:
            history = read_history(stream, side[-1])
    playbooks: Playbooks = load(arguments.playbooks or SHIPPED)
    mode = arguments.mode or "enforce"
    return Setup(playbooks, _policy(policy), evidence, history, Options(sources=sources), mode)


def _policy(name: str | None) -> Policy:
    if not name:
        return Policy.parse(None)
    with opened_input(name) as stream:
        try:
            return Policy.parse(stream.read().decode("utf-8"), source=Path(name).name)
        except UnicodeDecodeError:
            raise ConfigurationError("the policy is not UTF-8 text.", source=name) from None


def _about(name: str, setup: Setup, summary: Summary) -> About:
    first = utc_text(summary.first) if summary.first is not None else ""
    last = utc_text(summary.last) if summary.last is not None else ""
    return About(name, setup.playbooks.digest, setup.ceiling, first, last)


def _tell(arguments: argparse.Namespace, coverage: Coverage, about: About, faults: list[Faults]) -> int:
    if arguments.output is not None:
        with whole_file(arguments.output) as handle:
            json.dump(layer(coverage, about), handle, indent=1, ensure_ascii=True)
            handle.write("\n")
    if arguments.format == "json":
        print_json(document(coverage, about))
    else:
        _print(coverage, about, arguments.output, reports=bool(arguments.reports or not arguments.file))
    for fault in faults:
        for sentence in fault.sentences():
            print(f"propolis: {sentence}", file=sys.stderr)
    return DONE if coverage.alerts and not any(fault.count for fault in faults) else FINDINGS


def _print(coverage: Coverage, about: About, output: Path | None, *, reports: bool) -> None:
    for line in opening(coverage, about):
        print(line)
    print()
    ranked = coverage.ranked()
    print_table(HEAD, rows(ranked[:ROWS]), "No alert names a technique.")
    if len(ranked) > ROWS:
        print(f"... and {len(ranked) - ROWS} more; --format json and the layer have all")
    print()
    for line in closing(coverage):
        print(line)
    if coverage.techniques and not reports:
        print(NO_REPORTS)
    said = f"The layer is in {output}." if output else "--output layer.json writes the layer for the ATT&CK Navigator."
    print(said)

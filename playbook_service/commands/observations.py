"""`propolis observations`: what would have been done, how often it would have been right, and is promotion earned?"""

from __future__ import annotations

import argparse

from playbook_service.cli import DONE
from playbook_service.commands.opened import Opened, add_config, opened, print_json, print_table
from playbook_service.feedback import observation
from playbook_service.feedback.label import Judgements, lines
from playbook_service.feedback.observation import NEEDED, Observation, Score

_HEADS = ("playbook", "would", "right", "wrong", "unknown", "precision", "at least", "advice")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which playbook, and the form of the answer."""
    parser.add_argument("--playbook", metavar="NAME", help="only this one, with each of its observations")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigurationError without a data folder."""
    with opened(arguments.config) as data:
        return perform(arguments, data)


def perform(arguments: argparse.Namespace, data: Opened) -> int:
    """0."""
    with data.store.transaction() as work:
        found = observation.all_observations(work, Judgements(lines(work)))
    wanted = [entry for entry in found if arguments.playbook in (None, entry.held.playbook)]
    scored = observation.scores(wanted)
    if arguments.format == "json":
        listed = [_plain(entry) for entry in wanted] if arguments.playbook else None
        print_json({"scores": [_numbers(score) for score in scored], "needed": NEEDED, "observations": listed})
    else:
        _print(scored, wanted if arguments.playbook else [])
    return DONE


def _numbers(score: Score) -> dict[str, object]:
    precision = None if score.precision is None else round(score.precision, 4)
    more = {"precision": precision, "bound": round(score.bound, 4), "earned": score.earned, "advice": score.advice}
    return {**score._asdict(), **more}


def _plain(entry: Observation) -> dict[str, object]:
    return {**entry._asdict(), "held": entry.held._asdict()}


def _print(scored: list[Score], each: list[Observation]) -> None:
    if not scored:
        print("Nothing was held back by a mode yet: there is nothing to score.")
        return
    if each:
        heads = ("case", "result", "closed as", "would have", "target")
        print_table(heads, [_each_row(entry) for entry in each], "")
        print()
    print_table(_HEADS, [_row(score) for score in scored], "")
    print("right, wrong and unknown count cases; `at least` is the lower end of Wilson's 95 % interval.")


def _each_row(entry: Observation) -> tuple[str, ...]:
    case = str(entry.number or entry.case_id)
    return (
        case,
        entry.result,
        entry.resolution or "open",
        f"{entry.held.outcome} {entry.held.action}",
        entry.held.target,
    )


def _row(score: Score) -> tuple[str, ...]:
    precision = "-" if score.precision is None else f"{score.precision:.1%}"
    counts = (str(score.right), str(score.wrong), str(score.unknown))
    return (score.playbook, score.outcome, *counts, precision, f"{score.bound:.1%}", score.advice)

"""`propolis sources`: what labels taught of each source and why, how to reset one, and which seem to be copies."""

from __future__ import annotations

import argparse

from playbook_service.cli import DONE
from playbook_service.commands.opened import Opened, add_config, opened, operator, print_json, print_table, safe
from playbook_service.feedback import drift, learning
from playbook_service.feedback.label import Judgements, lines
from playbook_service.feedback.learning import Learned, Lesson, Reason
from playbook_service.replay.words import count
from propolis.clock import utc_text
from propolis.errors import ConfigurationError
from propolis.verdict.calibration import ENOUGH
from propolis.verdict.reliability import reliability
from propolis.verdict.report import LEVELS
from propolis.verdict.sources import shipped

ACTIONS = ("learned", "reset", "drift")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, with which source, and the form of the answer."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="learned", help="default: learned")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="a source; learned: show every label behind what is known of it"
    )
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigurationError without a data folder, and what `perform` raises."""
    with opened(arguments.config) as data:
        return perform(arguments, data)


def perform(arguments: argparse.Namespace, data: Opened) -> int:
    """0. Raises ConfigurationError where a name is needed, InputError for a source nothing was learned of."""
    if arguments.action == "reset" and not arguments.name:
        raise ConfigurationError("name the source: propolis sources reset NAME.")
    _ACTIONS[arguments.action](arguments, data)
    return DONE


def _learned(arguments: argparse.Namespace, data: Opened) -> None:
    now = data.clock.now()
    with data.store.transaction() as work:
        judgements = Judgements(lines(work))
    if arguments.name:
        _show_reasons(arguments, learning.reasons(judgements, arguments.name, now))
        return
    lesson = learning.learn(judgements, now)
    if arguments.format == "json":
        print_json(learning.plain(lesson))
        return
    if lesson.sources:
        heads = ("source", "grade", "labels", "malicious", "harmless", "weights of malicious/suspicious/safe/none")
        print_table(heads, [_row(entry) for _, entry in sorted(lesson.sources.items())], "")
    for sentence in summary(lesson):
        print(sentence)


def _row(entry: Learned) -> tuple[str, ...]:
    source = shipped().find(entry.source)
    malicious, benign = entry.mass
    counted = (str(entry.labels), f"{malicious:.1f}", f"{benign:.1f}")
    if source is None:
        return (entry.source, "-", *counted, "unrated: it weighs nothing until the item sources rates it")
    before, after = reliability(source.grade), reliability(source.grade, entry.counts)
    moved = (f"{before.weight[level]:+.2f} > {after.weight[level]:+.2f}" for level in LEVELS)
    return (entry.source, source.grade, *counted, ", ".join(moved))


def summary(lesson: Lesson) -> list[str]:
    """What was learned besides the sources, in sentences."""
    cases = f"{count(lesson.true, 'case')} closed TruePositive, {lesson.false} FalsePositive"
    prior = f"the base rate is {lesson.prior:.1%}" if lesson.prior is not None else "the base rate is the built-in one"
    if lesson.calibration is None:
        fitted = f"{lesson.decisions} of {ENOUGH} labelled verdicts for a calibration: a score is a score"
    else:
        slope, offset = lesson.calibration
        fitted = f"calibrated on {lesson.decisions} labelled verdicts: slope {slope:.2f}, offset {offset:+.2f}"
    return [f"{cases}: {prior}.", f"{fitted[0].upper()}{fitted[1:]}."]


def _show_reasons(arguments: argparse.Namespace, found: list[Reason]) -> None:
    if arguments.format == "json":
        print_json([reason._asdict() for reason in found])
        return
    if found:
        heads = ("closed", "case", "as", "by", "it said", "of", "which was", "counts")
        print_table(heads, [_reason_row(reason) for reason in found], "")
    print(safe(f"{count(len(found), 'label')} behind what is known of {arguments.name}."))


def _reason_row(reason: Reason) -> tuple[str, ...]:
    was = "malicious" if reason.malicious else "harmless"
    closing = (utc_text(reason.at), str(reason.case), reason.closed_as, reason.by)
    return (*closing, reason.word, f"{reason.data_type} {reason.data}", was, f"{reason.left:.2f}")


def _reset(arguments: argparse.Namespace, data: Opened) -> None:
    with data.store.transaction() as work:
        learning.reset(work, data.journal, arguments.name, operator(), data.clock.now())
    if arguments.format == "json":
        print_json({"reset": arguments.name})
        return
    print(safe(f"Reset: {arguments.name} is weighed by its grade alone again."))


def _drift(arguments: argparse.Namespace, data: Opened) -> None:
    with data.store.transaction() as work:
        found = drift.pairs(drift.spoken(work), shipped())
    if arguments.format == "json":
        print_json([{**pair._asdict(), "inside": pair.inside, "suggestion": pair.suggestion} for pair in found])
        return
    if found:
        heads = ("sources", "families", "both answered", "both positive", "phi")
        print_table(heads, [_pair_row(pair) for pair in found], "")
    for pair in found:
        if pair.suggestion:
            print(safe(f"{pair.suggestion}."))
    print(f"{count(len(found), 'pair')} with at least {drift.JOINT_HITS} joint hits; nothing is moved by itself.")


def _pair_row(pair: drift.Pair) -> tuple[str, ...]:
    families = f"both {pair.families[0]}" if pair.inside else " and ".join(pair.families)
    return (f"{pair.left}, {pair.right}", families, str(pair.seen), str(pair.both), f"{pair.phi:+.2f}")


_ACTIONS = {"learned": _learned, "reset": _reset, "drift": _drift}

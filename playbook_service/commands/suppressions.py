"""`propolis suppressions`: what false positives suppress, why, how to end it, and which rules are the noisiest."""

from __future__ import annotations

import argparse

from playbook_service.cli import DONE
from playbook_service.commands.opened import Opened, add_config, opened, operator, print_json, print_table, safe
from playbook_service.feedback import noise, register
from playbook_service.feedback.label import Judgements, lines
from playbook_service.feedback.register import Suppression
from playbook_service.feedback.suppression import CLOSURES
from playbook_service.replay.words import count
from propolis.clock import utc_text
from propolis.errors import ConfigurationError

ACTIONS = ("list", "explain", "clear", "noisiest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, on which key, and the form of the answer."""
    parser.add_argument("action", nargs="?", choices=ACTIONS, default="list", help="default: list")
    parser.add_argument("key", nargs="?", metavar="KEY", help="as the list shows it, or how it begins")
    parser.add_argument("--all", action="store_true", help="list what counts but does not suppress yet, too")
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """0. Raises ConfigurationError without a data folder, and what `perform` raises."""
    with opened(arguments.config) as data:
        return perform(arguments, data)


def perform(arguments: argparse.Namespace, data: Opened) -> int:
    """0. Raises ConfigurationError where a key is needed, InputError for one that is not there."""
    if arguments.action in ("explain", "clear") and not arguments.key:
        raise ConfigurationError(f"name the key: propolis suppressions {arguments.action} KEY.")
    _ACTIONS[arguments.action](arguments, data)
    return DONE


def _list(arguments: argparse.Namespace, data: Opened) -> None:
    with data.store.transaction() as work:
        found = register.listed(work, data.clock.now())
    shown = [entry for entry in found if entry.suppresses or arguments.all]
    if arguments.format == "json":
        print_json([entry._asdict() for entry in shown])
        return
    if shown:
        heads = ("key", "source", "rule", "observable", "closed", "suppresses until")
        print_table(heads, [_row(entry) for entry in shown], "")
    suppressing = sum(entry.suppresses for entry in found)
    print(f"{suppressing} suppress, {len(found) - suppressing} count but do not suppress yet ({CLOSURES} are needed).")


def _row(entry: Suppression) -> tuple[str, ...]:
    observable = f"{entry.data_type} {entry.data}"
    until = utc_text(entry.until) if entry.until is not None else "-"
    return (entry.key, entry.source, entry.rule_id, observable, str(entry.standing), until)


def _explain(arguments: argparse.Namespace, data: Opened) -> None:
    with data.store.transaction() as work:
        entry = register.explained(work, arguments.key, data.clock.now())
    if arguments.format == "json":
        print_json(entry._asdict())
        return
    for sentence in explanation(entry):
        print(safe(sentence))


def explanation(entry: Suppression) -> list[str]:
    """Who closed what when, and what follows."""
    told = [(closure["at"], _closing_text(closure)) for closure in entry.closures]
    told += [(cleared["at"], f"  {utc_text(cleared['at'])}  cleared by {cleared['by']}") for cleared in entry.cleared]
    head = f"{entry.data_type} {entry.data} under rule {entry.rule_id} of {entry.source}:"
    if entry.until is not None:
        end = (
            f"{entry.standing} closings count: it is suppressed until {utc_text(entry.until)}, if nothing more happens."
        )
    else:
        end = f"{entry.standing} of the {CLOSURES} closings that suppress count at this moment."
    return [head, *(text for _, text in sorted(told)), end]


def _closing_text(closure: dict[str, object]) -> str:
    at = float(str(closure["at"]))
    return f"  {utc_text(at)}  case {closure['number']} closed as {closure['resolution']} by {closure['by']}"


def _clear(arguments: argparse.Namespace, data: Opened) -> None:
    with data.store.transaction() as work:
        entry = register.clear(work, data.journal, arguments.key, operator(), data.clock.now())
    if arguments.format == "json":
        print_json(entry._asdict())
        return
    print(safe(f"Cleared: {entry.data_type} {entry.data} under rule {entry.rule_id} of {entry.source} counts from 0."))


def _noisiest(arguments: argparse.Namespace, data: Opened) -> None:
    now = data.clock.now()
    with data.store.transaction() as work:
        closings = [closing for _, closing in Judgements(lines(work)).closings.values()]
        found = noise.noisiest(closings, noise.suppressed_alerts(work, now), now)
    if arguments.format == "json":
        print_json([{**entry._asdict(), "share": round(entry.share, 4)} for entry in found])
        return
    heads = ("source", "rule", "false positive", "true positive", "false share", "alerts suppressed")
    if found:
        print_table(heads, [_noise_row(entry) for entry in found], "")
    rules = count(len(found), "rule")
    print(f"{rules} with false positives or suppressed alerts in the last 30 days; the columns count cases.")


def _noise_row(entry: noise.Noise) -> tuple[str, ...]:
    return (
        entry.source, entry.rule_id, str(entry.false), str(entry.true), f"{entry.share:.0%}", str(entry.suppressed)
    )  # fmt: skip


_ACTIONS = {"list": _list, "explain": _explain, "clear": _clear, "noisiest": _noisiest}

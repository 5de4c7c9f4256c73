"""`propolis leases`: what is contained now, until when and why; release it early, or have it last longer."""

from __future__ import annotations

import argparse

from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import Opened, add_config, opened, operator, print_json, print_table, safe
from playbook_service.engine import lease, renewal
from playbook_service.engine.document import lease_document
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.clock import utc_text
from propolis.duration import duration_text, parse_duration
from propolis.errors import InputError

_STATES = (lease.WISHED, lease.ACTIVE, lease.DOUBTFUL, lease.RELEASING)
_OVER = (lease.ENDED, lease.REFUSED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """list (also without a word), show, release, renew."""
    add_config(parser)
    parser.add_argument("action", nargs="?", choices=("list", "show", "release", "renew"), default="list")
    parser.add_argument("lease", nargs="*", help="ids of leases, or their beginnings")
    parser.add_argument("--case", metavar="ID", help="list: only those of a case, by its id (~123)")
    parser.add_argument("--all", action="store_true", help="list: also those that have ended")
    parser.add_argument("--for", dest="span", metavar="SPAN", help="renew: how much longer, such as 4h or 2d")
    parser.add_argument("--permanent", action="store_true", help="renew: until somebody releases it")


def run(arguments: argparse.Namespace) -> int:
    """0: done. 1: a lease was not in force. Raises InputError (2) for a lease that is not known."""
    with opened(arguments.config) as found:
        return _ACTIONS[arguments.action](found, arguments)


def _list(found: Opened, arguments: argparse.Namespace) -> int:
    states = (*_STATES, *_OVER) if arguments.all else _STATES
    with found.store.transaction() as work:
        records = [one for state in states for one in work.find(lease.KIND, Filter(state=state, ref=arguments.case))]
    records.sort(key=lambda record: float(record.body["until"] or 0))
    now = found.clock.now()
    if arguments.format == "json":
        print_json({"leases": [lease_document(record, now) for record in records]})
    else:
        head = ("LEASE", "RESPONDER", "TARGET", "CASE", "STATE", "ENDS IN", "BY")
        print_table(head, [_row(record, now) for record in records], "Nothing is contained.")
    return DONE


def _show(found: Opened, arguments: argparse.Namespace) -> int:
    with found.store.transaction() as work:
        records = [_one(work, key) for key in _named(arguments)]
    now = found.clock.now()
    documents = [lease_document(record, now) for record in records]
    if arguments.format == "json":
        print_json({"leases": documents})
    else:
        for document in documents:
            print(
                "\n".join(
                    f"{name:10} {safe(str(value))}" for name, value in document.items() if value not in ("", None)
                )
            )
            print()
    return DONE


def _release(found: Opened, arguments: argparse.Namespace) -> int:
    results = {}
    with found.store.transaction() as work:
        for key in [_one(work, key).key for key in _named(arguments)]:
            results[key] = lease.end(work, found.tools(), key, operator())
    _say(arguments, {key: "is being released" if done else "is not in force" for key, done in results.items()})
    return DONE if all(results.values()) else FINDINGS


def _renew(found: Opened, arguments: argparse.Namespace) -> int:
    if bool(arguments.span) == arguments.permanent:
        raise InputError("Say how long: `--for 4h`, or `--permanent`.")
    seconds = parse_duration(arguments.span) if arguments.span else 0
    said = {}
    with found.store.transaction() as work:
        for key in [_one(work, key).key for key in _named(arguments)]:
            if arguments.permanent:
                renewal.make_permanent(work, found.tools(), key, operator())
                said[key] = "is permanent"
            else:
                end = renewal.renew(work, found.tools(), key, seconds, operator())
                said[key] = f"is to last until {utc_text(end)}"
    _say(arguments, said)
    return DONE


_ACTIONS = {"list": _list, "show": _show, "release": _release, "renew": _renew}


def _say(arguments: argparse.Namespace, said: dict[str, str]) -> None:
    if arguments.format == "json":
        print_json(said)
    else:
        for key, what in said.items():
            print(f"{key} {what}.")


def _named(arguments: argparse.Namespace) -> list[str]:
    if not arguments.lease:
        raise InputError("Name a lease; `propolis leases` lists them.")
    return list(dict.fromkeys(arguments.lease))


def _one(work: Transaction, key: str) -> Record:
    record = work.get(lease.KIND, key)
    if record is not None:
        return record
    found = [one for state in _STATES for one in work.find(lease.KIND, Filter(state=state)) if one.key.startswith(key)]
    if len(found) != 1:
        what = f"{len(found)} leases in force begin" if found else "No lease is, or in force begins,"
        raise InputError(f"{what} with {key!r}; `propolis leases` lists them.")
    return found[0]


def _row(record: Record, now: float) -> tuple[str, ...]:
    grant, until = lease.Grant(**record.body["grant"]), record.body["until"]
    left = "never" if record.body.get("permanent") else duration_text(float(until) - now) if until else ""
    return (record.key, grant.responder, grant.target, grant.case_id, record.state, left, grant.by)

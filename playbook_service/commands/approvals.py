"""`propolis approvals`: what waits for an analyst's answer, and answering it.

Whoever answers proves who they are by their own TheHive key, which is checked with TheHive and kept nowhere; the same
rules hold as for an answer in TheHive, and are applied by the service.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path

from playbook_service.cli import DONE
from playbook_service.commands.opened import Opened, add_config, opened, print_json, print_table, safe
from playbook_service.engine import approval, lease
from playbook_service.engine.document import approval_document
from playbook_service.hive.discovery import connect
from playbook_service.hive.model import Me
from playbook_service.parts import connect_hive
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.duration import duration_text
from propolis.errors import ConfigurationError, InputError

KEY_VARIABLE = "PROPOLIS_ANSWER_KEY"
_OPEN = (approval.ASKED, approval.WAITING)
_CLOSED = (approval.GRANTED, approval.DENIED, approval.EXPIRED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """list (also without a word), show, grant, deny."""
    add_config(parser)
    parser.add_argument("action", nargs="?", choices=("list", "show", "grant", "deny"), default="list")
    parser.add_argument("approval", nargs="?", help="id of an approval, or its beginning")
    parser.add_argument("--case", metavar="ID", help="list: only those of a case, by its id (~123)")
    parser.add_argument("--all", action="store_true", help="list: also those that were answered or lapsed")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE",
        help=f"grant, deny: file with your own TheHive API key (default: {KEY_VARIABLE}, else you are asked for it)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """0: done. An answer that cannot count raises InputError (2) with the reason."""
    with opened(arguments.config) as found:
        if arguments.action == "list":
            return _list(found, arguments)
        with found.store.transaction() as work:
            record = _one(work, arguments.approval)
        if arguments.action == "show":
            return _show(found, record, arguments)
        return _answer(found, record, arguments)


def _list(found: Opened, arguments: argparse.Namespace) -> int:
    states = (*_OPEN, *_CLOSED) if arguments.all else _OPEN
    with found.store.transaction() as work:
        records = [one for state in states for one in work.find(approval.KIND, Filter(state=state, ref=arguments.case))]
    records.sort(key=lambda record: float(record.body["expires"]))
    now = found.clock.now()
    if arguments.format == "json":
        print_json({"approvals": [approval_document(record) for record in records]})
    else:
        head = ("APPROVAL", "RESPONDER", "TARGET", "FOR", "CASE", "STATE", "LAPSES IN")
        print_table(head, [_row(record, now) for record in records], "Nothing waits for an answer.")
    return DONE


def _show(found: Opened, record: Record, arguments: argparse.Namespace) -> int:
    if arguments.format == "json":
        print_json(approval_document(record))
        return DONE
    grant = lease.Grant(**record.body["grant"])
    print(f"{record.key}  {record.state}  case {safe(grant.case_id)}\n")
    text = approval.text(record, grant, 1, int(record.body["needed"]))
    print("\n".join(safe(line) for line in text.splitlines()))
    for login, word in record.body.get("given", []):
        print(f"\nanswered by {safe(login)}: {word}")
    if record.body["why"]:
        print(f"\n{safe(record.body['why'])}")
    return DONE


def _answer(found: Opened, record: Record, arguments: argparse.Namespace) -> int:
    word = approval.GRANTED if arguments.action == "grant" else approval.DENIED
    me, account = _who(found, _key(arguments))
    actor = me.login
    with found.store.transaction() as work:
        approval.give(work, found.tools(account), record.key, actor, word, me.profile)
    if arguments.format == "json":
        print_json({"approval": record.key, "by": actor, "answer": word})
    else:
        print(f"{record.key} {word} by {safe(actor)}; the service checks everything again and then acts on it.")
    return DONE


def _key(arguments: argparse.Namespace) -> str:
    """The answerer's key: never from the command line, where everybody on the machine could read it."""
    if arguments.key_file is not None:
        try:
            text: str = arguments.key_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot be read: {error}.", source=str(arguments.key_file)) from None
    else:
        text = os.environ.get(KEY_VARIABLE) or (getpass.getpass("Your TheHive API key: ") if sys.stdin.isatty() else "")
    if not text.strip():
        raise ConfigurationError(f"Your own TheHive API key is needed: set {KEY_VARIABLE}, or give --key-file.")
    return text.strip()


def _who(found: Opened, key: str) -> tuple[Me, str]:
    """The answerer, and the login of the service. Raises HttpError for a key that TheHive does not know."""
    settings = found.settings
    if settings["thehive_key"]:
        hive = connect_hive(settings, found.clock)
        return hive.whose(key), hive.me().login
    if not settings["thehive_url"]:
        raise ConfigurationError("TheHive's address is missing: set thehive_url.")
    organisations, authority = settings["thehive_organisations"], settings["thehive_ca_file"] or None
    organisation = organisations[0] if organisations else ""
    own = connect(settings["thehive_url"], key, organisation=organisation, ca_file=authority, clock=found.clock)
    return own.me(), ""


def _one(work: Transaction, key: str | None) -> Record:
    if not key:
        raise InputError("Name an approval; `propolis approvals` lists them.")
    record = work.get(approval.KIND, key)
    if record is not None:
        return record
    found = [one for one in approval.waiting(work) if one.key.startswith(key)]
    if len(found) != 1:
        what = f"{len(found)} open approvals begin" if found else "No approval is, or while open begins,"
        raise InputError(f"{what} with {key!r}; `propolis approvals` lists them.")
    return found[0]


def _row(record: Record, now: float) -> tuple[str, ...]:
    grant = lease.Grant(**record.body["grant"])
    left = duration_text(float(record.body["expires"]) - now) if record.state in _OPEN else ""
    return (
        record.key, grant.responder, grant.target, duration_text(grant.seconds), grant.case_id, record.state, left
    )  # fmt: skip

"""`propolis backends`: what the responders can work with, its rights, items, end and undo, and how it was tested."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from playbook_service.cli import DONE
from playbook_service.commands.opened import print_json, print_table
from propolis.containment.registry import Item, Row, responders
from propolis.containment.registry.row import TESTED
from propolis.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which one, and the form of the answer."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="one backend, with its rights and configuration items")
    parser.add_argument("--format", choices=("table", "json"), default="table")


def run(arguments: argparse.Namespace) -> int:
    """0. Raises InputError for a name that no responder has."""
    rows = [row for responder in responders() for row in responder.rows]
    chosen = [row for row in rows if arguments.name in (None, row.name)]
    if not chosen:
        known = ", ".join(sorted({row.name for row in rows}))
        raise InputError(f"There is no backend {arguments.name}; there are {known}.")
    if arguments.format == "json":
        print_json([asdict(row) for row in chosen])
    elif arguments.name:
        _show(chosen)
    else:
        heads = ("responder", "backend", "contains", "ends by itself", "mark", "tested", "product")
        print_table(heads, [_line(row) for row in chosen], "")
    return DONE


def _line(row: Row) -> tuple[str, ...]:
    tested = "untested on product" if row.tested == "documentation" else row.tested
    return (
        row.responder, row.name, ", ".join(row.kinds), _yes(row.expires), _yes(row.marks), tested, row.product,
    )  # fmt: skip


def _show(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row.responder}: {row.name} - {row.product}")
        print(f"  contains        {', '.join(row.kinds)}")
        print(f"  ends by itself  {_yes(row.expires)}")
        print(f"  carries a mark  {_yes(row.marks)}")
        print(f"  undo            {row.undo}")
        print(f"  rights          {row.rights}")
        print(f"  tested          {TESTED[row.tested].replace('*', '')}: {row.how}")
        print(f"  set-up          {row.doc}")
        for item in row.items:
            print(f"  item            {_item(item)}")


def _item(item: Item) -> str:
    kind = f"{item.type}, a list" if item.multi else item.type
    default = "" if item.default is None else f", default {item.default}"
    return f"{item.name} ({kind}{', secret' if item.secret else ''}{default}): {item.description}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"

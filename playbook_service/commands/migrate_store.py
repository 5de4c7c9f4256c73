"""`propolis migrate-store`: move everything the service keeps from SQLite to PostgreSQL, verified, or nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playbook_service.cli import DONE
from playbook_service.commands.opened import add_config, print_json
from playbook_service.settings import load
from propolis.clock import SystemClock
from propolis.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From where, and where to."""
    add_config(parser)
    parser.add_argument(
        "--from", dest="source", choices=("sqlite",), default="sqlite", help="the store in data_dir (default)"
    )
    parser.add_argument(
        "--to", metavar="URL",
        help="postgresql://user:password@host:5432/database, empty (default: the setting `store`, which keeps the "
        "password out of the list of processes)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """0: moved. Raises PropolisError (2) where it cannot be moved; then nothing was changed."""
    settings, clock = load(file=arguments.config), SystemClock()
    url = arguments.to or settings["store"]
    if url in ("", "sqlite"):
        raise ConfigurationError(
            "Say where to move it: --to postgresql://user:password@host:5432/database, or `store`."
        )
    from playbook_service.store.migrate import migrate  # needs the extra
    from playbook_service.store.postgres import PostgresStore

    target = PostgresStore(url, clock)
    try:
        moved = migrate(Path(settings["data_dir"]), target, clock, _tell)
    finally:
        target.close()
    if arguments.format == "json":
        print_json({**moved._asdict(), "to": target.name})
        return DONE
    done = "was there already, whole" if moved.already else "moved and compared row by row"
    print(", ".join(f"{count:,} rows of {table}" for table, count in moved.counts.items()) + f": {done}.")
    print(f"The audit chain is sound: {moved.audit_lines:,} lines, head {moved.head or 'none'}.")
    print(f"Now set `store` to {target.name} (with user and password) on every node, and start them.")
    return DONE


def _tell(table: str, number: int, total: int) -> None:
    """Progress, for whoever watches."""
    end = "\n" if number == total or not sys.stderr.isatty() else "\r"
    print(f"{table}: {number:,} of {total:,}", end=end, file=sys.stderr, flush=True)

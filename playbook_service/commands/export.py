"""`propolis export`: what the store holds, as bulk NDJSON for Elasticsearch, OpenSearch and what reads them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from playbook_service.cli import DONE
from playbook_service.commands.opened import opened
from playbook_service.export.elastic import prefix, span, write
from playbook_service.export.progress import Counted
from playbook_service.export.target import whole_file
from playbook_service.replay.period import moment
from propolis.clock import Clock, SystemClock, utc_text
from propolis.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The form, what of it, and where it goes."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: propolis.yml, if there)")
    parser.add_argument("--elastic", action="store_true", help="bulk NDJSON for Elasticsearch and OpenSearch")
    parser.add_argument("--format", choices=("ndjson",), default="ndjson", help="of the export (default: ndjson)")
    parser.add_argument("--since", metavar="WHEN", help="only what changed from this date, moment, or span (30d) on")
    parser.add_argument("--after", metavar="N", type=int, default=0, help="only what changed after this audit line")
    parser.add_argument("--index", metavar="NAME", default="propolis", help="how the indices' names begin")
    parser.add_argument("--output", metavar="FILE", type=Path, help="where to (default: standard output)")


def run(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """0: done. Raises ConfigurationError (2) for arguments that do not fit, and where there is no data folder."""
    clock = clock or SystemClock()
    if not arguments.elastic:
        raise ConfigurationError("say what for: --elastic is the only form there is.", source="export")
    if arguments.after < 0:
        raise ConfigurationError("an audit line's number is 1 or more.", source="--after")
    beginning = prefix(arguments.index)
    since = moment(arguments.since, "--since", clock.now()) if arguments.since else None
    with opened(arguments.config) as found:
        wanted = span(found.store, since=since, after=arguments.after)
        with whole_file(arguments.output) as target, Counted(sys.stderr, clock) as progress:
            counts = write(found.store, wanted, beginning, target, progress.tick)
    listed = ", ".join(f"{beginning}-{index} {count:,}" for index, count in counts.items())
    from_when = f" changed since {utc_text(wanted.since)}" if wanted.since is not None else ""
    print(f"{sum(counts.values()):,} documents{from_when}: {listed}", file=sys.stderr)
    print(f"The next export may begin with --after {wanted.upto}.", file=sys.stderr)
    return DONE

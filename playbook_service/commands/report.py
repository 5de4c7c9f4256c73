"""`propolis report`: how a period went, for management; or the whole story of one case, for the review after it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import Opened, opened
from playbook_service.parts import connect_hive
from playbook_service.replay.period import moment
from playbook_service.reports.attach import attach, link_of, report_name
from playbook_service.reports.document import document
from playbook_service.reports.figures import Figures
from playbook_service.reports.gather import Scope, Tick, gather
from playbook_service.reports.incident import find_case, incident
from playbook_service.reports.incident_markdown import incident_markdown
from playbook_service.reports.incident_model import Incident
from playbook_service.reports.incident_page import incident_html
from playbook_service.reports.page import page
from playbook_service.reports.savings import WORKS, read_minutes
from propolis.errors import ConfigurationError

_FORMATS = ("html", "json", "markdown")
_SUFFIX = {"html": "html", "json": "json", "markdown": "md"}
_MONTH = "30d"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which period or case, in which form, and where to."""
    assumed = ", ".join(f"{name}={work.minutes:g}" for name, work in WORKS.items())
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: propolis.yml if there)")
    parser.add_argument(
        "--since", metavar="WHEN", help=f"from this date, moment, or span back from now on (default: {_MONTH})"
    )
    parser.add_argument("--until", metavar="WHEN", help="before this date, moment, or span back from now")
    parser.add_argument("--case", metavar="CASE", help="one case instead: its number (128) or its id (~41259592)")
    parser.add_argument(
        "--attach", action="store_true", help="with --case: also hang the report on the case in TheHive"
    )
    parser.add_argument("--format", choices=_FORMATS, default="html", help="default: html; markdown only with --case")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write there instead of to standard output")
    parser.add_argument(
        "--minutes", metavar="STEP=N", action="append", default=[],
        help=f"minutes of work by hand that a step is assumed to save; repeatable (default: {assumed})",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """0: done. 1: the audit chain of the period is not sound. Raises PropolisError (2) for what cannot be done."""
    _check(arguments)
    with opened(arguments.config) as data:
        return _case(arguments, data) if arguments.case else _period(arguments, data)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.case and (arguments.since or arguments.until or arguments.minutes):
        raise ConfigurationError("--case tells the whole of a case: leave --since, --until and --minutes out.")
    if not arguments.case and arguments.attach:
        raise ConfigurationError("--attach hangs the report of a case on it: say which with --case.")
    if not arguments.case and arguments.format == "markdown":
        raise ConfigurationError("a period is told as html or json; markdown is for one case (--case).")


# a period -----------------------------------------------------------------------------------------------------------


def _period(arguments: argparse.Namespace, data: Opened) -> int:
    now = data.clock.now()
    start = moment(arguments.since or _MONTH, "--since", now)
    end = min(moment(arguments.until, "--until", now), now) if arguments.until else now
    if start >= end:
        raise ConfigurationError("--since must lie before --until, and before now: there is no period between them.")
    scope = Scope(start, end, read_minutes(arguments.minutes), float(data.settings["retention"]))
    with _progress() as tick:
        found = gather(data.store, scope, now, tick)
    _write(arguments.output, page(found) if arguments.format == "html" else _json(document(found)))
    return _sound(found)


def _sound(found: Figures) -> int:
    if not found.chain.findings:
        return DONE
    several = len(found.chain.findings) + found.chain.more
    print(f"propolis: the audit chain of this period is NOT sound: {several:,} findings; run `propolis audit verify`.",
          file=sys.stderr)  # fmt: skip
    return FINDINGS


@contextmanager
def _progress() -> Iterator[Tick]:
    """How many lines were read, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    yield lambda number: print(f"\r{number:,} audit lines read", end="", file=sys.stderr, flush=True)
    print("\r\x1b[K", end="", file=sys.stderr)


# a case -------------------------------------------------------------------------------------------------------------


def _case(arguments: argparse.Namespace, data: Opened) -> int:
    now = data.clock.now()
    with data.store.reading() as work:
        found = incident(work, find_case(work, arguments.case), now)
    text = _told(found, arguments.format)
    if arguments.output or not arguments.attach:
        _write(arguments.output, text)
    if arguments.attach:
        print(_attached(data, found, text, arguments.format), file=sys.stderr if arguments.output else sys.stdout)
    return DONE


def _told(found: Incident, form: str) -> str:
    return {"html": incident_html, "markdown": incident_markdown}.get(form, lambda one: _json(one.to_dict()))(found)


def _attached(data: Opened, found: Incident, text: str, form: str) -> str:
    name = report_name(found.name, found.made_at, _SUFFIX[form])
    hive = connect_hive(data.settings, data.clock)
    try:
        link = link_of(data.settings, hive.major, data.clock)
        try:
            return f"{found.name}: {attach(hive, link, found.case_id, name, text.encode('utf-8', 'replace'))}."
        finally:
            link.client.close()
    finally:
        hive.close()


# out ----------------------------------------------------------------------------------------------------------------


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _write(path: Path | None, text: str) -> None:
    """To a file that only its owner may read, whole or not at all; or to standard output."""
    if path is None:
        _print(sys.stdout, text)
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as handle:
            handle.write(text)
        partial.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}.", source=str(path)) from None
    print(f"written to {path}", file=sys.stderr)


def _print(stream: TextIO, text: str) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    stream.write(text)

"""`propolis follow`: hand every line of Wazuh's alerts.json to the service, whatever happens in between."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import print_json
from playbook_service.follow.checkpoint import DIGESTED, Counts, StateFolder
from playbook_service.follow.follower import Follower, Pace
from playbook_service.follow.sender import Sender
from playbook_service.follow.sieve import Sieve, ranges, words
from playbook_service.follow.tell import Teller
from playbook_service.settings.value import READERS
from propolis.clock import Clock, SystemClock
from propolis.errors import ConfigurationError
from propolis.http import Client, session

VARIABLE = "PROPOLIS_WEBHOOK_TOKEN"
_HOOK = "/hooks/wazuh"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to follow, whereto, and which of its lines."""
    parser.add_argument("file", metavar="FILE", type=Path, help="such as /var/ossec/logs/alerts/alerts.json")
    parser.add_argument("--to", required=True, metavar="URL", help="the service: https://propolis.example.org:8080")
    parser.add_argument(
        "--key-file", metavar="FILE", type=Path,
        help=f"file with the webhook token (default: {VARIABLE} or the file that {VARIABLE}_FILE names)",
    )  # fmt: skip
    parser.add_argument("--ca-file", metavar="FILE", type=Path, help="CA that signed the service's certificate")
    parser.add_argument(
        "--state", metavar="DIR", type=Path, default=Path("propolis-follow"),
        help="folder of the checkpoint and of lines set aside (default: propolis-follow)",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="begin", choices=("start", "end"), default="end",
        help="where to begin while there is no checkpoint (default: end, only what comes from now on)",
    )  # fmt: skip
    parser.add_argument("--level", type=int, metavar="N", help="send alerts of this level and above")
    parser.add_argument(
        "--rule", action="append", default=[], metavar="ID",
        help="send alerts of this rule, whatever their level: 5710, 100100-100199",
    )  # fmt: skip
    parser.add_argument(
        "--group", action="append", default=[], metavar="NAME", help="send alerts of this group, whatever their level"
    )
    parser.add_argument(
        "--exclude-rule", action="append", default=[], metavar="ID", help="never send alerts of this rule"
    )
    parser.add_argument(
        "--exclude-group", action="append", default=[], metavar="NAME", help="never send alerts of this group"
    )
    parser.add_argument("--max-line", default="256k", metavar="SIZE", help="longest line to read (default: 256k)")
    parser.add_argument("--once", action="store_true", help="send what is there, and end")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the summary at the end")


def run(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """0: ended as asked. 1: lines were set aside. Raises ConfigurationError (exit code 2)."""
    clock = clock or SystemClock()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    file = Path(os.path.abspath(arguments.file))
    if not file.parent.is_dir():
        raise ConfigurationError(f"there is no folder {file.parent}: name the alerts.json to follow.", path="FILE")
    sieve, pace = _sieve(arguments), Pace(longest=_longest(arguments.max_line))
    state = StateFolder(arguments.state, file)
    with _client(arguments, os.environ, clock) as client, state.held(), Teller(sys.stderr, clock) as teller:
        sender = Sender(client, _path(arguments.to), clock, stop.is_set, teller.waiting)
        sender.greet()
        follower = Follower(
            file, state, sieve, sender, clock, pace=pace, stopping=stop.is_set, tick=teller.tick
        )  # fmt: skip
        try:
            counts = follower.run(from_start=arguments.begin == "start", once=arguments.once)
        except OSError as error:
            raise ConfigurationError(_trouble(error, file)) from None
    _tell(counts, state, arguments.format)
    return FINDINGS if counts.set_aside else DONE


def _sieve(arguments: argparse.Namespace) -> Sieve:
    return Sieve(
        arguments.level,
        ranges(arguments.rule, "--rule"),
        words(arguments.group),
        ranges(arguments.exclude_rule, "--exclude-rule"),
        words(arguments.exclude_group),
    )


def _longest(text: str) -> int:
    try:
        size: int = READERS["size"](text)
    except ValueError as error:
        raise ConfigurationError(f"{error}.", path="--max-line") from None
    if size < DIGESTED:
        raise ConfigurationError("must be at least 64k: Wazuh writes lines of that size.", path="--max-line")
    return size


def _client(arguments: argparse.Namespace, environment: Mapping[str, str], clock: Clock) -> Client:
    key = _key(arguments.key_file, environment)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    parts = urlsplit(arguments.to)
    base = f"{parts.scheme}://{parts.netloc}" if parts.scheme and not (parts.query or parts.fragment) else arguments.to
    return session(base, headers=headers, ca_file=arguments.ca_file, clock=clock, retries=0, secrets=[key], name="--to")


def _key(file: Path | None, environment: Mapping[str, str]) -> str:
    """The token; of several (as the service's own file may hold while they are changed) the first."""
    text = environment.get(VARIABLE, "")
    named = file or (Path(environment[f"{VARIABLE}_FILE"]) if environment.get(f"{VARIABLE}_FILE") else None)
    if named is not None and (file or not text):
        try:
            text = named.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigurationError(f"the key cannot be read: {reason}.", source=str(named)) from None
    return text.split(",")[0].strip()


def _path(url: str) -> str:
    path = urlsplit(url).path
    return path if path.strip("/") else _HOOK


def _trouble(error: OSError, file: Path) -> str:
    where = error.filename or file
    return f"{where} cannot be used: {error.strerror or error}. Nothing is lost; put it right and start again."


def _tell(counts: Counts, state: StateFolder, form: str) -> None:
    if form == "json":
        loaded = state.load()
        place = asdict(loaded[0]) if loaded else {}
        print_json({**asdict(counts), "checkpoint": place, "set_aside_file": str(state.folder / "set-aside.jsonl")})
        return
    known = f" ({counts.known:,} of them known already)" if counts.known else ""
    print(f"{counts.sent:,} sent{known}, {counts.filtered:,} filtered, {counts.set_aside:,} set aside")
    if counts.set_aside:
        print(f"what was set aside, and why: {state.folder / 'set-aside.jsonl'}")

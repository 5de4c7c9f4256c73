"""`propolis serve`: the service itself, until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from playbook_service.logs.setup import configure
from playbook_service.parts import check_exposure
from playbook_service.service import Service
from playbook_service.settings import Settings, load
from propolis.clock import SystemClock

_LOG = logging.getLogger("propolis.service")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: propolis.yml, if it is there)"
    )
    parser.add_argument("--verbose", action="store_true", help="log every request and step, as log_level: debug")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; what is in hand is finished first."""
    settings = load(file=arguments.config)
    check_exposure(settings)
    configure(settings, verbose=arguments.verbose)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service = Service(settings, SystemClock())
    service.start()
    host = settings["listen"][0]
    _say(settings, f"propolis listens on {host}:{service.port}, mode {settings['mode']}")
    if not settings["webhook_token"]:
        _say(settings, "no webhook_token is set: only this machine may send webhooks")
    stop.wait()
    service.stop()
    return 0


def _say(settings: Settings, text: str) -> None:
    """To whoever started it, at any `log_level`; where the log is JSON, nothing else may stand between its lines."""
    if settings["log_format"] == "json":
        _LOG.info("%s", text)
    else:
        print(text, file=sys.stderr, flush=True)

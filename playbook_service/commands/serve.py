"""`propolis serve`: the service itself, until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from playbook_service.parts import check_exposure
from playbook_service.service import Service
from playbook_service.settings import load
from propolis.clock import SystemClock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings file (default: propolis.yml, if it is there)"
    )
    parser.add_argument("--verbose", action="store_true", help="log every request and step")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; what is in hand is finished first."""
    settings = load(file=arguments.config)
    check_exposure(settings)
    level = logging.DEBUG if arguments.verbose else logging.INFO
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service = Service(settings, SystemClock())
    service.start()
    host = settings["listen"][0]
    print(f"propolis listens on {host}:{service.port}, mode {settings['mode']}", file=sys.stderr, flush=True)
    if not settings["webhook_token"]:
        print("no webhook_token is set: only this machine may send webhooks", file=sys.stderr, flush=True)
    stop.wait()
    service.stop()
    return 0

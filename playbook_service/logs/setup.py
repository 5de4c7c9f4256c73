"""Where the log goes, in which form, and how much of it."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, TextIO

from playbook_service.logs.lines import JsonLines, TextLines, secrets_of
from playbook_service.settings import Settings

_LOG = logging.getLogger("propolis.service")


def configure(settings: Settings, *, verbose: bool = False, stream: TextIO | None = None) -> None:
    """Have everything logged to standard error (or a stream), as `log_format` and `log_level` say.

    `verbose` is `log_level: debug`. Warnings of libraries and errors that end a thread become lines too.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    form = JsonLines if settings["log_format"] == "json" else TextLines
    handler.setFormatter(form(secrets_of(settings)))
    root = logging.root
    root.handlers[:] = [handler]
    root.setLevel("DEBUG" if verbose else settings["log_level"].upper())
    logging.captureWarnings(True)
    threading.excepthook = _thread_died


def _thread_died(what: Any) -> None:
    name = what.thread.name if what.thread is not None else "a thread"
    _LOG.error("%s ended with an error", name, exc_info=(what.exc_type, what.exc_value, what.exc_traceback))

"""One change at a product that talks HTTP: repeated only where the server says that it did nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.errors import ConfigurationError
from propolis.http import HttpError, Requester, Response

_TRIES = 3
_LONGEST_WAIT = 20.0  # seconds that a server may make a change wait
_LOCAL = re.compile(r"http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?(/|$)")


class AnswerLost(BackendError):
    """A change was sent and no proper answer came: it may have been made, so look before anything else."""


def change(api: Requester, clock: Clock, method: str, path: str, **options: Any) -> Response:
    """Make a change once. Raises AnswerLost where it may have been made, else HttpError."""
    for left in reversed(range(_TRIES)):
        try:
            return api.request(method, path, retry=False, **options)
        except HttpError as error:
            if error.ambiguous:
                raise AnswerLost(str(error)) from None
            if error.retry_after is None or error.retry_after > _LONGEST_WAIT or not left:
                raise
            clock.sleep(error.retry_after)
    raise AssertionError("the last try ends in an answer or in an error")


def settled(make: Callable[[], object], made: Callable[[], bool], done: str) -> str:
    """Make a change; where its answer is lost, look whether it was made. Gives the sentence part `done`, with a note.

    `make` raises AnswerLost; `made` looks at the product. Raises BackendError where the change was not made.
    """
    try:
        make()
    except AnswerLost as error:
        if not made():
            raise BackendError(f"{error} The product was asked again, and the change was not made.") from None
        return f"{done}; the answer was lost and the state read again"
    return done


def safe_url(url: str, item: str) -> str:
    """The address, if a secret may be sent to it: https, or this machine. Raises ConfigurationError."""
    if not url.startswith("https://") and not _LOCAL.match(url):
        raise ConfigurationError(
            "must begin with https:// (or be on this machine), because a secret is sent to it.",
            path=f"configuration item {item}",
        )
    return url.rstrip("/")

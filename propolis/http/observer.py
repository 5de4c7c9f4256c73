"""Who wants to know of every request that was tried: where it went, how it ended, and how long that took.

The list is the process' own, because clients are made in many places. An observer is called in the thread of the
request; it must be quick and raise nothing. Without one a request costs nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from propolis.http.address import Address


class Exchange(NamedTuple):
    """One try of one request. `fault` is the `kind` of its HttpError, empty for an answer that was accepted."""

    address: Address
    status: int | None
    fault: str
    seconds: float


Observer = Callable[[Exchange], None]

_observers: tuple[Observer, ...] = ()
_changing = threading.Lock()


def observe(observer: Observer) -> Callable[[], None]:
    """Tell an observer of every request from now on; returns what ends that."""
    global _observers  # noqa: PLW0603 - one list for the process
    with _changing:
        _observers = (*_observers, observer)

    def end() -> None:
        global _observers  # noqa: PLW0603
        with _changing:
            _observers = tuple(one for one in _observers if one is not observer)

    return end


def told(exchange: Exchange) -> None:
    """A request has ended."""
    for observer in _observers:
        observer(exchange)

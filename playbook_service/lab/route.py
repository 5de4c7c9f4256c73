"""A table of routes: method and path pattern (`/api/case/{id}/task`) to a handler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., object])


@dataclass(frozen=True)
class Route(Generic[Handler]):
    """`right` is what the caller needs (None: just to be known); `public` needs no caller; `free` takes no lock."""

    method: str
    pattern: str
    handler: Handler
    right: str | None = None
    public: bool = False
    free: bool = False


class Router(Generic[Handler]):
    """Finds the route of a request; a literal segment wins over a `{name}`."""

    def __init__(self, routes: Iterable[Route[Handler]]):
        self._by_length: dict[tuple[str, int], list[tuple[list[str], Route[Handler]]]] = {}
        for route in routes:
            segments = route.pattern.strip("/").split("/")
            self._by_length.setdefault((route.method, len(segments)), []).append((segments, route))
        for rows in self._by_length.values():
            rows.sort(key=lambda row: [segment.startswith("{") for segment in row[0]])

    def find(self, method: str, path: str) -> tuple[Route[Handler], dict[str, str]] | None:
        """The route and the raw values of its names, or None."""
        given = path.strip("/").split("/")
        for segments, route in self._by_length.get((method, len(given)), ()):
            slots = _fit(segments, given)
            if slots is not None:
                return route, slots
        return None


def _fit(segments: list[str], given: list[str]) -> dict[str, str] | None:
    slots: dict[str, str] = {}
    for segment, value in zip(segments, given, strict=True):
        if segment.startswith("{"):
            slots[segment[1:-1]] = value
        elif segment != value:
            return None
    return slots

"""The backends of a responder as a mapping that imports the one that is asked for, and none else."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from propolis.containment.responder import BackendFactory

FOLDER = Path(__file__).resolve().parent


@lru_cache
def names(responder: str, folder: Path = FOLDER) -> tuple[str, ...]:
    """The names of a responder's backends, in the alphabet's order; no row is read."""
    return tuple(sorted(path.stem for path in (folder / responder).glob("[a-z]*.yml")))


class Backends(Mapping[str, "BackendFactory"]):
    """The word in the item `backend` -> the function `make` of the module of that name in the responder's package."""

    def __init__(self, responder: str, package: str):
        self._responder = responder
        self._package = package

    def __getitem__(self, name: str) -> BackendFactory:
        if name not in names(self._responder):
            raise KeyError(name)
        make: BackendFactory = importlib.import_module(f"{self._package}.{name}").make
        return make

    def __contains__(self, name: object) -> bool:
        return name in names(self._responder)

    def __iter__(self) -> Iterator[str]:
        return iter(names(self._responder))

    def __len__(self) -> int:
        return len(names(self._responder))


def from_registry(responder: str, package: str) -> Mapping[str, BackendFactory]:
    """The backends of the responder that has rows under this name; `package` is its package of modules."""
    return Backends(responder, package)

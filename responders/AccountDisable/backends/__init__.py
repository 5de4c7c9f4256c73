"""The products in which AccountDisable can disable an account: the word in the item `backend` -> how to make it.

A new one is a module beside this file, a line here, and a bench for `tests/responders/suite.py`. Each module, and the
libraries it needs, is imported only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from propolis.containment.backend import Backend
    from propolis.containment.responder import BackendFactory, Workbench


def _active_directory(bench: Workbench) -> Backend:
    from .activedirectory import ActiveDirectory

    return ActiveDirectory.from_items(bench.items)


def _keycloak(bench: Workbench) -> Backend:
    from .keycloak import Keycloak

    return Keycloak.from_items(bench.items, clock=bench.clock, proxy=bench.proxy)


BACKENDS: Mapping[str, BackendFactory] = {"activedirectory": _active_directory, "keycloak": _keycloak}

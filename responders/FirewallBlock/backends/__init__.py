"""The firewalls that this responder can work with: the word in the item `backend` -> how to make one.

A new one is a module beside this file with a `make` function, a line here, and a bench for `tests/responders/suite.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from propolis.containment.responder import BackendFactory

from . import crowdsec, edl, nftables

BACKENDS: Mapping[str, BackendFactory] = {
    "crowdsec": crowdsec.make,
    "edl": edl.make,
    "nftables": nftables.make,
}

"""The registry of backends: one row (a YAML file) for each product that a responder can work with.

The row `<responder>/<name>.yml` says what the product can do, which configuration items it has, what rights it needs
and how it was tested. The Cortex definitions, the table in the documentation and `propolis backends` are made from the
rows; the code is the module `backends/<name>.py` of the responder, imported only when its name is asked for.
"""

from __future__ import annotations

from propolis.containment.registry.modules import from_registry
from propolis.containment.registry.row import Flavour, Item, Responder, Row, responder, responders

__all__ = ["Flavour", "Item", "Responder", "Row", "from_registry", "responder", "responders"]

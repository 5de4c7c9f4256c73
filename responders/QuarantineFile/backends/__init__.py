"""What can quarantine a file: the word in the item `backend` -> how to make one.

A new one is a module beside this file with a `make` function and a row in
`propolis/containment/registry/QuarantineFile`; docs/backend-authors.md shows the way.
"""

from __future__ import annotations

from propolis.containment.registry import from_registry

BACKENDS = from_registry("QuarantineFile", __name__)

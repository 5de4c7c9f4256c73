"""`python -m playbook_service serve` with short times, so that hours of a service's life fit into seconds.

Only waiting is shortened, in the table below; what is done, and in which order, is the service's own.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run from a clone, without installing it

from playbook_service.cli import main
from playbook_service.engine.loop import Loop, Pace

SHORT: dict[str, dict[str, Any]] = {
    "playbook_service.engine.loop": {"_FIRST_PAUSE": 0.1, "_LONGEST_PAUSE": 0.5},
    "playbook_service.engine.launch": {"_APPEARS_WITHIN": 4.0, "_POLL": 0.2},
    "playbook_service.engine.approval": {"_POLL": 0.3},
    "playbook_service.engine.lease": {"_PAUSES": (0.5,), "_SLACK": 0.5},
    "playbook_service.engine.enrichment": {"_PAUSES": ((float("inf"), 0.3),)},
    "playbook_service.engine.analysis": {"_APPEARS_WITHIN": 2.0},
    "playbook_service.engine.scoring": {"_POLL": 0.2, "_TAXONOMIES_WITHIN": 1.0},
    "playbook_service.service": {"_RECONNECT_SECONDS": 0.3},
    "playbook_service.assembly": {"_AUDIT_SECONDS": 0.5},
}


def shorten() -> None:
    """Set them all. Raises AttributeError for a name that is no more: then this table is out of date."""
    for module, names in SHORT.items():
        loaded = importlib.import_module(module)
        for name, value in names.items():
            getattr(loaded, name)
            setattr(loaded, name, value)
    assert Loop.__init__.__kwdefaults__ is not None
    Loop.__init__.__kwdefaults__["pace"] = Pace(claim=3.0, idle=0.1)


if __name__ == "__main__":
    shorten()
    sys.exit(main(["serve", *sys.argv[1:]]))

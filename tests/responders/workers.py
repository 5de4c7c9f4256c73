"""Load a worker's `backends` package without its name getting in another worker's way.

Every responder has a package `backends` beside its entry script, and in production only one of them is on `sys.path`.
Tests load several into one process, so each is loaded under a name of its own. Inside a `backends` package imports are
relative (`from .nftables import ...`), so that both ways work.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

RESPONDERS = Path(__file__).resolve().parent.parent.parent / "responders"


def load_backends(worker: str) -> ModuleType:
    """The `backends` package of `responders/<worker>`, as module `<worker>_backends`."""
    name = f"{worker}_backends"
    if name in sys.modules:
        return sys.modules[name]
    folder = RESPONDERS / worker / "backends"
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_backend(worker: str, module: str) -> ModuleType:
    """One module of it: `load_backend("FirewallBlock", "nftables")`."""
    load_backends(worker)
    return importlib.import_module(f"{worker}_backends.{module}")


def load_responder(worker: str, script: str) -> ModuleType:
    """A worker's entry script as a module: `load_responder("FirewallBlock", "firewall_block")`.

    Its folder is on `sys.path` only while it is loaded, and its `backends` leave `sys.modules` afterwards.
    """
    folder = RESPONDERS / worker
    spec = importlib.util.spec_from_file_location(f"{worker}_{script}", folder / f"{script}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    sys.modules["backends"] = load_backends(worker)  # one that stays loaded: it imports its modules when asked for them
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
        for name in [name for name in sys.modules if name == "backends" or name.startswith("backends.")]:
            del sys.modules[name]
    return module

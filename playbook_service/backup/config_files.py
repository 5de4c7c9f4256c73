"""The operator's own files that a backup takes along: settings, playbooks, policy and the other files settings name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playbook_service.backup.manifest import is_ours
from playbook_service.parts import playbooks_of, policy_of
from playbook_service.settings import Settings
from propolis.errors import PropolisError

_NAMED = ("playbooks", "policy", "sources", "escalation", "siem_mapping")
"""Settings whose files a person wrote. Certificates and keys are not among them: a backup is no place for those."""


def settings_file(given: Path | None) -> Path | None:
    """The settings file, found as `playbook_service.settings.load` finds it."""
    path = given or Path(os.environ.get("PROPOLIS_CONFIG") or "propolis.yml")
    return path if path.is_file() else None


def gather(settings: Settings, given: Path | None, folder: Path) -> None:
    """Copy them into `<folder>/<setting>/...`. What cannot be read is left out: the work and its record matter more."""
    places = {"settings": settings_file(given)} | {
        name: Path(settings[name]) if settings[name] else None for name in _NAMED
    }
    for name, place in places.items():
        for path in _files(place):
            target = folder / name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _files(place: Path | None) -> Iterator[Path]:
    if place is None:
        return
    paths = sorted(place.glob("*.y*ml")) if place.is_dir() else [place]
    yield from (path for path in paths if _fits(path))


def _fits(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK) and is_ours(f"config/any/{path.name}")


def describe(settings: Settings) -> dict[str, Any]:
    """What the manifest says of the settings: digests and names, no values that could be secret."""
    variables = sorted(origin for origin in set(settings.origins.values()) if origin.startswith("PROPOLIS_"))
    return {
        "mode": settings["mode"], "variables": variables,
        "playbooks": _digest(lambda: playbooks_of(settings)().digest),
        "policy": _digest(lambda: policy_of(settings)().describe()["digest"]),
    }  # fmt: skip


def _digest(ask: Any) -> str:
    """A file that is faulty at this moment must not prevent a backup."""
    try:
        return str(ask())
    except PropolisError:
        return "not readable"

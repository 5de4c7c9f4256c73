"""Jobs as TheHive and Cortex make them for AccountDisable and AccountEnable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cortexjob import Report, definition, run_job

PAYLOADS = Path(__file__).resolve().parent.parent.parent / "fixtures" / "thehive_payloads"
POLICY = "firewall:\n  own: [198.51.100.0/24]\naccounts:\n  never_names: [ceo]\n"


class Jobs:
    """Starts flavours with one saved configuration, each job in a folder of its own."""

    def __init__(self, folder: Path, **saved: Any):
        self._folder = folder
        self._count = 0
        self.saved = {"dry_run": False, "policy": POLICY, "allow_without_expiry": True, **saved}

    def start(self, flavour: str, entity: dict[str, Any], **more: Any) -> Report:
        """Run one job. `saved` overrides configuration items, `parameters` adds to what TheHive sends."""
        self._count += 1
        described = definition("responders", "AccountDisable", flavour)
        config = {item["name"]: item.get("defaultValue") for item in described["configurationItems"]}
        config |= {"check_tlp": True, "max_tlp": 2, "check_pap": True, "max_pap": 2, "jobTimeout": 30}
        config |= {**self.saved, **more.pop("saved", {}), **described["config"]}
        job = {**entity, "config": config}
        job["parameters"] = {**entity["parameters"], **more.pop("parameters", {})}
        job |= more.pop("job", {})
        return run_job(self._folder / str(self._count), "responders", described, job, **more)

    def disable(self, name: str = "jdoe", **more: Any) -> Report:
        return self.start("AccountDisable", observable(name), **more)

    def enable(self, name: str = "jdoe", **more: Any) -> Report:
        return self.start("AccountEnable", observable(name), **more)


def payload(name: str) -> dict[str, Any]:
    """A responder's input as recorded."""
    loaded: dict[str, Any] = json.loads((PAYLOADS / f"responder_input_{name}.json").read_text("utf-8"))
    return loaded


def observable(value: str, kind: str = "username", tags: tuple[str, ...] = (), shape: str = "v5") -> dict[str, Any]:
    """The input for an observable of a case."""
    job = payload(f"{shape}_case_artifact")
    job["data"] |= {"dataType": kind, "data": value, "tags": list(tags)}
    return job


def case(tags: tuple[str, ...] = (), fields: dict[str, str] | None = None, shape: str = "v5") -> dict[str, Any]:
    """The input for a case with these tags and custom fields."""
    return _with(payload(f"{shape}_case"), tags, fields or {})


def alert(tags: tuple[str, ...] = (), fields: dict[str, str] | None = None, shape: str = "v5") -> dict[str, Any]:
    """The input for an alert with these tags and custom fields."""
    return _with(payload(f"{shape}_alert"), tags, fields or {})


def _with(job: dict[str, Any], tags: tuple[str, ...], fields: dict[str, str]) -> dict[str, Any]:
    job["data"]["tags"] = [*job["data"].get("tags", []), *tags]
    job["data"]["customFields"] = {name: {"string": value, "order": 0} for name, value in fields.items()}
    job["data"].pop("customFieldValues", None)
    return job

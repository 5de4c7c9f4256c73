"""The checks that Cortex makes when a worker is enabled, and the `config` that a job of it gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.lab.cortex.definition import WorkerDefinition
from playbook_service.lab.exchange import attribute_error

Item = Mapping[str, Any]
_KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "text": (str,), "number": (int, float), "boolean": (bool,)}


def _item(name: str, kind: str, default: Any = None) -> Item:
    return {"name": name, "type": kind, "multi": False, "required": False, "defaultValue": default}


_COMMON = (
    _item("proxy_http", "string"), _item("proxy_https", "string"), _item("cacerts", "text"),
    _item("jobTimeout", "number"), _item("check_tlp", "boolean", True), _item("max_tlp", "number", 2),
    _item("check_pap", "boolean", True), _item("max_pap", "number", 2),
)  # fmt: skip
_ANALYZER = (_item("auto_extract_artifacts", "boolean", False), _item("jobCache", "number"))
_ASIDE = ("proxy_http", "proxy_https", "cacerts", "jobTimeout", "jobCache")


def server_items(kind: str) -> tuple[Item, ...]:
    """The items that Cortex adds to every worker by itself."""
    return _COMMON + (_ANALYZER if kind == "analyzer" else ())


def check(definition: WorkerDefinition, given: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration to save, defaults filled in. Raises ApiError naming every item that is wrong."""
    items = {item["name"]: item for item in (*definition.items, *server_items(definition.type))}
    errors = [_fault("UnknownAttributeError", name, given[name]) for name in given if name not in items]
    saved: dict[str, Any] = {}
    for name, item in items.items():
        value = given.get(name)
        value = item.get("defaultValue") if value is None else value
        if value is None:
            errors += [_fault("MissingAttributeError", name, None)] if item.get("required") else []
            saved[name] = [] if item.get("multi") else None
        elif not _fits(item, value):
            errors.append(_fault("InvalidFormatAttributeError", name, value))
        else:
            saved[name] = value
    if errors:
        text = ", ".join(f"{error['type']}({error['name']})" for error in errors)
        raise attribute_error(f"[{text}]", tableName=definition.type, errors=errors)
    return saved


def _fault(kind: str, name: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, **({} if value is None else {"value": value})}


def _fits(item: Item, value: Any) -> bool:
    kinds = _KINDS.get(str(item.get("type")), ())
    if item.get("multi"):
        return isinstance(value, list) and all(_is(one, kinds) for one in value)
    return _is(value, kinds)


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)


def job_config(definition: WorkerDefinition, saved: Mapping[str, Any]) -> dict[str, Any]:
    """What a job gets as `config`: the definition's own, the saved over it, proxies as `proxy.http` and `.https`."""
    plain = {name: value for name, value in saved.items() if name not in _ASIDE}
    config = _merge(definition.config, plain)
    proxies = {name: saved[f"proxy_{name}"] for name in ("http", "https") if saved.get(f"proxy_{name}")}
    return _merge(config, {"proxy": proxies}) if proxies else config


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged

"""A Wazuh 5.x finding (an ECS document with `wazuh.*`) seen as the 4.x alert that playbooks are written for.

Rule ids are UUIDs there and levels are words, and no table leads from one to the other; the level given here is the
lowest 4.x level of the band with the same meaning, so that a condition such as `rule.level|gte: 12` still means "high".
"""

from __future__ import annotations

from typing import Any

LEVELS = {"informational": 3, "info": 3, "low": 5, "medium": 8, "high": 12, "critical": 15}

# 4.x field below `data` <- ECS path
_DATA = (
    ("srcip", "source.ip"),
    ("srcip", "client.ip"),
    ("srcport", "source.port"),
    ("dstip", "destination.ip"),
    ("dstip", "server.ip"),
    ("dstport", "destination.port"),
    ("srcuser", "source.user.name"),
    ("srcuser", "user.name"),
    ("dstuser", "user.target.name"),
    ("protocol", "network.transport"),
    ("action", "event.action"),
    ("url", "url.full"),
    ("url", "url.original"),
)


def view(document: dict[str, Any]) -> dict[str, Any]:
    """The finding with the 4.x names added: `rule`, `agent`, `data`, `id`, `timestamp`, `full_log`, ..."""
    fields = dict(document)
    fields["rule"] = _rule(document)
    fields["agent"] = _agent(document)
    fields["timestamp"] = document.get("@timestamp")
    fields["full_log"] = dig(document, "event.original")
    fields["location"] = dig(document, "wazuh.protocol.location") or dig(document, "log.file.path")
    fields["decoder"] = {"name": first(dig(document, "wazuh.integration.decoders")) or ""}
    fields["manager"] = {"name": dig(document, "wazuh.cluster.node") or dig(document, "wazuh.cluster.name")}
    fields["data"] = _data(document)
    fields.setdefault("id", dig(document, "_id") or dig(document, "event.id"))
    return fields


def _rule(document: dict[str, Any]) -> dict[str, Any]:
    level = dig(document, "wazuh.rule.level")
    mitre = "wazuh.rule.mitre"
    return {
        "id": dig(document, "wazuh.rule.id"),
        "level": LEVELS.get(str(level).lower(), 0),
        "description": dig(document, "wazuh.rule.title"),
        "groups": _groups(document),
        "mitre": {
            "id": many(dig(document, f"{mitre}.technique.id")) + many(dig(document, f"{mitre}.subtechnique.id")),
            "tactic": many(dig(document, f"{mitre}.tactic.name")),
            "technique": many(dig(document, f"{mitre}.technique.name")),
        },
    }


def _groups(document: dict[str, Any]) -> list[str]:
    paths = ("integration.name", "integration.category", "integration.decoders", "rule.tags")
    found = [value for path in paths for value in many(dig(document, f"wazuh.{path}"))]
    found += many(dig(document, "event.category")) + many(dig(document, "event.type"))
    return list(dict.fromkeys(value for value in found if isinstance(value, str)))


def _agent(document: dict[str, Any]) -> dict[str, Any]:
    name = dig(document, "wazuh.agent.name") or dig(document, "wazuh.agent.host.hostname")
    return {"id": dig(document, "wazuh.agent.id"), "name": name, "ip": first(dig(document, "wazuh.agent.host.ip"))}


def _data(document: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, path in _DATA:
        value = first(dig(document, path))
        if value is not None:
            data.setdefault(name, value)
    return data


def dig(document: dict[str, Any], path: str) -> Any:
    """The value at a dotted path, or None where it does not lead anywhere."""
    node: Any = document
    for name in path.split("."):
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    return node


def first(value: Any) -> Any:
    """The first of a list, or the value itself: ECS lets every field be either."""
    return (value[0] if value else None) if isinstance(value, list) else value


def many(value: Any) -> list[Any]:
    """A list, whatever it was."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

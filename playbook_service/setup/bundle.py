"""What Propolis itself needs in TheHive, and its own workers with their versions."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from propolis.containment.registry import responders


class Field(NamedTuple):
    """A custom field."""

    name: str
    type: str
    title: str
    description: str


FIELDS = (
    Field("wazuh_rule_id", "string", "Wazuh rule id", "Rule that fired"),
    Field("wazuh_rule_level", "integer", "Wazuh rule level", "Level of that rule, 0 to 16"),
    Field("wazuh_agent_id", "string", "Wazuh agent id", "Agent's number at its manager"),
    Field("wazuh_agent_name", "string", "Wazuh agent name", "Agent's name"),
    Field("wazuh_alert_id", "string", "Wazuh alert id", "Wazuh's id of the alert"),
)
REPORT_TEMPLATES = Path(__file__).resolve().parents[2] / "thehive-templates"
"""There in a clone; what pip installs is without them."""
OBSERVABLE_TYPE = "wazuh-alert"
CASE_TEMPLATE = "Wazuh alert"
_OTHERS = {"WazuhAlert": "1.0", "ConsensusScore": "1.0", "ConsensusVerdict": "1.0", "Notify": "1.0"}
UNCACHED = ("ConsensusScore",)
"""Analyzers whose answer must not be given twice: their inputs change from minute to minute."""


def versions() -> dict[str, str]:
    """Our workers' names and versions, as their definitions have them."""
    ours = {flavour.name: one.version for one in responders() for flavour in one.flavours}
    return _OTHERS | ours


def definition_id(name: str) -> str:
    """`FirewallBlock` -> `FirewallBlock_1_0`; what is not ours is an id already."""
    version = versions().get(name)
    return name if version is None else f"{name}_{version}".replace(".", "_")

"""The configuration items that all of Wazuh's backends share."""

from __future__ import annotations

from propolis.containment.change import safe_url
from propolis.containment.responder import Workbench
from propolis.containment.wazuh.manager import Manager, Settings


def settings(workbench: Workbench) -> Settings:
    """The items `wazuh_url`, `wazuh_user` and so on. Raises ConfigurationError that names the item."""
    items = workbench.items
    return Settings(
        url=safe_url(items.text("wazuh_url"), "wazuh_url"),
        user=items.text("wazuh_user"),
        password=items.text("wazuh_password", strip=False),
        ca_file=items.optional_text("wazuh_ca_file"),
        proxy=workbench.proxy if items.flag("wazuh_use_proxy", False) else None,
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
        wait=items.number("wazuh_wait_seconds", 30, low=5, high=300),
    )


def manager(workbench: Workbench) -> tuple[Manager, float]:
    """The manager that the items describe, and the seconds that its agents have to answer."""
    made = settings(workbench)
    return Manager(made, workbench.clock), made.wait

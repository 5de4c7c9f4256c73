"""Whose an address is, by the settings: requests are counted by these few words and never by address."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import urlsplit

from playbook_service.settings import Settings
from propolis.errors import ConfigurationError
from propolis.http.address import Address, parse_base


def dependencies(settings: Settings) -> dict[Address, str]:
    """Base address -> `thehive`, `cortex` or `notify`. An address that cannot be used is nobody's: who opens it says
    so."""
    places = {"thehive": [settings["thehive_url"]], "cortex": [settings["cortex_url"]]}
    places["notify"] = [_origin(channel) for channel in settings["notify"]]
    found: dict[Address, str] = {}
    for name, addresses in places.items():
        for address in addresses:
            with suppress(ConfigurationError):
                found.setdefault(parse_base(address), name)
    return found


def _origin(channel: str) -> str:
    """Scheme and host of `slack:https://hooks.example.org/...`; the rest of it is a secret."""
    try:
        parts = urlsplit(channel.strip().partition(":")[2])
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"

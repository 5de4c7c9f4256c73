"""Who this TheHive is and how it fares."""

from __future__ import annotations

from playbook_service.lab.exchange import Reply, Request
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.service import VERSIONS, Handler, Hive
from playbook_service.lab.route import Route

_FAR = 10 * 365 * 86_400_000  # ms


def _public(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, {"version": VERSIONS[hive.version], "sso": False, "ssoProviders": [], "imports": []})


def _status(hive: Hive, who: Account, request: Request) -> Reply:
    version = VERSIONS[hive.version]
    connector = hive.extensions.get("connector")
    cortex = connector.health() if connector is not None else {"enabled": False, "status": "OK", "servers": []}
    shown = {
        "version": version, "gitDescription": version, "connectors": {"cortex": cortex}, "schemaStatus": [],
        "config": {"protectDownloadsWith": "malware", "authType": ["local", "key"], "pollingDuration": 1000},
        "features": [],
    }  # fmt: skip
    names = {"TheHive": version}
    if hive.version == 4:
        names = {"Scalligraph": version, "TheHive": version, "Play": "2.8.13"}
        return Reply(200, {**shown, "versions": names, "health": {"elasticsearch": "UNKNOWN"}})
    return Reply(200, {**shown, "versions": names, "license": {"type": "community", "isValid": True}})


def _license(hive: Hive, who: Account, request: Request) -> Reply:
    never = hive.now() + _FAR
    term = {"type": "community", "expiresAt": never, "isValid": True}
    return Reply(200, {"current": term, "fallback": term})


def _health(hive: Hive, who: Account, request: Request) -> Reply:
    return Reply(200, "Ok")


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    if version == 4:
        return [
            Route("GET", "/api/status", _status, public=True),
            Route("GET", "/api/v1/status", _status, public=True),
            Route("GET", "/api/health", _health, public=True),
        ]
    return [
        Route("GET", "/api/v1/status/public", _public, public=True),
        Route("GET", "/api/v1/status", _status, free=True),
        Route("GET", "/api/status", _status, public=True),
        Route("GET", "/api/health", _health, public=True),
        Route("GET", "/api/v1/license/current", _license),
    ]

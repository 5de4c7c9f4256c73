"""An OPNsense that remembers aliases, tables of pf and states, behind its API.

Written from the sources of opnsense/core: AliasUtilController.php (every answer has status 200; `add` refuses what is
not lower-case hexadecimal and aliases that are not configured, `delete` says done of anything; a list is cut at 9,999
rows), scripts/filter/list_table.py (an unknown table is empty) and delete_table.py (texts are compared),
AliasController.php (getAliasUUID, getItem), FirewallController.php and SanitizeFilter.php (killStates drops `:` and `/`
from its filter), Core/ACL/ACL.xml (which privilege opens what).
"""

from __future__ import annotations

import base64
import json
import re
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote

from failing_front import Asked, Told

KEY, SECRET = "opn-key-of-the-lab", "opn-s3cret-of-the-lab"
TABLES, ALIASES, STATES = "page-diagnostics-tables", "page-firewall-aliases", "page-diagnostics-showstates"
_TYPES = ("host", "network", "port", "url", "urltable", "geoip", "external")


class FakeOpnsense:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self) -> None:
        self.aliases = {"propolis": "external"}
        """Name -> type, as configured."""
        self.tables: dict[str, list[str]] = {"propolis": [], "bogons": ["0.0.0.0/8"]}
        """Name -> what pfctl shows."""
        self.privileges = {TABLES, ALIASES}
        self.states: list[tuple[str, str]] = []
        """Source and destination of each state."""
        self.saved = 0
        """How often config.xml was written."""
        self.pfctl_works = True
        self.page = 9999

    def answer(self, asked: Asked) -> Told:
        """What OPNsense answers."""
        expected = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != expected:
            return _told(401, {"status": 401, "message": "Authentication Failed"})
        steps = [unquote(step) for step in asked.target.removeprefix("/api/").split("/")]
        body = json.loads(asked.body) if asked.body else {}
        needed = {"alias_util": TABLES, "alias": ALIASES, "firewall": STATES}[steps[1]]
        if needed not in self.privileges:
            return _told(403, {"status": 403, "message": "Forbidden"})
        return _told(200, getattr(self, f"_{steps[2].lower()}")(*steps[3:], **body))

    def holds(self, value: str, table: str = "propolis") -> bool:
        """Whether a rule on the table would match."""
        wanted: Any = ip_network(value)
        networks: list[Any] = [ip_network(entry) for entry in self.tables[table]]
        return any(one.version == wanted.version and wanted.subnet_of(one) for one in networks)

    def _aliases(self) -> Any:
        return sorted(self.tables)

    def _list(self, alias: str) -> Any:
        rows = [{"ip": text} for text in sorted(self.tables.get(alias, []))]
        return {"total": len(rows), "rowCount": self.page, "current": 1, "rows": rows[: self.page]}

    def _add(self, alias: str, address: str) -> Any:
        if re.search(r"[^0-9a-f:./_]", address):
            return {"status": "not_an_address"}
        if alias not in self.aliases:
            return {"status": "failed", "status_msg": f"nonexistent alias {alias}"}
        if self.aliases[alias] in ("host", "network"):
            self.saved += 1
        if self.pfctl_works and address not in self.tables[alias]:
            self.tables[alias].append(address)
        return {"status": "done"}

    def _delete(self, alias: str, address: str) -> Any:
        if self.pfctl_works:
            self.tables[alias] = [text for text in self.tables.get(alias, []) if text != address]
        return {"status": "done"}

    def _getaliasuuid(self, alias: str) -> Any:
        return {"uuid": f"uuid-of-{alias}"} if alias in self.aliases else []

    def _getitem(self, uuid: str) -> Any:
        chosen = self.aliases[uuid.removeprefix("uuid-of-")]
        types = {name: {"value": name.title(), "selected": int(name == chosen)} for name in _TYPES}
        return {"alias": {"enabled": "1", "name": uuid.removeprefix("uuid-of-"), "type": types}}

    def _kill_states(self, filter: str) -> Any:
        wanted = re.sub(r"[^0-9,a-zA-Z *\-_.#]", "", filter)
        kept = [state for state in self.states if not _matches(wanted, state)]
        dropped, self.states = len(self.states) - len(kept), kept
        return {"result": "ok", "dropped_states": dropped}


def _matches(wanted: str, state: tuple[str, str]) -> bool:
    try:
        network = ip_network(wanted)
    except ValueError:
        return wanted in " ".join(state)
    return any(ip_address(end) in network for end in state)


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())

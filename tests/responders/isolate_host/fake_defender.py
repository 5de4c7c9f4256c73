"""A Microsoft Defender for Endpoint that remembers machines, actions and files.

Written from Microsoft's documentation (MicrosoftDocs/defender-docs, defender-endpoint/api: get-machines, machine,
find-machines-by-ip, isolate-machine, unisolate-machine, stop-and-quarantine-file, machineaction,
get-machineactions-collection, cancel-machine-action, get-file-information, get-file-related-machines, common-errors).
Beside it, from reports of users: while an action is under way a second one answers 400 ActiveRequestAlreadyExists. That
an action which has ended cannot be cancelled (400) is an assumption. Never compared with the product.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from failing_front import Asked, Told

from propolis.alert.moment import epoch
from propolis.clock import Clock, utc_text

TENANT, CLIENT, SECRET = "5f2b9d1e-0000-4000-8000-00000000c0de", "app-of-propolis", "d3f-s3cret~of.the-lab"
SCOPE = "https://api.securitycenter.microsoft.com/.default"
_BODIES = {
    "isolate": ("Isolate", {"Comment", "IsolationType"}),
    "unisolate": ("Unisolate", {"Comment"}),
    "StopAndQuarantineFile": ("StopAndQuarantineFile", {"Comment", "Sha1"}),
}
_CONDITION = re.compile(r"(\w+) eq '((?:[^']|'')*)'|startswith\((\w+),'((?:[^']|'')*)'\)")
_BY_IP = re.compile(r"/api/machines/findbyip\(ip='([^']*)',timestamp=([^)]*)\)")

Document = dict[str, Any]


class FakeDefender:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.machines: list[Document] = []
        self.actions: list[Document] = []
        """Oldest first; each holds `due`, wall time in seconds or None for never, which no answer shows."""
        self.files: list[Document] = []
        self.seen_on: dict[str, list[str]] = {}
        """SHA-1 -> ids of the machines on which it was seen."""
        self.isolated: set[str] = set()
        """The machines that are cut off in truth, by the order in which things happened."""
        self.quarantined: set[tuple[str, str]] = set()
        self.takes: float | None = 0.0
        self.fails = False
        self.cancellable = True
        self.lists_other_machines = False
        """Answer a filter as if it were not there."""
        self.tokens: set[str] = set()
        self.logins = 0
        self._count = 0

    def add(self, name: str, **more: Any) -> str:
        """A machine that is active and onboarded; gives its id."""
        identity = uuid.uuid4().hex + "c0ffee00"
        self.machines.append(
            {
                "id": identity, "computerDnsName": name, "healthStatus": "Active", "onboardingStatus": "onboarded",
                "osPlatform": "Windows11", "lastSeen": self._stamp(), "lastIpAddress": None, "machineTags": [],
                "aadDeviceId": None, "rbacGroupName": "Clients", "deviceValue": "Normal", **more,
            }
        )  # fmt: skip
        return identity

    def id_of(self, name: str) -> str:
        """The id of the machine of this full or short name."""
        (found,) = {
            one["id"] for one in self.machines if name in (one["computerDnsName"], one["computerDnsName"].split(".")[0])
        }
        return str(found)

    def portal(self, kind: str, machine: str, comment: str = "by hand", *, open_: bool = False, **more: Any) -> str:
        """What an analyst asks for in the portal; done at once unless it stays open. Gives the action's id."""
        action = self._add(kind, machine, comment, **more)
        action["due"] = None if open_ else self._clock.now()
        self.settle()
        return str(action["id"])

    def finish(self) -> None:
        """Every action under way is done now."""
        for action in self.actions:
            action["due"] = self._clock.now()
        self.settle()

    def settle(self) -> None:
        """Let happen what time brings."""
        for action in self.actions:
            due = action["due"]
            if action["status"] in ("Pending", "InProgress") and due is not None and due <= self._clock.now():
                self.end(action, "Failed" if self.fails else "Succeeded")

    def end(self, action: Document, status: str) -> None:
        """Give an action its last status, and the machine its effect."""
        action.update(status=status, lastUpdateDateTimeUtc=self._stamp())
        if status != "Succeeded":
            return
        if action["type"] == "Isolate":
            self.isolated.add(action["machineId"])
        elif action["type"] == "Unisolate":
            self.isolated.discard(action["machineId"])
        else:
            self.quarantined.add((action["machineId"], action["relatedFileInfo"]["fileIdentifier"]))

    def answer(self, asked: Asked) -> Told:
        """What Defender, or Entra's token endpoint, answers."""
        self.settle()
        parts = urlsplit(asked.target)
        path = unquote(parts.path)
        if path == f"/{TENANT}/oauth2/v2.0/token":
            return self._login(dict(parse_qsl(asked.body.decode())))
        if asked.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return error(401, "Unauthorized", "Unauthorized (invalid or expired authorization header).")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if asked.method == "POST":
            return self._post(path.split("/")[2:], json.loads(asked.body))
        return self._get(path, query)

    def _get(self, path: str, query: dict[str, str]) -> Told:
        steps = path.split("/")[2:]
        by_ip = _BY_IP.fullmatch(path)
        if by_ip:
            return self._by_ip(*by_ip.groups())
        if steps == ["machines"]:
            return self._listed(self.machines, query, empty=404)
        if steps == ["machineactions"]:
            return self._listed(list(reversed(self.actions)), query, empty=200)
        if steps[0] == "files":
            return self._file(steps[1:])
        return error(404, "NotFound", "Not found.")

    def _post(self, steps: list[str], body: Document) -> Told:
        if steps[0] == "machineactions" and steps[2:] == ["cancel"]:
            return self._cancel(steps[1], body)
        if steps[0] != "machines" or len(steps) != 3 or steps[2] not in _BODIES:
            return error(404, "NotFound", "Not found.")
        kind, names = _BODIES[steps[2]]
        if set(body) != names or not body["Comment"]:
            return error(400, "InvalidRequestBody", "Request body is incorrect")
        if steps[1] not in [one["id"] for one in self.machines]:
            return error(404, "ResourceNotFound", f"Machine {steps[1]} was not found")
        if any(one["machineId"] == steps[1] and one["status"] in ("Pending", "InProgress") for one in self.actions):
            return error(400, "ActiveRequestAlreadyExists", "Action is already in progress")
        made = self._add(kind, steps[1], body["Comment"], scope=body.get("IsolationType"), sha1=body.get("Sha1"))
        return _told(201, _shown(made))

    def _add(
        self, kind: str, machine: str, comment: str, scope: str | None = None, sha1: str | None = None
    ) -> Document:
        made = {
            "id": str(uuid.uuid4()), "type": kind, "scope": scope, "requestor": CLIENT, "requestorComment": comment,
            "status": "Pending", "machineId": machine, "creationDateTimeUtc": self._stamp(),
            "lastUpdateDateTimeUtc": self._stamp(),
            "relatedFileInfo": {"fileIdentifier": sha1, "fileIdentifierType": "Sha1"} if sha1 else None,
            "due": self._clock.now() + self.takes if self.takes is not None else None,
        }  # fmt: skip
        self.actions.append(made)
        return made

    def _cancel(self, action_id: str, body: Document) -> Told:
        if set(body) != {"Comment"}:
            return error(400, "InvalidRequestBody", "Request body is incorrect")
        for action in self.actions:
            if action["id"] == action_id:
                if action["status"] not in ("Pending", "InProgress") or not self.cancellable:
                    return error(400, "BadRequest", "The action cannot be cancelled.")
                self.end(action, "Cancelled")
                return _told(200, _shown(action))
        return error(404, "ResourceNotFound", f"Machine action {action_id} was not found")

    def _listed(self, entries: list[Document], query: dict[str, str], empty: int) -> Told:
        condition = _CONDITION.fullmatch(query.get("$filter", ""))
        if condition is None:
            return error(400, "ODataError", "Invalid OData URI query")
        name, value, start_name, start = condition.groups()
        wanted = (value if name else start).replace("''", "'").casefold()
        texts = [(str(entry.get(name or start_name) or "").casefold(), entry) for entry in entries]
        found = [_shown(entry) for text, entry in texts if (text == wanted if name else text.startswith(wanted))]
        if self.lists_other_machines:
            found = [_shown(entry) for entry in entries]
        if not found and empty == 404:
            return error(404, "NotFound", "No machines found.")
        return _told(200, {"@odata.context": "$metadata", "value": found[: int(query.get("$top", "10000"))]})

    def _by_ip(self, address: str, moment: str) -> Told:
        at = epoch(moment)
        if at is None or not self._clock.now() - 30 * 86400 < at <= self._clock.now():
            return error(400, "InvalidInput", "The timestamp must be in the past 30 days.")
        found = [_shown(one) for one in self.machines if one.get("seenWith", one["lastIpAddress"]) == address]
        return _told(200, {"value": found})

    def _file(self, steps: list[str]) -> Told:
        known = [one for one in self.files if steps[0] in (one["sha1"], one["sha256"])]
        if steps[1:] == ["machines"]:
            ids = self.seen_on.get(steps[0], [])
            return _told(200, {"value": [_shown(one) for one in self.machines if one["id"] in ids]})
        return _told(200, known[0]) if known else error(404, "ResourceNotFound", f"File {steps[0]} was not found")

    def _login(self, form: dict[str, str]) -> Told:
        self.logins += 1
        wanted = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET, "scope": SCOPE}
        if form != wanted:
            return _told(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."})
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return _told(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    def _stamp(self) -> str:
        """Now, each time a little later: Defender gives seven digits of a second."""
        self._count += 1
        return utc_text(self._clock.now()).replace("Z", f".{self._count:04d}000Z")


def _shown(entry: Document) -> Document:
    return {name: value for name, value in entry.items() if name not in ("due", "seenWith")}


def _told(status: int, body: Any) -> Told:
    return Told(status, json.dumps(body).encode())


def error(status: int, code: str, message: str) -> Told:
    """An error as Defender writes it."""
    return _told(status, {"error": {"code": code, "message": message, "target": str(uuid.uuid4())}})

"""What the extractor gives."""

from __future__ import annotations

from typing import NamedTuple

# The part a value plays in the event. The order is the order of strength: where a value plays several parts, the
# first of these is the one that is reported.
ROLES = {
    "source": "where the event came from: the client, the attacker, the sender's address",
    "destination": "where it went: the server, the victim, the queried address",
    "sender": "who sent the message",
    "recipient": "who received it",
    "target": "the account or thing that was acted upon",
    "subject": "the account that acted",
    "query": "the name that was asked for",
    "file": "the file the alert is about",
    "process": "the program that acted",
    "request": "what was requested",
    "client": "what the client calls itself",
    "command": "named in a command line or script",
    "resource": "the cloud resource or service concerned",
    "threat": "what a product calls the threat",
    "vulnerability": "the weakness concerned",
    "registry": "the registry key concerned",
    "service": "the service concerned",
    "referrer": "the page the request came from",
    "result": "part of an answer or of another party's report",
    "related": "named in the event without a part of its own",
}
STRENGTH = {role: rank for rank, role in enumerate(ROLES)}


class Found(NamedTuple):
    """What a reader saw in one text. `subtype` refines the data type; an empty `role` means that of the table's row."""

    data_type: str
    data: str
    subtype: str = ""
    role: str = ""


class Observable(NamedTuple):
    """`(data_type, data)` as TheHive means it, the part it plays, and where in the alert it stands."""

    data_type: str
    data: str
    role: str
    path: str
    tags: tuple[str, ...]
    message: str


class Extraction(NamedTuple):
    """All observables of an alert; `notes` say what was left out and why."""

    observables: list[Observable]
    notes: list[str]

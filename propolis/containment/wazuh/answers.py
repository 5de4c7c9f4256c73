"""What the documents of Wazuh's server API mean, without any network.

Facts: the API's own description (spec.yaml of 4.14.7) and its source. A failure may come with status 200: then `error`
is not 0, and `failed_items` holds a code for each agent. Success of an active response means "sent", never "done".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from propolis.containment.backend import BackendError

UNKNOWN_AGENT = 1701
_NO_DATABASE = 2007  # an agent that never connected has no database yet
_CODES = {
    1650: "the manager knows no such command",
    1652: "the manager knows no such command",
    UNKNOWN_AGENT: "the manager knows no such agent",
    1707: "the agent is not connected",
    1735: "the agent's version is too old to be asked",
    1750: "active response is disabled on the agent (<active-response><disabled> in its ossec.conf)",
    4000: "the API user may not do this on the agent: grant active-response:command for it or its group",
}
_NO_ANSWER = "the agent or the manager's own socket does not answer"
_SILENT = (1013, 1014, 1116, 1117, 1121)

Document = dict[str, Any]


class Agent(NamedTuple):
    """One agent as the manager lists it."""

    id: str
    name: str
    address: str
    status: str
    """`active`, `pending`, `never_connected` or `disconnected`."""
    platform: str = ""
    """`windows`, `darwin`, `ubuntu`, ...; empty before the first connection."""
    system: str = ""
    """The operating system's name for people, `Microsoft Windows Server 2022`."""
    groups: tuple[str, ...] = ()
    version: tuple[int, int] = (0, 0)
    last_seen: str = ""
    """As the manager writes it; for people."""

    @property
    def label(self) -> str:
        """`web01 (003)`."""
        return f"{self.name} ({self.id})"


class Page(NamedTuple):
    """One answer with a list."""

    items: list[Document]
    total: int
    """How many there are in all; the answer may hold fewer."""


def version(body: Any) -> tuple[int, int]:
    """The manager's version, from the answer of `GET /`."""
    text = _object(_object(body).get("data")).get("api_version")
    found = _version(text)
    if found is None:
        raise _nonsense()
    return found


def page(body: Any) -> Page:
    """The items of an answer; none where the manager only says that it has no such agent."""
    answer = _object(body)
    data = _object(answer.get("data"))
    items, total = data.get("affected_items"), data.get("total_affected_items")
    if not isinstance(items, list) or not isinstance(total, int):
        raise _nonsense()
    failed = [code for code in _failures(data).values() if code[0] not in (UNKNOWN_AGENT, _NO_DATABASE)]
    if failed:
        raise BackendError(f"Wazuh could not answer: {failed[0][1]}.")
    return Page([_object(item) for item in items], total)


def agent(item: Document) -> Agent:
    """One agent of a list. What the manager does not know yet is empty."""
    if not all(isinstance(item.get(name), str) for name in ("id", "name", "status")):
        raise _nonsense()
    system, groups = item.get("os"), item.get("group")
    about = system if isinstance(system, dict) else {}
    return Agent(
        id=item["id"],
        name=item["name"],
        address=str(item.get("ip") or ""),
        status=item["status"],
        platform=str(about.get("platform") or "").casefold(),
        system=str(about.get("name") or ""),
        groups=tuple(str(group) for group in groups) if isinstance(groups, list) else (),
        version=_version(item.get("version")) or (0, 0),
        last_seen=str(item.get("lastKeepAlive") or ""),
    )


def paths(items: Iterable[Document]) -> list[str]:
    """The files that FIM lists."""
    return [item["file"] for item in items if isinstance(item.get("file"), str)]


def watched(body: Any) -> list[tuple[str, list[str]]]:
    """The folders that an agent's FIM watches, with their options, from its active configuration."""
    settings = _object(_object(_object(body).get("data")).get("syscheck"))
    if settings.get("disabled") == "yes":
        return []
    listed = settings.get("directories", [])
    if not isinstance(listed, list):
        raise _nonsense()
    return [
        (one["dir"], [str(option) for option in one.get("opts") or []])
        for one in listed
        if isinstance(one, dict) and isinstance(one.get("dir"), str)
    ]


def unsent(body: Any, ids: Iterable[str]) -> dict[str, str]:
    """Agent id -> why it did not get an active response. Whoever is not named as reached did not get it.

    The manager passes over agent 000 without a word and says error 0, so that `error` alone proves nothing.
    """
    data = _object(_object(body).get("data"))
    reached = data.get("affected_items")
    if not isinstance(reached, list):
        raise _nonsense()
    failed = _failures(data)
    return {
        one: failed[one][1] if one in failed else "the manager did not send it on"
        for one in ids
        if one not in reached or one in failed
    }


def _failures(data: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Agent id -> code and words."""
    found = {}
    for item in data.get("failed_items") or []:
        error = item.get("error") if isinstance(item, dict) else None
        if not isinstance(error, dict):
            raise _nonsense()
        code = int(error["code"]) if isinstance(error.get("code"), int) else 0
        told = str(error.get("message") or "no reason given")[:160]
        said = _CODES.get(code) or (_NO_ANSWER if code in _SILENT else told)
        for one in item.get("id") or [""]:
            found[str(one)] = (code, f"{said} (code {code})")
    return found


def _version(text: Any) -> tuple[int, int] | None:
    """`4.14.7`, `v4.14.7` or `Wazuh v4.14.7` -> (4, 14)."""
    parts = str(text).split(" ")[-1].removeprefix("v").split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])


def _object(value: Any) -> Document:
    if not isinstance(value, dict):
        raise _nonsense()
    return value


def _nonsense() -> BackendError:
    return BackendError("The answer is not the one of Wazuh's server API: check wazuh_url (port 55000).")

"""Which agent is meant: exactly one, found by its id, name or address, and never guessed."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from propolis.containment.backend import Ambiguous, BackendError, NotFound, Target
from propolis.containment.wazuh.answers import Agent

ID_HINT, NAME_HINT = "wazuh_agent_id", "wazuh_agent_name"


class Directory(Protocol):
    """Where agents are looked up."""

    def agent(self, number: str) -> Agent | None:
        """The agent of this id."""
        ...

    def agents(self, text: str) -> list[Agent]:
        """Agents with this text somewhere in their fields."""
        ...


def find(directory: Directory, target: Target, text: str) -> Agent:
    """The agent that this name or address means, which must be the one that the case names, if it names one.

    Raises NotFound, Ambiguous or BackendError.
    """
    number = dict(target.hints).get(ID_HINT, "")
    if not number:
        return _one(text, _matching(directory, text))
    found = directory.agent(padded(number))
    if found is None:
        raise NotFound(f"The case names agent {number}, and the manager knows no such agent: correct {ID_HINT}.")
    if not _is_called(found, text):
        raise BackendError(
            f"The case names agent {found.label} at {found.address or 'no address'}, and that is not {text}: "
            f"correct {ID_HINT}, or start this where it does not stand."
        )
    return found


def victim(directory: Directory, target: Target) -> Agent:
    """The agent that raised the alert, by the case's custom fields. Raises as `find`, and where there are none."""
    hints = dict(target.hints)
    name, number = hints.get(NAME_HINT, ""), hints.get(ID_HINT, "")
    if name:
        return find(directory, target, name)
    found = directory.agent(padded(number)) if number else None
    if found is None:
        said = f"the manager knows no agent {number}" if number else "it names none"
        raise NotFound(
            f"The agent that raised the alert is needed, and {said}: fill the custom field {NAME_HINT} or {ID_HINT}."
        )
    return found


def named(directory: Directory, text: str) -> Agent:
    """The agent of an operator's list, by its id or its name."""
    if text.isdecimal():
        found = directory.agent(padded(text))
        if found is not None:
            return found
    return _one(text, _matching(directory, text))


def padded(number: str) -> str:
    """An id as the API writes it, `003`. Raises BackendError for what is none."""
    bare = number.strip()
    if not (bare.isascii() and bare.isdecimal() and len(bare) <= 10):
        raise BackendError(f"{number[:40]!r} is no agent's id, which is a number such as 003.")
    return bare.zfill(3)


def _matching(directory: Directory, text: str) -> list[Agent]:
    """Compared whole, so that a short name never stands for a longer one."""
    for spelling in _spellings(text):
        found = [agent for agent in directory.agents(spelling) if _is_called(agent, text)]
        if found:
            return found
    return []


def _one(text: str, found: list[Agent]) -> Agent:
    """The only one; among namesakes the only one that is connected: the others are leftovers of earlier enrolments."""
    choice = found if len(found) == 1 else [agent for agent in found if agent.status == "active"]
    if len(choice) == 1:
        return choice[0]
    if not found:
        raise NotFound(f"The manager knows no agent with the name or address {text}.")
    raise Ambiguous(Target("host", text, ""), [f"{agent.label} {agent.status}" for agent in found])


def _is_called(agent: Agent, text: str) -> bool:
    if agent.name.casefold() == text.casefold():
        return True
    address = _address(text)
    return address is not None and _address(agent.address) == address


def _spellings(text: str) -> Iterable[str]:
    """What to search for: the manager keeps an IPv6 address as it came, often in its longest form."""
    address = _address(text)
    return [text] if address is None else dict.fromkeys((text, address.exploded, address.compressed))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None

"""An alias of pfSense: addresses, and a list of descriptions beside them that slips out of step.

So our mark names its address itself (`... ip=203.0.113.7`), and is found wherever in the list it stands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from propolis.containment.mark import fact
from propolis.guardrails.networks import AnyNetwork

from .fw_entries import entry_network

Change = dict[str, Any]


class Alias(NamedTuple):
    """As read from the configuration."""

    id: int
    """Its place there, good only until somebody else changes something."""
    type: str
    addresses: list[str]
    details: list[str]

    @classmethod
    def read(cls, document: dict[str, Any]) -> Alias | None:
        """From the API's document; None for one of another shape."""
        number, addresses, details = document.get("id"), document.get("address"), document.get("detail")
        if not isinstance(number, int) or not isinstance(addresses, list) or not isinstance(details, list):
            return None
        return cls(number, str(document.get("type")), [str(one) for one in addresses], [str(one) for one in details])

    @property
    def has_names(self) -> bool:
        """Some entries are host names or other aliases: pf's table then holds more than what can be read here."""
        return any(entry_network(text) is None for text in self.addresses)

    def exact(self, wanted: AnyNetwork) -> list[int]:
        """The places of the entries for the target itself."""
        return [place for place, text in enumerate(self.addresses) if entry_network(text) == wanted]

    def ours(self, value: str) -> list[str]:
        """Our marks for this address."""
        return [detail for detail in self.details if fact(detail, "ip") == value]

    def detail_of(self, wanted: AnyNetwork) -> str:
        """What stands beside the target's entry, empty where it has none or nothing stands there."""
        return next((self.details[place] for place in self.exact(wanted) if place < len(self.details)), "")

    def marked_anew(self, wanted: AnyNetwork, mark: str) -> Change:
        """The change that puts a new mark in place of ours."""
        stale = self.ours(fact(mark, "ip"))
        return {
            "detail": [mark if detail == stale[0] else detail for detail in self.details if detail not in stale[1:]]
        }

    def without(self, wanted: AnyNetwork, value: str) -> Change:
        """The change that takes our entry out and leaves all others, also those that are added meanwhile.

        `remove` takes out every equal text, and nothing at all where nothing else would stay: then the lists are sent
        whole. Empty where there is no entry of ours.
        """
        ours, exact = self.ours(value), self.exact(wanted)
        if not ours and not exact:
            return {}
        dropped = self._places(ours, exact)
        addresses = [text for place, text in enumerate(self.addresses) if place not in dropped]
        details = [detail for detail in self.details if detail not in ours]
        if addresses and details and len(dropped) == len(exact):
            return {"address": sorted({self.addresses[place] for place in exact}), "detail": ours, "remove": True}
        return {"address": addresses, "detail": details[: len(addresses)]}

    def _places(self, ours: list[str], exact: list[int]) -> list[int]:
        """As many entries as bear our mark: those beside a mark first, then the last ones."""
        beside = [place for place in exact if place < len(self.details) and self.details[place] in ours]
        others = [place for place in reversed(exact) if place not in beside]
        return [*beside, *others][: len(ours)]


def marked(mark: str, value: str) -> str:
    """Our mark for one address."""
    return f"{mark} ip={value}"

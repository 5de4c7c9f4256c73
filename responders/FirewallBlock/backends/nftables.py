"""nftables on this machine or over SSH, through the gate: elements with a timeout in sets of our own table.

The kernel ends a block, its element's comment is our mark, and both directions are dropped before connection tracking,
so that a session that is open dies too (measured; a rule behind `ct state established accept` would not stop it).
"""

from __future__ import annotations

import json
from typing import Any

from propolis.clock import Clock
from propolis.containment.backend import Backend, Effect, Status, Subject, Target, Terms
from propolis.containment.gate import GateClient, GateUnknown, SshPlace, local_gate, ssh_gate
from propolis.containment.responder import Workbench
from propolis.duration import duration_text
from propolis.worker.items import Items


class NftablesBackend(Backend):
    """A thin client of the gate's verbs `status`, `check`, `block` and `release`."""

    name = "nftables"
    kinds = ("ip",)
    expires = True
    marks = True

    def __init__(self, gate: GateClient, clock: Clock):
        self._gate = gate
        self._clock = clock

    @property
    def where(self) -> str:
        return self._gate.where

    def status(self, target: Target) -> Status:
        return self._status(target, self._gate.call("status", {"address": target.value}))

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        """One transaction. Where the answer is lost it is looked up, never sent again."""
        try:
            return Effect(str(self._gate.call("block", _request(target, terms))["done"]))
        except GateUnknown:
            if self.status(target).mark != terms.mark:
                raise
        return Effect(f"added {target.value}; the answer was lost and the state read again")

    def release(self, target: Target, status: Status) -> Effect:
        try:
            return Effect(str(self._gate.call("release", {"address": target.value})["done"]))
        except GateUnknown:
            if self.status(target).contained:
                raise
        return Effect(f"deleted {target.value}; the answer was lost and the state read again")

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        """The transaction as nft would get it, already accepted by `nft -c` and by the gate's own limits."""
        return json.dumps(self._gate.call("check", _request(target, terms))["request"])

    def _status(self, target: Target, answer: dict[str, Any]) -> Status:
        expires = answer["expires"]
        return Status(
            Subject(target.value, target.value, addresses=(target.value,), own=answer["own"] is True),
            contained=answer["contained"] is True,
            ours=answer["ours"] is True,
            until=self._clock.now() + expires if expires is not None else None,
            mark=str(answer["comment"]),
            remains=answer["ours"] is True,
            detail=_detail(answer),
        )


def _request(target: Target, terms: Terms) -> dict[str, Any]:
    return {"address": target.value, "seconds": terms.seconds, "comment": terms.mark}


def _detail(answer: dict[str, Any]) -> str:
    """What was seen, as part of a sentence."""
    if not answer["element"]:
        return f"no element of table inet propolis is {answer['address']}"
    left = f"{duration_text(answer['expires'])} left" if answer["expires"] is not None else "without an end"
    seen = f"element {answer['element']} in table inet propolis, {left}"
    return seen if answer["contained"] else f"{seen}, but the table's chains were changed and drop nothing"


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe: over SSH where `nft_ssh_host` is set, else on this machine."""
    items = workbench.items
    gate = _over_ssh(items) if items.optional_text("nft_ssh_host") else _here(items)
    return NftablesBackend(gate, workbench.clock)


def _here(items: Items) -> GateClient:
    return local_gate(
        program=items.optional_text("nft_gate"),
        nft=items.optional_text("nft_binary"),
        sudo=items.flag("nft_sudo", False),
    )


def _over_ssh(items: Items) -> GateClient:
    return ssh_gate(
        SshPlace(
            host=items.text("nft_ssh_host"),
            port=int(items.number("nft_ssh_port", 22, low=1, high=65535)),
            user=items.text("nft_ssh_user", "propolis"),
            key_file=items.text("nft_ssh_key_file"),
            known_hosts=items.text("nft_ssh_known_hosts"),
        )
    )

"""A Linux host isolated by its own nftables, through the gate behind its SSH server.

The kernel ends the isolation (the timeout of a set's elements). It starts as a trial of two minutes and is made to last
only over a second, new connection: where management cannot get back in, the host opens by itself.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from propolis.clock import Clock
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.gate import GateClient, GateRefused, GateUnknown, SshPlace, check_place, ssh_gate
from propolis.containment.responder import Workbench
from propolis.duration import duration_text

from .inventory import Host, find_host, parse_inventory

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Differs between machines and is the same in every container of one: it tells whether a host is the one we run on."""

Connect = Callable[[Host], GateClient]


class NftablesSshBackend(Backend):
    """A thin client of the gate's verbs `isolate-status`, `isolate-check`, `isolate`, `confirm` and `unisolate`."""

    name = "nftables_ssh"
    kinds = ("host",)
    expires = True
    marks = True

    def __init__(self, hosts: tuple[Host, ...], connect: Connect, clock: Clock, boot_id: str):
        self._hosts = hosts
        self._connect = connect
        self._clock = clock
        self._boot_id = boot_id

    @property
    def where(self) -> str:
        if len(self._hosts) == 1:
            return self._hosts[0].text
        return f"the {len(self._hosts)} hosts of the item isolate_hosts, over SSH"

    def status(self, target: Target) -> Status:
        host = find_host(self._hosts, target)
        answer = self._connect(host).call("isolate-status", {})
        expires = answer["expires"]
        return Status(
            self._subject(target, host, answer["host"]),
            contained=answer["contained"] is True,
            ours=answer["ours"] is True,
            until=self._clock.now() + expires if expires is not None else None,
            mark=str(answer["comment"]),
            remains=answer["ours"] is True,
            detail=_detail(answer),
        )

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        """Isolate for a trial, then prove over a new connection that management still gets in, and make it last."""
        host = find_host(self._hosts, target)
        trial = self._trial(host, target, status, terms)
        try:
            done = self._connect(host).call("confirm", _request(terms))["done"]
        except GateRefused:
            raise
        except BackendError as error:
            self._settle_confirm(host, terms, error)
            done = f"isolated {host.names[0]}; the answer was lost and the state read again"
        return Effect(f"{trial}{done}, management still gets in", ended=("every connection but management's",))

    def release(self, target: Target, status: Status) -> Effect:
        host = find_host(self._hosts, target)
        try:
            return Effect(str(self._connect(host).call("unisolate", {})["done"]))
        except GateUnknown:
            if self.status(target).contained:
                raise
        return Effect("opened; the answer was lost and the state read again")

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        """The first transaction as nft would get it, already accepted by `nft -c` and by the gate's own limits."""
        host = find_host(self._hosts, target)
        return json.dumps(self._connect(host).call("isolate-check", _request(terms))["request"])

    def _trial(self, host: Host, target: Target, status: Status, terms: Terms) -> str:
        """The first step; none where the host is isolated by us already and only its end moves."""
        if status.contained and status.ours:
            return ""
        try:
            return f"{self._connect(host).call('isolate', _request(terms))['done']}, then "
        except GateUnknown:
            if self.status(target).mark != terms.mark:
                raise
        return "isolated this host for a trial, then "

    def _settle_confirm(self, host: Host, terms: Terms, error: BackendError) -> None:
        """A confirmation that did not answer: look once more over yet another connection, and confirm if need be."""
        try:
            answer = self._connect(host).call("confirm", _request(terms))
        except BackendError:
            raise BackendError(
                f"{host.text} was isolated for a trial, but management did not get back in ({error}) "
                "The host opens by itself within two minutes: look at management in its gate.json before the next try."
            ) from None
        if answer["contained"] is not True:
            raise BackendError(f"{host.text} does not show the isolation any more.") from None

    def _subject(self, target: Target, host: Host, told: dict[str, Any]) -> Subject:
        ids = tuple(value for name, value in target.hints if name == "wazuh_agent_id")
        return Subject(
            id=host.text,
            name=host.names[0],
            names=(*host.names, str(told["name"])),
            ids=ids,
            addresses=tuple(_useful([host.address, *map(str, told["addresses"])])),
            own=told["boot_id"] == self._boot_id,
        )


def _request(terms: Terms) -> dict[str, Any]:
    return {"seconds": terms.seconds, "comment": terms.mark}


def _useful(texts: list[str]) -> list[str]:
    """The addresses among the texts that mean this host alone: no names, nothing link-local, each once."""
    found: list[str] = []
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not address.is_link_local and text not in found:
            found.append(text)
    return found


def _detail(answer: dict[str, Any]) -> str:
    """What was seen, as part of a sentence."""
    if not answer["contained"]:
        partly = answer["ours"] is True
        return f"table inet propolis_isolation {'was changed and isolates only partly' if partly else 'drops nothing'}"
    left = f"{duration_text(answer['expires'])} left" if answer["expires"] is not None else "without an end"
    return f"table inet propolis_isolation drops everything but SSH from {', '.join(answer['management'])}, {left}"


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe. Every line of the inventory is checked before any host is asked."""
    items = workbench.items
    key_file, known_hosts = items.text("isolate_ssh_key_file"), items.text("isolate_ssh_known_hosts")

    def place(host: Host) -> SshPlace:
        return SshPlace(host.address, host.port, host.user, key_file, known_hosts)

    hosts = parse_inventory(items.texts("isolate_hosts"))
    for host in hosts:
        check_place(place(host))
    return NftablesSshBackend(hosts, lambda host: ssh_gate(place(host)), workbench.clock, BOOT_ID.read_text().strip())

"""The network of the FirewallBlock tests, and its bench for the common suite, here and over SSH."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gatefile import LoggedNft, load_gate, write_config
from netns import Lab, SshServer
from suite import Bench
from workers import load_backend, load_responder

from propolis.clock import SystemClock
from propolis.containment.backend import Backend, Status, Target
from propolis.containment.gate import GATE, GateClient, SshPlace, ssh_command
from propolis.guardrails import Policy

FW4, FW6 = "198.51.100.1", "2001:db8:1::1"
PEER4, OTHER4, PEER6 = "198.51.100.2", "198.51.100.3", "2001:db8:1::2"
FW_MGMT, SOC = "192.0.2.1", "192.0.2.2"
PORT = 2222
POLICY = "firewall:\n  own: [192.0.2.0/24]\n"


class FirewallLab(Lab):
    """`fw` between `peer` (the attacker) and `soc` (where Cortex runs)."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        for name in ("fw", "peer", "soc"):
            self.host(name)
        self.cable(("fw", [f"{FW4}/24", f"{FW6}/64"]), ("peer", [f"{PEER4}/24", f"{OTHER4}/24", f"{PEER6}/64"]))
        self.cable(("fw", [f"{FW_MGMT}/24"]), ("soc", [f"{SOC}/24"]))
        self.logged = LoggedNft(folder)
        self._ssh: SshServer | None = None

    def reset(self) -> None:
        """No rules, no log, the server up with the key that is trusted."""
        self.nft("fw", "flush", "ruleset")
        self.logged.forget()

    @property
    def ssh(self) -> SshServer:
        """The firewall's SSH server with the gate as forced command, started when first asked for."""
        if self._ssh is None:
            config = write_config(self.folder / "gate.json", management=["192.0.2.0/28"], never=["203.0.113.128/25"])
            gate = f"{GATE} --config {config} --nft {self.logged.path}"
            self._ssh = self.sshd("fw", FW_MGMT, PORT, gate)
        return self._ssh

    def place(self, **changes: object) -> SshPlace:
        """How to reach the gate over SSH."""
        place = SshPlace(FW_MGMT, PORT, "root", str(self.ssh.key), str(self.ssh.known_hosts))
        return place._replace(**changes)  # type: ignore[arg-type]

    def local_client(self) -> GateClient:
        """The gate as a child process, on the firewall itself."""
        start = [*self.prefix("fw"), sys.executable, "-I", str(GATE), "--nft", str(self.logged.path)]
        return GateClient("nftables on this machine", lambda verb: [*start, verb])

    def ssh_client(self, place: SshPlace | None = None) -> GateClient:
        """The gate over SSH, from the SOC."""
        chosen = place or self.place()
        where = f"{chosen.user}@{chosen.host} port {chosen.port}"
        return GateClient(where, lambda verb: [*self.prefix("soc"), *ssh_command(chosen, verb)])


class NftBench(Bench):
    """nftables as the suite sees it: blocked is what does not get an answer from the firewall."""

    clock = SystemClock()
    target = Target("ip", PEER4, "test")
    other = Target("ip", OTHER4, "test")
    protected = tuple(
        Target("ip", text, "test")
        for text in (FW4, SOC, "10.0.0.5", "0.0.0.0/0", "::/0", "198.51.100.0/24", "127.0.0.1", "fe80::1", "192.0.2.77")
    )
    hostile = tuple(
        Target("ip", text, "test")
        for text in (
            "203.0.113.5 }; add chain inet propolis evil; delete chain inet propolis early; #",
            'include "/etc/shadow"',
            "localhost",
            "@b4",
            "-f",
            "010.1.1.8",
            "3405803783",
            "203.0.1",
            "0xcb.0.0x71.7",
            "203.0.113.7/0",
            "203.0.113.7\n",
            "203.0.113.7,203.0.113.8",
            "203.0.113.7-203.0.113.9",
            "fe80::1%eth0",
            "::ffff:10.0.0.5",
            "64:ff9b::a00:5",
            "\uff12\uff10\uff13.0.113.7",
        )
    )

    def __init__(self, lab: FirewallLab, *, over_ssh: bool):
        self.lab = lab
        self._over_ssh = over_ssh
        self.short = 6 if over_ssh else 3
        self._responder = load_responder("FirewallBlock", "firewall_block").FirewallBlock
        self._policy = Policy.parse(POLICY)

    def backend(self) -> Backend:
        client = self.lab.ssh_client() if self._over_ssh else self.lab.local_client()
        made: Backend = load_backend("FirewallBlock", "nftables").NftablesBackend(client, self.clock)
        return made

    def writes(self) -> list[str]:
        return self.lab.logged.writes()

    def in_force(self, target: Target) -> bool:
        return not self.lab.pings("peer", FW6 if ":" in target.value else FW4, source=target.value)

    def contain_by_other_hands(self, target: Target) -> None:
        base = load_gate().block_base(None)
        self.lab.nft("fw", "-j", "-f", "-", stdin=json.dumps({"nftables": base}))
        self.lab.nft("fw", "add", "element", "inet", "propolis", "b4", f'{{ {target.value} comment "ticket 17" }}')

    def release_by_other_hands(self, target: Target) -> None:
        self.lab.nft("fw", "delete", "element", "inet", "propolis", "b4", f"{{ {target.value} }}")

    def guard(self, target: Target, status: Status | None) -> None:
        self._responder.guard(object.__new__(self._responder), self._policy, target, status)

    def canonical(self, target: Target) -> Target:
        canonical: Target = self._responder.canonical(object.__new__(self._responder), target)
        return canonical

    def lose_answer(self) -> None:
        self.lab.logged.lose_next_answer()

    def take_down(self) -> None:
        self.lab.logged.break_it()

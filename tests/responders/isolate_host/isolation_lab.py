"""The network of the IsolateHost tests: a host, its management and an attacker, and the bench for the common suite."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

from gatefile import LoggedNft, load_gate, write_config
from netns import Lab, SshServer, wait_until
from suite import Bench
from workers import load_backend, load_responder

from propolis.clock import SystemClock
from propolis.containment.backend import Backend, Status, Target
from propolis.containment.gate import GATE, GateClient, SshPlace, ssh_command
from propolis.guardrails import Policy

HOST_MGMT, MGMT = "192.0.2.1", "192.0.2.2"
HOST4, ATTACKER4 = "203.0.113.1", "203.0.113.2"
HOST6, ATTACKER6 = "2001:db8:2::1", "2001:db8:2::2"
PORT = 2222
POLICY = "firewall:\n  own: [192.0.2.0/24]\nhosts:\n  never_names: [db-*]\n  never_tags: [crown-jewel]\n"


class IsolationLab(Lab):
    """`web` (also as a second machine `db`) between `mgmt`, where Cortex runs, and `evil`."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        for name in ("web", "db", "mgmt", "evil"):
            self.host(name)
        self.cable(("web", [f"{HOST_MGMT}/24"]), ("mgmt", [f"{MGMT}/24"]))
        self.cable(("web", [f"{HOST4}/24", f"{HOST6}/64"]), ("evil", [f"{ATTACKER4}/24", f"{ATTACKER6}/64"]))
        self.cable(("db", ["198.51.100.1/24"]), ("mgmt", ["198.51.100.2/24"]))
        self.logged = LoggedNft(folder)
        self.config = folder / "gate.json"
        self.configure()
        boot = folder / "boot_id"  # all machines of the lab share one kernel: let the gate tell another one
        boot.write_text("11111111-2222-3333-4444-555555555555\n")
        options = f"--config {self.config} --nft {self.logged.path} --boot-id {boot}"
        self.web: SshServer = self.sshd("web", HOST_MGMT, PORT, f"{GATE} {options}")
        self.db: SshServer = self.sshd("db", "198.51.100.1", PORT, f"{GATE} {options}")
        hasty = folder / "hasty-gate"
        hasty.write_text(GATE.read_text().replace("TRIAL = 120", "TRIAL = 12"))
        hasty.chmod(0o755)
        self.hasty: SshServer = self.sshd("web", HOST_MGMT, PORT + 1, f"{hasty} {options}")
        """The same host behind a gate whose trial is 12 s, so that a test can wait it out."""

    def configure(self, **changes: object) -> None:
        """The hosts' gate.json."""
        verbs = ["isolate", "isolate-check", "confirm"]
        write_config(self.config, **{"management": [MGMT, "198.51.100.2"], "verbs": verbs, **changes})

    def reset(self) -> None:
        """Nothing isolated, an empty log, the usual limits."""
        for name in ("web", "db"):
            self.nft(name, "flush", "ruleset")
        self.logged.forget()
        self.configure()
        wait_until(lambda: self.pings("evil", HOST4), 5, "the attacker reaches the host")

    def connect(self, host: object) -> GateClient:
        """The gate of a host, over SSH from management."""
        server = self.web if host.address == HOST_MGMT else self.db  # type: ignore[attr-defined]
        place = SshPlace(host.address, host.port, host.user, str(server.key), str(server.known_hosts))  # type: ignore[attr-defined]
        where = f"{place.user}@{place.host} port {place.port}"
        return GateClient(where, lambda verb: [*self.prefix("mgmt"), *ssh_command(place, verb)])


def backends() -> ModuleType:
    """The worker's backend module."""
    return load_backend("IsolateHost", "nftables_ssh")


INVENTORY = (
    f"web-01,web-01.example.org,www=root@{HOST_MGMT}:{PORT}",
    f"app-02,app-02.example.org,www=root@198.51.100.1:{PORT}",
)


class IsolationBench(Bench):
    """An isolated host as the suite sees it: neither side gets an answer from the other."""

    clock = SystemClock()
    target = Target("host", "web-01", "test")
    other = Target("host", "app-02", "test")
    missing = Target("host", "web-09", "test")
    ambiguous = Target("host", "www", "test")
    protected = (
        Target("host", "db-01", "test"),
        Target("host", "localhost", "test"),
        Target("host", "wazuh-manager", "test"),
        Target("host", "web-01", "test", (("wazuh_agent_id", "000"),)),
    )
    hostile = tuple(
        Target("host", text, "test")
        for text in (
            "-oProxyCommand=id",
            "web-01;id",
            "web-01 web-02",
            "*",
            "web-0?",
            "$(id)",
            "web",
            "",
            "web-01/",
            "%",
        )
    )
    short = 10
    boot_id = "99999999-0000-0000-0000-000000000000"

    def __init__(self, lab: IsolationLab):
        self.lab = lab
        self._responder = load_responder("IsolateHost", "isolate_host").IsolateHost
        self._policy = Policy.parse(POLICY)

    def backend(self) -> Backend:
        module = backends()
        hosts = load_backend("IsolateHost", "inventory").parse_inventory(INVENTORY)
        made: Backend = module.NftablesSshBackend(hosts, self.lab.connect, self.clock, self.boot_id)
        return made

    def writes(self) -> list[str]:
        return self.lab.logged.writes()

    def in_force(self, target: Target) -> bool:
        if target.value == "app-02":
            return not self.lab.pings("mgmt", "198.51.100.1")
        return not (self.lab.pings("evil", HOST4) or self.lab.pings("web", ATTACKER4))

    def contain_by_other_hands(self, target: Target) -> None:
        gate = load_gate()
        peer = gate.parse_peer(f"{MGMT} 1 {HOST_MGMT} {PORT}")
        document = gate.isolation_batch(gate.Gate("nft", gate.Limits(), peer, ""), 3600, "ticket 17")
        self.lab.nft("web", "-j", "-f", "-", stdin=json.dumps(document))

    def release_by_other_hands(self, target: Target) -> None:
        self.lab.nft("web", "delete", "table", "inet", "propolis_isolation")

    def guard(self, target: Target, status: Status | None) -> None:
        worker = object.__new__(self._responder)
        worker._input = {"data": {"tags": []}}
        worker.clock = self.clock
        worker.guard(self._policy, target, status)

    def canonical(self, target: Target) -> Target:
        canonical: Target = self._responder.canonical(object.__new__(self._responder), target)
        return canonical

    def lose_answer(self) -> None:
        self.lab.logged.lose_next_answer()

    def take_down(self) -> None:
        self.lab.logged.break_it()

    def shows(self, target: Target) -> tuple[str, ...]:
        return ("propolis_isolation", MGMT, "nf_proto")

"""A Wazuh agent's host as a namespace, between its manager and an attacker, with the real program on it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from execd import Exchange, Execd
from netns import Lab, wait_until

SOURCE = Path(__file__).resolve().parents[3] / "deploy" / "wazuh" / "active-response"
PROGRAM = SOURCE / "propolis-contain"

HOST_INSIDE, MANAGER, MANAGEMENT, COLLEAGUE = "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"
HOST_INSIDE6, MANAGEMENT6 = "2001:db8:1::1", "2001:db8:1::3"
HOST4, ATTACKER4 = "203.0.113.1", "203.0.113.2"
HOST6, ATTACKER6 = "2001:db8:2::1", "2001:db8:2::2"
MARK = "propolis case=128 by=analyst@soc.example"
OTHER_MARK = "propolis case=129 by=second@soc.example"

_AGENTD = """
import os, socket, sys, time
manager, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
peer = socket.create_connection((manager, port), timeout=3)
peer.settimeout(0.4)
print("ready", flush=True)
while True:
    try:
        peer.sendall(b"k")
        if peer.recv(100):
            with open(path + ".new", "w") as state:
                state.write("# State file for wazuh-agentd\\nstatus='connected'\\n")
                state.write(time.strftime("last_ack='%Y-%m-%d %H:%M:%S'\\n"))
            os.replace(path + ".new", path)
    except OSError:
        pass
    time.sleep(0.2)
"""


@dataclass(frozen=True)
class Record:
    """A file in active-response/propolis, as FIM shows it: by its name."""

    verb: str
    target: str
    until: int
    mark: str

    @classmethod
    def parse(cls, name: str) -> Record:
        verb, target, until, mark = name.split("~")
        return cls(verb, unquote(target), int(until), unquote(mark))


class AgentHome:
    """Wazuh's folder on an agent, private to a test."""

    def __init__(self, folder: Path):
        self.folder = folder
        for name in ("active-response/bin", "etc/shared", "logs", "var/run"):
            (folder / name).mkdir(parents=True)
        shutil.copy(PROGRAM, folder / "active-response" / "bin" / "propolis-contain")
        self.manager(MANAGER)

    def manager(self, *addresses: str) -> None:
        """An ossec.conf with these managers."""
        servers = "".join(f"<server><address>{each}</address><port>1514</port></server>" for each in addresses)
        comment = "<!-- <server><address>203.0.113.99</address></server> -->"
        self.ossec(f"<ossec_config>\n<client>\n{comment}\n{servers}\n</client>\n</ossec_config>\n")

    def ossec(self, text: str) -> None:
        (self.folder / "etc" / "ossec.conf").write_text(text)

    def configure(self, *lines: str, mode: int = 0o600) -> None:
        """The root-only propolis.conf."""
        path = self.folder / "etc" / "propolis.conf"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(mode)

    def push(self, *lines: str) -> None:
        """The propolis.conf that a manager pushes to the agent's group."""
        (self.folder / "etc" / "shared" / "propolis.conf").write_text("\n".join(lines) + "\n")

    @property
    def records_folder(self) -> Path:
        return self.folder / "active-response" / "propolis"

    def names(self) -> list[str]:
        return sorted(path.name for path in self.records_folder.glob("*"))

    def records(self) -> list[Record]:
        return [Record.parse(name) for name in self.names()]

    def record(self, verb: str) -> Record | None:
        """The one record of this verb, or None; two are a fault."""
        found = [record for record in self.records() if record.verb == verb]
        assert len(found) <= 1, found
        return found[0] if found else None

    def content(self, verb: str) -> dict[str, Any]:
        (name,) = [name for name in self.names() if name.startswith(verb + "~")]
        content: dict[str, Any] = json.loads((self.records_folder / name).read_text())
        return content

    def refusal(self) -> str:
        """The reason of the one refusal that is on record."""
        record = self.record("refused")
        assert record is not None, self.names()
        assert abs(record.until - time.time()) < 10
        return record.mark

    def log(self) -> list[dict[str, Any]]:
        """The lines of active-responses.log, as Wazuh's decoder reads them."""
        path = self.folder / "logs" / "active-responses.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line.partition(" active-response/bin/propolis-contain: ")[2]) for line in lines]

    def results(self) -> list[str]:
        return [line["parameters"]["result"] for line in self.log()]


def private_etc(folder: Path) -> Path:
    """A folder that can stand in for /etc: what programs need to run, accounts and names of our own."""
    folder.mkdir()
    folder.chmod(0o755)
    for name in ("alternatives", "ld.so.cache", "login.defs", "pam.d", "localtime", "security"):
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, folder / name, symlinks=True)
        elif source.exists():
            shutil.copy(source, folder / name)
    (folder / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{ATTACKER4} wazuh.soc.example\n")
    people = {"root": 0, "daemon": 1, "sshd": 105, "mallory": 60123, "bob": 60124}
    (folder / "passwd").write_text("".join(f"{n}:x:{i}:{i}::/home/{n}:/bin/sh\n" for n, i in people.items()))
    (folder / "group").write_text("".join(f"{n}:x:{i}:\n" for n, i in people.items()))
    (folder / "gshadow").write_text("".join(f"{n}:*::\n" for n in people))
    (folder / "shadow").write_text("".join(f"{n}:$6$salt$hash-of-{n}:19000:0:99999:7:::\n" for n in people))
    return folder


class AgentLab(Lab):
    """`agent` (the host), `inside` (manager, management, a colleague) and `evil`."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        for name in ("agent", "inside", "evil"):
            self.host(name)
        near = [f"{MANAGER}/24", f"{MANAGEMENT}/24", f"{COLLEAGUE}/24", f"{MANAGEMENT6}/64"]
        self.cable(("agent", [f"{HOST_INSIDE}/24", f"{HOST_INSIDE6}/64"]), ("inside", near))
        self.cable(("agent", [f"{HOST4}/24", f"{HOST6}/64"]), ("evil", [f"{ATTACKER4}/24", f"{ATTACKER6}/64"]))
        self.ip("agent", "route", "add", "default", "via", ATTACKER4)
        self.echo_server("inside", MANAGER, 1514)
        self.echo_server("inside", COLLEAGUE, 8080)
        self.echo_server("evil", ATTACKER4, 4444)
        self.echo_server("evil", ATTACKER6, 4444)
        self.echo_server("agent", HOST4, 8080)
        self._homes = 0

    def reset(self) -> None:
        """No rules on the host, and the attacker reaches it."""
        self.nft("agent", "flush", "ruleset")
        wait_until(lambda: self.pings("evil", HOST4) and self.pings("agent", ATTACKER6), 5, "the network is up")

    def agent(self, etc: Path | None = None) -> Agent:
        """A new Wazuh home on the host, whose program sees another folder as /etc if one is given."""
        self._homes += 1
        return Agent(self, AgentHome(self.folder / f"ossec{self._homes}"), etc)

    def ruleset(self) -> str:
        """Everything nftables holds on the host, without what time and traffic change."""
        return self.nft("agent", "-s", "list", "ruleset")


class Agent:
    """The host's Wazuh agent: its home, and its execd."""

    def __init__(self, lab: AgentLab, home: AgentHome, etc: Path | None = None):
        self.lab, self.home = lab, home
        self._agentd: subprocess.Popen[str] | None = None
        prefix = list(lab.prefix("agent"))
        if etc is not None:  # `ip netns exec` gives a mount namespace of its own, so this /etc is nobody else's
            prefix += ["sh", "-c", f"mount --bind '{etc}' /etc && exec \"$0\""]
        self.execd = Execd(home.folder, prefix)

    def call(self, *arguments: Any, answer: str = "continue") -> Exchange:
        """A call through execd that must end the way every call ends for execd: quietly and soon."""
        exchange = self.execd.call(*arguments, answer=answer)
        assert (exchange.rest, exchange.stderr, exchange.returncode) == ("", "", 0)
        return exchange

    def by_hand(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A call by a person who is root on the host."""
        return self.lab.run("agent", str(self.home.folder / "active-response/bin/propolis-contain"), *arguments)

    def connect(self, manager: str = MANAGER) -> None:
        """Start what stands for wazuh-agentd: a session to the manager whose every answer becomes `last_ack`."""
        state = self.home.folder / "var" / "run" / "wazuh-agentd.state"
        self._agentd = self.lab.start("agent", sys.executable, "-c", _AGENTD, manager, "1514", str(state))
        wait_until(state.exists, 5, "the manager answers")

    def disconnect(self) -> None:
        if self._agentd is not None:
            self._agentd.kill()
            self._agentd.wait()

"""Small networks of real machines: Linux network namespaces, joined by cables, with sshd, nftables and TCP in them.

Everything a `Lab` makes is its own and goes with it: namespaces carry the process id in their names, processes are
ended by their handles. Needs root.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_NUMBERS = itertools.count(1)

_ECHO = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
server = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
print("ready", flush=True)
import threading
def serve(peer):
    while data := peer.recv(100):
        peer.sendall(data)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
_SESSION = """
import socket, sys
address, port, source = sys.argv[1], int(sys.argv[2]), sys.argv[3]
peer = socket.create_connection((address, port), timeout=3, source_address=(source, 0) if source else None)
peer.settimeout(1.0)
print("ready", flush=True)
for line in sys.stdin:
    try:
        peer.sendall(b"x")
        print("alive" if peer.recv(100) else "closed", flush=True)
    except OSError as error:
        print("dead", flush=True)
"""


def missing_tools() -> list[str]:
    """What this machine lacks for a lab; empty when all is there."""
    lacking = [tool for tool in ("nft", "ip", "sshd", "ssh", "ssh-keygen", "ping") if find(tool) is None]
    return lacking + (["root"] if os.geteuid() != 0 else [])


def find(tool: str) -> str | None:
    """The path of a tool; those of an administrator are not on everybody's PATH."""
    return shutil.which(tool, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))


def wait_until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Poll until it holds; fails loudly where it does not."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {within:g} s"
        time.sleep(0.05)


class Session:
    """A TCP connection that stays open, held by a process of its own in a namespace."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process

    def alive(self) -> bool:
        """Send a byte; true when it comes back within a second."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("probe\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip() == "alive"


class Lab:
    """A set of namespaces. Use as a context manager."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._prefix = f"pp{os.getpid()}x{next(_NUMBERS)}"
        self._hosts: list[str] = []
        self._started: list[subprocess.Popen[str]] = []
        self._cables = 0

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.communicate()
        for name in self._hosts:
            subprocess.run(["ip", "netns", "del", self.inside(name)], check=False, capture_output=True)

    def inside(self, host: str) -> str:
        """The namespace's name."""
        return f"{self._prefix}-{host}"

    def prefix(self, host: str) -> tuple[str, ...]:
        """What to put before a command to run it on a host."""
        return ("ip", "netns", "exec", self.inside(host))

    def host(self, name: str) -> None:
        """A new machine."""
        subprocess.run(["ip", "netns", "add", self.inside(name)], check=True)
        self._hosts.append(name)
        self.ip(name, "link", "set", "lo", "up")

    def cable(self, one: tuple[str, list[str]], other: tuple[str, list[str]]) -> None:
        """Join two machines; each side with its addresses (`198.51.100.1/24`)."""
        self._cables += 1
        ends = (f"e{self._cables}a", f"e{self._cables}b")
        pair = ["type", "veth", "peer", "name", ends[1], "netns", self.inside(other[0])]
        self.ip(one[0], "link", "add", ends[0], *pair)
        for (host, addresses), end in zip((one, other), ends, strict=True):
            for address in addresses:
                self.ip(host, "addr", "add", address, "dev", end, *(["nodad"] if ":" in address else []))
            self.ip(host, "link", "set", end, "up")

    def ip(self, host: str, *arguments: str) -> None:
        """`ip -n <host> ...`"""
        subprocess.run(["ip", "-n", self.inside(host), *arguments], check=True)

    def run(self, host: str, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command on a host and wait for it; its result is for the caller to judge."""
        return subprocess.run(
            [*self.prefix(host), *command], input=stdin, text=True, capture_output=True, timeout=60, check=False
        )

    def nft(self, host: str, *command: str, stdin: str = "") -> str:
        """Run nft on a host as its administrator would; it must work."""
        done = self.run(host, "nft", *command, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pings(self, host: str, address: str, source: str | None = None) -> bool:
        """Whether an echo request is answered within half a second."""
        options = ["-I", source] if source else []
        return self.run(host, "ping", "-n", "-c1", "-W0.5", *options, address).returncode == 0

    def start(self, host: str, *command: str) -> subprocess.Popen[str]:
        """Start a process on a host that prints a line `ready`; it is ended with the lab."""
        process = subprocess.Popen(
            [*self.prefix(host), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    def echo_server(self, host: str, address: str, port: int) -> None:
        """A TCP server that sends back what it gets."""
        self.start(host, sys.executable, "-c", _ECHO, address, str(port))

    def session(self, host: str, address: str, port: int, source: str = "") -> Session:
        """An open TCP connection from a host."""
        return Session(self.start(host, sys.executable, "-c", _SESSION, address, str(port), source))

    def sshd(self, host: str, address: str, port: int, forced: str) -> SshServer:
        """A real OpenSSH server that lets root run one forced command."""
        return SshServer(self, host, address, port, forced)

    def keep(self, process: subprocess.Popen[str]) -> None:
        """End this process with the lab."""
        self._started.append(process)


class SshServer:
    """An sshd of our own, its host key, one client key, and a known_hosts file."""

    def __init__(self, lab: Lab, host: str, address: str, port: int, forced: str):
        self.folder = lab.folder / f"sshd-{host}-{port}"
        self.folder.mkdir(mode=0o700)
        self.key, self.known_hosts = self.folder / "client", self.folder / "known_hosts"
        self._lab, self._host, self._address, self._port = lab, host, address, port
        _keygen(self.key)
        public = self.key.with_suffix(".pub").read_text()
        (self.folder / "authorized_keys").write_text(f'restrict,command="{forced}" {public}')
        self._process: subprocess.Popen[str] | None = None
        self.new_host_key()
        self.trust()
        self.up()

    def new_host_key(self) -> None:
        """Another host key, as a machine in the middle would show."""
        for path in self.folder.glob("hostkey*"):
            path.unlink()
        _keygen(self.folder / "hostkey")

    def trust(self) -> None:
        """Write the known_hosts file for the host key as it is now."""
        key = " ".join((self.folder / "hostkey.pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[{self._address}]:{self._port} {key}\n")

    def up(self) -> None:
        """Start the server and wait until it listens."""
        config = self.folder / "sshd_config"
        lines = (
            f"Port {self._port}",
            f"ListenAddress {self._address}",
            f"HostKey {self.folder / 'hostkey'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "StrictModes no",
            "PermitRootLogin forced-commands-only",
            "PidFile none",
            "KexAlgorithms curve25519-sha256",
        )
        config.write_text("\n".join(lines) + "\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        command = [*self._lab.prefix(self._host), find("sshd") or "sshd", "-D", "-e", "-f", str(config)]
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(command, stderr=log, text=True)
        self._lab.keep(self._process)
        wait_until(lambda: "listening" in (self.folder / "log").read_text(), 10, "sshd listens")

    def down(self) -> None:
        """Stop the server."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)

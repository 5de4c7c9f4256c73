"""Real DNS servers with a zone file of ours as their response policy: BIND's `named`, and Unbound.

Each serves `example.net` on loopback as the world that is to be filtered: every name there has the address 192.0.2.80,
`by4` and `by6` have addresses that tests list.
"""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

from netns import find, wait_until

WORLD = """$TTL 5
@ IN SOA localhost. hostmaster.localhost. 1 60 60 60 5
@ IN NS localhost.
* IN A 192.0.2.80
by4 IN A 203.0.113.7
by6 IN AAAA 2606:4700:1::1
"""
NAMED = """
options {{
  directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  pid-file none; session-keyfile none; dnssec-validation no; recursion yes;
  response-policy {{ zone "names.rpz"; zone "addresses.rpz"; }} qname-wait-recurse no min-update-interval 0;
}};
controls {{ }};
zone "names.rpz" {{ type primary; file "names.zone"; }};
zone "addresses.rpz" {{ type primary; file "addresses.zone"; }};
zone "example.net" {{ type primary; file "world.zone"; }};
"""
UNBOUND = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  module-config: "respip iterator"
auth-zone:
  name: "example.net"
  zonefile: "world.zone"
  for-downstream: no
  for-upstream: yes
rpz:
  name: "names.rpz"
  zonefile: "names.zone"
rpz:
  name: "addresses.rpz"
  zonefile: "addresses.zone"
"""


def missing(*tools: str) -> list[str]:
    """What this machine lacks."""
    return [tool for tool in tools if find(tool) is None]


class Resolver:
    """Use as a context manager. `load` gives it new zone files."""

    config = NAMED
    program: tuple[str, ...] = ("named", "-g", "-c")

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        (folder / "world.zone").write_text(WORLD)
        (folder / "server.conf").write_text(self.config.format(folder=folder, port=self.port))
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Resolver:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def complaints(self) -> list[str]:
        """What its log holds against the zones: a name that is no name, an address not in canonical form, ..."""
        bad = ("error", "canonical", "invalid", "bad owner", "unchanged", "fail")
        return [line for line in self.log.splitlines() if "rpz" in line and any(word in line for word in bad)]

    def load(self, names: bytes, addresses: bytes) -> None:
        """Check the zone files as an operator would, put them in place, and have them read."""
        for zone, content in (("names", names), ("addresses", addresses)):
            fetched = self.folder / f"{zone}.fetched"
            fetched.write_bytes(content)
            if find("named-checkzone"):
                checked = ["named-checkzone", "-q", f"{zone}.rpz", str(fetched)]
                assert subprocess.run(checked, check=False).returncode == 0, content
            fetched.rename(self.folder / f"{zone}.zone")
        if self._process is None:
            self._start()
        else:
            self._process.send_signal(signal.SIGHUP)

    def status(self, name: str, kind: str = "A") -> str:
        """`NOERROR`, `NXDOMAIN`, ..., or the empty string without an answer."""
        asked = ["dig", "@127.0.0.1", "-p", str(self.port), name, kind, "+tries=1", "+time=1"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        return answer.partition("status: ")[2].partition(",")[0]

    def _start(self) -> None:
        program = [find(self.program[0]) or "", *self.program[1:], str(self.folder / "server.conf")]
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(program, stdout=log, stderr=log, text=True)
        wait_until(lambda: self.status("any.example.net") == "NOERROR", 20, "the resolver answers")

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Unbound(Resolver):
    config = UNBOUND
    program = ("unbound", "-d", "-c")


def free_port() -> int:
    """A port that both transports of DNS may have."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])

"""A real CrowdSec: the Local API with a database and a configuration of its own, and the firewall bouncer beside it.

Nothing of the machine's own CrowdSec is used or changed; nothing talks to the central API.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

from failing_front import Asked, Told
from fake_lapi import MACHINE, PASSWORD
from netns import find, wait_until

_PROFILES = 'name: none\nfilters:\n - "false"\ndecisions:\n - type: ban\n   duration: 1h\non_success: break\n'
_CONFIG = """
common: {{daemonize: false, log_media: stdout, log_level: info, working_dir: {folder}}}
config_paths:
  config_dir: {folder}
  data_dir: {folder}
  simulation_path: {folder}/simulation.yaml
  hub_dir: {folder}/hub
  index_path: {folder}/index.json
crowdsec_service: {{parser_routines: 1}}
cscli: {{output: human}}
db_config: {{log_level: info, type: sqlite, db_path: {folder}/crowdsec.db, use_wal: true}}
api:
  client: {{credentials_path: {folder}/credentials.yaml}}
  server:
    log_level: info
    listen_uri: 127.0.0.1:{port}
    profiles_path: {folder}/profiles.yaml
    console_path: {folder}/console.yaml
prometheus: {{enabled: false}}
"""
_BOUNCER = """
mode: nftables
update_frequency: 1s
daemonize: false
log_mode: stdout
log_level: info
api_url: http://127.0.0.1:{port}/
api_key: {key}
disable_ipv6: false
deny_action: DROP
deny_log: false
supported_decisions_types: [ban]
blacklists_ipv4: crowdsec-blacklists
blacklists_ipv6: crowdsec6-blacklists
nftables:
  ipv4: {{enabled: true, set-only: false, table: crowdsec, chain: crowdsec-chain}}
  ipv6: {{enabled: true, set-only: false, table: crowdsec6, chain: crowdsec6-chain}}
pf: {{anchor_name: ""}}
prometheus: {{enabled: false, listen_addr: 127.0.0.1, listen_port: 60601}}
"""


def lacking() -> list[str]:
    """What this machine lacks to run it."""
    return [tool for tool in ("crowdsec", "cscli", "crowdsec-firewall-bouncer") if find(tool) is None]


class Lapi:
    """Use as a context manager. `prefix` is put before each command, to run in a network namespace."""

    def __init__(self, folder: Path, prefix: tuple[str, ...] = (), port: int | None = None):
        self.folder, self._prefix = folder, prefix
        self.port = port or _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Lapi:
        (self.folder / "hub").mkdir(parents=True)
        files = {"simulation.yaml": "simulation: false\n", "index.json": "{}", "profiles.yaml": _PROFILES}
        files["config.yaml"] = _CONFIG.format(folder=self.folder, port=self.port)
        for name, text in files.items():
            (self.folder / name).write_text(text)
        account = ("machines", "add", MACHINE, "--password", PASSWORD, "-u", self.url)
        self.cscli(*account, "-f", str(self.folder / "credentials.yaml"))
        self._start("lapi", "crowdsec", "-c", str(self.folder / "config.yaml"), "-no-cs")
        wait_until(lambda: "listening on" in self._log("lapi"), 15, "LAPI listens")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.wait()

    def bouncer(self) -> None:
        """Start the firewall bouncer, and wait until its table is there."""
        key = self.cscli("bouncers", "add", "firewall", "-o", "raw").strip()
        config = self.folder / "bouncer.yaml"
        config.write_text(_BOUNCER.format(port=self.port, key=key))
        self._start("bouncer", "crowdsec-firewall-bouncer", "-c", str(config))
        rules = [*self._prefix, "nft", "list", "tables"]
        wait_until(lambda: b"crowdsec" in subprocess.run(rules, check=True, capture_output=True).stdout, 15, "bouncer")

    def cscli(self, *arguments: str) -> str:
        """What CrowdSec's own command prints."""
        command = [*self._prefix, find("cscli") or "cscli", "-c", str(self.folder / "config.yaml"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def bans(self, value: str) -> list[dict[str, Any]]:
        """The active decisions that CrowdSec's own command lists for exactly this address or network."""
        alerts = json.loads(self.cscli("decisions", "list", "--all", "-o", "json")) or []  # without: cscli's own only
        found = [one for alert in alerts for one in alert["decisions"]]
        return [one for one in found if one["value"] == value and not one["duration"].startswith("-")]

    def banned(self, value: str) -> bool:
        """Whether there is such a decision."""
        return bool(self.bans(value))

    def answer(self, asked: Asked) -> Told:
        """Hand a request on to the API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(asked.method, asked.target, asked.body, asked.headers)
            answer = connection.getresponse()
            return Told(answer.status, answer.read())
        finally:
            connection.close()

    def _start(self, name: str, tool: str, *arguments: str) -> None:
        with open(self.folder / f"{name}.log", "wb") as log:
            command = [*self._prefix, find(tool) or tool, *arguments]
            self._started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))

    def _log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])

"""The client of `deploy/ssh/propolis-gate`: one verb, one small JSON object in, one out, here or over SSH.

Both ways start the very same program, so there is one place where nftables is touched. What matters here is to know,
after a failure, whether the request may have been carried out: `GateUnreachable` says certainly not, `GateUnknown` says
look again, `GateRefused` is the gate's own answer.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from propolis.containment.backend import BackendError
from propolis.errors import ConfigurationError

GATE = Path(__file__).resolve().parent.parent.parent / "deploy" / "ssh" / "propolis-gate"
"""The gate of this bundle, for nftables on the machine that the worker runs on."""
TIMEOUT = 40.0  # seconds: 5 to connect, 25 of the gate's own, and a slow line
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_LOOK_AGAIN = 75  # the gate's exit code for "took too long"

# What ssh prints -> what that means to an operator. Each of them happens before the request could be carried out, so
# the signs are narrow: a "connection timed out" alone may also end a session in which everything was done.
_BEFORE = (
    (
        "identification has changed",
        "shows another host key than the known hosts file: find out why before you change it",
    ),
    ("host key verification failed", "is not in the known hosts file, or shows another host key"),
    ("permission denied (", "does not accept this key for this user: look at its authorized_keys"),
    ("bad permissions", "was not asked, because the key file can be read by others: chmod 600 it"),
    ("could not resolve hostname", "has a name that cannot be resolved"),
    ("banner exchange", "takes connections and does not speak SSH in time"),
    (
        "kex_exchange_identification",
        "closes connections before SSH begins: is it overloaded, or does it ban this machine",
    ),
    ("no such identity", "was not asked, because the key file does not exist"),
    ("invalid characters", "has a name that is no host name"),
)
_CONNECT = (
    ("connection refused", "refuses connections: is sshd running on that port"),
    ("no route to host", "cannot be reached: there is no route to it"),
    ("network is unreachable", "cannot be reached: there is no network to it"),
    ("", "does not answer: is it up, and does its firewall let this machine in"),
)


class GateUnreachable(BackendError):
    """The request did not reach the gate: nothing was done."""


class GateUnknown(BackendError):
    """The answer was lost: it may have been done."""


class GateRefused(BackendError):
    """The gate understood and said no."""


class SshPlace(NamedTuple):
    """Where to reach a gate, and what proves who is who."""

    host: str
    port: int
    user: str
    key_file: str
    known_hosts: str


class GateClient:
    """Calls one gate. `command` makes the argument list for a verb; nothing of a request ever stands in it."""

    def __init__(self, where: str, command: Callable[[str], list[str]], timeout: float = TIMEOUT):
        self.where = where
        self._command = command
        self._timeout = timeout

    def call(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        """The gate's answer. Raises GateUnreachable, GateUnknown or GateRefused, each with one sentence."""
        try:
            done = subprocess.run(
                self._command(verb),
                input=json.dumps(request).encode("ascii"),
                capture_output=True,
                timeout=self._timeout,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GateUnknown(f"{self.where} did not answer within {self._timeout:g} s.") from None
        except OSError as error:
            raise GateUnreachable(f"{self.where} cannot be asked: {error.filename} {error.strerror}.") from None
        answer = _parsed(done.stdout)
        if answer is None:
            raise self._no_answer(done.returncode, done.stderr.decode("utf-8", "replace"))
        if answer.get("ok") is True:
            return answer
        kind = GateUnknown if done.returncode == _LOOK_AGAIN else GateRefused
        raise kind(f"{self.where}: {one_line(answer.get('error'))}")

    def _no_answer(self, code: int, printed: str) -> BackendError:
        lowered = printed.casefold()
        early = _CONNECT if "connect to host" in lowered else _BEFORE
        for sign, meaning in early:
            if code == 255 and sign in lowered:
                return GateUnreachable(f"{self.where} {meaning}.")
        if code in (126, 127):
            return GateUnreachable(f"{self.where} has no gate that can be started: install propolis-gate there.")
        if code in (255, -9, -15):
            return GateUnknown(f"The connection to {self.where} was lost before it answered.")
        if "password is required" in lowered or "sudo:" in lowered:
            return GateUnreachable(f"{self.where}: sudo does not let this user start the gate without a password.")
        return GateUnknown(f"{self.where} did not answer as a gate does: is its forced command propolis-gate?")


def local_gate(*, program: str | None = None, nft: str | None = None, sudo: bool = False) -> GateClient:
    """The gate as a child process on this machine. Raises ConfigurationError where it is not there."""
    gate = program or str(GATE)
    if not os.path.isfile(gate):
        raise ConfigurationError(f"The gate {gate} does not exist: it ships as deploy/ssh/propolis-gate.")
    start = ["sudo", "-n", "--", gate] if sudo else [sys.executable, "-I", gate]
    options = ["--nft", nft] if nft else []
    return GateClient("nftables on this machine", lambda verb: [*start, *options, verb])


def ssh_gate(place: SshPlace) -> GateClient:
    """The gate behind an SSH server's forced command. Raises ConfigurationError for what could mean something else."""
    check_place(place)
    return GateClient(f"{place.user}@{place.host} port {place.port}", lambda verb: ssh_command(place, verb))


def ssh_command(place: SshPlace, verb: str) -> list[str]:
    """OpenSSH without any configuration file, shared connection, agent, forwarding or question."""
    options = (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={place.known_hosts}",
        "GlobalKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PreferredAuthentications=publickey",
        "ClearAllForwardings=yes",
        "ControlPath=none",
        "UpdateHostKeys=no",
        "ConnectTimeout=5",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
        "LogLevel=ERROR",
    )
    flags = [part for option in options for part in ("-o", option)]
    ends = ["-i", place.key_file, "-p", str(place.port), "--", f"{place.user}@{place.host}", verb]
    return ["ssh", "-F", "none", "-T", *flags, *ends]


def check_place(place: SshPlace) -> None:
    """Raise ConfigurationError for a host, user, port or file that ssh would read as something else."""
    if not (_HOST.fullmatch(place.host) or _is_address(place.host)):
        raise ConfigurationError(f"{place.host[:80]!r} is not a host name or address.")
    if not _USER.fullmatch(place.user):
        raise ConfigurationError(f"{place.user[:40]!r} is not a user name.")
    if not 1 <= place.port <= 65535:
        raise ConfigurationError(f"{place.port} is not a port.")
    for name, item, path in (
        ("key", "ssh_key_file", place.key_file),
        ("known hosts", "ssh_known_hosts", place.known_hosts),
    ):
        place_text = f"configuration item ..._{item}"
        if not os.path.isabs(path) or re.search(r'[\s"%$]', path):
            sentence = f"The SSH {name} file must be an absolute path without spaces, quotes, % or $."
            raise ConfigurationError(sentence, path=place_text)
        if not os.access(path, os.R_OK):
            raise ConfigurationError(f"The SSH {name} file cannot be read by this worker.", path=place_text)


def one_line(text: Any) -> str:
    """A foreign sentence, cut and without control characters."""
    cleaned = re.sub(r"[\x00-\x1f\x7f]+", " ", text if isinstance(text, str) else "no reason given.")
    return cleaned if len(cleaned) <= 400 else cleaned[:400] + "..."


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _parsed(printed: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(printed[:1_000_000].decode("utf-8"))
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and "ok" in answer else None

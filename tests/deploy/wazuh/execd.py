"""What wazuh-execd 4.x does with an active-response program, without wazuh-execd.

Written from the Wazuh documentation, "Custom active response scripts" and "Wazuh active response API" (4.14), and from
measurements of the daemon: it starts the file with its path as the only argument, writes one JSON line, reads one line,
answers with the same document and `continue` or `abort`, and waits until the program is gone, doing nothing else. Its
`command` is always `add`, whatever the API was asked for.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = "active-response/bin/propolis-contain"


@dataclass(frozen=True)
class Exchange:
    """One call as execd saw it."""

    reply: str
    """The first line the program printed; empty where it printed none."""
    rest: str
    """What it printed after that: must be nothing."""
    stderr: str
    returncode: int
    held: float
    """Seconds that execd could do nothing else."""

    @property
    def keys(self) -> list[str]:
        """The keys of the program's check_keys; empty where it did not ask."""
        if not self.reply:
            return []
        document = json.loads(self.reply)
        assert document["command"] == "check_keys"
        assert document["origin"] == {"name": "propolis-contain", "module": "active-response"}
        keys: list[str] = document["parameters"]["keys"]
        return keys


def request(arguments: Sequence[Any], command: str = "add") -> str:
    """The line for `PUT /active-response` with these arguments and the alert `{"data": {}}`."""
    document = {
        "version": 1,
        "origin": {"name": "node01", "module": "wazuh-execd"},
        "command": command,
        "parameters": {"extra_args": list(arguments), "alert": {"data": {}}, "program": PROGRAM},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


class Execd:
    """One agent's execd: Wazuh's home, and what to put before the program (a network namespace, a private /etc)."""

    def __init__(self, home: Path, prefix: Sequence[str] = ()):
        self.home = home
        self._prefix = list(prefix)

    def start(self, line: str) -> subprocess.Popen[bytes]:
        """Start the program and hand over the line."""
        process = subprocess.Popen(
            [*self._prefix, str(self.home / PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.home,
            env={"PATH": "/usr/bin:/bin", "LANG": "de_DE.UTF-8", "NFT": "/bin/false"},
        )
        assert process.stdin is not None
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        return process

    def finish(self, process: subprocess.Popen[bytes], answer: str = "continue") -> Exchange:
        """Read the program's line, answer it, and wait until the program is gone."""
        assert process.stdin is not None
        assert process.stdout is not None
        began = time.monotonic()
        reply = process.stdout.readline().decode().strip()
        told = b""
        if reply and answer:
            told = json.dumps({**json.loads(reply), "command": answer}).encode() + b"\n"
        rest, stderr = process.communicate(told, timeout=30)
        return Exchange(reply, rest.decode(), stderr.decode(), process.returncode, time.monotonic() - began)

    def send(self, line: str, answer: str = "continue") -> Exchange:
        """The whole exchange over one line."""
        return self.finish(self.start(line), answer)

    def call(self, *arguments: Any, answer: str = "continue") -> Exchange:
        """What `PUT /active-response` with these arguments causes."""
        return self.send(request(arguments), answer)

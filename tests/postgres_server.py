"""A PostgreSQL of our own for tests and benchmarks: made in a temporary folder, on a loopback port, gone afterwards.

It is run as the user `postgres` where we are root, which PostgreSQL refuses to be.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from types import TracebackType

import psycopg

PASSWORD = "s3cret/with@signs"
_QUOTED = "s3cret%2Fwith%40signs"
_NUMBERS = count(1)


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None where PostgreSQL is not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: float(place.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    found = [place for place in [*places, *([Path(on_path).parent] if on_path else [])] if (place / "initdb").exists()]
    return found[0] if found else None


class PostgresServer:
    """Use as a context manager. `durable` syncs to disk at every commit, as a real one does; tests need not."""

    def __init__(self, *, durable: bool = False, place: str | None = None):
        self._durable = durable
        self._place = place
        self.port = _free_port()

    def __enter__(self) -> PostgresServer:
        self._home = Path(tempfile.mkdtemp(prefix="propolis-pg-", dir=self._place))
        if os.geteuid() == 0:
            shutil.chown(self._home, "postgres", "postgres")
        secret = self._home / "password"
        self._run("sh", "-c", f"umask 077; echo '{PASSWORD}' > {secret}")
        self._run(
            self._program("initdb"), "--pgdata", self._data, "--username", "propolis", "--pwfile", str(secret),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def start(self) -> None:
        """Begin, or begin again on what is there."""
        durable = "" if self._durable else " -c fsync=off -c full_page_writes=off"
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k '' -c max_connections=80{durable}"
        log = str(self._home / "log")
        self._run(self._program("pg_ctl"), "start", "--wait", "-D", self._data, "-l", log, "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """End; `immediate` is what a power cut leaves, `fast` says farewell to its clients."""
        self._run(self._program("pg_ctl"), "stop", "--wait", "-D", self._data, "-m", mode, check=False)

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"propolis_{next(_NUMBERS)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")  # type: ignore[arg-type]
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"drop database {url.rpartition('/')[2]} with (force)")  # type: ignore[arg-type]

    def url(self, database: str, password: str = _QUOTED) -> str:
        """The URL of a database that is there."""
        return f"postgresql://propolis:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def _data(self) -> str:
        return str(self._home / "data")

    def _program(self, name: str) -> str:
        folder = programs()
        if folder is None:
            raise FileNotFoundError("PostgreSQL is not installed: apt-get install postgresql")
        return str(folder / name)

    def _run(self, *command: str, check: bool = True) -> None:
        drop_root = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        done = subprocess.run(
            [*drop_root, *command], check=False, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60,
        )  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stdout[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Fixtures: scripted servers, plain and over TLS, and certificates of a CA of the test's own."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripted_server import Server, start


@pytest.fixture
def server() -> Iterator[Server]:
    made, end = start()
    yield made
    end()


@pytest.fixture
def other_server() -> Iterator[Server]:
    made, end = start()
    yield made
    end()


@dataclass(frozen=True)
class Certificates:
    """Files: the CA, and a certificate with its key for each name."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def pair(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Certificates:
    need(shutil.which("openssl"), "openssl")
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    _openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2")
    for name, subject in (("right", "IP:127.0.0.1"), ("wrong", "DNS:elsewhere.example.org")):
        _openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={subject}\n")
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", f"{name}.ext", "-out", f"{name}.pem", "-days", "2",
        )  # fmt: skip
    return Certificates(folder)


@pytest.fixture
def tls_server(certificates: Certificates) -> Iterator[Callable[[str], Server]]:
    """`tls_server("right")` or `("wrong")`: a server whose certificate bears its name, or another's."""
    ends: list[Callable[[], None]] = []

    def serve(name: str) -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificates.pair(name))
        server, end = start(context)
        ends.append(end)
        return server

    yield serve
    for end in ends:
        end()

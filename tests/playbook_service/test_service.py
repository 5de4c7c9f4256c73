"""The service as a process would run it: events are taken in while TheHive is away, over TLS where that is set."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from playbook_service.parts import check_exposure, feed_book, policy_of
from playbook_service.service import Service
from playbook_service.settings import Settings, load
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock, SystemClock
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, PolicyError

ALERT = {"id": "1767261599.482913", "rule": {"id": "5710", "level": 5}, "manager": {"name": "wazuh-1"}}
TOKEN = "hook-t0ken"


def settings(tmp_path: Path, **more: str) -> Settings:
    environment = {
        "PROPOLIS_LISTEN": "127.0.0.1:0",
        "PROPOLIS_DATA_DIR": str(tmp_path / "data"),
        "PROPOLIS_WEBHOOK_TOKEN": TOKEN,
        "PROPOLIS_THEHIVE_URL": "http://127.0.0.1:9",
        "PROPOLIS_THEHIVE_KEY": "k",
    }
    return load({**environment, **{f"PROPOLIS_{name.upper()}": value for name, value in more.items()}})


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(**more: str) -> Service:
        service = Service(settings(tmp_path, **more), SystemClock())
        service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        service.stop()


def ask(connection: HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, answer


def test_alerts_are_kept_while_thehive_is_away_and_the_service_is_ready(running: Callable[..., Service]):
    service = running()
    connection = HTTPConnection("127.0.0.1", service.port, timeout=10)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(connection, "POST", "/hooks/wazuh", ALERT, **bearer)[0] == 202
    assert ask(connection, "POST", "/hooks/wazuh", ALERT)[0] == 401
    assert ask(connection, "GET", "/healthz")[0] == 200
    assert ask(connection, "GET", "/readyz")[0] == 200
    with service.store.transaction() as work:
        assert work.backlog("inbox").waiting == 1
    assert service.engine is None


def test_block_lists_are_published_on_a_listener_of_their_own(running: Callable[..., Service], tmp_path: Path):
    policy = tmp_path / "policy.yml"
    policy.write_text("firewall: {own: [198.51.100.0/24]}\n")
    service = running(feed_listen="127.0.0.1:0", feed_token="api-t0ken", feed_readers="fw:pw", policy=str(policy))
    api = HTTPConnection("127.0.0.1", service.port, timeout=10)
    bearer = {"Authorization": "Bearer api-t0ken"}
    assert ask(api, "PUT", "/api/v1/blocklist/blocklist/203.0.113.7", {"ttl": 60}, **bearer)[0] == 200
    feed = HTTPConnection("127.0.0.1", service.feed_port, timeout=10)
    status, body = ask(feed, "GET", "/feeds/blocklist.txt", Authorization="Basic Znc6cHc=")
    assert (status, body.splitlines()[1:]) == (200, [b"203.0.113.7"])
    assert ask(feed, "POST", "/hooks/wazuh", ALERT, **bearer)[0] == 404
    assert ask(api, "GET", "/feeds/blocklist.txt", Authorization="Basic Znc6cHc=")[0] == 404


@pytest.fixture
def certificate(tmp_path: Path, need: Callable[[object, str], None]) -> tuple[Path, Path]:
    import shutil

    need(shutil.which("openssl"), "openssl")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_with_a_certificate_the_service_speaks_tls_only(
    running: Callable[..., Service], certificate: tuple[Path, Path]
):
    cert, key = certificate
    service = running(tls_certificate=str(cert), tls_key=str(key))
    context = ssl.create_default_context(cafile=str(cert))
    secure = HTTPSConnection("localhost", service.port, timeout=10, context=context)
    assert ask(secure, "GET", "/healthz")[0] == 200
    plain = HTTPConnection("127.0.0.1", service.port, timeout=10)
    with pytest.raises(OSError, match=r".*"):
        ask(plain, "GET", "/healthz")
    assert ask(secure, "GET", "/healthz")[0] == 200


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path):
    service = Service(settings(tmp_path, tls_certificate=str(tmp_path / "missing.pem")), SystemClock())
    with pytest.raises(ConfigurationError, match="tls_certificate"):
        service.start()
    service.stop()


def test_without_a_token_the_service_does_not_listen_beyond_this_machine(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="set a token"):
        check_exposure(settings(tmp_path, listen="0.0.0.0:8080", webhook_token=" "))
    check_exposure(settings(tmp_path, listen="0.0.0.0:8080"))
    check_exposure(settings(tmp_path, listen="127.0.0.1:8080", webhook_token=" "))


@pytest.mark.parametrize("feeds", ["blocklist", "blocklist:mac", "../x:ip"])
def test_a_block_list_that_is_none_is_refused(tmp_path: Path, feeds: str):
    store = MemoryStore(ManualClock())
    with pytest.raises(ConfigurationError, match="feeds"):
        feed_book(settings(tmp_path, feeds=feeds), store, ManualClock(), lambda: Policy.parse(None))


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path):
    environment = {
        "PATH": "/usr/bin:/bin", "PROPOLIS_LISTEN": "127.0.0.1:0", "PROPOLIS_DATA_DIR": str(tmp_path),
        "PROPOLIS_THEHIVE_URL": "http://127.0.0.1:9", "PROPOLIS_THEHIVE_KEY": "s3cret-key",
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "playbook_service", "serve"], env=environment, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[2],
    ) as process:  # fmt: skip
        assert process.stderr is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        said = []
        for line in process.stderr:
            said.append(line)
            if "only this machine may send webhooks" in line:
                break
        process.terminate()
        said.extend(process.stderr)
        watchdog.cancel()
    assert process.returncode == 0
    assert any("propolis listens on 127.0.0.1:" in line for line in said)
    assert "s3cret-key" not in "".join(said)


def test_a_policy_that_is_gone_refuses_as_a_broken_one_does(tmp_path: Path):
    path = tmp_path / "policy.yml"
    path.write_text("firewall: {own: [198.51.100.0/24]}\n")
    policy = policy_of(settings(tmp_path, policy=str(path)))
    assert policy().own_is_set
    path.unlink()
    with pytest.raises(PolicyError, match="cannot be read"):
        policy()


def test_an_address_that_is_in_use_is_said_in_a_sentence(running: Callable[..., Service], tmp_path: Path):
    taken = running().port
    other = Service(settings(tmp_path / "other", listen=f"127.0.0.1:{taken}"), SystemClock())
    with pytest.raises(ConfigurationError, match="cannot listen on 127"):
        other.start()
    other.stop()

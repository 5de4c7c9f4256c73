"""The TLS proxies before the service: who gets what, told by a real nginx and, where people sign in, a real service."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deploy_tools import ROOT, TOOLS, Need

from playbook_service.demo.stage import Stage, Terms
from playbook_service.lab.lab import PASSWORD, PEOPLE

COMPOSE = ROOT / "deploy" / "compose" / "proxy" / "default.conf.template"
SYSTEMD = ROOT / "deploy" / "systemd" / "nginx.conf.example"
INSIDE, OUTSIDE = "127.0.0.2", "127.0.0.1"
"""Two addresses of this machine: the first stands for the company's own networks."""
FOR_PEOPLE = ("/console", "/console/sign-in", "/console/decisions/x?y=1", "/api/v1/leases", "/api/v1/approvals/a/grant")
FOR_PROGRAMS = ("/hooks/wazuh", "/hooks/thehive", "/thehive-webhook", "/api/v1/blocklist/blocklist/203.0.113.7")
FOR_NOBODY = ("/metrics", "/metrics/", "/healthz", "/readyz", "/", "/feeds/blocklist.txt", "/hooks", "/consoles")


class Backend(http.server.BaseHTTPRequestHandler):
    """What stands behind the proxy: says what it was asked for, by whom and how, as the proxy tells it."""

    def do_GET(self) -> None:
        told = (self.headers[name] for name in ("Host", "X-Forwarded-For", "X-Forwarded-Proto"))
        body = f"{self.path} {' '.join(told)}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def backend() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextmanager
def nginx(config: Path, behind: int, folder: Path, need: Need) -> Iterator[int]:
    """The port of an nginx with one of the two configurations, everything in it before one server."""
    program = shutil.which("nginx", path=f"{TOOLS}{os.pathsep}/usr/sbin")
    need(program, "nginx")
    need(shutil.which("curl"), "curl")
    need(shutil.which("openssl"), "openssl")
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "key.pem", "-out", "fullchain.pem"]
    subprocess.run(["openssl", "req", *words], cwd=folder, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = _adapted(config.read_text("utf-8"), port, behind, folder)
    whole = f"daemon off; pid {folder}/pid; error_log stderr; events {{}} http {{ access_log off;\n{text}\n}}\n"
    path = folder / "nginx.conf"
    path.write_text(whole, "utf-8")
    checked = subprocess.run([str(program), "-t", "-c", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    running = subprocess.Popen([str(program), "-c", str(path)], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        running.terminate()
        running.wait(30)


def _adapted(text: str, port: int, behind: int, folder: Path) -> str:
    """This place's names, ports and files; and `INSIDE` for the first of the private networks."""
    for name in ("THEHIVE", "CORTEX", "PROPOLIS", "GRAFANA"):
        text = text.replace(f"${{{name}_NAME}}", f"{name.lower()}.example.org")
    text = re.sub(r"http://(thehive|cortex|propolis|grafana|127\.0\.0\.1):\d+", f"http://127.0.0.1:{behind}", text)
    text = re.sub(r"/etc/(nginx/tls|ssl/propolis)", str(folder), text)
    text = text.replace("    listen [::]:443 ssl;\n", "").replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("        allow 127.0.0.0/8;\n", "")
    assert "allow 10.0.0.0/8;" in text
    return text.replace("allow 10.0.0.0/8;", f"allow {INSIDE};")


def asked(port: int, url: str, *words: str, source: str = OUTSIDE) -> subprocess.CompletedProcess[str]:
    """curl from one of this machine's addresses; a proxy that is still starting is asked again."""
    host = url.removeprefix("https://").split("/")[0]
    to = ["--connect-to", f"{host}:443:127.0.0.1:{port}", "--interface", source]
    again = ["--retry", "20", "--retry-connrefused", "--retry-delay", "1"]
    return subprocess.run(
        ["curl", "-s", "-k", *to, *again, "-w", "\n%{http_code}", *words, url],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def status(port: int, path: str, source: str) -> int:
    return int(asked(port, f"https://propolis.example.org{path}", source=source).stdout.rsplit("\n", 1)[1])


@pytest.mark.parametrize("config", [COMPOSE, SYSTEMD], ids=["compose", "systemd"])
def test_people_reach_the_console_programs_the_hooks_from_inside_and_nobody_the_metrics(
    config: Path, backend: int, tmp_path: Path, need: Need
):
    with nginx(config, backend, tmp_path, need) as port:
        paths = (*FOR_PEOPLE, *FOR_PROGRAMS, *FOR_NOBODY)
        found = {path: (status(port, path, OUTSIDE), status(port, path, INSIDE)) for path in paths}
    expected = dict.fromkeys(FOR_PEOPLE, (200, 200)) | dict.fromkeys(FOR_PROGRAMS, (403, 200))
    assert found == expected | dict.fromkeys(FOR_NOBODY, (404, 404))


@pytest.mark.parametrize("config", [COMPOSE, SYSTEMD], ids=["compose", "systemd"])
def test_the_service_hears_the_name_the_client_and_that_it_came_by_tls_and_not_what_a_client_makes_up(
    config: Path, backend: int, tmp_path: Path, need: Need
):
    lies = ("-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: http")
    with nginx(config, backend, tmp_path, need) as port:
        plain = asked(port, "https://propolis.example.org/console", *lies).stdout
        with_port = asked(port, "https://propolis.example.org/console", "-H", "Host: propolis.example.org:8443").stdout
    assert plain == f"/console propolis.example.org {OUTSIDE} https\n200"
    assert with_port == f"/console propolis.example.org:8443 {OUTSIDE} https\n200"


def test_the_compose_proxy_leads_each_name_to_its_service_and_any_other_nowhere(
    backend: int, tmp_path: Path, need: Need
):
    with nginx(COMPOSE, backend, tmp_path, need) as port:
        for name in ("thehive", "cortex", "grafana"):
            answer = asked(port, f"https://{name}.example.org/api/status").stdout
            assert answer == f"/api/status {name}.example.org {OUTSIDE} https\n200"
        assert asked(port, "https://localhost/").returncode == 52  # what compose.yml takes for health


@pytest.mark.parametrize("config", [COMPOSE, SYSTEMD], ids=["compose", "systemd"])
def test_somebody_signs_in_to_the_console_by_tls_and_keeps_a_cookie_that_goes_nowhere_else(
    config: Path, tmp_path: Path, need: Need
):
    login = PEOPLE["analyst"][0]
    (tmp_path / "stage").mkdir()
    with Stage(tmp_path / "stage", Terms()) as stage, nginx(config, stage.running.port, tmp_path, need) as port:
        base, jar = "https://propolis.example.org", str(tmp_path / "cookies")
        words = ["-b", jar, "-c", jar, "-H", f"Origin: {base}", "-d", f"secret={PASSWORD}", "--data-urlencode",
                 f"login={login}"]  # fmt: skip
        assert asked(port, f"{base}/console/sign-in", *words).stdout.endswith("\n303")
        page = asked(port, f"{base}/console", "-b", jar).stdout
        css = asked(port, f"{base}/console/static/console.css").stdout
    assert page.endswith("\n200")
    assert login in page or PEOPLE["analyst"][1] in page
    assert css.endswith("\n200")
    (row,) = [line.split("\t") for line in Path(jar).read_text("utf-8").splitlines() if "__Host-propolis" in line]
    assert row[0].startswith("#HttpOnly_propolis.example.org")
    assert (row[1], row[3]) == ("FALSE", "TRUE"), "no other name of the domain gets it, and nothing without TLS"

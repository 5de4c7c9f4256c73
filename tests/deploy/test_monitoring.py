"""The Compose profile `monitoring` and the Kubernetes components for it: Prometheus and Grafana find what is there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import ROOT, Need, composed, copy_deploy, init

from playbook_service.settings import load

PROFILE = ("--profile", "monitoring")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_deploy(tmp_path)


@pytest.fixture
def prepared(folder: Path, need: Need) -> Path:
    need(os.geteuid() == 0, "root")
    need(shutil.which("openssl"), "openssl")
    init(folder)
    return folder


def service(folder: Path, name: str, need: Need) -> dict[str, Any]:
    return dict(composed(folder, need, *PROFILE)["services"][name])


def mounted(found: dict[str, Any]) -> dict[str, Path]:
    """Where in the container -> where on the machine."""
    return {each["target"]: Path(each["source"]) for each in found["volumes"]}


def test_neither_of_them_starts_unless_it_is_asked_for(folder: Path, need: Need):
    assert not {"prometheus", "grafana"} & set(composed(folder, need)["services"])


def test_neither_of_them_reaches_the_world_or_can_be_reached_but_by_the_proxy(folder: Path, need: Need):
    document = composed(folder, need, *PROFILE)
    for name in ("prometheus", "grafana"):
        found = document["services"][name]
        assert set(found["networks"]) == {"watch"}
        assert not found.get("ports")
        assert found["cap_drop"] == ["ALL"]
    assert document["networks"]["watch"]["internal"] is True
    assert {"watch", "apps"} <= set(document["services"]["propolis"]["networks"])
    assert "watch" in document["services"]["proxy"]["networks"]


def test_prometheus_reads_our_rules_and_presents_the_token_that_the_service_wants(prepared: Path, need: Need):
    need(shutil.which("promtool"), "promtool (Debian's prometheus)")
    found = service(prepared, "prometheus", need)
    files = mounted(found)
    assert files["/etc/prometheus/propolis-rules.yml"] == prepared.parent / "prometheus" / "propolis-rules.yml"
    place = prepared / "checked"
    place.mkdir()
    for inside, outside in files.items():
        if inside.startswith("/etc/prometheus/"):
            shutil.copy(outside, place / Path(inside).name)
    secret = prepared / "secrets" / "prometheus_metrics_token"
    config = (place / "prometheus.yml").read_text("utf-8")
    assert "/run/secrets/prometheus_metrics_token" in config
    (place / "prometheus.yml").write_text(config.replace("/run/secrets/prometheus_metrics_token", str(secret)), "utf-8")
    done = subprocess.run(
        ["promtool", "check", "config", str(place / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SUCCESS: \d\d rules found", done.stdout)

    theirs = service(prepared, "propolis", need)["environment"]["PROPOLIS_METRICS_TOKEN_FILE"]
    settings = load({"PROPOLIS_METRICS_TOKEN_FILE": str(prepared / "secrets" / Path(theirs).name)})
    assert settings["metrics_token"] == (secret.read_text("utf-8").strip(),)


def test_prometheus_asks_every_node_by_itself_under_the_name_that_the_rules_know(folder: Path, need: Need):
    (job,) = yaml.safe_load((folder / "monitoring" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    (where,) = job["dns_sd_configs"]
    settings = yaml.safe_load((folder / "propolis.example" / "propolis.yml").read_text("utf-8"))
    assert (job["job_name"], where["names"], where["type"]) == ("propolis", ["propolis"], "A")
    assert settings["listen"].endswith(f":{where['port']}")
    assert 'job="propolis"' in (ROOT / "deploy" / "prometheus" / "propolis-rules.yml").read_text("utf-8")


def test_grafana_has_a_password_of_its_own_from_a_file_and_our_dashboard_on_our_prometheus(prepared: Path, need: Need):
    found = service(prepared, "grafana", need)
    password = found["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"]
    assert [each["source"] for each in found["secrets"]] == [Path(password).name]
    assert len((prepared / "secrets" / "grafana_admin").read_text("utf-8").strip()) == 64
    files = mounted(found)
    rooms = files["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((rooms / "datasources" / "prometheus.yml").read_text("utf-8"))["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((rooms / "dashboards" / "propolis.yml").read_text("utf-8"))["providers"]
    (board,) = [outside for inside, outside in files.items() if inside.startswith(provider["options"]["path"] + "/")]
    assert json.loads(board.read_text("utf-8"))["uid"] == "propolis"


def test_grafanas_name_is_in_the_certificate_where_there_is_one(folder: Path, need: Need):
    need(os.geteuid() == 0, "root")
    need(shutil.which("openssl"), "openssl")
    with (folder / ".env").open("a", encoding="utf-8") as file:
        file.write("GRAFANA_NAME=grafana.example.org\n")
    init(folder)
    words = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", str(folder / "tls" / "fullchain.pem")]
    assert "DNS:grafana.example.org" in subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert service(folder, "proxy", need)["environment"]["GRAFANA_NAME"] == "grafana.example.org"

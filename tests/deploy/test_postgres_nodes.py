"""Several nodes on PostgreSQL: the Kustomize overlay and the compose file for it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import ROOT, Need, composed, copy_deploy, init, kustomize, validate

from playbook_service.parts import check_exposure, policy_of
from playbook_service.settings import Settings, load

FILES = ("compose.yml", "postgres.yml")
SECRETS = {
    "thehive_key": "k" * 32, "webhook_token": "t" * 32,
    "store": "postgresql://propolis:secret@db.example.org/propolis?sslmode=verify-full",
}  # fmt: skip


# Kubernetes


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """The overlay as somebody has it who followed docs/deploy.md."""
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "kubernetes", ignore=shutil.ignore_patterns("secrets"))
    folder = tmp_path / "kubernetes" / "overlays" / "postgres"
    (folder / "secrets").mkdir()
    for name, text in SECRETS.items():
        (folder / "secrets" / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def objects(overlay: Path, need: Need) -> dict[str, dict[str, Any]]:
    """What would be applied, by kind."""
    done = kustomize(overlay, need)
    assert (done.returncode, done.stderr) == (0, "")
    return {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}


def pod_of(objects: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
    return found


def loaded(objects: dict[str, Any], tmp_path: Path) -> Settings:
    """The settings as a pod would load them."""
    for name, text in objects["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text, "utf-8")
    environment = {f"PROPOLIS_{name.upper()}": text for name, text in SECRETS.items()}
    return load({**environment, "PROPOLIS_POLICY": str(tmp_path / "policy.yml")}, tmp_path / "propolis.yml")


@pytest.mark.parametrize("version", ["1.29", "latest"])
def test_kubernetes_knows_every_field_of_every_object(objects: dict[str, Any], version: str, need: Need):
    assert len(objects) == 8
    validate(objects.values(), version, need)


def test_there_are_several_pods_on_several_machines_and_no_volume_that_they_would_share(objects: dict[str, Any]):
    assert objects["Deployment"]["spec"]["replicas"] == 3
    assert "PersistentVolumeClaim" not in objects
    data = next(volume for volume in pod_of(objects)["volumes"] if volume["name"] == "data")
    assert set(data) == {"name", "ephemeral"}
    (spread,) = pod_of(objects)["topologySpreadConstraints"]
    assert spread["labelSelector"] == objects["Deployment"]["spec"]["selector"]
    assert objects["PodDisruptionBudget"]["spec"] == {
        "maxUnavailable": 1, "selector": objects["Deployment"]["spec"]["selector"],
    }  # fmt: skip


def test_never_two_versions_or_two_policies_work_side_by_side(objects: dict[str, Any]):
    assert objects["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}


def test_the_store_comes_from_the_secret_and_the_service_takes_it_for_postgresql(
    objects: dict[str, Any], tmp_path: Path
):
    (container,) = pod_of(objects)["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    files = {value.rsplit("/", 1)[1] for name, value in environment.items() if name.endswith("_FILE")}
    assert files == set(objects["Secret"]["data"]) == set(SECRETS)
    assert "secret@" not in yaml.safe_dump({name: each for name, each in objects.items() if name != "Secret"})
    settings = loaded(objects, tmp_path)
    check_exposure(settings)
    assert settings["mode"] == "observe"
    from playbook_service.store.postgres_link import read_place

    assert read_place(settings["store"]).name == "postgresql://db.example.org:5432/propolis"


def test_the_kill_switch_is_one_for_all_pods(objects: dict[str, Any], tmp_path: Path):
    switch = policy_of(loaded(objects, tmp_path))().kill_switch
    (container,) = pod_of(objects)["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    mount = mounts[str(Path(str(switch)).parent)]
    assert mount["readOnly"] is True
    volume = next(volume for volume in pod_of(objects)["volumes"] if volume["name"] == mount["name"])
    assert volume["configMap"] == {"name": "propolis-stop", "optional": True}
    told = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    assert f"create configmap propolis-stop --from-literal={Path(str(switch)).name}=" in told


def test_the_database_may_be_spoken_to_and_all_else_is_as_for_one_node(objects: dict[str, Any]):
    (names, ports) = objects["NetworkPolicy"]["spec"]["egress"]
    base = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "base" / "networkpolicy.yaml").read_text("utf-8"))
    assert names == base["spec"]["egress"][0]
    assert {port["port"] for port in ports["ports"]} == {
        port["port"] for port in base["spec"]["egress"][1]["ports"]
    } | {5432}
    assert objects["NetworkPolicy"]["spec"]["ingress"] == base["spec"]["ingress"]


def test_the_namespace_is_that_of_the_example():
    folder = ROOT / "deploy" / "kubernetes"
    both = [(folder / place / "namespace.yaml").read_text("utf-8") for place in ("example", "overlays/postgres")]
    assert both[0] == both[1]


# Compose


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_deploy(tmp_path)


@pytest.fixture
def prepared(folder: Path, need: Need) -> Path:
    need(os.geteuid() == 0, "root")
    need(shutil.which("openssl"), "openssl")
    init(folder)
    init(folder, "init-postgres.sh")
    return folder


def test_two_nodes_and_a_database_that_nobody_else_can_speak_to(folder: Path, need: Need):
    document = composed(folder, need, files=FILES)
    services = document["services"]
    assert services["propolis"]["scale"] == 2
    assert document["networks"]["store"]["internal"] is True
    assert {name for name, each in services.items() if "store" in each["networks"]} == {"propolis", "postgres"}
    assert set(services["postgres"]["networks"]) == {"store"}
    assert "ports" not in services["postgres"]
    assert services["propolis"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_each_node_keeps_its_data_for_itself(folder: Path, need: Need):
    (data,) = [
        each
        for each in composed(folder, need, files=FILES)["services"]["propolis"]["volumes"]
        if not each.get("read_only")
    ]
    assert (data["target"], data["type"], data.get("source")) == ("/var/lib/propolis", "volume", None)


def test_the_database_is_as_confined_as_our_own_containers(folder: Path, need: Need):
    found = composed(folder, need, files=FILES)["services"]["postgres"]
    assert re.search(r":\d+\.\d+$", found["image"])
    assert (found["read_only"], found["cap_drop"], found["user"]) == (True, ["ALL"], "999:999")
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["restart"] == "unless-stopped"
    assert "127.0.0.1" in found["healthcheck"]["test"][1]


@pytest.mark.root
def test_the_password_is_made_once_and_read_by_the_two_that_need_it(prepared: Path, need: Need):
    secrets = prepared / "secrets"
    password = (secrets / "postgres").read_text("utf-8").strip()
    entries = {name: (secrets / name).stat() for name in ("postgres", "propolis_store")}
    assert {name: (entry.st_uid, stat.S_IMODE(entry.st_mode)) for name, entry in entries.items()} == {
        "postgres": (999, 0o400), "propolis_store": (10001, 0o400),
    }  # fmt: skip
    printed = init(prepared, "init-postgres.sh")
    assert (secrets / "postgres").read_text("utf-8").strip() == password
    assert password not in printed
    assert password not in str(composed(prepared, need, files=FILES))
    assert (prepared / "data" / "postgres").stat().st_uid == 999


@pytest.mark.root
def test_the_service_takes_the_url_and_it_leads_to_the_database_of_the_file(prepared: Path, need: Need):
    from playbook_service.store.postgres_link import read_place

    settings = load(
        {"PROPOLIS_STORE_FILE": str(prepared / "secrets" / "propolis_store")}, prepared / "propolis" / "propolis.yml"
    )
    place = read_place(settings["store"])
    database = composed(prepared, need, files=FILES)["services"]["postgres"]["environment"]
    assert place.name == "postgresql://postgres:5432/propolis"
    assert (place.parameters["user"], place.parameters["dbname"]) == (
        database["POSTGRES_USER"], database["POSTGRES_DB"],
    )  # fmt: skip
    assert place.parameters["password"] == (prepared / "secrets" / "postgres").read_text("utf-8").strip()


def test_before_the_other_script_it_says_which_one_to_run(folder: Path, need: Need):
    need(os.geteuid() == 0, "root")
    done = subprocess.run(["sh", str(folder / "init-postgres.sh")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "run ./init.sh first" in done.stderr

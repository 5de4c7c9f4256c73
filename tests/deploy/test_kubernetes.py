"""deploy/kubernetes: assembled by Kustomize as kubectl has it, and checked against Kubernetes' own schemas."""

from __future__ import annotations

import base64
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import ROOT, Need, kustomize, validate

SECRETS = {"thehive_key": "k" * 32, "webhook_token": "t" * 32}


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """The example as somebody has it who followed docs/deploy.md."""
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "kubernetes", ignore=shutil.ignore_patterns("secrets"))
    folder = tmp_path / "kubernetes" / "example"
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


@pytest.mark.parametrize("version", ["1.29", "latest"])
def test_kubernetes_knows_every_field_of_every_object(objects: dict[str, Any], version: str, need: Need):
    assert len(objects) == 8
    validate(objects.values(), version, need)


def test_the_pod_meets_the_restricted_security_standard_and_can_write_its_data_only(objects: dict[str, Any]):
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")} == {
        "/var/lib/propolis", "/tmp",
    }  # fmt: skip
    assert pod["automountServiceAccountToken"] is False
    assert objects["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_pod_runs_as_the_user_of_the_image(objects: dict[str, Any]):
    text = (ROOT / "Dockerfile.service").read_text("utf-8")
    context = objects["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    assert f"ARG UID={context['runAsUser']}\nARG GID={context['runAsGroup']}\n" in text
    assert context["fsGroup"] == context["runAsGroup"]


def test_never_two_services_use_one_store(objects: dict[str, Any]):
    assert objects["Deployment"]["spec"]["replicas"] == 1
    assert objects["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert objects["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_what_the_pod_mounts_is_what_the_example_generates(objects: dict[str, Any]):
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    named = {volume["name"]: volume for volume in pod["volumes"]}
    assert named["settings"]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    assert named["secrets"]["secret"]["secretName"] == objects["Secret"]["metadata"]["name"]
    environment = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    files = {value.rsplit("/", 1)[1] for name, value in environment.items() if name.endswith("_FILE")}
    assert files == set(objects["Secret"]["data"]) == set(SECRETS)
    assert base64.b64decode(objects["Secret"]["data"]["thehive_key"]).decode() == SECRETS["thehive_key"]
    assert pod["containers"][0]["image"] == "registry.example.org/propolis/service:0.1.0"


def test_a_changed_policy_starts_the_service_anew(overlay: Path, objects: dict[str, Any], need: Need):
    before = objects["ConfigMap"]["metadata"]["name"]
    with (overlay / "policy.yml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    after = {each["kind"]: each for each in yaml.safe_load_all(kustomize(overlay, need).stdout)}
    assert after["ConfigMap"]["metadata"]["name"] != before


def test_the_example_without_secrets_is_not_assembled(overlay: Path, need: Need):
    (overlay / "secrets" / "webhook_token").unlink()
    done = kustomize(overlay, need)
    assert done.returncode != 0
    assert "webhook_token" in done.stderr


def test_the_service_accepts_the_examples_settings_and_policy(objects: dict[str, Any], tmp_path: Path):
    from playbook_service.parts import check_exposure, policy_of
    from playbook_service.settings import load

    for name, text in objects["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text, "utf-8")
    environment = {
        "PROPOLIS_THEHIVE_KEY": SECRETS["thehive_key"],
        "PROPOLIS_WEBHOOK_TOKEN": SECRETS["webhook_token"],
        "PROPOLIS_POLICY": str(tmp_path / "policy.yml"),
    }
    settings = load(environment, tmp_path / "propolis.yml")
    check_exposure(settings)
    policy_of(settings)()
    assert settings["mode"] == "observe"
    port = objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
    assert settings["listen"] == ("0.0.0.0", port)


def test_nobody_reaches_the_service_but_who_carries_the_label(objects: dict[str, Any]):
    policy = objects["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == objects["Deployment"]["spec"]["selector"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    (rule,) = policy["ingress"]
    assert all(list(entry.values()) == [{"matchLabels": {"propolis/sender": "true"}}] for entry in rule["from"])


# what may be added


@pytest.fixture(params=["example", "overlays/postgres"])
def whole(request: pytest.FixtureRequest, tmp_path: Path, need: Need) -> list[dict[str, Any]]:
    """Either overlay with both components, as its own comments offer them."""
    shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "kubernetes", ignore=shutil.ignore_patterns("secrets"))
    folder = tmp_path / "kubernetes" / request.param
    monitoring = tmp_path / "kubernetes" / "components" / "monitoring"
    for place, secrets in ((folder, {**SECRETS, "store": "postgresql://x"}), (monitoring, {"metrics_token": "m" * 32})):
        (place / "secrets").mkdir()
        for name, text in secrets.items():
            (place / "secrets" / name).write_text(text, "utf-8")
    path = folder / "kustomization.yaml"
    path.write_text(path.read_text("utf-8").replace("#  - ", "  - "), "utf-8")
    done = kustomize(folder, need)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize("version", ["1.29", "latest"])
def test_kubernetes_knows_what_the_components_add(whole: list[dict[str, Any]], version: str, need: Need):
    assert {each["kind"] for each in whole} >= {"Ingress", "NetworkPolicy", "PodMonitor"}
    assert {each["metadata"].get("namespace", "propolis") for each in whole} == {"propolis"}
    validate([each for each in whole if each["kind"] != "PodMonitor"], version, need)


def test_the_pod_monitor_has_the_form_of_its_definition(whole: list[dict[str, Any]], need: Need):
    """By the part of the Prometheus Operator's definition that it uses (its API reference, PodMonitor)."""
    need(importlib.util.find_spec("jsonschema"), "jsonschema")
    import jsonschema

    schema = yaml.safe_load((ROOT / "tests" / "fixtures" / "kubernetes" / "podmonitor.yml").read_text("utf-8"))
    jsonschema.validate(named(whole, "PodMonitor", "propolis"), schema)


def test_browsers_reach_the_console_and_by_that_door_neither_hooks_nor_metrics(whole: list[dict[str, Any]]):
    doors = {name: named(whole, "Ingress", name)["spec"] for name in ("propolis", "propolis-hooks")}
    (open_rule,), (inner_rule,) = (doors[name]["rules"] for name in ("propolis", "propolis-hooks"))
    paths = {path["path"] for path in open_rule["http"]["paths"]}
    assert paths == {"/console", "/api/v1/leases", "/api/v1/approvals"}
    assert doors["propolis"]["ingressClassName"] != doors["propolis-hooks"]["ingressClassName"]
    inner = {path["path"] for path in inner_rule["http"]["paths"]}
    assert inner == {"/hooks", "/thehive-webhook", "/api/v1/blocklist"}
    port = named(whole, "Service", "propolis")["spec"]["ports"][0]["name"]
    for spec, rule in ((doors["propolis"], open_rule), (doors["propolis-hooks"], inner_rule)):
        assert spec["tls"][0]["hosts"] == [rule["host"]]
        backends = [path["backend"]["service"] for path in rule["http"]["paths"]]
        assert all(one == {"name": "propolis", "port": {"name": port}} for one in backends)


def test_prometheus_presents_the_token_that_every_pod_wants(whole: list[dict[str, Any]]):
    pod = named(whole, "Deployment", "propolis")["spec"]["template"]
    (endpoint,) = named(whole, "PodMonitor", "propolis")["spec"]["podMetricsEndpoints"]
    wanted = endpoint["authorization"]["credentials"]
    assert base64.b64decode(named(whole, "Secret", wanted["name"])["data"][wanted["key"]]).decode() == "m" * 32
    (container,) = pod["spec"]["containers"]
    (file,) = [each["value"] for each in container["env"] if each["name"] == "PROPOLIS_METRICS_TOKEN_FILE"]
    (mount,) = [each for each in container["volumeMounts"] if file.startswith(each["mountPath"] + "/")]
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == wanted["name"]
    assert endpoint["port"] in [port["name"] for port in container["ports"]]
    job = named(whole, "PodMonitor", "propolis")["spec"]["jobLabel"]
    assert pod["metadata"]["labels"][job] == "propolis", "the job that the rules and the dashboard ask for"


def test_prometheus_has_a_label_of_its_own_to_come_in_by(whole: list[dict[str, Any]]):
    policy = named(whole, "NetworkPolicy", "propolis-metrics")["spec"]
    (rule,) = policy["ingress"]
    assert policy["policyTypes"] == ["Ingress"]
    assert all(list(entry.values()) == [{"matchLabels": {"propolis/scraper": "true"}}] for entry in rule["from"])

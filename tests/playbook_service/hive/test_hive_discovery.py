"""Which TheHive is it, and what is said when it is none that is supported."""

from __future__ import annotations

import pytest
from hive_server import Reply, Script, error

from playbook_service.hive import connect
from playbook_service.hive.v4 import HiveV4
from playbook_service.hive.v5 import HiveV5
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError
from propolis.http import HttpError


def test_version_5_is_known_by_its_public_status(server: Script) -> None:
    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.7.5-1"}))
    hive = connect(server.url, "k", clock=ManualClock())
    assert isinstance(hive, HiveV5)
    assert (hive.major, hive.version()) == (5, "5.7.5-1")


@pytest.mark.parametrize("public", [error(404, "NotFoundError", "no route"), Reply(200, b"<html>", kind="text/html")])
def test_version_4_is_known_by_the_old_status_whatever_it_says_to_the_new_one(server: Script, public: Reply) -> None:
    server.on("GET /api/v1/status/public", public)
    server.on("GET /api/status", Reply(200, {"versions": {"TheHive": "4.1.24-1"}}))
    hive = connect(server.url, "k", clock=ManualClock())
    assert isinstance(hive, HiveV4)
    assert (hive.major, hive.version()) == (4, "4.1.24-1")


@pytest.mark.parametrize("version", ["3.5.2-1", "6.0.0", "snapshot"])
def test_other_versions_are_refused_in_one_sentence(server: Script, version: str) -> None:
    server.on("GET /api/status", Reply(200, {"versions": {"TheHive": version}}))
    with pytest.raises(ConfigurationError) as caught:
        connect(server.url, "k", clock=ManualClock())
    assert str(caught.value) == (
        f"TheHive {version} at {server.url.removeprefix('http://')} is not supported: use TheHive 4.1 or 5."
    )


def test_something_else_that_speaks_json_is_not_taken_for_a_thehive(server: Script) -> None:
    server.on("GET /api/status", Reply(200, {"versions": {"Cortex": "4.1.0"}}))
    with pytest.raises(ConfigurationError, match="does not say which TheHive it is: check that thehive_url"):
        connect(server.url, "k", clock=ManualClock())


def test_a_login_page_is_not_taken_for_a_thehive(server: Script) -> None:
    server.on("GET /api/v1/status/public", Reply(200, b"<html>log in</html>", kind="text/html"))
    server.on("GET /api/status", Reply(200, b"<html>log in</html>", kind="text/html"))
    with pytest.raises(HttpError, match="an HTML page came where JSON was expected"):
        connect(server.url, "k", clock=ManualClock())


def test_a_missing_key_is_said_before_anything_is_sent(server: Script) -> None:
    with pytest.raises(ConfigurationError, match="set thehive_key"):
        connect(server.url, " ", clock=ManualClock())
    assert server.seen == []


def test_the_key_and_the_organisation_go_with_every_request(server: Script) -> None:
    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.5.13"}))
    account = {"login": "playbook@soc.example", "organisation": "soc-main", "permissions": ["manageTask"]}
    server.on("GET /api/v1/user/current", Reply(200, account | {"name": "Playbook", "profile": "analyst"}))
    hive = connect(server.url, "k3y", organisation="soc-main", clock=ManualClock())
    me = hive.me()
    assert (me.login, me.organisation, me.profile) == ("playbook@soc.example", "soc-main", "analyst")
    assert me.permissions == ("manageTask",)
    for asked in server.seen:
        assert asked.headers["authorization"] == "Bearer k3y"
        assert asked.headers["x-organisation"] == "soc-main"


def test_without_an_organisation_none_is_named(server: Script) -> None:
    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.5.13"}))
    connect(server.url, "k", clock=ManualClock())
    assert "x-organisation" not in server.seen[0].headers


def test_an_account_of_another_organisation_is_told_where_it_is_and_what_to_do(server: Script) -> None:
    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.5.13"}))
    server.on("GET /api/v1/user/current", Reply(200, {"login": "playbook@soc.example", "organisation": "lab"}))
    hive = connect(server.url, "k", organisation="soc-main", clock=ManualClock())
    with pytest.raises(ConfigurationError, match=r"works in TheHive's organisation lab, not in soc-main: add it to"):
        hive.me()


def test_who_presents_a_key_is_asked_with_that_key_in_the_services_organisation(server: Script) -> None:
    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.5.13"}))
    analyst = {"login": "analyst@soc.example", "organisation": "soc-main"}
    server.on("GET /api/v1/user/current", Reply(200, analyst), error(401, "AuthenticationError", "no: an4lyst-key"))
    hive = connect(server.url, "s3rvice-key", organisation="soc-main", clock=ManualClock())
    assert hive.whose("an4lyst-key ").login == "analyst@soc.example"
    assert server.seen[-1].headers["authorization"] == "Bearer an4lyst-key"
    assert server.seen[-1].headers["x-organisation"] == "soc-main"
    with pytest.raises(HttpError) as caught:
        hive.whose("an4lyst-key")
    assert "an4lyst-key" not in str(caught.value) + caught.value.excerpt


def test_a_refused_key_is_said_with_what_else_may_be_wrong(server: Script) -> None:
    server.on("GET /api/v1/status/public", Reply(200, {"version": "5.5.13"}))
    server.on("GET /api/v1/user/current", error(401, "AuthenticationError", "Authentication failure"))
    hive = connect(server.url, "k3y-k3y", organisation="soc-main", clock=ManualClock())
    with pytest.raises(HttpError) as caught:
        hive.me()
    assert caught.value.status == 401
    assert str(caught.value) == (
        "TheHive refused the account's API key (401): renew or correct it, and make sure that the account belongs to "
        "organisation soc-main."
    )

"""Who may read the metrics, and that they are answered whatever is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scraped import Need, Scraped, promtool

from playbook_service.metrics.text import CONTENT_TYPE
from playbook_service.service import Service
from playbook_service.settings import load
from playbook_service.store.contract import StoreError
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock

TOKEN = "m3trics-secret"


class Failing(MemoryStore):
    """A store that can be taken away."""

    away = False

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        if self.away:
            raise StoreError("The store is away.")
        with super().transaction() as work:
            yield work

    @contextmanager
    def reading(self) -> Iterator[Any]:
        if self.away:
            raise StoreError("The store is away.")
        with super().reading() as work:
            yield work


class House:
    """A service that was not started; its pages answer all the same."""

    def __init__(self, folder: Path, **settings: str):
        names = {"data_dir": str(folder / "data"), "thehive_url": "http://127.0.0.1:9", **settings}
        self.store = Failing(ManualClock())
        self.folder = folder
        self.service = Service(
            load({f"PROPOLIS_{key.upper()}": value for key, value in names.items()}), ManualClock(), self.store
        )

    def get(self, remote: str = "127.0.0.1", authorization: str = "") -> tuple[int, dict[str, str], bytes]:
        found: list[tuple[int, dict[str, str]]] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "REMOTE_ADDR": remote,
                   "HTTP_AUTHORIZATION": authorization}  # fmt: skip
        body = self.service.application(environ, lambda status, headers: found.append((int(status[:3]), dict(headers))))
        return (*found[0], b"".join(body))

    def scrape(self) -> Scraped:
        status, _, body = self.get()
        assert status == 200
        return Scraped(body)


def test_without_a_token_only_this_machine_may_read(tmp_path: Path):
    house = House(tmp_path)
    assert house.get("127.0.0.1")[0] == 200
    status, _, body = house.get("192.0.2.7")
    assert status == 403
    assert b"metrics_token" in body


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(f"Bearer {TOKEN}", 200), (f"Bearer {TOKEN}x", 401), ("", 401), ("Bearer hook-secret", 401)],
)
def test_with_a_token_nobody_reads_without_it(tmp_path: Path, authorization: str, status: int):
    house = House(tmp_path, metrics_token=f"{TOKEN},the-next-one", webhook_token="hook-secret")
    answered, headers, body = house.get("127.0.0.1", authorization)
    assert answered == status
    if status == 401:
        assert b"metrics token" in body
        assert "WWW-Authenticate" in headers
        assert b"propolis_" not in body


def test_it_can_be_switched_off(tmp_path: Path):
    assert House(tmp_path, metrics="false").get()[0] == 404


def test_it_is_the_text_format_and_prometheus_reads_it(tmp_path: Path, need: Need):
    _, headers, body = House(tmp_path).get()
    assert headers["Content-Type"] == CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
    assert promtool(need, "check", "metrics", text=body.decode()) == ""


def test_a_service_that_waits_for_thehive_says_so(tmp_path: Path):
    scrape = House(tmp_path).scrape()
    assert scrape.value("propolis_engine_running") == 0
    assert scrape.value("propolis_store_up") == 1
    assert scrape.value("propolis_audit_lines_total") == 0
    (build,) = scrape.families["propolis_build_info"].samples
    assert set(build.labels) == {"version", "python"}


def test_a_store_that_is_away_leaves_what_the_process_knows(tmp_path: Path):
    house = House(tmp_path)
    house.store.away = True
    scrape = house.scrape()
    assert scrape.value("propolis_store_up") == 0
    assert scrape.value("process_resident_memory_bytes") > 1_000_000
    assert scrape.value("propolis_dependency_requests_total", dependency="store", outcome="error") is not None
    assert "propolis_leases" not in scrape.families
    assert "propolis_audit_lines" not in scrape.families
    house.store.away = False
    assert house.scrape().value("propolis_store_up") == 1


@pytest.mark.parametrize(("mode", "text", "holds"), [
    ("enforce", "firewall: {own: [192.0.2.0/24]}", "enforce"),
    ("enforce", "mode: approve\nfirewall: {own: [192.0.2.0/24]}", "approve"),
    ("observe", "mode: enforce\nfirewall: {own: [192.0.2.0/24]}", "observe"),
])  # fmt: skip
def test_the_mode_is_the_most_careful_of_all(tmp_path: Path, mode: str, text: str, holds: str):
    (tmp_path / "policy.yml").write_text(text)
    scrape = House(tmp_path, mode=mode, policy=str(tmp_path / "policy.yml")).scrape()
    assert scrape.grown("propolis_mode") == {(holds,): 1}


def test_a_mode_that_a_person_lowered_is_told(tmp_path: Path):
    house = House(tmp_path, mode="enforce")
    with house.store.transaction() as work:
        work.save("control", "mode", {"by": "ann@soc.example", "at": 0.0, "why": ""}, state="approve")
    assert house.scrape().grown("propolis_mode") == {("approve",): 1}


def test_a_policy_that_breaks_while_it_runs_is_told(tmp_path: Path):
    policy = tmp_path / "policy.yml"
    policy.write_text("firewall: {own: [192.0.2.0/24]}")
    house = House(tmp_path, mode="enforce", policy=str(policy))
    sound = house.scrape()
    assert (sound.value("propolis_policy_valid"), sound.value("propolis_policy_holds_back")) == (1, 0)
    policy.write_text("firewall: {own: [nonsense]}")
    house.service.clock.advance(60)  # type: ignore[attr-defined]
    broken = house.scrape()
    assert (broken.value("propolis_policy_valid"), broken.value("propolis_policy_holds_back")) == (0, 1)
    assert "propolis_budget_limit" not in broken.families


def test_no_secret_is_in_it(tmp_path: Path):
    secrets = {"metrics_token": TOKEN, "webhook_token": "hook-secret", "thehive_key": "hive-secret",
               "notify": "slack:https://hooks.example.org/services/T0/slack-secret"}  # fmt: skip
    _, _, body = House(tmp_path, **secrets).get("127.0.0.1", f"Bearer {TOKEN}")
    assert b"propolis_build_info" in body
    assert b"secret" not in body
    assert b"hooks.example.org" not in body

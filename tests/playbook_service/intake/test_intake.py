"""Events come in by HTTP: only with the secret, only once, and answered 202 only when they are kept."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from playbook_service.intake.committer import Committer, Event
from playbook_service.intake.credential import Doorkeeper
from playbook_service.intake.routes import Hooks, health_routes
from playbook_service.intake.siem import load_mapping
from playbook_service.store.contract import Store, StoreError
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from playbook_service.web.application import Application
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError

TOKEN = "correct horse battery staple"
BEARER = f"Bearer {TOKEN}"
ALERT = {"id": "1767261599.482913", "rule": {"id": "5710", "level": 5}, "manager": {"name": "wazuh-1"}}
SIEM_ALERT = {
    "alert_id": "A-1", "title": "Beacon", "severity": "High", "rule_group": "c2", "src_ip": "203.0.113.7",
    "dest_ip": None, "domains": ["bad.example.net"], "file_hashes": [],
}  # fmt: skip


class BrokenStore(MemoryStore):
    """A disk that is full."""

    @contextmanager
    def transaction(self):
        raise StoreError("No space left on device: /var/lib/propolis.")
        yield


class Sender:
    """Sends to a WSGI application as TheHive would."""

    def __init__(self, application: Application):
        self.application = application

    def post(self, path: str, body: Any, authorization: str = BEARER, remote: str = "192.0.2.10", **headers: str):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._call("POST", path, raw, remote, {"HTTP_AUTHORIZATION": authorization, **headers})

    def get(self, path: str):
        return self._call("GET", path, b"", "192.0.2.10", {})

    def _call(self, method: str, path: str, raw: bytes, remote: str, headers: dict[str, str]):
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": remote, "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(raw)), "wsgi.input": io.BytesIO(raw), **headers,
        }  # fmt: skip
        told: list[Any] = []
        chunks = self.application(environ, lambda status, heads: told.extend([int(status[:3]), dict(heads)]))
        return told[0], json.loads(b"".join(chunks)), told[1]


def made(store: Store, tokens: tuple[str, ...] = (TOKEN,), networks: tuple[str, ...] = (), limit: int = 100):
    committer = Committer(store, ManualClock(), backlog_limit=limit)
    hooks = Hooks(Doorkeeper(tokens, networks), committer, load_mapping(), body_limit=10_000)
    return committer, Sender(Application([*hooks.routes(), *health_routes(store.check)]))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(ManualClock())


@pytest.fixture
def sender(store: MemoryStore) -> Iterator[Sender]:
    committer, sender = made(store)
    with committer:
        yield sender


def kept(store: Store) -> list[dict[str, Any]]:
    with store.transaction() as work:
        return [item.body for item in work.claim("inbox", "test", seconds=60, limit=1000)]


def test_an_alert_is_answered_202_once_it_is_kept_and_known_again_when_it_comes_twice(
    store: MemoryStore, sender: Sender
):
    assert sender.post("/hooks/wazuh", ALERT)[:2] == (202, {"ok": True, "accepted": 1, "known": 0})
    assert sender.post("/thehive-webhook", ALERT)[:2] == (202, {"ok": True, "accepted": 0, "known": 1})
    assert [event["alert"]["id"] for event in kept(store)] == ["1767261599.482913"]


def test_the_same_alert_id_of_two_nodes_is_two_alerts(store: MemoryStore, sender: Sender):
    sender.post("/hooks/wazuh", ALERT)
    sender.post("/hooks/wazuh", {**ALERT, "manager": {"name": "wazuh-2"}})
    assert len(kept(store)) == 2


def test_a_batch_is_kept_whole_or_not_at_all(store: MemoryStore, sender: Sender):
    other = {**ALERT, "id": "1767261600.1"}
    assert sender.post("/hooks/wazuh", [ALERT, {"no": "alert"}])[0] == 400
    assert kept(store) == []
    assert sender.post("/hooks/wazuh", [ALERT, other, ALERT])[1] == {"ok": True, "accepted": 2, "known": 1}


def test_a_hook_of_thehive_is_kept_as_what_it_says(store: MemoryStore, sender: Sender, fixtures: Path):
    body = json.loads((fixtures / "thehive_payloads" / "v5_v1_case_close_falsepositive.json").read_text())
    assert [sender.post("/hooks/thehive", body)[1]["accepted"] for _ in range(6)] == [1, 0, 0, 0, 0, 0]
    (event,) = kept(store)
    assert (event["from"], event["hook"]["entity"], event["hook"]["details"]["status"]) == (
        "thehive", "case", "FalsePositive",
    )  # fmt: skip


def test_the_alert_of_another_siem_becomes_one_as_wazuh_writes_it(store: MemoryStore, sender: Sender):
    assert sender.post("/hooks/siem", SIEM_ALERT)[0] == 202
    (event,) = kept(store)
    alert = event["alert"]
    assert (alert["id"], alert["rule"]["level"], alert["rule"]["groups"]) == ("A-1", 12, ["siem", "c2"])
    assert alert["data"] == {"srcip": "203.0.113.7", "domain": ["bad.example.net"]}


@pytest.mark.parametrize(("change", "said"), [
    ({"severity": "urgent"}, "severity must be one of low, medium, high, critical"),
    ({"alert_id": ""}, "alert_id is missing"),
    ({"title": None}, "title is missing"),
])  # fmt: skip
def test_an_alert_of_another_siem_that_lacks_something_is_refused(sender: Sender, change: dict, said: str):
    status, body, _ = sender.post("/hooks/siem", {**SIEM_ALERT, **change})
    assert status == 400
    assert said in body["error"]


def test_a_mapping_with_an_unknown_key_is_refused(tmp_path: Path):
    (tmp_path / "siem.yml").write_text("id: a\nname: b\n")
    with pytest.raises(ConfigurationError, match="exactly the keys"):
        load_mapping(tmp_path / "siem.yml")


@pytest.mark.parametrize("authorization", [
    BEARER, TOKEN, "basic " + base64.b64encode(f"thehive:{TOKEN}".encode()).decode(),
])  # fmt: skip
def test_the_secret_is_taken_in_every_form_thehive_can_send(sender: Sender, authorization: str):
    assert sender.post("/hooks/wazuh", ALERT, authorization)[0] == 202


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic !!!", "Basic " + TOKEN, TOKEN + "x"])
def test_without_the_secret_nothing_is_read_or_kept(store: MemoryStore, sender: Sender, authorization: str):
    status, body, _ = sender.post("/hooks/wazuh", b"not even json", authorization)
    assert status == 401
    assert TOKEN not in json.dumps(body)
    assert kept(store) == []


def test_two_secrets_are_good_while_one_replaces_the_other(store: MemoryStore):
    committer, sender = made(store, tokens=("old", "new"))
    with committer:
        assert sender.post("/hooks/wazuh", ALERT, "Bearer old")[0] == 202
        assert sender.post("/hooks/wazuh", ALERT, "Bearer new")[0] == 202


def test_only_named_networks_may_send(store: MemoryStore):
    committer, sender = made(store, networks=("192.0.2.0/28",))
    with committer:
        assert sender.post("/hooks/wazuh", ALERT, remote="192.0.2.10")[0] == 202
        assert sender.post("/hooks/wazuh", ALERT, remote="::ffff:192.0.2.10")[0] == 202
        assert sender.post("/hooks/wazuh", ALERT, remote="192.0.2.200")[0] == 403


def test_without_a_configured_secret_only_this_machine_may_send(store: MemoryStore):
    committer, sender = made(store, tokens=())
    with committer:
        assert sender.post("/hooks/wazuh", ALERT, "", remote="127.0.0.1")[0] == 202
        assert sender.post("/hooks/wazuh", ALERT, "", remote="192.0.2.10")[0] == 403


def test_when_too_much_waits_the_sender_is_told_when_to_come_back(store: MemoryStore):
    committer, sender = made(store, limit=2)
    with committer:
        for number in range(2):
            assert sender.post("/hooks/wazuh", {**ALERT, "id": str(number)})[0] == 202
        status, _, headers = sender.post("/hooks/wazuh", {**ALERT, "id": "too many"})
        assert (status, headers["Retry-After"]) == (503, "10")
        assert len(kept(store)) == 2


def test_an_event_that_could_not_be_stored_is_never_answered_202(store: MemoryStore):
    committer, sender = made(BrokenStore(ManualClock()))
    with committer:
        status, body, headers = sender.post("/hooks/wazuh", ALERT)
        assert (status, headers["Retry-After"]) == (503, "10")
        assert "/var/lib" not in body["error"]
        assert sender.get("/readyz")[0] == 503
        assert sender.get("/healthz")[0] == 200


def test_a_ready_service_says_so(sender: Sender):
    assert sender.get("/readyz")[0] == 200


@pytest.mark.parametrize("body", [
    {"id": "\ud800", "rule": {"id": "1"}}, {"id": "x" * 5000, "rule": {"id": "1"}}, {"rule": {"id": 5710}},
])  # fmt: skip
def test_strange_ids_do_no_harm_to_the_store_or_to_others(tmp_path: Path, body: dict[str, Any]):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    committer, sender = made(store)
    with committer:
        assert sender.post("/hooks/wazuh", json.dumps(body).encode())[1] == {"ok": True, "accepted": 1, "known": 0}
        assert sender.post("/hooks/wazuh", json.dumps(body).encode())[1] == {"ok": True, "accepted": 0, "known": 1}
    store.close()


def test_many_senders_share_transactions_and_each_event_is_kept_once(tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    fresh: list[int] = []
    with Committer(store, ManualClock(), backlog_limit=10_000) as committer:

        def send() -> None:
            fresh.extend(sum(committer.commit([Event(f"e{number}", {})])) for number in range(50))

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(fresh) == 50
    assert len(kept(store)) == 50
    store.close()


def test_an_event_that_cannot_be_kept_costs_those_that_came_with_it_nothing(tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    barrier = threading.Barrier(13)
    outcomes: dict[int, object] = {}

    def send(number: int) -> None:
        barrier.wait()
        try:
            outcomes[number] = committer.commit([Event(f"e{number}", {"level": float("inf") if number == 6 else 1.0})])
        except ValueError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    with Committer(store, ManualClock(), backlog_limit=100) as committer:
        with store.transaction():  # the store is busy, so they come together
            for thread in threads:
                thread.start()
            barrier.wait()
        for thread in threads:
            thread.join()
    assert isinstance(outcomes.pop(6), ValueError)
    assert list(outcomes.values()) == [[True]] * 11
    store.close()


def test_a_number_that_json_cannot_say_again_is_refused(store: MemoryStore, sender: Sender):
    body = json.dumps(ALERT).replace('"level": 5', '"level": 1e999').encode()
    status, answer, _ = sender.post("/hooks/wazuh", body)
    assert (status, kept(store)) == (400, [])
    assert "larger than any number" in answer["error"]


def test_whoever_handles_events_hears_of_them_once_they_are_kept(store: MemoryStore):
    heard: list[int] = []
    with Committer(
        store, ManualClock(), backlog_limit=9, committed=lambda: heard.append(len(kept(store)))
    ) as committer:
        committer.commit([Event("a", {}), Event("b", {})])
    assert heard == [2]


def test_after_the_end_nothing_more_is_taken(store: MemoryStore):
    with Committer(store, ManualClock(), backlog_limit=10) as committer:
        pass
    with pytest.raises(StoreError, match="stopping"):
        committer.commit([Event("late", {})])

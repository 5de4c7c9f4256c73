"""What a process counts of itself: each event, step, request and transaction once, by how it ended."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from scraped import Scraped, scraped

from playbook_service.engine.step import Done, Give, Later
from playbook_service.intake.committer import Committer, Event, Full
from playbook_service.metrics.dependency import dependencies
from playbook_service.metrics.meter import Meter
from playbook_service.settings import load
from playbook_service.store.contract import Conflict, Item, LostClaim, StoreError
from playbook_service.store.memory import MemoryStore
from playbook_service.web.application import Application, Route
from playbook_service.web.message import Answer, Failure, answer_json
from propolis.clock import ManualClock
from propolis.http import HttpError, session
from propolis.http.observer import observe

STEP = Item(1, "step", "contain:P1", {"do": "contain"}, 1, 0.0, 0.0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def meter(clock: ManualClock) -> Meter:
    return Meter(clock)


def told(meter: Meter) -> Scraped:
    return scraped(meter.measured())


# steps --------------------------------------------------------------------------------------------------------------


def raising(error: Exception) -> Callable[[Item], Any]:
    def handle(_: Item) -> Any:
        raise error

    return handle


ENDS = [
    (lambda _: Done(), "done"),
    (lambda _: Later(5.0, "waiting"), "later"),
    (raising(Conflict("another was first")), "again"),
    (raising(LostClaim("another has it")), "again"),
    (raising(Give("never")), "given_up"),
    (raising(HttpError("no answer", kind="timeout")), "failed"),
    (raising(ZeroDivisionError()), "failed"),
]


@pytest.mark.parametrize(("handler", "outcome"), ENDS)
def test_a_step_is_counted_by_how_it_ended_and_ends_as_before(meter: Meter, handler: Any, outcome: str):
    watched = meter.handlers({"contain": handler})["contain"]
    try:
        assert watched(STEP) == handler(STEP)
    except Exception as error:
        with pytest.raises(type(error)):
            handler(STEP)
    assert told(meter).grown("propolis_steps_total") == {(outcome, "contain"): 1}


def test_a_step_tells_how_long_it_took_and_how_late_it_began(meter: Meter, clock: ManualClock):
    def slow(_: Item) -> Done:
        clock.advance(2.0)
        return Done()

    meter.handlers({"contain": slow})["contain"](STEP._replace(due=clock.now() - 45.0))
    scrape = told(meter)
    assert scrape.value("propolis_step_duration_seconds_sum", step="contain") == 2
    assert scrape.value("propolis_step_delay_seconds_sum", queue="step") == 45


def test_a_clock_that_went_back_makes_no_negative_delay(meter: Meter, clock: ManualClock):
    meter.handlers({"contain": lambda _: Done()})["contain"](STEP._replace(due=clock.now() + 60.0))
    assert told(meter).value("propolis_step_delay_seconds_sum", queue="step") == 0


# events -------------------------------------------------------------------------------------------------------------


def events(*keys: str, origin: str = "wazuh") -> list[Event]:
    return [Event(key, {"from": origin}) for key in keys]


def test_events_are_counted_as_new_known_or_refused(meter: Meter, clock: ManualClock):
    store = MemoryStore(clock)
    with Committer(store, clock, backlog_limit=2, settled=meter.events) as committer:
        committer.commit(events("a", "b"))
        with pytest.raises(Full):
            committer.commit(events("c", origin="siem"))
        with store.transaction() as work:
            for item in work.claim("inbox", "me", seconds=10, limit=2):
                work.done(item)
        committer.commit(events("a", "d"))
    assert told(meter).grown("propolis_intake_events_total") == {
        ("wazuh", "accepted"): 3, ("wazuh", "known"): 1, ("siem", "refused"): 1
    }  # fmt: skip


# requests in --------------------------------------------------------------------------------------------------------


def request_to(application: Application, path: str) -> str:
    statuses: list[str] = []
    application({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda status, _: statuses.append(status))
    return statuses[0]


def test_requests_are_counted_by_the_route_and_never_by_what_was_asked_for(meter: Meter):
    def answer(request: Any) -> Answer:
        if request.parameters["lease"] == "secret":
            raise Failure(HTTPStatus.UNAUTHORIZED, "Present a key.")
        if request.parameters["lease"] == "broken":
            raise ZeroDivisionError
        return answer_json({})

    application = Application(meter.routes([Route("GET", "/api/v1/leases/{lease}", answer)]))
    asked = [request_to(application, f"/api/v1/leases/{name}") for name in ("P1", "P2", "secret", "broken")]
    assert [status[:3] for status in asked] == ["200", "200", "401", "500"]
    assert request_to(application, "/nowhere").startswith("404")
    route = "/api/v1/leases/{lease}"
    assert told(meter).grown("propolis_http_requests_total") == {
        (route, "200"): 2, (route, "401"): 1, (route, "500"): 1
    }  # fmt: skip
    assert told(meter).value("propolis_http_request_duration_seconds_count", path=route) == 4


# requests out -------------------------------------------------------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server() -> Any:
    found = HTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    thread.join()
    found.server_close()


def test_requests_to_others_are_counted_by_whose_the_address_is(server: str, clock: ManualClock):
    settings = load({
        "PROPOLIS_THEHIVE_URL": f"{server}/thehive", "PROPOLIS_CORTEX_URL": f"{server}/cortex/",
        "PROPOLIS_NOTIFY": f"slack:{server}/services/T1/secret-part",
    })  # fmt: skip
    meter = Meter(clock, dependencies(settings))
    end = observe(meter.exchange)
    try:
        for place, status, known in (
            ("/thehive", 200, True), ("/thehive", 404, True), ("/thehive", 404, False), ("/cortex", 500, False),
            ("", 204, False), ("/elsewhere", 200, False),
        ):  # fmt: skip
            with session(server + place, retries=0, clock=clock) as client, suppress(HttpError):
                client.get(f"/{status}", accept=(200, 404) if known else None)
        with session("http://127.0.0.1:1", retries=2, clock=clock) as client, pytest.raises(HttpError):
            client.get("/")
    finally:
        end()
    with session(server, retries=0, clock=clock) as client:
        client.get("/200")  # nobody observes any more
    scrape = told(meter)
    assert scrape.grown("propolis_dependency_requests_total") == {
        ("thehive", "ok"): 2, ("thehive", "status_4xx"): 1, ("cortex", "status_5xx"): 1, ("notify", "ok"): 1,
        ("other", "ok"): 1, ("other", "refused"): 3,
    }  # fmt: skip
    assert scrape.value("propolis_dependency_request_duration_seconds_count", dependency="thehive") == 3


def test_an_address_that_cannot_be_used_keeps_no_service_from_starting():
    settings = load({"PROPOLIS_NOTIFY": "slack:https://[broken,teams:"})
    assert dependencies(settings) == {}


# the store ----------------------------------------------------------------------------------------------------------


class Away(MemoryStore):
    """A store that is away."""

    def transaction(self) -> Any:
        raise StoreError("The store is away.")


def test_transactions_are_counted_by_how_they_ended(meter: Meter, clock: ManualClock):
    store = meter.store(MemoryStore(clock))
    with store.transaction() as work:
        work.save("lease", "P1", {}, version=0)
        clock.advance(0.5)
    with store.reading() as work:
        assert work.get("lease", "P1") is not None
    with pytest.raises(Conflict), store.transaction() as work:
        work.save("lease", "P1", {}, version=0)
    with pytest.raises(ZeroDivisionError), store.transaction():
        raise ZeroDivisionError
    with pytest.raises(Full), store.transaction():
        raise Full("Too much waits.")
    with pytest.raises(StoreError), meter.store(Away(clock)).transaction():
        pass
    scrape = told(meter)
    outcomes = [scrape.value("propolis_dependency_requests_total", dependency="store", outcome=one)
                for one in ("ok", "conflict", "error")]  # fmt: skip
    assert outcomes == [4, 1, 1]
    assert scrape.value("propolis_store_transaction_duration_seconds_sum", access="write") == 0.5
    assert scrape.value("propolis_store_transaction_duration_seconds_count", access="read") == 1


def test_a_counted_store_is_a_store(meter: Meter, clock: ManualClock):
    inner = MemoryStore(clock)
    store = meter.store(inner)
    store.check()
    store.compact()
    with store.transaction() as work:
        work.put("inbox", "a", {})
    with inner.transaction() as work:
        assert work.backlog("inbox").waiting == 1
    store.close()


def test_many_threads_lose_no_count(meter: Meter):
    handler = meter.handlers({"contain": lambda _: Done()})["contain"]
    threads = [Thread(target=lambda: [handler(STEP) for _ in range(500)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(meter).value("propolis_steps_total", step="contain", outcome="done") == 4000

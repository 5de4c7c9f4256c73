"""The embedded server keeps its bounds whatever a client does, and speaks plain HTTP/1.1 otherwise."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from playbook_service.web.application import Application, Route
from playbook_service.web.message import Answer, Failure, Request, answer_json
from playbook_service.web.server import Limits, Server, is_loopback
from propolis.clock import ManualClock, SystemClock


def echo(request: Request) -> Answer:
    return answer_json({"got": request.json(1000)})


def hello(request: Request) -> Answer:
    return answer_json({"hello": request.parameters["name"]})


def stream(request: Request) -> Answer:
    return Answer(HTTPStatus.OK, iter([b"one", b"", b"two"]), (("Content-Type", "text/plain"),))


def refuse(request: Request) -> Answer:
    raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, "Full.", {"Retry-After": "5"})


def fail(request: Request) -> Answer:
    raise RuntimeError("the secret is hunter2")


ROUTES = [
    Route("POST", "/echo", echo),
    Route("GET", "/hello/{name}", hello),
    Route("GET", "/stream", stream),
    Route("GET", "/refuse", refuse),
    Route("GET", "/fail", fail),
]


def serve(clock, limits: Limits) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Application(ROUTES), clock, limits=limits)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.stop()
    thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve(SystemClock(), Limits())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def watched(clock: ManualClock) -> Iterator[Server]:
    """A server whose time the test moves, with places for two connections."""
    yield from serve(clock, Limits(connections=2, request_seconds=5, idle_seconds=60))


def ask(connection: http.client.HTTPConnection, method: str, path: str, body=None, **headers: str):
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response, response.read()


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield made
    made.close()


def post(connection: http.client.HTTPConnection, body: bytes, kind: str = "application/json"):
    return ask(connection, "POST", "/echo", body, **{"Content-Type": kind})


def test_one_connection_carries_many_requests(connection: http.client.HTTPConnection):
    for number in range(3):
        response, body = post(connection, json.dumps({"n": number}).encode())
        assert (response.status, json.loads(body)) == (200, {"got": {"n": number}})


def test_an_answer_without_a_length_is_chunked_and_the_connection_lives_on(connection: http.client.HTTPConnection):
    response, body = ask(connection, "GET", "/stream")
    assert (response.status, body) == (200, b"onetwo")
    assert ask(connection, "GET", "/hello/world")[0].status == 200


@pytest.mark.parametrize(("body", "kind", "status"), [
    (b"{", "application/json", 400),
    (b'{"a": NaN}', "application/json", 400),
    (b"[" * 900, "application/json", 400),
    (b"{}", "text/html", 415),
    (b"{}", "", 415),
    (b'"' + b"x" * 2000 + b'"', "application/json", 413),
])  # fmt: skip
def test_a_bad_body_gets_its_status_and_one_sentence(
    connection: http.client.HTTPConnection, body: bytes, kind: str, status: int
):
    response, text = post(connection, body, kind)
    error = json.loads(text)
    assert (response.status, error["status"], error["ok"]) == (status, status, False)
    assert error["error"].endswith(".")


def test_a_body_that_was_refused_unread_does_not_become_the_next_request(connection: http.client.HTTPConnection):
    assert post(connection, b"GET /fail HTTP/1.1\r\n\r\n" * 60)[0].status == 413
    assert ask(connection, "GET", "/hello/world")[0].status == 200


def test_a_chunked_body_is_refused_and_the_connection_closed(server: Server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        )
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 411 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_what_is_not_there_and_what_does_not_fit_are_told_apart(connection: http.client.HTTPConnection):
    assert ask(connection, "GET", "/nothing")[0].status == 404
    response, _ = ask(connection, "DELETE", "/echo")
    assert (response.status, response.headers["Allow"]) == (405, "POST")
    response, body = ask(connection, "HEAD", "/hello/world")
    assert (response.status, body) == (200, b"")


def test_a_refusal_says_when_to_come_back(connection: http.client.HTTPConnection):
    response, _ = ask(connection, "GET", "/refuse")
    assert (response.status, response.headers["Retry-After"]) == (503, "5")


def test_a_fault_of_ours_shows_nothing_of_itself(connection: http.client.HTTPConnection):
    response, body = ask(connection, "GET", "/fail")
    assert response.status == 500
    assert b"hunter2" not in body


def test_headers_without_end_are_cut(server: Server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"GET /hello/x HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(150)) + b"\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 431 ")


def test_a_body_shorter_than_promised_ends_with_its_connection(server: Server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}")
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_trickles_is_cut_when_its_time_is_over(watched: Server, clock: ManualClock):
    with socket.create_connection(("127.0.0.1", watched.port), timeout=10) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nContent-Type: application/json\r\nContent-Le")
        while not watched._deadlines:
            threading.Event().wait(0.01)
        clock.advance(6)
        assert raw.recv(4096) == b""


def test_more_connections_than_places_are_turned_away_with_a_time_to_come_back(watched: Server):
    held = [socket.create_connection(("127.0.0.1", watched.port), timeout=10) for _ in range(2)]
    for connection in held:
        connection.sendall(b"GET /hello/held HTTP/1.1\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", watched.port), timeout=10) as late:
        answer = late.recv(4096)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in answer
    for connection in held:
        connection.close()


@pytest.mark.parametrize(("host", "expected"), [
    ("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("192.0.2.1", False), ("host", False),
])  # fmt: skip
def test_loopback_is_recognised(host: str, expected: bool):
    assert is_loopback(host) is expected

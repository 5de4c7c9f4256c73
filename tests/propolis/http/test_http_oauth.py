"""Client credentials: one token for many calls, renewed before it dies and once when it is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripted_server import Server, answer

from propolis.clock import ManualClock
from propolis.http import Client, ClientCredentials, HttpError, authorized, session

SECRET = "client-secret-1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client(server: Server, clock: ManualClock) -> Iterator[Client]:
    with session(server.url, clock=clock) as made:
        yield made


@pytest.fixture
def source(client: Client) -> ClientCredentials:
    return ClientCredentials(client, "/token", "propolis", SECRET, scope="users")


def token(text: str, life: object = 60) -> object:
    return answer(200, f'{{"access_token": "{text}", "expires_in": {life}}}'.encode())


def test_a_token_is_fetched_once_and_used_for_many_calls(
    server: Server, client: Client, source: ClientCredentials
) -> None:
    server.will(token("t-one"), answer())  # type: ignore[arg-type]
    users = authorized(client, source)
    users.get("/users")
    users.put("/users/1", json={})
    assert [seen.line.split()[1] for seen in server.seen] == ["/token", "/users", "/users/1"]
    assert server.seen[0].body == (
        b"grant_type=client_credentials&client_id=propolis&client_secret=client-secret-1&scope=users"
    )
    assert {seen.headers["authorization"] for seen in server.seen[1:]} == {"Bearer t-one"}


@pytest.mark.parametrize(("life", "good_for"), [(60, 48), ("null", 48), ('"3600"', 2880), (-1, 48)])
def test_a_token_is_renewed_before_it_dies(
    life: object, good_for: int, server: Server, source: ClientCredentials, clock: ManualClock
) -> None:
    server.will(token("one", life), token("two"))  # type: ignore[arg-type]
    assert source.token() == "one"
    clock.advance(good_for - 1)
    assert source.token() == "one"
    clock.advance(1)
    assert source.token() == "two"


def test_a_refused_token_is_replaced_once(server: Server, client: Client, source: ClientCredentials) -> None:
    server.will(token("old"), answer(401), token("new"), answer(200, b"[]"))  # type: ignore[arg-type]
    assert authorized(client, source).post("/x", json={}).json() == []
    assert server.seen[3].headers["authorization"] == "Bearer new"


def test_a_second_refusal_is_final(server: Server, client: Client, source: ClientCredentials) -> None:
    server.will(token("old"), answer(401), token("new-token"), answer(401, b"bad new-token"))  # type: ignore[arg-type]
    with pytest.raises(HttpError) as caught:
        authorized(client, source).get("/x")
    assert (caught.value.status, len(server.seen)) == (401, 4)
    assert "new-token" not in str(caught.value)


def test_a_refusal_by_the_token_endpoint_does_not_show_the_secret(server: Server, source: ClientCredentials) -> None:
    server.will(answer(400, f'{{"error": "invalid_client {SECRET}"}}'.encode()))
    with pytest.raises(HttpError, match="invalid_client") as caught:
        source.token()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"access_token": 7}', b'{"access_token": ""}'])
def test_an_answer_without_a_token_is_an_error(body: bytes, server: Server, source: ClientCredentials) -> None:
    server.will(answer(200, body))
    with pytest.raises(HttpError, match="no access_token"):
        source.token()

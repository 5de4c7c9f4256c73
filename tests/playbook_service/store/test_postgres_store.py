"""What only the PostgreSQL store does: several nodes, a server that goes away and comes back, and clear sentences."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

psycopg = pytest.importorskip("psycopg")

from playbook_service.store import postgres_link  # noqa: E402
from playbook_service.store.contract import Conflict, LostClaim, StoreError  # noqa: E402
from playbook_service.store.postgres import PostgresStore  # noqa: E402
from playbook_service.store.postgres_schema import MIGRATIONS  # noqa: E402
from propolis.clock import ManualClock, SystemClock  # noqa: E402
from propolis.errors import ConfigurationError, InputError  # noqa: E402

pytestmark = pytest.mark.daemon
SECRET = "s3cret"

_NODE = """
import sys
from playbook_service.store.postgres import PostgresStore
from propolis.clock import SystemClock
store = PostgresStore(sys.argv[1], SystemClock())
with store.transaction() as work:
    work.put("inbox", "committed", {})
with store.transaction() as work:
    work.append("audit", {"never": "committed"})
    print("holds the turn", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def own_server() -> Iterator[Any]:
    """A server that a test may stop."""
    from postgres_server import PostgresServer

    with PostgresServer() as server:
        yield server


def test_two_nodes_never_claim_the_same_and_never_wait_for_each_other(database: str, clock: ManualClock):
    first, second = PostgresStore(database, clock), PostgresStore(database, clock)
    with first.transaction() as work:
        work.put("step", "a", {})
        work.put("step", "b", {})
    with first.transaction() as one, second.transaction() as other:
        assert [item.key for item in one.claim("step", "node-1", seconds=60)] == ["a"]
        assert [item.key for item in other.claim("step", "node-2", seconds=60, limit=5)] == ["b"]
    first.close()
    second.close()


def test_what_was_read_before_the_turn_came_and_is_no_more_so_is_a_conflict(database: str, clock: ManualClock):
    first, second = PostgresStore(database, clock), PostgresStore(database, clock)
    with first.transaction() as work:
        work.save("lease", "one", {}, state="active")
    with pytest.raises(Conflict), first.transaction() as work:
        assert work.get("lease", "one") is not None
        with second.transaction() as other:
            other.save("lease", "one", {}, state="releasing")
        work.save("launch", "extend", {})
    with first.transaction() as work:
        assert work.get("launch", "extend") is None
    first.close()
    second.close()


def test_what_is_only_read_is_one_moment_however_long_it_takes(database: str, clock: ManualClock):
    first, second = PostgresStore(database, clock), PostgresStore(database, clock)
    with first.transaction() as work:
        assert work.count("lease") == 0
        with second.transaction() as other:
            other.save("lease", "one", {})
        assert work.get("lease", "one") is None
    first.close()
    second.close()


def test_an_error_that_somebody_caught_in_the_middle_is_not_taken_for_a_commit(database: str, clock: ManualClock):
    store = PostgresStore(database, clock)
    with pytest.raises(StoreError, match="was undone"), store.transaction() as work:
        work.put("inbox", "a", {})
        with suppress(psycopg.Error):
            work._run(2, "select 1 / 0")  # type: ignore[attr-defined]
    with store.transaction() as work:
        assert work.backlog("inbox").waiting == 0
    store.close()


def test_a_lost_claim_undoes_the_whole_transaction_when_the_block_ends(database: str, clock: ManualClock):
    store = PostgresStore(database, clock)
    with store.transaction() as work:
        work.put("step", "a", {})
    with store.transaction() as work:
        (first,) = work.claim("step", "node-1", seconds=10)
    clock.advance(11)
    with store.transaction() as work:
        work.claim("step", "node-2", seconds=10)
    with pytest.raises(LostClaim), store.transaction() as work:
        work.done(first)
        work.save("lease", "one", {})
        work.append("audit", {})
    with store.transaction() as work:
        assert work.get("lease", "one") is None
        assert work.last("audit") is None
    store.close()


def test_a_node_that_is_killed_in_the_middle_leaves_what_it_committed_and_frees_its_turn(database: str):
    with subprocess.Popen(
        [sys.executable, "-c", _NODE, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == "holds the turn\n"
        os.kill(node.pid, signal.SIGKILL)
    store = PostgresStore(database, SystemClock())
    with store.transaction() as work:
        assert work.append("audit", {"after": "it"}).number == 1
        assert [item.key for item in work.claim("inbox", "reader", seconds=60)] == ["committed"]
    store.close()


def test_many_nodes_that_start_at_once_make_the_tables_once(database: str, clock: ManualClock):
    made: list[PostgresStore] = []
    threads = [threading.Thread(target=lambda: made.append(PostgresStore(database, clock))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    with made[0].transaction() as work:
        assert work.put("inbox", "a", {})
    for store in made:
        store.close()


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(database: str, clock: ManualClock):
    PostgresStore(database, clock).close()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update propolis.schema_version set version = %s", (len(MIGRATIONS) + 1,))
    with pytest.raises(StoreError, match="newer version"):
        PostgresStore(database, clock)


def test_a_server_that_is_away_is_one_sentence_and_it_goes_on_by_itself_when_it_is_back(
    own_server: Any, clock: ManualClock
):
    store = PostgresStore(own_server.database(), clock)
    with store.transaction() as work:
        work.put("inbox", "before", {})
    own_server.stop()
    with pytest.raises(StoreError, match=r"postgresql://127.0.0.1:\d+/propolis_\d+ is away") as told:
        store.check()
    assert SECRET not in str(told.value)
    own_server.start()
    with pytest.raises(StoreError, match="is away"):
        store.check()  # it is not asked again at once: many threads would otherwise hammer at it
    clock.advance(1.0)
    store.check()
    with store.transaction() as work:
        assert [item.key for item in work.claim("inbox", "node", seconds=60)] == ["before"]
    store.close()


def test_pauses_between_attempts_grow(own_server: Any, clock: ManualClock):
    store = PostgresStore(own_server.database(), clock)
    own_server.stop()
    attempts = []
    for _ in range(6):
        with pytest.raises(StoreError):
            store.check()
        attempts.append(store._link._again_at - clock.monotonic())
        clock.advance(attempts[-1] + 0.001)
    assert attempts[-1] > 4 * attempts[0] > 0
    assert max(attempts) <= 10.0
    store.close()


def test_a_restart_of_the_server_between_two_transactions_is_nobodys_error(own_server: Any, clock: ManualClock):
    store = PostgresStore(own_server.database(), clock)
    store.check()
    own_server.stop("fast")
    own_server.start()
    store.check()
    store.close()


def test_a_server_that_goes_away_within_a_transaction_undoes_it(own_server: Any, clock: ManualClock):
    store = PostgresStore(own_server.database(), clock)
    with pytest.raises(StoreError, match="is away"), store.transaction() as work:
        work.put("inbox", "half", {})
        own_server.stop()
        work.put("inbox", "done", {})
    own_server.start()
    clock.advance(1.0)
    with store.transaction() as work:
        assert work.backlog("inbox").waiting == 0
    store.close()


def test_somebody_who_keeps_the_turn_for_too_long_is_named_as_the_reason(
    database: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    first = PostgresStore(database, clock)
    monkeypatch.setattr(postgres_link, "_SESSION", (*postgres_link._SESSION, "set lock_timeout = '50ms'"))
    second = PostgresStore(database, clock)
    with first.transaction() as work:
        work.append("audit", {})
        with pytest.raises(StoreError, match="took too long"), second.transaction() as other:
            other.append("audit", {})
    first.close()
    second.close()


def test_a_node_that_hangs_in_a_transaction_is_cut_off(
    database: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    short = (*postgres_link._SESSION, "set idle_in_transaction_session_timeout = '100ms'")
    monkeypatch.setattr(postgres_link, "_SESSION", short)
    hanging = PostgresStore(database, clock)
    monkeypatch.undo()
    other = PostgresStore(database, clock)
    said = []
    with pytest.raises(StoreError, match="is away"), hanging.transaction() as work:
        work.append("audit", {"from": "who hangs"})
        with other.transaction() as free:  # comes back only when the turn is free
            said.append(free.append("audit", {}).number)
        work.append("audit", {})
    assert said == [1]
    hanging.close()
    other.close()


def test_a_wrong_password_is_said_without_saying_it(postgres: Any, database: str, clock: ManualClock):
    with pytest.raises(StoreError, match="password authentication failed") as told:
        PostgresStore(postgres.url(database.rpartition("/")[2], "wr0ng%40one"), clock)
    assert "wr0ng" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:hidden@h/d", "must be `sqlite`, or a PostgreSQL URL"),
        ("postgresql://u:hid@den@h/d", "%40 for @"),
        ("postgresql://u:hidden@h:port/d?bad=1", "%40 for @"),
        ("postgresql://u:hidden@h", "names no database"),
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str, says: str, clock: ManualClock):
    with pytest.raises(ConfigurationError) as told:
        PostgresStore(url, clock)
    assert says in str(told.value)
    assert "hid" not in str(told.value)


def test_a_key_that_no_index_takes_is_refused_with_its_beginning(database: str, clock: ManualClock):
    store = PostgresStore(database, clock)
    with pytest.raises(InputError, match="2,000 bytes"), store.transaction() as work:
        work.save("feed", "https://" + "x" * 3000, {})
    store.close()


def test_commits_are_durable_even_where_the_servers_default_is_not(postgres: Any, database: str, clock: ManualClock):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            f"alter database {database.rpartition('/')[2]} set synchronous_commit = off"  # type: ignore[arg-type]
        )
    store = PostgresStore(database, clock)
    with store._link.lent() as connection:
        assert connection.execute("show synchronous_commit").fetchone() == ("on",)
    store.close()


def test_a_transaction_waits_for_a_free_connection_and_says_so_when_none_comes(
    database: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgres_link, "_LENT_WITHIN", 0.05)
    store = PostgresStore(database, clock, connections=1)
    with store.transaction(), pytest.raises(StoreError, match="were busy"):
        store.check()
    store.check()
    store.close()


def test_those_who_look_leave_connections_to_those_who_work(
    database: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(postgres_link, "_LENT_WITHIN", 0.05)
    store = PostgresStore(database, clock, connections=8)
    with store.reading() as one, store.reading() as other:
        assert one.count("lease") == other.count("lease") == 0
        with pytest.raises(StoreError, match=r"2 looks at .* were under way"), store.reading():
            pass
        store.check()
    with store.reading() as look:
        assert look.count("lease") == 0
    store.close()


def test_the_server_itself_refuses_to_write_in_a_look(database: str, clock: ManualClock):
    store = PostgresStore(database, clock)
    with pytest.raises(StoreError, match="read-only"), store.reading() as look:
        look._run(0, "delete from record")  # type: ignore[attr-defined]
    with store.reading() as look:
        assert look.count("lease") == 0
    store.close()


def test_a_look_at_a_server_that_goes_away_is_one_sentence_and_the_next_one_works(own_server: Any, clock: ManualClock):
    store = PostgresStore(own_server.database(), clock)
    with pytest.raises(StoreError, match="is away"), store.reading() as look:
        look.count("lease")
        own_server.stop()
        look.count("lease")
    own_server.start()
    clock.advance(1.0)
    with store.reading() as look:
        assert look.count("lease") == 0
    store.close()


def test_the_clock_is_compared_with_the_servers(database: str):
    store = PostgresStore(database, SystemClock())
    assert abs(store.clock_difference()) < 30
    store.close()
    ahead = PostgresStore(database, ManualClock(SystemClock().now() + 3600))
    assert ahead.clock_difference() > 3000
    ahead.close()

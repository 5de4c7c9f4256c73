"""The chain's head is written where its owner cannot reach it; against that a chain cut short is found out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from seen_house import CASE_ID, House

from playbook_service.audit.chain import Anchor, verify
from playbook_service.engine import anchor
from playbook_service.engine.anchor import Anchoring, Place, anchor_line, find_anchors, noted, read_anchor, syslog
from propolis.errors import InputError


@pytest.fixture
def house() -> House:
    return House()


def write(house: House, lines: int = 3) -> None:
    with house.store.transaction() as work:
        for number in range(lines):
            house.journal.write(work, "something", number=number)


def anchoring(house: House, *places: Place) -> Anchoring:
    return Anchoring(house.store, house.journal, house.clock.now, places)


def kept(house: House) -> list[Anchor]:
    with house.store.transaction() as work:
        return noted(work)


def test_the_head_is_written_once_for_each_head(house: House):
    said: list[str] = []
    rounds = anchoring(house, Place("paper", said.append))
    rounds.round()
    assert said == []
    write(house)
    rounds.round()
    rounds.round()
    write(house, 1)
    rounds.round()
    assert [one.number for one in find_anchors(said)] == [3, 4]
    assert kept(house) == find_anchors(said)
    assert said[0].endswith("at 2026-01-01T00:00:00Z")


def test_a_place_that_does_not_answer_holds_up_no_other_and_is_tried_again(house: House):
    said: list[str] = []
    broken = True

    def flaky(text: str) -> None:
        if broken:
            raise OSError("connection refused")
        said.append(text)

    good: list[str] = []
    rounds = anchoring(house, Place("flaky", flaky), Place("good", good.append))
    write(house)
    rounds.round()
    assert (said, len(good)) == ([], 1)
    broken = False
    rounds.round()
    assert (len(said), len(good)) == (1, 1)


def test_a_chain_cut_short_is_found_by_an_anchor_and_only_by_one(house: House):
    said: list[str] = []
    write(house, 5)
    anchoring(house, Place("paper", said.append)).round()
    cut = list(house.journal.lines())[:3]
    assert verify(cut) == []
    assert [finding.number for finding in verify(cut, find_anchors(said))] == [5]


def test_a_comment_in_a_case_of_thehive_5(house: House):
    write(house)
    anchoring(house, anchor.case(house.tools, CASE_ID)).round()
    ((case_id, text),) = house.hive.comments
    assert (case_id, find_anchors([text])) == (CASE_ID, [house.journal.head()])


def test_a_log_line_on_one_task_in_a_case_of_thehive_4(house: House):
    house.hive.major = 4
    rounds = anchoring(house, anchor.case(house.tools, CASE_ID))
    for _ in range(2):
        write(house)
        rounds.round()
    assert len(house.hive.made_tasks) == 1
    assert [one.number for one in find_anchors(house.hive.logs)] == [3, 6]


def test_a_case_that_is_not_there_is_said_so_and_nothing_is_noted(house: House, caplog: pytest.LogCaptureFixture):
    write(house)
    anchoring(house, anchor.case(house.tools, "~404")).round()
    assert "There is no case ~404" in caplog.text
    assert kept(house) == []


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(5)
        yield found


def test_syslog_by_udp_gets_the_line(house: House, receiver: socket.socket):
    write(house)
    anchoring(house, syslog(f"127.0.0.1:{receiver.getsockname()[1]}")).round()
    text = receiver.recv(4096).decode()
    assert find_anchors([text.rstrip("\0")]) == [house.journal.head()]


def test_syslog_by_a_local_socket_gets_the_line(tmp_path: Path):
    place = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(place)
        found.settimeout(5)
        syslog(place).write("propolis audit head 1:x")
        assert b"propolis audit head 1:x" in found.recv(4096)


def test_syslog_by_tcp_gets_the_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        syslog(f"tcp:127.0.0.1:{server.getsockname()[1]}").write("propolis audit head")
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            assert b"propolis audit head" in connection.recv(4096)


def test_syslog_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(OSError, match=r"[Nn]o such file"):
        syslog(str(tmp_path / "nothing")).write("x")


@pytest.mark.parametrize("address", ["", "host:port", "tcp:", "host:99999"])
def test_a_malformed_syslog_address_is_refused(address: str):
    with pytest.raises(InputError, match="no syslog address"):
        syslog(address)


def test_anchors_are_read_as_they_were_written():
    head = Anchor(1234, "ab" * 32)
    assert read_anchor(f"1234:{'ab' * 32}") == head
    lines = ["Jan  1 00:00:00 host sshd[7]: noise 12:34:56", f"Jan  1 host {anchor_line(head, 0.0)}", "", "1:short"]
    assert find_anchors(lines) == [head]
    for wrong in ("", "1", f"x:{'ab' * 32}", f"1:{'AB' * 32}", f"1:{'ab' * 32} more"):
        with pytest.raises(InputError, match="is no anchor"):
            read_anchor(wrong)

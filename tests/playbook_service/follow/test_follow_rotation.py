"""Exactly the lines since the last acknowledged one, through every way in which alerts.json is rotated."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from follow_lab import Alerts, Follow, PlainFile, line, lines, pack
from intake_lab import Propolis, propolis

from playbook_service.follow import trail


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Propolis]:
    with propolis(tmp_path / "service") as made:
        yield made


@pytest.fixture
def wazuh(tmp_path: Path) -> Alerts:
    return Alerts(tmp_path)


@pytest.fixture
def plain(tmp_path: Path) -> PlainFile:
    return PlainFile(tmp_path)


def ids(numbers: range) -> list[str]:
    return [f"1795304791.{number}" for number in numbers]


def test_every_line_of_the_file_arrives_in_order(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(1500)))
    counts = Follow(wazuh.file, service, tmp_path).once(from_start=True)
    assert (counts.sent, counts.known) == (1500, 0)
    assert service.ids() == ids(range(1500))


def test_a_first_life_begins_at_the_end_and_from_then_on_misses_nothing(
    service: Propolis, wazuh: Alerts, tmp_path: Path
):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(lines(range(5)) + line(5)[:40])
    follow.once()
    wazuh.write(line(5)[40:] + line(6))
    follow.once()
    assert service.ids() == ids(range(5, 7)), "the line that was half there at the beginning is one of ours"


def test_a_file_that_is_not_there_yet_is_waited_for_and_all_of_it_is_new(service: Propolis, tmp_path: Path):
    file = tmp_path / "alerts.json"
    Follow(file, service, tmp_path).through(lambda: file.write_bytes(lines(range(3))))
    assert service.ids() == ids(range(3))


def test_half_a_line_waits_for_its_other_half(service: Propolis, wazuh: Alerts, tmp_path: Path):
    whole = line(1)
    held: list[int] = []
    Follow(wazuh.file, service, tmp_path).through(
        lambda: wazuh.write(line(0) + whole[:30]),
        lambda: None,
        lambda: held.append(len(service.ids())),
        lambda: wazuh.write(whole[30:60]),
        lambda: wazuh.write(whole[60:] + line(2)),
    )
    assert held == [1]
    assert service.ids() == ids(range(3))


def test_a_next_file_that_vanishes_between_the_look_and_the_opening_is_waited_for(
    service: Propolis, plain: PlainFile, tmp_path: Path
):
    aside, armed = tmp_path / "between two names", [False]

    def vanish(event: str, arguments: Any) -> None:
        """Take the file away at the very moment at which it is opened, as a rotation may."""
        if armed[0] and event == "open" and str(arguments[0]) == str(plain.file):
            armed[0] = False
            plain.file.rename(aside)

    def rotate() -> None:
        plain.rename()
        plain.write(lines(range(3, 5)))
        armed[0] = True

    sys.addaudithook(vanish)
    Follow(plain.file, service, tmp_path).through(
        lambda: plain.write(lines(range(3))), rotate, lambda: None, lambda: aside.rename(plain.file)
    )
    assert service.ids() == ids(range(5))


def test_midnight_while_it_follows(service: Propolis, wazuh: Alerts, tmp_path: Path):
    def late() -> None:
        """A line that was written before midnight and not read when the new file appeared."""
        wazuh.write(lines(range(3, 6)))
        wazuh.next_day()
        wazuh.write(lines(range(6, 8)))

    Follow(wazuh.file, service, tmp_path).through(
        lambda: wazuh.write(lines(range(3))), late, lambda: wazuh.pack(20), lambda: wazuh.write(line(8))
    )
    assert service.ids() == ids(range(9))


def test_midnight_with_a_day_that_has_no_line_yet(service: Propolis, wazuh: Alerts, tmp_path: Path):
    Follow(wazuh.file, service, tmp_path).through(
        lambda: wazuh.write(line(0)), wazuh.next_day, lambda: wazuh.write(line(1))
    )
    assert service.ids() == ids(range(2))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_several_days_away(service: Propolis, wazuh: Alerts, tmp_path: Path, packed: bool):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(lines(range(4)))
    follow.once(from_start=True)
    wazuh.write(lines(range(4, 10)))
    for day in (21, 22, 23):
        wazuh.next_day()
        wazuh.write(lines(range(day * 100, day * 100 + 5)))
    for day in (20, 21) if packed else ():
        wazuh.pack(day)
    counts = follow.once()
    wanted = [*range(10), *(number for day in (21, 22, 23) for number in range(day * 100, day * 100 + 5))]
    assert service.ids() == [f"1795304791.{number}" for number in wanted]
    assert counts.known == 0, "not one line was sent twice"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_parts_of_a_day_are_read_in_their_order(service: Propolis, wazuh: Alerts, tmp_path: Path, packed: bool):
    follow = Follow(wazuh.file, service, tmp_path)
    follow.once(from_start=True)
    for part in range(12):
        wazuh.write(lines(range(part * 10, part * 10 + 10)))
        wazuh.next_part()
    wazuh.write(line(120))
    for part in range(11) if packed else ():
        wazuh.pack(20, part)
    assert follow.once().known == 0
    assert service.ids() == ids(range(121))


def test_a_day_and_a_year_later(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(lines(range(2)))
    follow.once(from_start=True)
    for folder, number in (("2026/Dec", 2), ("2027/Jan", 3), ("2027/Feb", 4)):
        path = wazuh.folder / folder / "ossec-alerts-01.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(line(number))
        wazuh.file.unlink()
        wazuh.file.hardlink_to(path)
    follow.once()
    assert service.ids() == ids(range(5)), "months go by the calendar, not by the alphabet"


def test_other_files_in_the_folder_are_none_of_ours(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path)
    follow.once(from_start=True)
    month = wazuh.dated(1).parent
    for name in (
        "ossec-alerts-21.log",
        "ossec-alerts-21.json.sum",
        "ossec-archive-21.json",
        "ossec-alerts-21.json.bak",
    ):
        (month / name).write_bytes(line(99))
    (wazuh.folder / "alerts.log").write_bytes(line(99))
    (wazuh.folder / "alerts.json.swp").write_bytes(line(99))
    wazuh.write(line(0))
    wazuh.next_day()
    wazuh.write(line(1))
    follow.once()
    assert service.ids() == ids(range(2))


def test_a_packed_file_that_is_still_being_written_is_not_taken_for_the_whole(
    service: Propolis, wazuh: Alerts, tmp_path: Path
):
    follow = Follow(wazuh.file, service, tmp_path)
    follow.once(from_start=True)
    wazuh.write(lines(range(100)))
    wazuh.next_day()
    wazuh.write(line(100))
    whole = wazuh.dated(20).read_bytes()
    wazuh.pack(20)
    packed = wazuh.dated(20).with_name("ossec-alerts-20.json.gz")
    packed.write_bytes(packed.read_bytes()[:200])
    wazuh.dated(20).write_bytes(whole)
    assert follow.once().known == 0
    assert service.ids() == ids(range(101))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("rotate", [PlainFile.rename, PlainFile.copy_truncate], ids=["rename", "copytruncate"])
def test_logrotate_three_times_while_it_is_away(
    service: Propolis, plain: PlainFile, tmp_path: Path, rotate: Callable[[PlainFile], None], packed: bool
):
    follow = Follow(plain.file, service, tmp_path)
    plain.write(lines(range(3)))
    follow.once(from_start=True)
    for number in (3, 13, 23):
        plain.write(lines(range(number, number + 10)))
        rotate(plain)
    plain.write(lines(range(33, 36)))
    for number in (2, 3) if packed else ():
        pack(plain.file.with_name(f"alerts.json.{number}"))
    assert follow.once().known == 0
    assert service.ids() == ids(range(36))


@pytest.mark.parametrize("rotate", [PlainFile.rename, PlainFile.copy_truncate], ids=["rename", "copytruncate"])
def test_logrotate_while_it_follows(
    service: Propolis, plain: PlainFile, tmp_path: Path, rotate: Callable[[PlainFile], None]
):
    def turn(number: int) -> Callable[[], None]:
        def step() -> None:
            plain.write(lines(range(number, number + 5)))
            rotate(plain)
            plain.write(line(number + 5))

        return step

    Follow(plain.file, service, tmp_path).through(*(turn(number) for number in range(0, 18, 6)))
    assert service.ids() == ids(range(18))


def test_after_copytruncate_a_file_that_has_grown_beyond_the_old_place_is_known_to_be_another(
    service: Propolis, plain: PlainFile, tmp_path: Path
):
    follow = Follow(plain.file, service, tmp_path)
    plain.write(lines(range(3)))
    follow.once(from_start=True)
    plain.write(line(3))
    plain.copy_truncate()
    plain.write(lines(range(4, 20)))
    assert follow.once().known == 0
    assert service.ids() == ids(range(20))


def test_dated_files_of_logrotate(service: Propolis, plain: PlainFile, tmp_path: Path):
    follow = Follow(plain.file, service, tmp_path)
    follow.once(from_start=True)
    for number, date in enumerate(("20261120", "20261121", "20261122")):
        plain.write(line(number))
        plain.file.rename(plain.file.with_name(f"alerts.json-{date}"))
        plain.file.touch()
    plain.write(line(3))
    follow.once()
    assert service.ids() == ids(range(4))


def test_a_writer_that_keeps_to_the_renamed_file_for_a_while_is_read_there(
    service: Propolis, plain: PlainFile, tmp_path: Path
):
    def late(number: int) -> Callable[[], None]:
        def step() -> None:
            with plain.file.with_name("alerts.json.1").open("ab") as stream:
                stream.write(line(number))

        return step

    Follow(plain.file, service, tmp_path).through(
        lambda: plain.write(line(0)), plain.rename, late(1), late(2), lambda: plain.write(line(3))
    )
    assert service.ids() == ids(range(4))


def test_a_last_line_that_is_written_a_moment_after_the_rotation_is_read_before_the_new_file(
    service: Propolis, plain: PlainFile, tmp_path: Path
):
    def rotate() -> None:
        plain.rename()
        plain.write(line(2))

    def late() -> None:
        with plain.file.with_name("alerts.json.1").open("ab") as stream:
            stream.write(line(1))

    begin = [lambda: plain.write(line(0)), *[lambda: None] * 20]
    Follow(plain.file, service, tmp_path).through(*begin, rotate, lambda: None, late, spacing=1)
    assert service.ids() == ids(range(3))


def test_a_day_of_which_only_half_a_line_was_written_holds_nothing_up(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path)
    follow.through(
        lambda: wazuh.write(line(0)),
        wazuh.next_day,
        lambda: wazuh.write(line(9)[:30]),
        wazuh.next_day,
        lambda: wazuh.write(line(1)),
    )
    assert service.ids() == ids(range(2))
    assert len(follow.outcasts()) == 1


def test_a_file_that_is_being_packed_stands_in_the_trail_once_and_unpacked(wazuh: Alerts):
    for _ in range(8):
        wazuh.write(line(wazuh.day))
        data, path = wazuh.file.read_bytes(), wazuh.dated(wazuh.day)
        wazuh.next_day()
        pack(path)
        path.write_bytes(data)
    assert trail.files(wazuh.file) == [*(wazuh.dated(day) for day in range(20, 28)), wazuh.file]


def test_a_file_that_was_emptied_without_a_copy_is_read_from_its_beginning_and_that_is_told(
    service: Propolis, plain: PlainFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    follow = Follow(plain.file, service, tmp_path)
    plain.write(lines(range(3)))
    follow.once(from_start=True)
    plain.file.write_bytes(line(7))
    follow.once()
    assert service.ids() == [*ids(range(3)), "1795304791.7"]
    assert "lines after it may be missing" in caplog.text


def test_an_archive_that_was_deleted_is_told_and_what_there_is_goes_out(
    service: Propolis, wazuh: Alerts, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(line(0))
    follow.once(from_start=True)
    for number in (1, 2, 3):
        wazuh.next_day()
        wazuh.write(line(number))
    wazuh.dated(20).unlink()
    follow.once()
    assert service.ids() == ids(range(4))
    assert "lines after it may be missing" in caplog.text


def test_a_number_of_a_file_that_was_used_again_does_not_mislead_it(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(lines(range(3)))
    follow.once(from_start=True)
    wazuh.write(line(3))
    wazuh.next_day()
    wazuh.write(lines(range(4, 10)))
    path = follow.state.folder / "checkpoint.json"
    document: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "inode": wazuh.file.stat().st_ino}))
    assert follow.once().known == 0
    assert service.ids() == ids(range(10))


def test_a_last_line_without_a_break_goes_out_when_the_file_is_over(service: Propolis, wazuh: Alerts, tmp_path: Path):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(line(0) + line(1).rstrip())
    follow.once(from_start=True)
    assert service.ids() == ids(range(1))
    wazuh.next_day()
    wazuh.write(line(2) + line(3)[:20])
    follow.once()
    assert service.ids() == ids(range(3))
    wazuh.next_day()
    wazuh.write(line(4))
    follow.once()
    assert service.ids() == [*ids(range(3)), "1795304791.4"]
    assert [each["reason"][:43] for each in follow.outcasts()] == ["the file ended in the middle of a line: the"]


def test_a_packed_file_that_is_damaged_is_told_and_the_days_after_it_go_out(
    service: Propolis, wazuh: Alerts, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    follow = Follow(wazuh.file, service, tmp_path)
    wazuh.write(line(0))
    follow.once(from_start=True)
    wazuh.write(lines(range(1, 2000)))
    wazuh.next_day()
    wazuh.write(line(2000))
    wazuh.pack(20)
    packed = wazuh.dated(20).with_name("ossec-alerts-20.json.gz")
    packed.write_bytes(packed.read_bytes()[:-2000])
    follow.once()
    assert "ossec-alerts-20.json.gz is damaged" in caplog.text
    found = service.ids()
    assert found[-1] == "1795304791.2000"
    assert found[:-1] == ids(range(len(found) - 1))

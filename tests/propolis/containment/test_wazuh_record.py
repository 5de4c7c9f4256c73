"""Records: their names round-trip, lie in one folder only, and always fit into a file system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from propolis.containment.wazuh.record import Record, fitting, is_watched, parse, records, searched

FOLDER = "/var/ossec/active-response/propolis"
WINDOWS = r"c:\program files (x86)\ossec-agent\active-response\propolis"
NAME = "block~203.0.113.7~1790000000~propolis%20case=128%20by=analyst@soc.example"
RECORD = Record("block", "203.0.113.7", 1_790_000_000, "propolis case=128 by=analyst@soc.example")


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (RECORD, NAME),
        (Record("block", "2001:db8::/64", 7, "propolis"), "block~2001%3Adb8%3A%3A%2F64~7~propolis"),
        (Record("lock", "mallory", 0, "propolis at=2026-01-01T00:00:00Z"),
         "lock~mallory~0~propolis%20at=2026-01-01T00%3A00%3A00Z"),
        (Record("refused", "lock.m_1", 9, "uid 0 (root)"), "refused~lock.m%5F1~9~uid%200%20%28root%29"),
    ],
)  # fmt: skip
def test_names_are_those_of_the_interface(record: Record, name: str) -> None:
    assert record.name == name
    assert parse(name) == record


@given(st.text(min_size=1, max_size=40), st.integers(0, 10**10), st.text(max_size=60))
def test_every_name_can_be_read_back(target: str, until: int, mark: str) -> None:
    target, mark = (text.encode("utf-8", "ignore").decode() for text in (f"x{target}", mark))
    record = Record("block", target, until, mark)
    assert parse(record.name) == record
    assert not set(record.name) & set("/\\: \n")
    assert record.name.count("~") == 3


@pytest.mark.parametrize(
    "name",
    ["", "README", "block~203.0.113.7~1790000000", "block~203.0.113.7~soon~propolis", "block~~1~propolis", "a~b~-1~c",
     "block~203.0.113.7~1~propolis~more", "BLOCK~x~1~propolis", "block~x~123456789012~propolis", f"{NAME}\n~"],
)  # fmt: skip
def test_other_files_are_no_records(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize("folder", [FOLDER, WINDOWS, WINDOWS.upper()])
def test_records_lie_in_the_agents_own_folder(folder: str) -> None:
    cut = "\\" if ":" in folder else "/"
    assert records([f"{folder}{cut}{NAME}", f"{folder}{cut}deeper{cut}{NAME}", f"{folder}-state{cut}{NAME}"]) == [
        RECORD
    ]


@pytest.mark.parametrize(
    "folder",
    ["/home/m/active-response/propolis", "/VAR/OSSEC/active-response/propolis",
     "/tmp/var/ossec/active-response/propolis", r"c:\users\m\ossec-agent\active-response\propolis", "", "propolis"],
)  # fmt: skip
def test_records_elsewhere_are_nobodys_word(folder: str) -> None:
    assert records([f"{folder}/{NAME}", f"{folder}\\{NAME}"]) == []


def test_a_search_finds_refusals_too() -> None:
    for record in (RECORD, Record("refused", "block.203.0.113.7", 5, "why")):
        assert searched("203.0.113.7") in record.name


def test_who_ends_when() -> None:
    assert Record("lock", "m", 0, "propolis").lives(1e12)
    assert RECORD.lives(RECORD.until - 1)
    assert not RECORD.lives(RECORD.until)


@pytest.mark.parametrize(
    ("folders", "live"),
    [
        ([], False),
        ([("/etc", ["realtime"])], False),
        ([(FOLDER, ["check_all"])], False),
        ([(FOLDER, ["realtime"])], True),
        ([(f"{FOLDER}/", ["check_whodata"])], True),
        ([("/var/ossec", ["realtime"]), (FOLDER, ["check_sha256sum"])], False),
        ([(FOLDER, ["realtime"]), ("/var", [])], True),
        ([("/var/ossec/active", ["realtime"])], False),
        ([(WINDOWS, ["realtime"])], True),
        ([(r"C:\Program Files (x86)\ossec-agent", ["realtime"])], True),
    ],
)
def test_fim_must_tell_of_the_folder_at_once(folders: list[tuple[str, list[str]]], live: bool) -> None:
    assert is_watched(folders) is live


@given(
    st.text("propolis casek=_:/ 128", max_size=120),
    st.sampled_from(["host", "2001:db8:1111:2222:3333:4444:5555:0/112"]),
)
def test_a_mark_is_cut_at_its_facts_until_the_name_fits(more: str, target: str) -> None:
    mark = f"propolis case=128 {more}"[:120]
    fitted = fitting(mark, "isolating", target)
    assert mark.startswith(fitted)
    assert len(Record("isolating", target, 99_999_999_999, fitted).name) <= 255
    assert fitted == mark or mark[len(fitted)] == " "

"""Whatever is done to an audit chain, verifying it finds out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from playbook_service.audit.chain import Anchor, anchor_of, digest, seal, verify
from playbook_service.audit.journal import AuditFiles, Journal, read_lines
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock


def chain(length: int) -> list[dict]:
    lines: list[dict] = []
    for number in range(length):
        previous = anchor_of(lines[-1]) if lines else None
        lines.append(seal(previous, "2026-01-01T00:00:00Z", {"action": "decision", "case": number}))
    return lines


def test_an_untouched_chain_has_no_findings():
    lines = chain(20)
    assert verify(lines, [anchor_of(lines[4]), anchor_of(lines[-1])]) == []
    assert verify([]) == []


@pytest.mark.parametrize("victim", [0, 7, 19])
def test_an_altered_line_is_found(victim: int):
    lines = chain(20)
    lines[victim] = {**lines[victim], "case": 999}
    assert victim + 1 in [finding.number for finding in verify(lines)]


@pytest.mark.parametrize("victim", [0, 7, 19])
def test_an_altered_line_with_its_hash_made_to_fit_is_found_by_the_next_line_or_by_the_anchor(victim: int):
    lines = chain(20)
    head = anchor_of(lines[-1])
    lines[victim] = {**lines[victim], "case": 999}
    lines[victim]["hash"] = digest(lines[victim])
    assert verify(lines, [head])


@pytest.mark.parametrize("victim", [0, 7, 18])
def test_a_dropped_line_is_found(victim: int):
    lines = chain(20)
    del lines[victim]
    assert victim + 1 in [finding.number for finding in verify(lines)]


def test_two_lines_that_changed_places_are_found():
    lines = chain(20)
    lines[5], lines[6] = lines[6], lines[5]
    assert verify(lines)


def test_an_inserted_line_is_found():
    lines = chain(20)
    lines.insert(10, lines[9])
    assert verify(lines)


def test_a_chain_rewritten_from_some_line_on_is_found_by_an_anchor():
    lines = chain(20)
    head = anchor_of(lines[-1])
    forged = lines[:10]
    for _ in range(10):
        forged.append(seal(anchor_of(forged[-1]), "2026-01-01T00:00:00Z", {"action": "nothing happened"}))
    assert verify(forged) == []
    assert [finding.number for finding in verify(forged, [head])] == [20]


def test_a_cut_off_end_is_found_by_an_anchor():
    lines = chain(20)
    (finding,) = verify(lines[:15], [anchor_of(lines[-1])])
    assert finding.number == 20
    assert "ends at 15" in finding.problem


@pytest.mark.parametrize("garbage", [None, [], "text", {}, {"n": "1"}])
def test_a_line_that_is_none_is_found(garbage: object):
    lines: list = chain(5)
    lines[2] = garbage
    assert 3 in [finding.number for finding in verify(lines)]


def test_an_entry_cannot_set_the_chains_own_names():
    with pytest.raises(ValueError, match="hash"):
        seal(None, "2026-01-01T00:00:00Z", {"hash": "00"})


def test_a_part_of_a_chain_is_checked_from_the_line_before_it():
    lines = chain(20)
    assert verify(lines[10:], start=anchor_of(lines[9])) == []
    assert verify(lines[10:], start=Anchor(10, "f" * 64))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(ManualClock())


@pytest.fixture
def journal(store: MemoryStore) -> Journal:
    return Journal(store, ManualClock())


def write(store: MemoryStore, journal: Journal, count: int) -> None:
    for number in range(count):
        with store.transaction() as work:
            journal.write(work, "decision", case=number, operator=None)


def test_a_line_is_part_of_the_transaction_of_what_it_tells_of(store: MemoryStore, journal: Journal):
    write(store, journal, 2)
    with pytest.raises(RuntimeError), store.transaction() as work:
        journal.write(work, "contained")
        raise RuntimeError
    write(store, journal, 1)
    lines = list(journal.lines())
    assert [line["n"] for line in lines] == [1, 2, 3]
    assert "operator" not in lines[0]
    assert journal.verify() == []
    assert journal.head() == anchor_of(lines[-1])


def test_files_follow_the_store_across_rotation_and_a_torn_last_line(
    tmp_path: Path, store: MemoryStore, journal: Journal
):
    files = AuditFiles(tmp_path / "audit", lines_each=4)
    write(store, journal, 6)
    assert files.catch_up(journal) == 6
    with files.paths()[-1].open("a", encoding="utf-8") as handle:
        handle.write('{"n": 7, "torn')
    write(store, journal, 3)
    assert files.catch_up(journal) == 3
    assert files.catch_up(journal) == 0
    assert [path.name for path in files.paths()] == [
        "audit-000000000001.jsonl",
        "audit-000000000005.jsonl",
        "audit-000000000009.jsonl",
    ]
    head = journal.head()
    assert head is not None
    assert verify(read_lines(files.paths()), [head]) == []


def test_a_line_altered_in_a_file_is_found(tmp_path: Path, store: MemoryStore, journal: Journal):
    files = AuditFiles(tmp_path / "audit")
    write(store, journal, 5)
    files.catch_up(journal)
    (path,) = files.paths()
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    lines[2]["action"] = "nothing"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [finding.number for finding in verify(read_lines([path]))] == [3]

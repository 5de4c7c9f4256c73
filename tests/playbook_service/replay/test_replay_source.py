from __future__ import annotations

import gzip
import io
import json
import tracemalloc

import pytest

from playbook_service.replay.source import Item, items
from propolis.alert.model import MAX_BYTES


def read(data: bytes) -> list[Item]:
    return list(items(io.BytesIO(data)))


def ids(found: list[Item]) -> list[str]:
    return [item.alert.id for item in found if item.alert is not None]


@pytest.fixture
def documents(lines):
    return [json.loads(line) for line in lines[:7]]


@pytest.fixture
def expected(documents):
    return [document["id"] for document in documents]


def test_jsonl_is_read_line_by_line(lines, expected):
    found = read(b"".join(lines[:7]))
    assert ids(found) == expected
    assert [item.number for item in found] == [1, 2, 3, 4, 5, 6, 7]


def test_gzipped_jsonl_is_recognised_by_its_content(lines, expected):
    assert ids(read(gzip.compress(b"".join(lines[:7])))) == expected


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_element_by_element(documents, expected, indent):
    assert ids(read(json.dumps(documents, indent=indent).encode())) == expected


@pytest.mark.parametrize("indent", [None, 2])
def test_an_answer_of_the_indexer_is_unwrapped(documents, expected, indent):
    hits = [{"_index": "wazuh-alerts-4.x-2026.11.17", "_id": "x", "_source": document} for document in documents]
    answer = {"took": 3, "timed_out": False, "hits": {"total": {"value": 7}, "hits": hits}}
    assert ids(read(json.dumps(answer, indent=indent).encode())) == expected


@pytest.mark.parametrize(
    ("tail", "fault"),
    [
        (b"]\n", ""),
        (b"", "The array is not closed: the file may have been cut off."),
        (b"]\n{}\n", "The array ends here. What follows it was not read."),
    ],
)
def test_the_end_of_an_array_is_looked_at_so_that_nothing_is_left_out_in_silence(documents, expected, tail, fault):
    found = read(json.dumps(documents).encode()[:-1] + tail)
    assert ids(found) == expected
    assert [item.fault for item in found[7:]] == ([fault] if fault else [])


def test_indexer_documents_one_a_line_are_unwrapped(documents, expected):
    data = "".join(json.dumps({"_id": "x", "_source": document}) + "\n" for document in documents)
    assert ids(read(data.encode())) == expected


def test_pretty_printed_documents_one_after_the_other_are_read(documents, expected):
    assert ids(read("\n".join(json.dumps(document, indent=4) for document in documents).encode())) == expected


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_do_no_harm(lines, expected):
    data = b"\xef\xbb\xbf" + b"\r\n\r\n".join(line.strip() for line in lines[:7]) + b"\r\n\r\n"
    assert ids(read(data)) == expected


def test_bad_lines_are_named_with_their_number_and_skipped(lines):
    data = lines[0] + b"not json\n" + b"[1, 2]\n" + b'{"no": "alert"}\n' + b"\xff\xfe\x00\n" + lines[1]
    found = read(data)
    assert len(ids(found)) == 2
    assert [item.number for item in found if item.alert is None] == [2, 3, 4, 5]
    assert "not valid JSON" in found[1].fault
    assert "must be a JSON object" in found[2].fault
    assert "not a Wazuh alert" in found[3].fault


def test_a_first_line_that_is_cut_off_costs_that_line_only(lines):
    found = read(lines[0][:100] + b"\n" + lines[1] + lines[2])
    assert len(ids(found)) == 2
    assert found[0].fault
    assert [item.fault[:31] for item in read(lines[0][:100])] == ["The alert is not valid JSON: Un"]


def test_a_line_that_is_too_long_is_skipped_without_being_kept(lines):
    data = lines[0] + b'{"rule": "' + b"x" * (3 * MAX_BYTES) + b'"}\n' + lines[1]
    found = read(data)
    assert ids(found) == ids(read(lines[0] + lines[1]))
    assert found[1].number == 2
    assert "longer than 1024 KiB" in found[1].fault


def test_a_damaged_compressed_file_gives_what_it_held_and_a_fault(lines):
    packed = gzip.compress(b"".join(lines), compresslevel=1)
    found = read(packed[: len(packed) // 2])
    assert 0 < len(ids(found)) < len(lines)
    assert "ends early" in found[-1].fault


def test_a_broken_element_ends_an_array_with_a_fault(documents, expected):
    text = json.dumps(documents)
    found = read(text[: len(text) // 2].encode())
    assert ids(found) == expected[: len(found) - 1]
    assert "What follows it was not read" in found[-1].fault


def test_deep_nesting_is_a_fault_and_no_crash(lines):
    deep = b'{"rule": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    found = read(lines[0] + deep + lines[1])
    assert len(ids(found)) == 2
    assert "nested too deeply" in found[1].fault


def test_an_array_of_other_things_is_all_faults():
    found = read(b'[1, "two", null, {"no": "alert"}]')
    assert [item.alert for item in found] == [None] * 4


@pytest.mark.parametrize("data", [b"", b"\n\n", b"[]", b'{"hits": {"hits": []}}', gzip.compress(b"")])
def test_nothing_gives_nothing(data):
    assert ids(read(data)) == []


def test_memory_does_not_grow_with_the_file(lines):
    class Endless(io.RawIOBase):
        def __init__(self, count):
            self.left, self.rest = count, b""

        def readable(self):
            return True

        def readinto(self, buffer):
            while len(self.rest) < len(buffer) and self.left:
                self.rest += lines[self.left % len(lines)]
                self.left -= 1
            piece, self.rest = self.rest[: len(buffer)], self.rest[len(buffer) :]
            buffer[: len(piece)] = piece
            return len(piece)

    def peak(count):
        tracemalloc.start()
        assert sum(1 for _ in items(Endless(count))) == count
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20_000) < peak(500) + 1_000_000

"""Every fault an author can make: found, placed, said in one sentence, and all of them at once."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from playbook_service.playbook import PlaybookError, PlaybookErrors, load, read
from propolis.errors import ConfigurationError, PropolisError

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "playbooks"
EXPECTED = re.compile(r"# expect (?P<line>\d+) ?(?P<path>\S*): (?P<message>.*)")
FAULTY = sorted((FIXTURES / "faulty").glob("*.yml"))
HOSTILE = {
    "bomb.yml": (1, "anchors and aliases"),
    "broken_flow.yml": (2, "this is not YAML"),
    "deep_block.yml": (17, "nested deeper than 16 levels"),
    "deep_flow.yml": (1, "nested deeper than 16 levels"),
    "empty.yml": (1, "the file holds no playbook"),
    "future_yaml.yml": (1, "this is not YAML"),
    "latin1.yml": (2, "the file is not UTF-8"),
    "list_as_key.yml": (1, "a key must be text"),
    "merge_key.yml": (1, 'the key "kind" is missing'),
    "nul.yml": (2, "the file holds a control character (U+0000)"),
    "only_comments.yml": (1, "the file holds no playbook"),
    "tab.yml": (2, "this is not YAML: a tab is used where YAML takes blanks only"),
    "tag.yml": (1, "tags are not taken"),
    "unclosed_quote.yml": (2, "this is not YAML"),
    "utf16.yml": (1, "the file is UTF-16"),
}
BOUND = 10.0
"""Seconds; a hostile file of a megabyte takes about one on a quiet machine."""
GENERATED = {
    "flow sequences": b"[" * 999_999,
    "flow mappings": b"{a: " * 249_999,
    "flat list": b"[" + b"a," * 499_000 + b"]",
    "dashes": b"- " * 499_999,
    "duplicate keys": b"a: b\n" * 190_000,
    "anchors": b"&a " * 300_000,
    "tags": b"!" * 999_999,
    "documents": b"---\n" * 249_999,
    "directives": b"%A\n" * 300_000,
    "a long number": b"kind: " + b"9" * 900_000,
    "ten megabytes": b"kind: respond\n" * 700_000,
}


@pytest.mark.parametrize("file", FAULTY, ids=lambda file: file.stem)
def test_every_fault_of_a_file_is_reported_with_line_path_and_sentence(file: Path) -> None:
    expected = [EXPECTED.match(line) for line in file.read_text().splitlines() if line.startswith("# expect")]
    found = PlaybookErrors(read(file).faults).faults

    assert len(found) == len(expected), [str(fault) for fault in found]
    remaining = list(found)
    for wanted in expected:
        assert wanted is not None
        hit = [fault for fault in remaining if _is(fault, wanted)]
        assert hit, f"{wanted.group()} is not among {[str(fault) for fault in remaining]}"
        remaining.remove(hit[0])


def _is(fault: PlaybookError, wanted: re.Match[str]) -> bool:
    same_place = (fault.line, fault.path or "") == (int(wanted["line"]), wanted["path"])
    return same_place and fault.message.startswith(wanted["message"])


def test_load_refuses_everything_while_one_file_has_a_fault(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "faulty" / "key_twice.yml", tmp_path / "a.yml")
    shutil.copy(FIXTURES / "faulty" / "kinds_mixed_up.yml", tmp_path / "b.yaml")
    (tmp_path / "c.yml").write_text("{kind: enrich, name: sound, on: observable, analyzers: MISP}")

    with pytest.raises(PlaybookErrors) as raised:
        load(tmp_path)

    assert isinstance(raised.value, PropolisError)
    assert {Path(fault.source or "").name for fault in raised.value.faults} == {"a.yml", "b.yaml"}
    assert len(str(raised.value).splitlines()) == len(raised.value.faults) == 6


@pytest.mark.parametrize(("name", "place"), HOSTILE.items())
def test_a_hostile_file_gives_one_clear_error(name: str, place: tuple[int, str]) -> None:
    (fault,) = read(FIXTURES / "hostile" / name).faults

    assert fault.line == place[0]
    assert fault.message.startswith(place[1])
    assert Path(fault.source or "").name == name


def test_every_hostile_file_is_expected() -> None:
    assert {file.name for file in (FIXTURES / "hostile").glob("*.yml")} == set(HOSTILE)


@pytest.mark.parametrize("data", GENERATED.values(), ids=GENERATED.keys())
def test_a_hostile_megabyte_takes_bounded_time_and_never_loads(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "hostile.yml"
    file.write_bytes(data)

    began = time.monotonic()
    loaded = read(file)

    assert time.monotonic() - began < BOUND
    assert loaded.faults
    assert len(loaded.playbooks) == 0
    assert len(str(PlaybookErrors(loaded.faults)).splitlines()) <= 201


def test_a_file_of_ten_megabytes_is_not_even_parsed(tmp_path: Path) -> None:
    file = tmp_path / "huge.yml"
    file.write_bytes(b"#" * 10_000_000)

    (fault,) = read(file).faults

    assert fault.message.startswith("the file is larger than 1,000,000 bytes")


def test_places_that_hold_nothing_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file or directory"):
        load(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="holds no playbooks"):
        load(tmp_path)


def test_only_yaml_files_that_are_not_hidden_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text("{kind: enrich, name: one, on: observable, analyzers: MISP}")
    (tmp_path / ".two.yml").write_text("nonsense")
    (tmp_path / "three.yml~").write_text("nonsense")
    (tmp_path / "four.yml").mkdir()

    assert [playbook.name for playbook in load(tmp_path)] == ["one"]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "one.yml"
    file.write_text("{kind: enrich, name: one, on: observable, analyzers: MISP}")

    assert len(load([tmp_path, file, str(file)])) == 1


def test_values_are_read_as_yaml_one_point_two_would(tmp_path: Path) -> None:
    file = tmp_path / "values.yml"
    file.write_text(
        "\ufeffkind: enrich\nname: values\non: observable\nanalyzers: [no, 'on', 12:30, 2026-01-01]\n"
        "when:\n  alert.agent.id: 000\n  alert.rule.level: 10\n  alert.rule.mail: true\n  alert.data.x: 1.5\n",
        encoding="utf-8",
    )

    (playbook,) = load(file)

    assert playbook.analyzers == ("no", "on", "12:30", "2026-01-01")
    assert [test.values[0] for test in playbook.when.tests] == ["000", 10, True, 1.5]

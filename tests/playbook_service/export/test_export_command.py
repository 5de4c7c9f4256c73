"""`propolis export --elastic`: whole, repeatable, resumable, flat in memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exported import filled, lines_of, of, text_of
from feedback_shop import Shop, decision, wazuh

from playbook_service.cli import main
from playbook_service.engine import arrival
from playbook_service.export.elastic import span, write
from playbook_service.export.progress import Counted
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A service's data folder with one of everything."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(data))
    clock = ManualClock()
    shop = filled(Shop(store=SqliteStore(data / "propolis.db", clock), clock=clock))
    yield shop
    shop.store.close()


def test_the_export_is_on_standard_output_and_what_people_read_is_not(shop: Shop, capsys: pytest.CaptureFixture[str]):
    assert main(["export", "--elastic"]) == 0
    said = capsys.readouterr()
    assert said.out == text_of(shop.store)
    assert "propolis-alerts 1, propolis-decisions 1, propolis-leases 1" in said.err
    assert f"--after {span(shop.store, since=None, after=0).upto}" in said.err


def test_a_second_export_of_the_same_is_the_same(shop: Shop):
    assert text_of(shop.store) == text_of(shop.store)


def test_the_indices_may_be_called_otherwise(shop: Shop, capsys: pytest.CaptureFixture[str]):
    assert main(["export", "--elastic", "--index", "soc-propolis"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["index"]["_index"] == "soc-propolis-alerts"


def test_a_file_is_for_its_owner_only(shop: Shop, tmp_path: Path):
    path = tmp_path / "propolis.ndjson"
    assert main(["export", "--elastic", "--output", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == text_of(shop.store)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.glob("*.partial")] == []


def test_an_export_that_fails_leaves_the_file_that_was_there(shop: Shop, tmp_path: Path):
    path = tmp_path / "propolis.ndjson"
    path.write_text("the last one\n")
    with shop.store.transaction() as work:
        work.save("closure", "~1", {}, state="closed", ref="~1")  # nothing that the service would write
        work.save("alert", "zz:1", {"alert": {}}, state="cased")
    with pytest.raises(KeyError):
        main(["export", "--elastic", "--output", str(path)])
    assert path.read_text() == "the last one\n"
    assert [entry.name for entry in tmp_path.glob("*.partial")] == []


class Full(io.StringIO):
    """A disk with room for so many writes."""

    room = 5

    def write(self, text: str) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        self.room -= 1
        return super().write(text)


def test_a_write_that_fails_ends_after_a_whole_document(shop: Shop):
    target = Full()
    with pytest.raises(OSError, match="No space left"):
        write(shop.store, span(shop.store, since=None, after=0), "propolis", target, lambda _: None)
    written = target.getvalue()
    assert written.endswith("\n")
    assert len([json.loads(line) for line in written.splitlines()]) == 10


# only what is new -----------------------------------------------------------------------------------------------------


def test_after_a_line_comes_what_changed_since_and_nothing_else(shop: Shop):
    done = span(shop.store, since=None, after=0).upto
    shop.clock.advance(3_600)
    again = lines_of(shop.store, span(shop.store, since=None, after=done))
    assert {line.index for line in again} == {"propolis-approvals", "propolis-cases"}, "those of the minute before it"
    shop.arrived(wazuh("99"), "~1")
    shop.false_positive(7, "203.0.113.99")
    found = lines_of(shop.store, span(shop.store, since=None, after=done))
    assert sorted(line.id for line in found if line.index == "propolis-alerts") == ["siem01:7", "siem01:99"]
    assert min(line["event"]["sequence"] for line in of(found, "audit")) == done + 1
    assert of(found, "decisions") == []


def test_what_changes_while_an_export_runs_belongs_to_the_next(shop: Shop):
    wanted = span(shop.store, since=None, after=0)
    shop.clock.advance(3_600)
    shop.false_positive(7, "203.0.113.99")
    assert max(line["event"]["sequence"] for line in of(lines_of(shop.store, wanted), "audit")) == wanted.upto
    found = lines_of(shop.store, span(shop.store, since=None, after=wanted.upto))
    assert {line.id for line in found if line.index == "propolis-alerts"} == {"siem01:7"}
    assert of(found, "audit")[0]["event"]["sequence"] == wanted.upto + 1


def test_a_closing_is_a_change_of_the_case(shop: Shop):
    done = span(shop.store, since=None, after=0).upto
    shop.clock.advance(3_600)
    shop.reopen("~1")
    (case,) = of(lines_of(shop.store, span(shop.store, since=None, after=done)), "cases")
    assert case["propolis"]["case"]["status"] == "reopened"


def test_an_index_that_is_fed_line_by_line_is_the_one_that_is_made_at_once(shop: Shop):
    """Import after import, each `--after` the one before: with overlaps, and with one of them imported twice."""
    index: dict[tuple[str, str], object] = {}
    after = 0
    for change in (
        lambda: None,
        lambda: shop.arrived(wazuh("99"), "~1"),
        lambda: shop.false_positive(7, "203.0.113.99"),
        lambda: shop.reopen("~1"),
        lambda: shop.close("~1", "FalsePositive"),
        lambda: shop.decided("~2", decision("203.0.113.9", kind="ask", wanted="ask")),
    ):
        shop.clock.advance(600)
        change()
        wanted = span(shop.store, since=None, after=after)
        for _ in range(2):
            index |= {(line.index, line.id): line.document for line in lines_of(shop.store, wanted)}
        after = wanted.upto
    assert index == {(line.index, line.id): line.document for line in lines_of(shop.store)}
    assert len(index) == 20


def test_since_a_moment(shop: Shop, capsys: pytest.CaptureFixture[str]):
    assert main(["export", "--elastic", "--since", "2026-01-01T00:01:00Z"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    indices = {line["index"]["_index"] for line in found[::2]}
    assert "propolis-cases" in indices
    assert "propolis-alerts" not in indices


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--elastic"),
        (["--elastic", "--after", "10000"], "the audit chain ends at"),
        (["--elastic", "--after", "-1"], "1 or more"),
        (["--elastic", "--index", "Propolis"], "no name of an index"),
        (["--elastic", "--index", "*"], "no name of an index"),
        (["--elastic", "--since", "soon"], "--since"),
        (["--elastic", "--output", "no/such/folder/file"], "cannot be written"),
    ],
)
def test_a_wrong_call_gets_one_sentence(
    words: list[str], sentence: str, shop: Shop, capsys: pytest.CaptureFixture[str]
):
    assert main(["export", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_an_empty_store_is_an_empty_export():
    assert text_of(Shop().store) == ""


def test_nothing_follows_a_line_that_is_not_there():
    with pytest.raises(ConfigurationError, match="ends at 0"):
        span(Shop().store, since=None, after=1)


# memory and progress --------------------------------------------------------------------------------------------------


def peak(shop: Shop) -> int:
    """The most memory that an export took, in bytes."""

    class Nowhere(io.StringIO):
        def write(self, text: str) -> int:
            return len(text)

    tracemalloc.start()
    write(shop.store, span(shop.store, since=None, after=0), "propolis", Nowhere(), lambda _: None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def many(shop: Shop, numbers: range) -> None:
    body = {
        "origin": "wazuh",
        "alert": wazuh("1").document,
        "hive_id": "~h",
        "suppressed": "",
        "at": 1.0,
        "observables": [],
    }
    with shop.store.transaction() as work:
        for number in numbers:
            work.save(arrival.KIND, f"siem01:{number:06}", body, version=0, state=arrival.CASED, ref="~1")


def test_memory_does_not_grow_with_the_store(shop: Shop):
    many(shop, range(600))
    small = peak(shop)
    many(shop, range(600, 3_000))
    assert peak(shop) < 1.5 * small


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("make", "shown"), [(Terminal, True), (io.StringIO, False)])
def test_progress_is_for_terminals(make: Callable[[], io.StringIO], shown: bool):
    clock, terminal = ManualClock(), make()
    with Counted(terminal, clock) as progress:
        for number in range(1, 1_501):
            progress.tick(number)
            clock.advance(0.001)
    assert ("1,500 documents" in terminal.getvalue()) is shown

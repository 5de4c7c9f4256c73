"""Whatever a worker does or meets, Cortex finds one valid report, and only one."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from propolis.errors import ConfigurationError, InputError
from propolis.worker import jobfile
from propolis.worker.analyzer import AnalyzerWorker, taxonomy
from propolis.worker.base import Answer
from propolis.worker.items import Items
from propolis.worker.responder import ResponderWorker

SECRET = "s3cret-t0ken"


class Scripted(AnalyzerWorker):
    """An analyzer that does what its parameters say."""

    def answer(self) -> Answer:
        act = self.parameters.get("act")
        if act == "refuse":
            raise InputError(f"The source said no to {SECRET}.")
        if act == "crash":
            raise KeyError(SECRET)
        if act == "recurse":
            return self.answer()
        if act == "exhaust":
            raise MemoryError
        full: dict[str, Any] = {"said": f"got {SECRET}", "number": math.nan, "text": "\ud800 half"}
        artifacts = [{"dataType": "ip", "data": "203.0.113.7"}]
        return Answer(full, [taxonomy("info", "Test", "Said", 1)], artifacts, [{"type": "AddTagToCase", "tag": "x"}])


class Echo(ResponderWorker):
    """A responder that says on what it was started."""

    def answer(self) -> Answer:
        return Answer({"id": self.entity["id"]})


class Job:
    """A job folder as Cortex makes it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.folder = folder
        (folder / "input").mkdir()
        monkeypatch.setattr(sys, "argv", ["worker.py", str(folder)])

    def run(self, document: Any, worker: type = Scripted) -> dict[str, Any]:
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        (self.folder / "input" / "input.json").write_bytes(text)
        with contextlib.suppress(SystemExit):
            worker.main()
        output = (self.folder / "output" / "output.json").read_text(encoding="utf-8")
        assert SECRET not in output
        assert [path.name for path in (self.folder / "output").iterdir()] == ["output.json"]
        report: dict[str, Any] = json.loads(output, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        return report


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    return Job(tmp_path, monkeypatch)


def document(act: str = "answer", **changes: Any) -> dict[str, Any]:
    return {
        "data": "203.0.113.7", "dataType": "ip", "tlp": 2, "pap": 2, "parameters": {"act": act},
        "config": {"token": SECRET, "max_tlp": 2, "max_pap": 2}, **changes,
    }  # fmt: skip


def test_an_answer_becomes_a_whole_report_in_strict_json_without_secrets(job: Job):
    report = job.run(document())
    assert report["success"] is True
    assert report["full"] == {"said": "got REMOVED", "number": "nan", "text": "? half"}
    assert report["summary"]["taxonomies"][0]["predicate"] == "Said"
    assert report["artifacts"] == [{"dataType": "ip", "data": "203.0.113.7"}]
    assert report["operations"] == [{"type": "AddTagToCase", "tag": "x"}]


@pytest.mark.parametrize(("act", "said"), [
    ("refuse", "The source said no to REMOVED."),
    ("crash", "Unexpected KeyError in test_worker_base.py:"),
    ("recurse", "nested too deeply"),
    ("exhaust", "too large for the memory"),
])  # fmt: skip
def test_every_failure_is_one_sentence_with_the_input_but_not_its_secrets(job: Job, act: str, said: str):
    report = job.run(document(act))
    assert report["success"] is False
    assert said in report["errorMessage"]
    assert report["input"]["config"]["token"] == "REMOVED"


@pytest.mark.parametrize("text", [
    b"", b"{", b"[]", b"null", b"\xff\xfe{}", b'{"dataType": "ip", "config": []}', b"[" * 100_000, b"{}",
    b'{"dataType": 5}',
])  # fmt: skip
def test_an_input_that_is_none_is_said_to_be_none(job: Job, text: bytes):
    report = job.run(text)
    assert report["success"] is False
    assert "\n" not in report["errorMessage"]


def test_an_input_larger_than_any_job_is_not_read(job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobfile, "MAX_INPUT", 1000)
    assert "larger than" in job.run(document(data="x" * 2000))["errorMessage"]


@pytest.mark.parametrize(("changes", "said"), [
    ({"tlp": 3}, "TLP is higher than allowed"),
    ({"pap": 3}, "PAP is higher than allowed"),
    ({"tlp": 4, "config": {}}, "TLP is higher than allowed"),
    ({"tlp": "red"}, "must be whole numbers"),
])  # fmt: skip
def test_tlp_and_pap_are_checked_unless_the_operator_says_otherwise(job: Job, changes: dict[str, Any], said: str):
    assert said in job.run(document(**changes))["errorMessage"]


def test_the_operator_may_switch_the_checks_off_or_the_limit_up(job: Job):
    assert job.run(document(tlp=3, config={"token": SECRET, "check_tlp": False}))["success"] is True
    limits = {"token": SECRET, "max_tlp": 3, "max_pap": 3}
    assert job.run(document(tlp=3, pap=3, config=limits))["success"] is True
    assert job.run(document(tlp=None, pap=None))["success"] is True


def test_a_long_observable_is_repeated_in_part(job: Job):
    assert len(job.run(document("refuse", data="x" * 100_000))["input"]["data"]) < 3000


def test_a_responder_gets_its_object_and_nothing_else(job: Job):
    assert job.run(document(data={"id": "~1"}, dataType="thehive:case"), Echo)["full"] == {"id": "~1"}
    assert "TheHive object" in job.run(document(data="text", dataType="thehive:case"), Echo)["errorMessage"]


def test_without_a_job_folder_the_job_is_read_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
):
    monkeypatch.setattr(sys, "argv", ["worker.py", str(tmp_path)])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(document()).encode())))
    Scripted.main()
    assert json.loads(capfdbinary.readouterr().out)["success"] is True


def test_a_taxonomy_of_an_unknown_level_is_a_fault_of_ours():
    with pytest.raises(ValueError, match="dangerous"):
        taxonomy("dangerous", "Test", "Said", 1)


ITEMS = Items({"text": " a ", "none": None, "empty": "", "number": 5, "yes": True, "list": ["a ", " "], "wrong": {}})


def test_items_are_read_by_their_type_with_null_and_empty_as_not_set():
    assert (ITEMS.text("text"), ITEMS.text("text", strip=False), ITEMS.text("none", "b")) == ("a", " a ", "b")
    assert (ITEMS.optional_text("empty"), ITEMS.flag("yes", False), ITEMS.flag("missing", True)) == (None, True, True)
    assert ITEMS.number("number", low=0, high=10) == 5.0
    assert (ITEMS.texts("list"), ITEMS.texts("text"), ITEMS.texts("missing")) == (["a"], ["a"], [])


@pytest.mark.parametrize("read", [
    lambda: ITEMS.text("missing"), lambda: ITEMS.text("wrong"), lambda: ITEMS.number("text", low=0, high=1),
    lambda: ITEMS.number("number", low=0, high=4), lambda: ITEMS.number("yes", low=0, high=4),
    lambda: ITEMS.flag("number", True), lambda: ITEMS.choice("text", ("b", "c")), lambda: ITEMS.texts("wrong"),
    lambda: ITEMS.texts("number"),
])  # fmt: skip
def test_an_item_of_the_wrong_type_is_named(read: Any):
    with pytest.raises(ConfigurationError, match="configuration item"):
        read()


@pytest.mark.parametrize("name", ["../input.json", "", None, "..", "a/b"])
def test_an_attachment_is_a_plain_name_in_the_job_folder(job: Job, name: Any):
    class Reader(AnalyzerWorker):
        def answer(self) -> Answer:
            return Answer({"path": self.attachment})

    assert "no file" in job.run(document(file=name, dataType="file"), Reader)["errorMessage"]
    assert job.run(document(file="attachment1", dataType="file"), Reader)["full"]["path"].endswith("input/attachment1")

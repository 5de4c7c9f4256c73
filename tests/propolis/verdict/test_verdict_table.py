"""The handbook's numbers are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from propolis.verdict.reliability import GRADES, reliability
from propolis.verdict.table import markdown, rows


def test_evidence_is_stricter_on_unknown_sources_and_quicker_on_good_ones_than_a_count() -> None:
    found = {name: numbers for name, *numbers in rows()}
    assert found["independent, grade A, fresh"] == ["2", "3", "3", "5"]
    assert found["independent, grade B, fresh"] == ["2", "4", "3", "5"]
    assert found["independent, grade C, fresh"] == ["3", "6", "3", "5"]
    assert found["one family of lists that copy each other, grade B, fresh"] == ["never", "never", "3", "5"]


def test_the_handbook_shows_the_table_as_it_is_computed(root: Path) -> None:
    text = (root / "docs" / "consensus.md").read_text()
    shown = re.search(r"<!-- table -->\n(.*?)\n<!-- end of table -->", text, re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == markdown()


@pytest.mark.parametrize("grade", GRADES)
def test_the_handbook_shows_what_each_grade_weighs(root: Path, grade: str) -> None:
    text = (root / "docs" / "consensus.md").read_text()
    row = re.search(rf"\| {grade}\b[^|]*\| [^|]+ \| \+([\d.]+) \| \+?([\d.]+) \|", text)
    assert row is not None
    found = reliability(grade)
    assert [float(row[1]), float(row[2])] == pytest.approx(
        [found.raw["malicious"], found.weight["malicious"]], abs=0.006
    )

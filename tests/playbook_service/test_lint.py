"""`propolis lint`: what the loader lets pass and an author would still want to know."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from playbook_service.cli import main
from playbook_service.playbook import SHIPPED, load
from playbook_service.playbook.lint import CHECKS, lint

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "playbooks"
DOUBTFUL = sorted((FIXTURES / "doubtful").glob("*.yml"))
EXPECTED = re.compile(r"# lint (\d+) (error|warning|info) ([a-z-]+)$", re.MULTILINE)


@pytest.mark.parametrize("file", DOUBTFUL, ids=lambda file: file.stem)
def test_every_doubt_is_found_at_its_line_and_nothing_else(file: Path) -> None:
    expected = Counter((int(line), severity, code) for line, severity, code in EXPECTED.findall(file.read_text()))

    found = lint(load(file))

    assert Counter((issue.line, issue.severity, issue.code) for issue in found) == expected, [str(i) for i in found]


def test_every_check_has_a_fixture_that_sets_it_off() -> None:
    codes = {code for file in DOUBTFUL for _line, _severity, code in EXPECTED.findall(file.read_text())}

    assert codes == set(CHECKS)


def test_a_suggestion_is_made_for_a_field_that_nothing_fills() -> None:
    messages = [issue.message for issue in lint(load(FIXTURES / "doubtful" / "fields_that_nothing_fills.yml"))]

    assert 'nothing fills the field "observable.datatype"; did you mean "dataType"?' in messages


def test_the_shipped_playbooks_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint"]) == 0
    assert f"{len(load(SHIPPED))} sound playbooks: 0 errors, 0 warnings" in capsys.readouterr().out


def test_findings_give_exit_code_one_and_name_their_place(capsys: pytest.CaptureFixture[str]) -> None:
    file = FIXTURES / "doubtful" / "no_description.yml"

    assert main(["lint", str(file)]) == 1

    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{file}:2: warning: there is no description")
    assert first.endswith("[description]")
    assert last == "1 sound playbook: 0 errors, 1 warnings, 0 notes."


def test_notes_alone_are_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(FIXTURES / "doubtful" / "levels_that_leave_out_suricata.yml")]) == 0
    assert "info" in capsys.readouterr().out


def test_what_the_loader_refuses_is_listed_beside_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    places = [str(FIXTURES / "faulty" / "kinds_mixed_up.yml"), str(FIXTURES / "doubtful" / "no_description.yml")]

    assert main(["lint", "--format", "json", *places]) == 1

    document = json.loads(capsys.readouterr().out)
    assert document["playbooks"] == 1
    assert document["summary"] == {"error": 4, "warning": 1, "info": 0}
    assert [issue["code"] for issue in document["issues"]] == ["description", "load", "load", "load", "load"]
    assert document["issues"][2]["line"] == 3
    assert document["issues"][2]["path"] == "on"


def test_a_place_that_is_not_there_gives_exit_code_two_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "no/such/place"]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err == "propolis: no/such/place: there is no such file or directory of playbooks.\n"


def test_a_hostile_file_is_a_finding_not_a_crash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(FIXTURES / "hostile")]) == 1
    assert "anchors and aliases" in capsys.readouterr().out

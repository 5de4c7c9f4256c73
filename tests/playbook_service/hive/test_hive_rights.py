"""The table of rights: the page that operators read says the same, and the adapters call nothing that is not in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from playbook_service.hive import rights

PACKAGE = Path(rights.__file__).parent


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "permissions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("major", [4, 5])
def test_the_page_holds_the_table_of_every_call(page: str, major: int) -> None:
    found = re.search(rf"<!-- table: TheHive {major} -->\n(.*?)\n<!-- end of table -->", page, re.DOTALL)
    assert found is not None
    assert found.group(1) == rights.table(major)


@pytest.mark.parametrize("major", [4, 5])
def test_the_page_names_the_least_profile_and_nothing_more(page: str, major: int) -> None:
    row = re.search(rf"^\| {major} \| (.*) \|$", page, re.MULTILINE)
    assert row is not None
    assert re.findall(r"`([^`]+)`", row.group(1)) == list(rights.least_profile(major))


def test_the_least_profiles() -> None:
    assert rights.least_profile(4) == (
        "manageAction", "manageAlert", "manageAnalyse", "manageCase", "manageObservable", "manageProcedure",
        "manageTask",
    )  # fmt: skip
    assert rights.least_profile(5) == (
        "manageAction", "manageAlert/create", "manageAlert/import", "manageAlert/update", "manageAnalyse",
        "manageCase/update", "manageComment", "manageObservable", "manageProcedure", "manageTask",
    )  # fmt: skip


def test_the_adapters_make_exactly_the_calls_of_the_table() -> None:
    places = [*PACKAGE.glob("*.py"), PACKAGE.parent / "reports" / "attach.py"]
    source = "".join(path.read_text(encoding="utf-8") for path in places if path.name != "rights.py")
    named = set(re.findall(r'"((?:alert|case|observable|task|job|action)\.\w+)"', source))
    named |= set(re.findall(r'(?:call|find|_known)\(\s*(?:link, )?"(\w+)"', source))
    named |= {"status", "alert.procedure", "case.procedure"}  # read without a key, and `f"{kind}.procedure"`
    named |= {"alert.read", "alert.unread", "alert.update", "case.update", "observable.update"}  # `f"{kind}.update"`
    assert named == set(rights.RIGHTS)

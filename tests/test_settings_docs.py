"""docs/settings.md holds the tables that the code makes of its settings, and what they say of a value is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from playbook_service.settings import SETTINGS, Setting, load
from playbook_service.settings.reference import TYPES, default_of, markdown, types
from playbook_service.settings.value import READERS

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def table(name: str) -> str:
    found = re.search(rf"<!-- table: {re.escape(name)} -->\n(.*?)\n<!-- end of table -->", PAGE, re.DOTALL)
    assert found is not None, f"docs/settings.md has no table {name}"
    return found.group(1)


def test_the_table_of_settings_is_the_generated_one():
    said = "write the output of `python -m playbook_service.settings.reference` into docs/settings.md"
    assert table("settings") == markdown(), said


def test_the_table_of_types_is_the_generated_one():
    assert table("types") == types()


def test_every_type_that_a_setting_may_have_is_described():
    assert set(TYPES) == set(READERS)


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_default_that_is_shown_reads_back_as_the_default(row: Setting):
    shown = default_of(row)
    if shown == "not set":
        assert not row.default or row.default == ("", 0)
    else:
        assert load({row.variable: shown.strip("`")})[row.name] == load({})[row.name]


@pytest.mark.parametrize("row", [row for row in SETTINGS if row.secret], ids=lambda row: row.name)
def test_a_setting_that_is_marked_as_a_secret_is_masked_and_may_stand_in_a_file(row: Setting, tmp_path: Path):
    (tmp_path / "secret").write_text("s3cret\n")
    settings = load({f"{row.variable}_FILE": str(tmp_path / "secret")})
    assert "s3cret" in settings.secrets()
    assert "s3cret" not in str(settings)
    assert f"| `{row.name}` | `{row.variable}` | {row.type} | not set | yes |" in PAGE


def test_a_bar_in_a_help_text_does_not_end_its_cell():
    row = Setting("odd", "size", 1536 * 1024, "One | two.")
    assert markdown((row,)).splitlines()[-1] == "| `odd` | `PROPOLIS_ODD` | size | `1536k` |  | One \\| two. |"


def test_what_the_page_says_of_files_and_variables_is_so(tmp_path: Path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "propolis.yml").write_text(example)
    (tmp_path / "key").write_text(" from-a-file \n")
    names = {"PROPOLIS_CONFIG": str(tmp_path / "propolis.yml"), "PROPOLIS_CORTEX_KEY_FILE": str(tmp_path / "key")}
    settings = load(names | {"PROPOLIS_MODE": "approve", "PROPOLIS_LISTEN": ""})
    assert (settings["mode"], settings.origins["mode"]) == ("approve", "PROPOLIS_MODE")
    assert settings.origins["listen"] == str(tmp_path / "propolis.yml")
    assert settings["cortex_key"] == "from-a-file"
    assert load(names | {"PROPOLIS_CORTEX_KEY": "direct"})["cortex_key"] == "direct"

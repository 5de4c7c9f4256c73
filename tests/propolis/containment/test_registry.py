"""The registry of backends: rows are complete, the code behind them is there, and what is made from them is current."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from propolis.containment.registry import Row, from_registry, responder, responders
from propolis.containment.registry.definition import PAGE, ROOT, files, page
from propolis.errors import ConfigurationError
from propolis.worker.secrets import sounds_secret

ROWS = [row for one in responders() for row in one.rows]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.responder}-{row.name}")

GOOD = {
    "product": "A firewall", "kinds": ["ip"], "expires": True, "marks": False, "undo": "Takes it out.",
    "tested": "product", "how": "For real.", "rights": "None.", "doc": "docs/backends.md",
    "items": [{"name": "wall_url", "type": "string", "description": "Its address."}],
}  # fmt: skip
HEAD = {
    "version": "1.0", "command": "Wall/wall.py", "data_types": ["thehive:case"], "items": [],
    "flavours": [{"name": "Wall", "service": "contain", "description": "Blocks."}],
}  # fmt: skip


def written(folder: Path, **changes: object) -> Path:
    """A registry of one responder with one row."""
    (folder / "Wall").mkdir()
    (folder / "Wall" / "_responder.yml").write_text(yaml.safe_dump(HEAD))
    row = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    (folder / "Wall" / "brick.yml").write_text(yaml.safe_dump(row))
    return folder


def test_a_row_is_read_whole(tmp_path: Path) -> None:
    (row,) = responder("Wall", written(tmp_path)).rows
    assert (row.responder, row.name, row.product, row.expires, row.marks) == (
        "Wall",
        "brick",
        "A firewall",
        True,
        False,
    )
    assert [item.name for item in row.items] == ["wall_url"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rights": None}, "rights must be given"),
        ({"colour": "red"}, "colour is not known"),
        ({"kinds": ["ip", "planet"]}, "kinds must be some of"),
        ({"kinds": []}, "kinds must be some of"),
        ({"tested": "hopefully"}, "tested must be one of"),
        ({"expires": "yes"}, "expires must be true or false"),
        ({"undo": "  "}, "undo must be a text"),
        ({"items": [{"name": "x", "type": "string"}]}, "is no item"),
        ({"items": [{"name": "x", "type": "list", "description": "A."}]}, "the type of x must be"),
        ({"items": [{"name": "x", "type": "number", "description": "A.", "default": "5"}]}, "the default of x"),
        ({"items": [{"name": "x", "type": "string", "description": "No sentence"}]}, "the description of x"),
    ],
)
def test_a_row_that_says_too_little_or_nonsense_is_refused_with_its_file(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        responder("Wall", written(tmp_path, **changes))
    assert "Wall/brick.yml" in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize(("path", "text"), list(files()), ids=lambda part: getattr(part, "stem", ""))
def test_the_definitions_are_those_that_the_rows_make(path: Path, text: str) -> None:
    assert path.read_text("utf-8") == text, "run: python -m propolis.containment.registry.definition"


def test_the_documentations_table_is_the_one_that_the_rows_make() -> None:
    current = PAGE.read_text("utf-8")
    assert page(current) == current, "run: python -m propolis.containment.registry.definition"


@each_row
def test_a_row_has_its_module(row: Row) -> None:
    module = ROOT / "responders" / row.responder / "backends" / f"{row.name}.py"
    source = module.read_text("utf-8")
    assert "\ndef make(workbench: Workbench) -> Backend:" in source
    assert f'name = "{row.name}"' in source


@each_row
def test_the_page_of_a_row_exists_and_explains_every_item(row: Row) -> None:
    name, _, anchor = row.doc.partition("#")
    text = (ROOT / name).read_text("utf-8")
    readme = (ROOT / "responders" / row.responder / "README.md").read_text("utf-8")
    assert not [item.name for item in row.items if f"`{item.name}`" not in text + readme]
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    assert not anchor or anchor in headings


@each_row
def test_what_is_untested_on_the_product_says_so_on_its_page(row: Row) -> None:
    if row.tested == "documentation":
        page_text = (ROOT / row.doc.partition("#")[0]).read_text("utf-8").lower()
        assert re.search(r"untested on\s(the )?product", page_text)


@pytest.mark.parametrize("name", [one.name for one in responders()])
def test_no_two_items_of_a_responder_have_one_name(name: str) -> None:
    found = responder(name)
    listed = [item.name for item in (*found.items, *(item for row in found.rows for item in row.items))]
    assert len(listed) == len(set(listed))


def test_only_the_backend_that_is_asked_for_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_backends"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "edl.py").write_text("def make(workbench):\n    return 'made'\n")
    (package / "nftables.py").write_text("raise AssertionError('nobody asked for this')\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = from_registry("FirewallBlock", "some_backends")
    assert "nftables" in found
    assert found["edl"](None) == "made"  # type: ignore[arg-type, comparison-overlap]
    assert "no-such" not in found


def test_a_secret_item_never_has_a_default() -> None:
    assert not [item.name for row in ROWS for item in row.items if item.secret and item.default is not None]


def test_what_sounds_secret_is_one_and_the_other_way_round() -> None:
    """What sounds secret is blanked in every report; an item `keycloak_url` would sound so by its first letters."""
    items = [item for row in ROWS for item in row.items]
    assert [item.name for item in items if sounds_secret(item.name) != item.secret] == []


def test_the_definitions_hold_no_key_that_cortex_does_not_know() -> None:
    for _, text in files():
        for item in json.loads(text)["configurationItems"]:
            assert set(item) <= {"name", "description", "type", "multi", "required", "defaultValue"}


def test_the_definition_warns_of_each_backend_that_is_untested_on_its_product() -> None:
    for path, text in files():
        choice = json.loads(text)["configurationItems"][0]["description"]
        for row in (row for row in ROWS if row.responder == path.parent.name):
            assert (f"{row.name} ({row.product}; untested on product)" in choice) == (row.tested == "documentation")

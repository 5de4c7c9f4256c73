"""The page on observables says what the code does, and its worked example works."""

from __future__ import annotations

import json
import re
from pathlib import Path

from propolis.alert import Alert
from propolis.observables import ROLES, kinds
from propolis.observables.extractor import Collector
from propolis.observables.sources import DECODERS, KEYS, load
from propolis.observables.table import Source, rows, tree, walk


def _page(root: Path) -> str:
    return (root / "docs" / "observables.md").read_text(encoding="utf-8")


def test_every_role_is_on_the_page_with_its_meaning(root: Path) -> None:
    for role, meaning in ROLES.items():
        assert f"| `{role}` | {meaning} |" in _page(root)


def test_the_worked_example_gives_what_it_says(root: Path) -> None:
    code, story = (
        re.search(pattern, _page(root), re.DOTALL) for pattern in (r"```python\n   (ACME.*?)```", r"```json\n(.*?)```")
    )
    assert code is not None
    assert story is not None
    names: dict[str, Source] = {}
    exec(code.group(1), {"Source": Source, "rows": rows, "kinds": kinds}, names)  # noqa: S102 - our own page
    example = json.loads(story.group(1))
    alert = Alert(example["alert"])
    collector = Collector(alert)
    walk(alert.body, tree(names["ACME"].rows), collector.row)
    found = [[seen.data_type, seen.data, seen.role] for seen in collector.observables()]
    assert found == example["expected"]


def test_every_table_that_is_named_exists() -> None:
    for where in {*DECODERS.values(), *KEYS.values()} - {"aws"}:
        assert isinstance(load(where), Source)

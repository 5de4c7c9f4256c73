"""Every log source by an alert of our own, as the engine emits it: exactly the observables an expert would take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from propolis.alert import Alert
from propolis.observables import ROLES, extract_all

STORIES = sorted((Path(__file__).resolve().parents[2] / "fixtures" / "wazuh_alert").glob("*.json"))


@pytest.mark.parametrize("story", STORIES, ids=[story.stem for story in STORIES])
def test_the_observables_of(story: Path) -> None:
    document: dict[str, Any] = json.loads(story.read_text(encoding="utf-8"))
    extraction = extract_all(Alert(document["alert"]))
    found = {(seen.data_type, seen.data, seen.role) for seen in extraction.observables}
    assert found == {tuple(entry) for entry in document["expected"]}
    assert not {seen.data.lower() for seen in extraction.observables} & {text.lower() for text in document["never"]}
    assert extraction.notes == []


@pytest.mark.parametrize("story", STORIES, ids=[story.stem for story in STORIES])
def test_every_observable_says_where_it_stands(story: Path) -> None:
    alert = Alert(json.loads(story.read_text(encoding="utf-8"))["alert"])
    for seen in extract_all(alert).observables:
        assert seen.role in ROLES
        assert f"role:{seen.role}" in seen.tags
        assert seen.path in seen.message
        assert _reaches(alert.body, seen.path), f"nothing stands at {seen.path}"


def _reaches(node: Any, path: str) -> bool:
    """True where the path leads to something; lists are transparent, and a field's name may itself hold dots."""
    if not path:
        return True
    if isinstance(node, list):
        return any(_reaches(entry, path) for entry in node)
    if not isinstance(node, dict):
        return isinstance(node, str)  # a named value inside a text: `full_log.src`
    return any(
        _reaches(node[name], path[len(name) :].lstrip("."))
        for name in node
        if path == name or path.startswith(name + ".")
    )

"""The console's page in the documentation: its pictures are there, small, and the ones that are taken."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from screenshots import SHOTS

from playbook_service.console.errand import LONGEST
from playbook_service.console.frame import MENU
from playbook_service.console.kept import STALE
from playbook_service.console.session import SECONDS

MOST = 2.5 * 1024 * 1024


@pytest.fixture(scope="module")
def text(root: Path) -> str:
    """The page."""
    return (root / "docs" / "console.md").read_text(encoding="utf-8")


def test_every_page_of_the_menu_is_explained(text: str) -> None:
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", text, flags=re.MULTILINE) == [name for _, name in MENU]


def test_the_pictures_are_those_that_are_taken_and_all_are_shown(root: Path, text: str) -> None:
    taken = {f"{shot.name}.png" for shot in SHOTS}
    assert {path.name for path in (root / "docs" / "screenshots").iterdir()} == taken
    assert set(re.findall(r"\(screenshots/(.+?)\)", text)) == taken


def test_the_pictures_are_small(root: Path) -> None:
    pictures = list((root / "docs" / "screenshots").iterdir())
    assert sum(path.stat().st_size for path in pictures) < MOST
    for path in pictures:
        width, _ = struct.unpack(">II", path.read_bytes()[16:24])
        assert width == (390 if path.stem.endswith("-narrow") else 1280)


def test_what_it_says_of_times_is_so(text: str) -> None:
    assert SECONDS == 8 * 3600
    assert "A session lasts eight hours" in text
    assert STALE == 3600
    assert "older than an hour" in text
    assert LONGEST < STALE

"""What README and the handbook say is true: links lead somewhere, tables are computed, commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from propolis.verdict.table import markdown

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "analyzers/*/README.md", "responders/*/README.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


def test_the_table_of_when_a_verdict_asks_and_acts_is_the_computed_one():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- table: propolis\.verdict\.table -->\n(.*?)\n<!-- end of table -->", readme, re.DOTALL)
    assert table is not None
    assert table.group(1) == markdown()


def test_the_handbook_is_complete():
    listed = set(re.findall(r"\(docs/([\w-]+\.md)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} == listed


def test_nothing_names_the_place_it_was_written_at():
    places = re.compile(r"/work/|/root/|bash_jobs|\.library")
    named = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if path.suffix in (".md", ".py", ".yml", ".toml", ".json", ".html", ".sh")
        and not {".venv", ".git", "demo-out", "fixtures"} & set(path.relative_to(ROOT).parts)
        and path != Path(__file__)
        and places.search(path.read_text(encoding="utf-8"))
    ]
    assert not named

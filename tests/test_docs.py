"""What README and the handbook say is true: links lead somewhere, tables are computed, commands exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from playbook_service.cli import COMMANDS, main
from propolis.containment.registry import responders
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


# README


def between(page: str, mark: str, end: str = "end of table") -> str:
    """What stands in a page between two marks."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n(.*?)\n<!-- {end} -->", page, re.DOTALL)
    assert found is not None, f"no {mark}"
    return found.group(1)


def backends_table() -> str:
    """What `propolis backends` says, each name leading to its set-up."""
    words = {True: "yes", False: "no"}
    lines = ["| responder | backend | product | ends by itself | mark | tested |", "|---|---|---|---|---|---|"]
    for responder in responders():
        for row in responder.rows:
            tested = "untested" if row.tested == "documentation" else row.tested
            name, ends, mark = f"[`{row.name}`]({row.doc})", words[row.expires], words[row.marks]
            lines.append(f"| {row.responder} | {name} | {row.product} | {ends} | {mark} | {tested} |")
    return "\n".join(lines)


def test_the_table_of_backends_is_that_of_the_registry():
    assert between((ROOT / "README.md").read_text(encoding="utf-8"), "table: propolis backends") == backends_table()


def test_what_the_replay_of_the_samples_is_said_to_print_is_what_it_prints(capsys: pytest.CaptureFixture[str]):
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- output: propolis replay --samples -->\n```\n(.*?)\n```", page, re.DOTALL)
    assert shown is not None
    assert main(["replay", "--samples"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for line in shown.group(1).splitlines():
        assert line.removesuffix("...") in printed


def test_every_command_is_in_readme_and_no_other():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = page[page.index("## Commands") : page.index("\n## ", page.index("## Commands") + 1)]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ")][1:]
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == set(COMMANDS)


def test_every_command_that_readme_calls_exists():
    page = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    called = set(re.findall(r"(?:\.venv/bin/|`)propolis ([a-z-]+)", page)) - {"serve"}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert len(called) > 5
    assert called <= set(COMMANDS)
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", page, re.MULTILINE)) <= targets


# docs/permissions.md


def pattern_of(part: ast.expr, known: Mapping[str, str]) -> str:
    """A piece of a path: as it stands, a constant of the module, one of two, or any one name."""
    if isinstance(part, ast.FormattedValue):
        return pattern_of(part.value, known)
    if isinstance(part, ast.Constant):
        return re.escape(str(part.value))
    if isinstance(part, ast.IfExp):
        return f"(?:{pattern_of(part.body, known)}|{pattern_of(part.orelse, known)})"
    return re.escape(known[part.id]) if isinstance(part, ast.Name) and part.id in known else "[^/]+"


def constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module gives a name."""
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def api_calls(package: str) -> set[str]:
    """The paths below /api/ that a package of the service names, as patterns: what is filled in fits any one name."""
    found = set()
    for path in (ROOT / "playbook_service" / package).glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        known = constants(tree)
        inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(pattern_of(part, known) for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
                found.add(re.escape(node.value))
    return {one for one in found if one.startswith("/api/")}


@pytest.mark.parametrize("package", ["doctor", "setup"])
def test_every_call_of_doctor_and_setup_is_on_the_page_of_permissions_and_no_other(package: str):
    page = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## What `propolis {package}` uses.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"(?:GET|POST|PUT|PATCH|DELETE) (/api/[^`]+)`", section))
    made = api_calls(package)
    assert len(made) > 4
    assert not [pattern for pattern in made if not any(re.match(f"{pattern}(?:/|$)", path) for path in told)]
    assert not [path for path in told if not any(re.fullmatch(pattern, path) for pattern in made)]

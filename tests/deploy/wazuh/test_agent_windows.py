"""The Windows program, which no test here can run: parsed with a grammar of PowerShell and held to static rules."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_lab import PROGRAM, SOURCE

SCRIPT = SOURCE / "propolis-contain.ps1"
TEXT = SCRIPT.read_text()
LAUNCHER = (SOURCE / "propolis-contain.cmd").read_text()

CMDLETS = {
    *(
        "Join-Path",
        "Test-Path",
        "Get-Item",
        "New-Item",
        "Move-Item",
        "Remove-Item",
        "Get-ChildItem",
        "Get-Acl",
        "Set-Acl",
    ),
    *("Get-Date", "New-TimeSpan", "Start-Sleep", "ConvertTo-Json", "ConvertFrom-Json", "Get-FileHash"),
    *("ForEach-Object", "Where-Object", "Sort-Object", "Set-StrictMode", "Get-CimInstance"),
    *("Get-NetIPAddress", "Get-NetFirewallProfile", "Get-NetFirewallRule", "New-NetFirewallRule"),
    *("Set-NetFirewallRule", "Remove-NetFirewallRule"),
    *("Get-LocalUser", "Disable-LocalUser", "Enable-LocalUser"),
    *("New-ScheduledTaskTrigger", "New-ScheduledTaskAction", "New-ScheduledTaskPrincipal"),
    *("New-ScheduledTaskSettingsSet", "Register-ScheduledTask", "Get-ScheduledTask", "Start-ScheduledTask"),
    *("Unregister-ScheduledTask",),
}
"""Everything it may call that it does not define."""


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        yield from nodes(child)


@pytest.fixture(scope="module")
def tree(need: Callable[[object, str], None]) -> Any:
    there = importlib.util.find_spec("tree_sitter") and importlib.util.find_spec("tree_sitter_powershell")
    need(there, "a grammar of PowerShell (pip install tree-sitter tree-sitter-powershell)")
    grammar = importlib.import_module("tree_sitter_powershell")
    parsing = importlib.import_module("tree_sitter")
    parser = parsing.Parser(parsing.Language(grammar.language()))
    return parser.parse(SCRIPT.read_bytes()).root_node


def words(tree: Any, kind: str) -> list[str]:
    return [node.text.decode() for node in nodes(tree) if node.type == kind]


def test_it_is_powershell(tree: Any) -> None:
    assert [node.start_point for node in nodes(tree) if node.type == "ERROR" or node.is_missing] == []


def test_everything_it_calls_is_its_own_or_on_the_list_and_its_own_is_all_used(tree: Any) -> None:
    defined = set(words(tree, "function_name"))
    called = set(words(tree, "command_name"))
    assert called - defined - {"$Work", "$fsutil"} <= CMDLETS
    assert defined <= called
    assert called >= CMDLETS


def test_nothing_is_evaluated_fetched_or_started_by_name(tree: Any) -> None:
    for word in ("Invoke-Expression", "iex", "Add-Type", "Start-Process", "Invoke-WebRequest", "DownloadString"):
        assert not re.search(rf"(?i)\b{word}\b", TEXT), word
    assert "[scriptblock]::Create" not in TEXT
    assert re.findall(r"& (\S+)", TEXT) == ["$fsutil", "$Work"]


def test_a_fault_ends_the_call_instead_of_being_passed_over() -> None:
    start = TEXT.index("Set-StrictMode -Version Latest\n$ErrorActionPreference = 'Stop'\n")
    assert "function " not in TEXT[:start]
    silent = [line for line in TEXT.splitlines() if "SilentlyContinue" in line]
    assert all(re.search(r"Get-(NetFirewallRule|ScheduledTask)\b", line) for line in silent)


def test_no_path_is_read_as_a_wildcard(tree: Any) -> None:
    for call in (node.text.decode() for node in nodes(tree) if node.type == "command"):
        if re.match(r"(Test-Path|Get-Item|Move-Item|Remove-Item|Get-ChildItem|Get-Acl|Set-Acl|Get-FileHash)\b", call):
            assert "-LiteralPath" in call, call


def function(name: str) -> str:
    found = re.search(rf"^function {name}\b.*?^}}", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, name
    return found.group(0)


def test_what_comes_from_outside_is_taken_in_at_one_place_and_checked_there() -> None:
    assert TEXT.count("[Console]::In") == 2
    request = function("Read-Request")
    assert "$words[" not in TEXT.replace(request, "")
    for field in ("Key", "Path", "Hash", "Seconds", "Mark", "Verb"):
        for line in request.splitlines():
            if re.search(rf"\$Request\.{field} = .*\$words", line) or f"$Request.{field} = [int]" in line:
                before = request[: request.index(line)]
                assert re.search(r"throw '[^']*'", before.rpartition("\n    switch")[2] or before), line
    checks = (r"\A[1-9][0-9]{0,6}\z", r"\A[0-9a-f]{32}\z", r"\A(-|[0-9a-f]{64})\z", "Test-WindowsPath", "Test-Mark")
    assert [check for check in checks if check not in request] == []


def test_every_pattern_is_bound_to_both_ends_of_what_it_judges() -> None:
    """`$` would let a line break through; a pattern that only searches would let anything through around it."""
    for name in ("Read-Request", "Test-Mark", "ConvertTo-Network", "Get-OurRules", "Test-WindowsPath"):
        for pattern in re.findall(r"-c?(?:not)?match '(\\A[^']*)'", function(name)):
            assert pattern.endswith(r"\z"), pattern


def test_no_target_and_no_mark_ever_stands_in_a_command_line() -> None:
    task = function("Register-OurTask")
    assert "$Request" not in task
    assert "-f $options, $PSCommandPath, $Kind" in task
    for call in re.findall(r"Register-OurTask .*", TEXT.replace(task, "")):
        assert re.search(r"'(expire|prove)'", call), call


def test_the_same_verbs_and_never_list_as_on_linux() -> None:
    linux = PROGRAM.read_text()
    there = re.search(r"^NEVER='(.*?)'", linux, re.DOTALL | re.MULTILINE)
    here = re.search(r"^\$Never = @\((.*?)\)", TEXT, re.DOTALL | re.MULTILINE)
    verbs = re.search(r"^    (block \| .*renew-records)\) VERB", linux, re.MULTILINE)
    assert there is not None
    assert here is not None
    assert verbs is not None
    assert re.findall(r"'([^']+)'", here.group(1)) == there.group(1).split()
    counts = re.search(r"\$counts = @\{(.*?)\}", TEXT, re.DOTALL)
    assert counts is not None
    assert set(re.findall(r"'?([a-z-]+)'? = ", counts.group(1))) == set(verbs.group(1).split(" | "))


def test_the_end_is_set_before_the_beginning() -> None:
    """If the program dies between the two, a task ends what was not begun; never the other way round."""
    for name in ("Invoke-Block", "Invoke-Isolate", "Confirm-Isolation"):
        body = function(name)
        assert "Register-End" in re.split(r"(?:New|Set)-NetFirewallRule", body)[0], name


def test_the_launcher_hands_over_nothing_but_standard_input() -> None:
    command = [line for line in LAUNCHER.splitlines() if "powershell.exe" in line]
    assert len(command) == 1
    assert command[0].endswith('-File "%~dp0propolis-contain.ps1"')
    assert "%*" not in LAUNCHER
    assert not re.search(r"%[1-9]", LAUNCHER)
    assert "-NoProfile" in command[0]


def test_everywhere_it_is_named_it_is_called_untested(root: Path) -> None:
    for path in (SCRIPT, SOURCE / "propolis-contain.cmd", SOURCE / "README.md", root / "docs" / "wazuh-agent.md"):
        assert re.search(r"(?i)untested on the product", path.read_text()), path

"""What lint says: issues with a severity and a place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from playbook_service.playbook.fault import PlaybookError

ERROR, WARNING, INFO = "error", "warning", "info"


class Issue(NamedTuple):
    """One finding. `code` is the name of the check; severity is error, warning or info (info alone is no failure)."""

    severity: str
    code: str
    message: str
    source: str
    line: int
    path: str
    playbook: str

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}: " if self.line else f"{self.source}: "
        where = f"{self.path}: " if self.path else ""
        return f"{place}{self.severity}: {where}{self.message} [{self.code}]"


def issue_of(fault: PlaybookError) -> Issue:
    """A fault of the loader as an issue."""
    return Issue(ERROR, "load", fault.message, fault.source or "", fault.line or 0, fault.path or "", "")


def summary(issues: Iterable[Issue]) -> dict[str, int]:
    """How many of each severity."""
    found = list(issues)
    return {severity: sum(issue.severity == severity for issue in found) for severity in (ERROR, WARNING, INFO)}

"""docs/reports.md says of the assumptions what the code assumes."""

from __future__ import annotations

import re
from pathlib import Path

from playbook_service.reports.savings import WORKS


def test_the_table_of_minutes_is_that_of_the_code(root: Path):
    text = (root / "docs" / "reports.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- minutes -->\n(.*?)<!-- end of minutes -->", text, re.DOTALL)
    assert table is not None
    rows = [f"| `{name}` | {work.minutes:g} | {work.text} |" for name, work in WORKS.items()]
    assert table.group(1).splitlines()[2:] == rows

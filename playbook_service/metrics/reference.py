"""The metrics as the tables of `docs/metrics.md`: `python -m playbook_service.metrics.reference` prints them."""

from __future__ import annotations

from collections.abc import Iterable

from playbook_service.metrics import catalogue
from playbook_service.metrics.family import Family

TABLES: tuple[tuple[str, tuple[Family, ...]], ...] = (
    ("This process", (*catalogue.OWN, *catalogue.METERED)),
    ("The installation, as it is now", catalogue.STANDING),
    ("The installation, counted from the audit chain", catalogue.TALLIED),
    ("The operating system's view of this process", catalogue.SYSTEM),
)


def table(families: Iterable[Family]) -> str:
    """A row for each metric: name, type, labels, meaning."""
    lines = ["| metric | type | labels | what it means |", "|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, families)])


def _row(family: Family) -> str:
    labels = ", ".join(f"`{name}`" for name in family.labels)
    return f"| `{family.name}` | {family.kind} | {labels} | {family.help} |"


def markdown() -> str:
    """All tables, with a heading each."""
    return "\n\n".join(f"### {title}\n\n{table(families)}" for title, families in TABLES)


if __name__ == "__main__":
    print(markdown())

"""The Cortex definitions of the responders, made from the registry.

`python -m propolis.containment.registry.definition` writes the JSON files beside the responders' entry scripts and the
table of docs/backends.md; tests hold both to the rows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from propolis.containment.registry.row import TESTED, Flavour, Item, Responder, Row, responders

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "backends.md"
BEGIN, END = "<!-- made from the registry: begin -->", "<!-- made from the registry: end -->"


def definition(responder: Responder, flavour: Flavour) -> dict[str, Any]:
    """What Cortex reads."""
    items = [*responder.items, *(item for row in responder.rows for item in row.items)]
    first, *rest = items
    return {
        "name": flavour.name,
        "version": responder.version,
        "author": "Propolis",
        "url": "https://github.com/propolis-ir/propolis",
        "license": "AGPL-V3",
        "description": flavour.description,
        "dataTypeList": list(responder.data_types),
        "command": responder.command,
        "baseConfig": responder.name,
        "config": {"service": flavour.service},
        "configurationItems": [_choice(first, responder), *map(_item, rest)],
    }


def _item(item: Item) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": item.name,
        "description": item.description,
        "type": item.type,
        "multi": item.multi,
        "required": item.required,
    }
    return made if item.default is None else {**made, "defaultValue": item.default}


def _choice(item: Item, responder: Responder) -> dict[str, Any]:
    listed = ", ".join(f"{row.name} ({row.product}{_warning(row)})" for row in responder.rows)
    return {**_item(item), "description": f"{item.description} One of: {listed}."}


def _warning(row: Row) -> str:
    return "; untested on product" if row.tested == "documentation" else ""


def files() -> Iterator[tuple[Path, str]]:
    """Every definition's path and text."""
    for responder in responders():
        for flavour in responder.flavours:
            text = json.dumps(definition(responder, flavour), indent=2, ensure_ascii=False) + "\n"
            yield ROOT / "responders" / responder.name / f"{flavour.name}.json", text


def markdown() -> str:
    """A table for each responder, and under it each backend's rights and test."""
    return "\n".join(line for responder in responders() for line in _section(responder))


def _section(responder: Responder) -> Iterator[str]:
    yield f"\n## {' and '.join(flavour.name for flavour in responder.flavours)}\n"
    yield "| backend | product | contains | ends by itself | carries our mark | tested |"
    yield "|---|---|---|---|---|---|"
    for row in responder.rows:
        name = f"[`{row.name}`]({row.doc.removeprefix('docs/')})"
        ends, carries = ("yes" if answer else "no" for answer in (row.expires, row.marks))
        yield f"| {name} | {row.product} | {', '.join(row.kinds)} | {ends} | {carries} | {TESTED[row.tested]} |"
    for row in responder.rows:
        yield from _details(row)


def _details(row: Row) -> Iterator[str]:
    yield f"\n### {row.responder}: `{row.name}`\n"
    yield f"- **Rights**: {row.rights}"
    yield f"- **Undo**: {row.undo}"
    yield f"- **Tested**: {row.how}"
    listed = ", ".join(f"`{item.name}`{' (secret)' if item.secret else ''}" for item in row.items) or "none of its own"
    yield f"- **Items**: {listed}"


def page(text: str) -> str:
    """The page with its made part made anew."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{markdown()}\n\n{END}{after}"


def main() -> int:
    """Write what differs, and say so."""
    made = [*files(), (PAGE, page(PAGE.read_text("utf-8")))]
    for path, text in made:
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

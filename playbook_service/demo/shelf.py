"""The demo's own copies of the shipped playbooks. An operator switches modes there by editing one word."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

from playbook_service.playbook import SHIPPED
from propolis.errors import InputError

_LINE = "mode: {}"


class Shelf:
    """A folder of playbooks, copied from those that ship."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))

    def switch(self, mode: str, *names: str) -> list[str]:
        """Set the mode of these playbooks; returns the names of those that were changed by that."""
        return [name for name in names if self._switch(self.folder / f"{name}.yml", mode)]

    def changes(self) -> list[str]:
        """Every line that differs from what ships, as `name: -old` and `name: +new`."""
        found = []
        for path in sorted(self.folder.glob("*.yml")):
            shipped = (SHIPPED / path.name).read_text(encoding="utf-8").splitlines()
            lines = difflib.unified_diff(shipped, path.read_text(encoding="utf-8").splitlines(), n=0, lineterm="")
            found += [f"{path.stem}: {line}" for line in lines if line[:2] not in ("--", "++", "@@")]
        return found

    def _switch(self, path: Path, mode: str) -> bool:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        places = [place for place, line in enumerate(lines) if line.startswith("mode:")]
        if not places:
            raise InputError("has no line `mode:` to be switched.", source=str(path))
        changed = [_LINE.format(mode) + "\n" if place in places else line for place, line in enumerate(lines)]
        path.write_text("".join(changed), encoding="utf-8")
        return changed != lines

"""A value of the set-up file: written out, from a file, or from the environment; and how it may be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from propolis.worker.secrets import sounds_secret

_LONGEST_SHOWN = 60


class Given(NamedTuple):
    """A value and where it is from."""

    value: Any
    origin: str = ""
    """`the file /etc/propolis/key`, `the variable KEY`; empty where it is written out."""
    late: Path | None = None
    """The file that the set-up itself is going to write it to: only then there is a value."""

    def now(self) -> Any:
        """The value, read at last where it came late. Raises OSError."""
        return self.value if self.late is None else self.late.read_text(encoding="utf-8").strip()

    def shown(self, name: str) -> str:
        """For output: only what is plainly no secret; of the rest, where it is from."""
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, (int, float)):
            return str(self.value)
        if self.origin:
            return f"(from {self.origin.removeprefix('the ').partition(' ')[0].replace('file', 'a file')})"
        if isinstance(self.value, list):
            return f"({len(self.value)} entries)"
        text = str(self.value)
        plain = text.isprintable() and len(text) <= _LONGEST_SHOWN and "://" not in text
        return text if plain and not sounds_secret(name) else "(set)"


@dataclass
class Sources:
    """Where values may come from."""

    folder: Path
    """Relative paths count from here."""
    environment: Mapping[str, str]
    promised: list[Path] = field(default_factory=list)
    """Files that the set-up is going to write, and that may be missing until then."""

    def place(self, name: str) -> Path:
        """A path as the file means it."""
        return self.folder / name

    def resolve(self, kind: str, name: str) -> Given:
        """The value behind `{file: name}` or `{env: name}`. Raises ValueError with the end of a sentence."""
        if kind == "env":
            if not self.environment.get(name):
                raise ValueError(f"the environment variable {name} is not set")
            return Given(self.environment[name].strip(), f"the variable {name}")
        path = self.place(name)
        if path in self.promised and not path.exists():
            return Given("", f"the file {path}", late=path)
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ValueError(f"the file {path} cannot be read: {reason}") from None
        if not text:
            raise ValueError(f"the file {path} is empty")
        return Given(text, f"the file {path}")


def is_reference(value: Any) -> bool:
    """Whether a value is `{file: ...}` or `{env: ...}`."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("file", "env")

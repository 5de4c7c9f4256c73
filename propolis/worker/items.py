"""Typed access to a worker's configuration items, with one clear sentence for each thing an operator can get wrong.

Cortex hands an unset optional item over as `null`, an unset list as `[]` (Cortex 4.1, `WorkerSrv`); both mean the
default.
"""

from __future__ import annotations

from typing import Any, TypeVar

from propolis.errors import ConfigurationError

_Default = TypeVar("_Default")


class Items:
    """The configuration of one job. Every getter raises ConfigurationError that names the item."""

    def __init__(self, config: dict[str, Any]):
        self._config = config

    def _raw(self, name: str) -> Any:
        value = self._config.get(name)
        return None if value in ("", []) else value

    def text(self, name: str, default: str | None = None, *, strip: bool = True) -> str:
        """A text; without a default the item is required. `strip=False` keeps a secret exactly as it was entered."""
        value = self._raw(name)
        if value is None:
            return _default(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "a text", value)
        return value.strip() if strip else value

    def optional_text(self, name: str) -> str | None:
        """A text, or None where the item is not set."""
        return self.text(name, "") or None

    def number(self, name: str, default: float | None = None, *, low: float, high: float) -> float:
        """A number within the bounds, both included."""
        value = self._raw(name)
        if value is None:
            return _default(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(name, "a number", value)
        if not low <= value <= high:
            raise ConfigurationError(f"must lie between {low:g} and {high:g}, but is {value:g}.", path=_place(name))
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """One of the given words."""
        value = self.text(name, default)
        if value not in choices:
            raise ConfigurationError(f"must be one of {', '.join(choices)}, but is {value!r}.", path=_place(name))
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts; a single text counts as a list of one."""
        value = self._raw(name)
        if value is None:
            return []
        values = value if isinstance(value, list) else [value]
        for number, entry in enumerate(values, start=1):
            if not isinstance(entry, str):
                raise self._wrong(f"{name}, entry {number}", "a text", entry)
        return [entry.strip() for entry in values if entry.strip()]

    @staticmethod
    def _wrong(name: str, wanted: str, value: Any) -> ConfigurationError:
        return ConfigurationError(f"must be {wanted}, not {type(value).__name__}.", path=_place(name))


def _place(name: str) -> str:
    return f"configuration item {name}"


def _default(name: str, default: _Default | None) -> _Default:
    if default is None:
        raise ConfigurationError("is required but not set: fill it in under Organization in Cortex.", path=_place(name))
    return default

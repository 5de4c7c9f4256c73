"""Bring the settings together from defaults, `propolis.yml` and the environment, with all faults at once."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from playbook_service.settings.table import SETTINGS, Setting, setting
from playbook_service.settings.value import READERS
from propolis.errors import ConfigurationError, PropolisError

MASKED = "********"


class SettingsErrors(PropolisError):
    """Everything that is wrong with the settings, a line each."""

    def __init__(self, faults: list[ConfigurationError]):
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class Settings(Mapping[str, Any]):
    """The effective settings: `settings["listen"]`, and where each came from."""

    def __init__(self, values: dict[str, Any], origins: dict[str, str]):
        self._values = values
        self.origins = origins
        """Setting -> `default`, the file's name, or the environment variable."""

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def masked(self) -> dict[str, Any]:
        """The settings as they may be shown."""
        return {name: MASKED if setting(name).secret and value else value for name, value in self._values.items()}

    def secrets(self) -> tuple[str, ...]:
        """Every secret text, for the redaction of logs and errors."""
        found: list[str] = []
        for row in SETTINGS:
            value = self._values[row.name] if row.secret else ()
            found.extend([value] if isinstance(value, str) else value)
        return tuple(text for text in found if text)

    def __repr__(self) -> str:
        return f"Settings({self.masked()})"


def load(environment: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """Read the settings. `file` must exist where given; else `PROPOLIS_CONFIG`, else `propolis.yml` if it is there.

    Raises SettingsErrors with every fault: unknown names, wrong values, unreadable files.
    """
    environment = os.environ if environment is None else environment
    faults: list[ConfigurationError] = []
    values: dict[str, Any] = {row.name: row.default for row in SETTINGS}
    origins = dict.fromkeys(values, "default")
    for name, raw, origin in (*_from_file(environment, file, faults), *_from_environment(environment, faults)):
        try:
            values[name] = _read(setting(name), raw)
            origins[name] = origin
        except ValueError as error:
            faults.append(ConfigurationError(f"{error}.", source=origin, path=name))
    if faults:
        raise SettingsErrors(faults)
    return Settings(values, origins)


def _read(row: Setting, raw: Any) -> Any:
    value = READERS[row.type](raw)
    if row.choices and value not in row.choices:
        raise ValueError(f"must be one of {', '.join(row.choices)}, but is {value!r}")
    return value


_Given = tuple[str, Any, str]
"""Name, raw value, origin."""


def _from_file(environment: Mapping[str, str], file: Path | None, faults: list[ConfigurationError]) -> list[_Given]:
    named = file or (Path(environment["PROPOLIS_CONFIG"]) if environment.get("PROPOLIS_CONFIG") else None)
    path = named or Path("propolis.yml")
    if named is None and not path.is_file():
        return []
    try:
        document = _yaml(path)
    except ConfigurationError as error:
        faults.append(error)
        return []
    given = []
    for name, raw in document.items():
        if name in _NAMES:
            given.append((name, raw, str(path)))
        else:
            faults.append(ConfigurationError(_unknown(str(name)), source=str(path), path=str(name)))
    return given


def _yaml(path: Path) -> dict[str, Any]:
    from propolis import yamltree  # only where there is a file

    try:
        root, wrong = yamltree.read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        sentence = f"{_unreadable(error)}; name the settings file by --config or PROPOLIS_CONFIG."
        raise ConfigurationError(sentence, source=str(path)) from None
    if wrong:
        first = wrong[0]
        raise ConfigurationError(f"{first.message}.", source=str(path), line=first.line, path=first.path or None)
    document = yamltree.plain(root) if root is not None else None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError("must be a map of settings, a line each: `listen: 127.0.0.1:8080`.", source=str(path))
    return document


def _from_environment(environment: Mapping[str, str], faults: list[ConfigurationError]) -> list[_Given]:
    given = []
    for row in SETTINGS:
        file_variable = f"{row.variable}_FILE"
        if environment.get(row.variable):
            given.append((row.name, environment[row.variable], row.variable))
        elif row.secret and environment.get(file_variable):
            try:
                text = Path(environment[file_variable]).read_text(encoding="utf-8").strip()
                given.append((row.name, text, file_variable))
            except (OSError, UnicodeDecodeError) as error:
                sentence = f"{environment[file_variable]} {_unreadable(error)}; put the secret there, or unset it."
                faults.append(ConfigurationError(sentence, source=file_variable, path=row.name))
    return given


def _unreadable(error: OSError | UnicodeDecodeError) -> str:
    """Why a file cannot be used, without the system's numbers."""
    if isinstance(error, UnicodeDecodeError):
        return "cannot be read: it is no UTF-8 text"
    reasons = {
        errno.ENOENT: "there is no such file",
        errno.EACCES: "this user may not read it",
        errno.EISDIR: "it is a folder",
    }
    return f"cannot be read: {reasons.get(error.errno or 0, error.strerror or 'for no known reason')}"


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name.lower().removeprefix("propolis_"), _NAMES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"they are {', '.join(_NAMES)}."
    return f"is no setting; {hint}"


_NAMES = tuple(row.name for row in SETTINGS)

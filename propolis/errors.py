"""The one root of every error this project raises on purpose.

A message is one sentence that says what is wrong and what to do. Where the fault has a place (a file, a line in it, a
path inside the document), the place is carried beside the message and printed with it.
"""

from __future__ import annotations


class PropolisError(Exception):
    """Something is wrong that a person can put right.

    `source` is the file (or item) at fault, `line` the one-based line in it, `path` the place inside the document in
    dotted form (`actions[2].target`). Two errors are equal when they say the same of the same place.
    """

    def __init__(self, message: str, *, source: str | None = None, line: int | None = None, path: str | None = None):
        super().__init__(message)
        self.message = message
        self.source = source
        self.line = line
        self.path = path

    @property
    def place(self) -> str:
        """Where the fault is: `file.yml:12: actions[2].target`, or the empty string where nothing is known."""
        where = self.source or ""
        if self.line is not None:
            where = f"{where}:{self.line}" if where else f"line {self.line}"
        return ": ".join(part for part in (where, self.path) if part)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash((type(self), str(self)))


class ConfigurationError(PropolisError):
    """A setting, a configuration item or a document that an operator wrote cannot be used as it is."""


class InputError(PropolisError):
    """What was handed in (an alert, an observable, a report) cannot be read or is refused as it stands."""


class MissingExtraError(PropolisError):
    """A feature needs an optional library that is not installed; the message names the extra to install."""

    def __init__(self, feature: str, extra: str):
        super().__init__(f"{feature} needs an optional library: install it with  pip install 'propolis-ir[{extra}]'.")

"""What came back: a status, headers whose names know no case, and a body that was read to its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from propolis.http.errors import HttpError


class Headers(Mapping[str, str]):
    """Response headers; look-ups ignore case."""

    def __init__(self, items: Mapping[str, str]):
        self._items = {name.lower(): value for name, value in items.items()}

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True)
class Response:
    """An answer with an accepted status."""

    status: int
    headers: Headers
    body: bytes
    where: str = ""
    """Method, host and path of the request, for error texts."""
    redact: Callable[[str], str] = field(default=str, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The body as text, in the charset the server names, else UTF-8; bytes that do not fit are replaced."""
        kind = self.headers.get("Content-Type", "")
        charset = kind.partition("charset=")[2].split(";")[0].strip().strip("\"'") or "utf-8"
        try:
            return self.body.decode(charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises HttpError (kind `format`) where it is something else, a login page for instance."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            pass
        found = "an HTML page" if self._looks_like_html() else "nothing" if not self.body.strip() else "something else"
        message = f"{self.where} failed: {found} came where JSON was expected; check that the address is the API's own"
        raise HttpError(
            self.redact(f"{message} and that no proxy or login page answers in its place."),
            kind="format",
            status=self.status,
            ambiguous=True,
        )

    def _looks_like_html(self) -> bool:
        return "html" in self.headers.get("Content-Type", "").lower() or self.body.lstrip()[:1] == b"<"

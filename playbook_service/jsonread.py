"""A server's JSON, nothing taken for granted: what is missing or of another type is empty, never an exception."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from propolis.http import HttpError, Response

Document = Mapping[str, Any]


def document(response: Response, whose: str) -> Document:
    """The JSON object that an answer must be. Raises HttpError (kind `format`).

    `whose` is for its sentence: `Cortex'`, `TheHive's`.
    """
    found = response.json()
    if isinstance(found, Mapping):
        return found
    raise _odd(response, "an object", whose)


def documents(response: Response, whose: str) -> list[Document]:
    """The list of JSON objects that an answer must be. Raises as `document` does."""
    found = response.json()
    if isinstance(found, list) and all(isinstance(one, Mapping) for one in found):
        return found
    raise _odd(response, "a list of objects", whose)


def _odd(response: Response, wanted: str, whose: str) -> HttpError:
    text = f"{response.where} failed: the answer is JSON but not {wanted}; check that the address is {whose} own."
    return HttpError(text, kind="format", status=response.status, ambiguous=True)


def text(found: Document, *names: str) -> str:
    """The first of these fields that holds a text, or the empty text."""
    return next((found[name] for name in names if isinstance(found.get(name), str)), "")


def number(found: Document, *names: str) -> int:
    """The first of these fields that holds a number, or 0."""
    return next((int(found[name]) for name in names if is_number(found.get(name))), 0)


def is_number(value: Any) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def texts(value: Any) -> tuple[str, ...]:
    """The texts of a list."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def unpacked(value: Any) -> Document | None:
    """An object, also one that was written as a string of JSON (an action's report, a job's parameters)."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, Mapping) else None

"""A request with files: `multipart/form-data` with the JSON in a part `_json`, as TheHive reads it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple


class Part(NamedTuple):
    """One file: the name of its part, the name of the file, its content."""

    field: str
    name: str
    content: bytes


def encode(document: Any, parts: Sequence[Part]) -> tuple[bytes, str]:
    """The body and its content type."""
    boundary = secrets.token_hex(24)
    body = bytearray()
    body += _head(boundary, "_json", None, "application/json") + json.dumps(document).encode() + b"\r\n"
    for part in parts:
        body += _head(boundary, part.field, part.name, "application/octet-stream") + part.content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return bytes(body), f"multipart/form-data; boundary={boundary}"


def _head(boundary: str, field: str, name: str | None, kind: str) -> bytes:
    file = "" if name is None else f'; filename="{file_name(name)}"'
    text = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{file}\r\nContent-Type: {kind}\r\n\r\n'
    return text.encode("utf-8", "replace")


def file_name(text: str) -> str:
    """A name that can leave neither its header nor its folder, nor part TheHive 4's `name;type;content`."""
    return "".join("_" if mark in '"\\/;' or not mark.isprintable() else mark for mark in text) or "file"

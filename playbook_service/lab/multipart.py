"""Multipart forms, read with the standard library's mail parser."""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP


@dataclass(frozen=True)
class Part:
    """One part of a form; `filename` is None for a plain field."""

    name: str
    body: bytes
    filename: str | None
    content_type: str


def read_parts(content_type: str, body: bytes) -> list[Part]:
    """The parts of a `multipart/form-data` body; none where it is something else."""
    if not content_type.lower().startswith("multipart/form-data"):
        return []
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    parts = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            parts.append(Part(name, payload, part.get_filename(), part.get_content_type()))
    return parts

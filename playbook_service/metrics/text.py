"""Prometheus' text format 0.0.4, as https://prometheus.io/docs/instrumenting/exposition_formats/ describes it."""

from __future__ import annotations

from collections.abc import Iterable

from playbook_service.metrics.family import Measured, Sample
from playbook_service.metrics.sums import number_text

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(families: Iterable[Measured]) -> bytes:
    """The answer to a scrape; a family without a value is left out."""
    text = "".join(_family(entry) for entry in families if entry.samples)
    return text.encode("utf-8", "replace")


def _family(entry: Measured) -> str:
    family = entry.family
    lines = [f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}"]
    lines += [_line(family.name, sample) for sample in entry.samples]
    return "\n".join(lines) + "\n"


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(f'{label}="{_quoted(value)}"' for label, value in sample.labels)
    return f"{name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {number_text(sample.value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    """A carriage return or another control character is legal here, and of no use to anybody."""
    plain = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
    return _escaped(plain).replace('"', '\\"')

"""A scrape as an independent parser reads it, for tests: prometheus_client's, and Prometheus' own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable

from prometheus_client.parser import text_string_to_metric_families

from playbook_service.metrics.family import Measured
from playbook_service.metrics.text import exposition

Need = Callable[[object, str], None]


class Scraped:
    """The samples of an answer, by name and labels."""

    def __init__(self, body: bytes):
        self.families = {family.name: family for family in text_string_to_metric_families(body.decode())}
        samples = [sample for family in self.families.values() for sample in family.samples]
        self._values = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
        assert len(self._values) == len(samples), "a series is there twice"

    def value(self, name: str, **labels: str) -> float | None:
        """One sample; None where it is not there."""
        return self._values.get((name, frozenset(labels.items())))

    def grown(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a name that are above zero, by their label values."""
        found = {}
        for (one, labels), value in self._values.items():
            if one == name and value:
                found[tuple(text for _, text in sorted(labels))] = value
        return found


def scraped(families: Iterable[Measured]) -> Scraped:
    """Families as Prometheus would have them after a scrape."""
    return Scraped(exposition(families))


def promtool(need: Need, *words: str, text: str = "") -> str:
    """What Prometheus' own tool says; it must be content."""
    need(shutil.which("promtool"), "promtool (Debian's prometheus)")
    done = subprocess.run(["promtool", *words], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr

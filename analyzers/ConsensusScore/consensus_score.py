#!/usr/bin/env python3
"""Cortex analyzer: what all reports on an observable amount to, with the ledger that explains it."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, ROOT)  # Cortex starts this file directly: the bundle's root is two folders up

import propolis

if os.path.dirname(os.path.dirname(os.path.realpath(propolis.__file__))) != ROOT:
    sys.exit(f"propolis was imported from {propolis.__file__}, not from this bundle at {ROOT}.")

from propolis.clock import SystemClock
from propolis.errors import ConfigurationError
from propolis.verdict import assess
from propolis.verdict.collect import Gathered, from_history, from_ids, from_thehive
from propolis.verdict.presentation import full_of, handed_over, options_of, taxonomies_of
from propolis.worker.analyzer import AnalyzerWorker, taxonomy
from propolis.worker.base import Answer

NOWHERE = (
    "There is nowhere to read reports from: hand them over as parameters.reports, or set cortex_url and cortex_key, "
    "or thehive_url and thehive_key."
)


class ConsensusScore(AnalyzerWorker):
    """Reads what it is handed, else asks TheHive, else Cortex's job history."""

    def answer(self):
        now = SystemClock().now()
        options = options_of(self.items)
        data = self.get_data()
        gathered = self._gather(data, now - options.window_hours * 3600.0)
        verdict = assess(self.data_type, data, gathered.jobs, now=now, options=options._replace(asked=gathered.asked))
        taxonomies = [taxonomy(level, "Propolis", name, value) for level, name, value in taxonomies_of(verdict)]
        return Answer(full_of(verdict, gathered.how), taxonomies)

    def _gather(self, data, not_before):
        reports = handed_over(self.parameters, "reports", dict, "Cortex jobs")
        asked = handed_over(self.parameters, "asked", str, "analyzer definition names")
        if reports is not None:
            return Gathered(reports, asked and tuple(asked), f"{len(reports)} reports that were handed over")
        ids = handed_over(self.parameters, "job_ids", str, "job ids")
        if ids is not None:
            return from_ids(self._client("cortex"), ids)._replace(asked=asked and tuple(asked))
        if self.items.optional_text("thehive_url"):
            return from_thehive(self._client("thehive"), self.data_type, data)
        if self.items.optional_text("cortex_url"):
            return from_history(self._client("cortex"), self.data_type, data, not_before)
        raise ConfigurationError(NOWHERE)

    def _client(self, server):
        """A client for `cortex` or `thehive`, whose items differ in nothing but the name."""
        from propolis.http import session

        if not self.items.optional_text(f"{server}_url"):
            raise ConfigurationError(f"is needed to fetch jobs by their ids: set {server}_url and {server}_key.")
        proxy = self.get_param("config.proxy.https") or self.get_param("config.proxy.http")
        authority = os.path.join(self.job_directory or "", "input", "cacerts")
        return session(
            self.items.text(f"{server}_url"),
            headers={"Authorization": f"Bearer {self.items.text(f'{server}_key')}"},
            verify=self.items.flag("verify_tls", True),
            ca_file=authority if self.job_directory and os.path.isfile(authority) else None,
            proxy=proxy if isinstance(proxy, str) else None,
            name=f"configuration item {server}_url",
        )


if __name__ == "__main__":
    ConsensusScore.main()

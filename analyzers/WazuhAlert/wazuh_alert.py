#!/usr/bin/env python3
"""WazuhAlert: what a Wazuh alert says, and the observables in it. It talks to nobody; see README.md."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, ROOT)  # Cortex puts only this file's folder on the path; the bundle is two folders up

import propolis

if not os.path.realpath(propolis.__file__).startswith(ROOT + os.sep):
    sys.exit(f"WazuhAlert needs the propolis of its own bundle ({ROOT}), but found {propolis.__file__}.")

from propolis.alert import Alert
from propolis.alert.model import MAX_BYTES
from propolis.alert.severity import assess
from propolis.errors import InputError
from propolis.observables import extract_all, report
from propolis.worker.analyzer import AnalyzerWorker, taxonomy
from propolis.worker.base import Answer

DATA_TYPES = ("wazuh-alert", "other", "file")


class WazuhAlert(AnalyzerWorker):
    """Parse the alert, report it, and hand its observables over as artifacts."""

    def answer(self) -> Answer:
        """The whole analysis. Raises InputError for what is no alert, ConfigurationError for a wrong item."""
        auto_import = self.items.flag("auto_import", True)
        with_operations = self.items.flag("operations", True)
        internal = self.items.flag("include_internal", True)
        data_types = self.items.texts("data_types")
        alert = Alert.parse(self._alert_text())
        kept = report.keep(extract_all(alert), internal=internal, data_types=data_types)
        return Answer(
            full=report.full(alert, kept),
            taxonomies=self._taxonomies(alert, len(kept.observables)),
            artifacts=report.artifacts(kept.observables, auto_import),
            operations=report.operations(alert) if with_operations else [],
        )

    def _alert_text(self) -> "str | bytes":
        if self.data_type not in DATA_TYPES:
            raise InputError(f"WazuhAlert reads {', '.join(DATA_TYPES)}, not {self.data_type}.")
        if self.data_type == "file":
            with open(self.attachment, "rb") as handle:
                return handle.read(MAX_BYTES + 1)
        data = self._input.get("data")
        if not isinstance(data, str):
            raise InputError("The observable's data must be the alert's JSON as a text.")
        return data

    @staticmethod
    def _taxonomies(alert: Alert, count: int) -> list:
        severity = assess(alert.level)
        level = report.verdict(severity)
        return [
            taxonomy(level, "Wazuh", "Level", alert.level),
            taxonomy(level, "Wazuh", "Severity", severity.name),
            taxonomy("info", "Wazuh", "Rule", alert.rule_id or "unknown"),
            taxonomy("info", "Wazuh", "Observables", count),
        ]


if __name__ == "__main__":
    WazuhAlert.main()

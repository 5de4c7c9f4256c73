#!/usr/bin/env python3
"""Cortex responder: the verdict on an observable from the taxonomies TheHive hands over with it; it makes no call."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, ROOT)  # Cortex starts this file directly: the bundle's root is two folders up

import propolis

if os.path.dirname(os.path.dirname(os.path.realpath(propolis.__file__))) != ROOT:
    sys.exit(f"propolis was imported from {propolis.__file__}, not from this bundle at {ROOT}.")

from propolis.clock import SystemClock
from propolis.errors import InputError
from propolis.verdict import assess
from propolis.verdict.presentation import full_of, options_of
from propolis.verdict.reading import read_observable
from propolis.worker.base import Answer
from propolis.worker.responder import ResponderWorker


class ConsensusVerdict(ResponderWorker):
    """Started on an observable; what it finds is in the report and in one tag."""

    def answer(self):
        options = options_of(self.items)
        kind, value = self.entity.get("dataType"), self.entity.get("data")
        if self.data_type != "thehive:case_artifact" or not isinstance(kind, str) or not isinstance(value, str):
            raise InputError("Start this responder on an observable that has a value: it reads the reports on it.")
        reports = read_observable(self.entity, options.sources)
        verdict = assess(kind, value, reports, now=SystemClock().now(), options=options)
        full = full_of(verdict, f"{len(reports)} reports that TheHive keeps on the observable")
        full["message"] = " ".join(verdict.explanation[:2])
        tag = f"propolis:verdict={verdict.verdict}"
        return Answer(full, operations=[{"type": "AddTagToArtifact", "tag": tag}])


if __name__ == "__main__":
    ConsensusVerdict.main()

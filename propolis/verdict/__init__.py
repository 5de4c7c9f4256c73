"""The verdict: what all reports on an observable amount to, with the ledger that explains it.

`assess` is the one entry; `docs/consensus.md` is the handbook's chapter on it.
"""

from __future__ import annotations

from propolis.verdict.assessment import assess
from propolis.verdict.options import Options
from propolis.verdict.report import Report, Taxonomy
from propolis.verdict.sources import Sources, load_sources
from propolis.verdict.verdict import Verdict

__all__ = ["Options", "Report", "Sources", "Taxonomy", "Verdict", "assess", "load_sources"]

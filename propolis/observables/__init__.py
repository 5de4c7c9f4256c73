"""From a Wazuh alert to the observables an expert would take from it. See docs/observables.md."""

from propolis.observables.extractor import extract, extract_all
from propolis.observables.model import ROLES, Extraction, Observable

__all__ = ["ROLES", "Extraction", "Observable", "extract", "extract_all"]

"""Tell why a job gave no answer, also when it calls itself a success: rate limits, quotas, time-outs, TLP.

A source that could not answer is missing. It must never be taken for one that found nothing, or an attacker who
exhausts a quota would buy a clean record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from propolis.verdict.report import Taxonomy

RATE_LIMITED = "rate-limited"
TLP = "refused by TLP or PAP"
TIMED_OUT = "timed out"

_RATE = re.compile(
    r"rate[ _-]?limit|too many requests|throttl|quota|(api|request|requests|query|lookup|usage)[ _-]limit"
    r"|limit (is |has been |was )?(exceeded|reached)|exceeded .{0,40}(limit|requests)"
    r"|(http|status|code|error)[ :=\"']{0,4}429\b|\b429 (client|too)|\(429\)|^\s*429\s*$",
    re.IGNORECASE,
)
_TLP = re.compile(r"\b(tlp|pap)\b.{0,60}(higher|allowed|exceed|above)|not allowed.{0,40}\b(tlp|pap)\b", re.IGNORECASE)
_TIMEOUT = re.compile(r"time[d]?[ -]?out|deadline", re.IGNORECASE)
_SECRET = re.compile(r"(?i)((?:api[_-]?key|key|token|secret|password|auth)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;]+")

# Keys under which a service speaks of itself. Everything else in a report is about the observable: a whois record that
# mentions rate limits, or a banner that says 429, is no refusal.
_OWN_WORDS = frozenset(
    {"error", "errors", "errormessage", "error_message", "errortext", "error_msg", "message", "msg", "verbose_msg"}
    | {"status", "status_code", "statuscode", "code", "response_code", "detail", "details", "reason", "query_status"}
)
_LONGEST = 600  # characters of a text that is looked at
_SHORT = 160  # characters of a reason that is shown


def why_failed(message: Any) -> str:
    """A short reason for a job that failed, from its error message, which may hold somebody's key."""
    if isinstance(message, Mapping):
        message = message.get("message") or message.get("error")
    text = message[:_LONGEST] if isinstance(message, str) else ""
    if _RATE.search(text):
        return RATE_LIMITED
    if _TLP.search(text):
        return TLP
    if _TIMEOUT.search(text):
        return TIMED_OUT
    line = _SECRET.sub(r"\1REMOVED", " ".join(text.split()))
    return f"failed: {line[:_SHORT]}" if line else "failed"


def speaks_of_limit(report: Mapping[str, Any], taxonomies: tuple[Taxonomy, ...]) -> bool:
    """True when a report that calls itself a success says that it was rate-limited."""
    if is_limit(report.get("errorMessage")):
        return True
    if any(_taxonomy_speaks(taxonomy) for taxonomy in taxonomies):
        return True
    return _full_speaks(report.get("full"), 3)


def is_limit(message: Any) -> bool:
    """True for an error message that speaks of a rate limit or a quota."""
    return isinstance(message, str) and _RATE.search(message[:_LONGEST]) is not None


def _taxonomy_speaks(taxonomy: Taxonomy) -> bool:
    """In a taxonomy a bare 429 is a number of records, unless its predicate says that it is a status."""
    value = taxonomy.value
    if value.isdigit():
        return value == "429" and taxonomy.predicate.lower() in _OWN_WORDS
    return _RATE.search(value) is not None or _RATE.search(taxonomy.predicate) is not None


def _full_speaks(node: Any, depth: int) -> bool:
    if not isinstance(node, Mapping):
        return (
            isinstance(node, list)
            and 0 < len(node) <= 3
            and depth > 0
            and any(_full_speaks(x, depth - 1) for x in node)
        )
    for name, value in node.items():
        own = isinstance(name, str) and name.lower() in _OWN_WORDS
        if own and _says(value):
            return True
        if depth > 0 and isinstance(value, (Mapping, list)) and _full_speaks(value, depth - 1):
            return True
    return False


def _says(value: Any, depth: int = 2) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST and _RATE.search(value) is not None
    if isinstance(value, list):
        return depth > 0 and any(_says(entry, depth - 1) for entry in value[:5])
    return value == 429 and not isinstance(value, bool)

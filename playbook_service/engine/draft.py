"""From a Wazuh alert to the alert that is made of it in TheHive. Pure: no clock, no network.

Everything in an alert may be written by an attacker (a user name, a URL, a log line). It is shown in the description,
but never as Markdown of its own: single values stand in code spans, log lines in a fence that they cannot close.
TheHive's limits are kept by shortening, and what was shortened shows that it was; the alert itself always goes along
whole, as an observable.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence

from playbook_service.engine.attack import techniques
from playbook_service.engine.markdown import code
from playbook_service.hive import limits
from playbook_service.hive.model import AlertDraft, ObservableDraft
from propolis.alert import Alert
from propolis.alert.severity import assess
from propolis.clock import utc_text
from propolis.observables import Observable

SUPPRESSED_TAG = "propolis:suppressed"
RAW_TYPE = "wazuh-alert"
MOST_OBSERVABLES = 500
"""Of one alert: TheHive writes each in a transaction of its own, and nobody reads more."""
_MOST_ROWS = 50
_MOST_TAGS = 60
_LONGEST_LOG = 8_000
_TICKS = re.compile(r"`+")


def key_of(alert: Alert) -> str:
    """What tells an alert from all others: `node:id`, or a hash of its content where it has no id."""
    node, number = alert.key
    return f"{node}:{number}" if number else content_hash(alert)


def content_hash(alert: Alert) -> str:
    """SHA-256 of the document, in hex."""
    return hashlib.sha256(json.dumps(alert.document, sort_keys=True).encode()).hexdigest()


def draft_alert(
    alert: Alert, observables: Sequence[Observable], *, origin: str, moment: float, suppressed: str = ""
) -> AlertDraft:
    """The alert to be made. `origin` is `wazuh` or `siem`; `moment` stands in where the alert has no time;
    `suppressed` is why nobody has to look at it."""
    occurred = alert.timestamp or moment
    return AlertDraft(
        type=origin,
        source=limits.source(alert.node or origin),
        reference=limits.reference(alert.id or content_hash(alert)),
        title=limits.title(title_of(alert)),
        description=limits.description(describe(alert, observables, occurred, suppressed)),
        severity=assess(alert.level).thehive,
        date=int(occurred * 1000),
        tags=tags_of(alert, origin, suppressed),
        custom_fields=fields_of(alert),
        observables=(*(_observable(entry) for entry in observables[:MOST_OBSERVABLES]), raw(alert)),
        techniques=techniques(alert.mitre_ids, alert.mitre_tactics),
    )


def title_of(alert: Alert) -> str:
    """`Wazuh 5763: sshd: brute force trying to get access on web01`; titles are no Markdown."""
    where = f" on {alert.agent_name}" if alert.agent_name else ""
    return f"Wazuh {alert.rule_id}: {alert.description or 'alert without a description'}{where}"


def tags_of(alert: Alert, origin: str, suppressed: str = "") -> tuple[str, ...]:
    """`wazuh`, `rule-<id>`, `level-<n>`, the rule's groups."""
    wished = [origin, f"rule-{alert.rule_id}", f"level-{alert.level}", *alert.groups]
    if suppressed:
        wished.insert(0, SUPPRESSED_TAG)
    tags = dict.fromkeys(tag for tag in map(limits.tag, wished) if tag)
    return tuple(tags)[:_MOST_TAGS]


def fields_of(alert: Alert) -> dict[str, object]:
    """Custom fields; those that the alert says nothing of are left out."""
    found: dict[str, object] = {
        "wazuh_rule_id": alert.rule_id,
        "wazuh_rule_level": alert.level,
        "wazuh_agent_id": alert.agent_id,
        "wazuh_agent_name": alert.agent_name,
        "wazuh_alert_id": alert.id,
    }
    return {
        name: limits.title(value) if isinstance(value, str) else value for name, value in found.items() if value != ""
    }


def raw(alert: Alert) -> ObservableDraft:
    """The alert as it came, so that WazuhAlert can be launched on it; as a file where it is too long."""
    text = json.dumps(alert.document, ensure_ascii=False, separators=(",", ":"))
    draft = ObservableDraft(RAW_TYPE, text, "The Wazuh alert as it came", ("wazuh", "raw-alert"))
    name = f"{RAW_TYPE}-{content_hash(alert)[:16]}.json"
    return draft if limits.fits(text) and text == text.strip() else limits.as_file(draft, name)


def _observable(entry: Observable) -> ObservableDraft:
    tags = tuple(dict.fromkeys(limits.tag(tag) for tag in ("wazuh", *entry.tags)))
    draft = ObservableDraft(entry.data_type, entry.data, entry.message, tags)
    if limits.fits(entry.data):
        return draft
    name = f"{entry.data_type}-{hashlib.sha256(entry.data.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.txt"
    message = f"{entry.message}: a {entry.data_type} of {len(entry.data):,} characters, too long for an observable"
    return limits.as_file(draft._replace(message=message), name)


def describe(alert: Alert, observables: Sequence[Observable], occurred: float, suppressed: str = "") -> str:
    """What an analyst reads first: what, where, when, who, by which rule, and what there is to look into."""
    parts = [f"**What:** {code(alert.description or 'a Wazuh alert without a description', 500)}"]
    if suppressed:
        parts.append(f"Suppressed, and therefore marked as read: {code(suppressed, 500)}")
    parts += ["\n".join(_facts(alert, occurred)), "\n".join(_evidence(observables))]
    logs = (("Event", alert.full_log), ("Earlier events", _earlier(alert)))
    parts += [f"**{title}**\n\n{fenced(text)}" for title, text in logs if text]
    parts.append(
        "Made by Propolis from a Wazuh alert. Values are shown as text, with | and ` replaced; the alert as it came "
        f"hangs on as an observable of type {RAW_TYPE}, or as a file."
    )
    return "\n\n".join(parts)


def _facts(alert: Alert, occurred: float) -> Iterator[str]:
    severity = assess(alert.level)
    rows = (
        ("When", cell(utc_text(occurred))),
        ("Rule", f"{cell(alert.rule_id)} level {alert.level} ({severity.name})"),
        ("Groups", _listed(alert.groups)),
        ("Agent", _listed(part for part in (alert.agent_id, alert.agent_name, alert.agent_ip) if part)),
        ("Manager", _listed(dict.fromkeys(part for part in (alert.manager, alert.node) if part))),
        ("Log source", _listed(part for part in (alert.decoder, alert.location) if part)),
        ("ATT&CK", _listed((*alert.mitre_ids, *alert.mitre_tactics))),
        ("Alert id", cell(alert.id) if alert.id else ""),
    )
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {value} |" for name, value in rows if value)


def _evidence(observables: Sequence[Observable]) -> Iterator[str]:
    if not observables:
        yield "No observables were found in it."
        return
    yield from ("| Observable | Type | Part it plays | Found in |", "|---|---|---|---|")
    for entry in observables[:_MOST_ROWS]:
        ours = " (internal)" if "internal" in entry.tags else ""
        yield f"| {cell(entry.data)}{ours} | {cell(entry.data_type)} | {cell(entry.role)} | {cell(entry.path)} |"
    rest = len(observables) - _MOST_ROWS
    if rest > 0:
        yield (
            f"\n{rest} more are among the observables."
            if len(observables) <= MOST_OBSERVABLES
            else (f"\n{rest} more were found; the first {MOST_OBSERVABLES} are observables, all are in the raw alert.")
        )


def cell(value: str) -> str:
    """A value in a cell of a table: code, in one line, without the bar that would end the cell."""
    return code(value.replace("|", "\u2502"))


def _listed(values: Iterable[str]) -> str:
    found = list(values)
    shown = " ".join(cell(value) for value in found[:20])
    return f"{shown} and {len(found) - 20} more" if len(found) > 20 else shown


def fenced(text: str) -> str:
    """Text of several lines as a block of code, behind a fence longer than any in it; a long text is cut, visibly."""
    cut = text[:_LONGEST_LOG]
    lines = "\n".join("".join(mark if mark.isprintable() else " " for mark in line) for line in cut.splitlines())
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(lines)), default=0))
    more = f"\n\n*(shortened: {len(text):,} characters in all)*" if len(text) > _LONGEST_LOG else ""
    return f"{fence}text\n{lines}\n{fence}{more}"


def _earlier(alert: Alert) -> str:
    found = alert.fields.get("previous_output")
    return found if isinstance(found, str) else ""

"""The way of an alert: what has come of the last ones, and whether the news of a change in TheHive arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import NamedTuple

from playbook_service.audit.journal import LOG
from playbook_service.doctor.finding import Finding, ago, fail, later, ok, unknown, warn
from playbook_service.doctor.inbox import NEWEST, Arrivals, has_news, mark
from playbook_service.engine import arrival
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Alert, AlertDraft, Me
from playbook_service.settings import Settings
from playbook_service.store.contract import Filter, Record, Store
from propolis.clock import Clock, utc_text
from propolis.errors import PropolisError
from propolis.http import Client, HttpError, segment

_PROBE = ("propolis", "doctor", "probe")
_TITLE = "Propolis: doctor's probe"
_ABOUT = (
    "`propolis doctor` changes this text to see whether TheHive's webhook reaches the service. It asks nothing of you; "
    "delete it whenever you like."
)
_BUILD_INFO = "propolis_build_info"
_LOOK_EVERY = 0.25
_PAGE = 500


class Probe(NamedTuple):
    """What the probe of the webhook needs."""

    hive: Hive
    client: Client
    """TheHive, with the service's key."""
    me: Me
    store: Store
    """The service's."""
    clock: Clock
    wait: float
    """Seconds until the news must be there."""


def webhook(probe: Probe) -> Finding:
    """Change one harmless alert, and wait until the service has been told of it. Raises HttpError, StoreError."""
    clock, hive = probe.clock, probe.hive
    alert, fresh = _alert(hive, clock)
    before, moment = mark(probe.store), clock.monotonic()
    _touch(probe, alert, clock.now())
    heard = _heard(probe, alert.id, before)
    took = clock.monotonic() - moment
    left = _leave(probe, alert, fresh)
    if heard:
        return ok("webhook", f"a change in TheHive was here after {took:.1f} s{left}")
    where = "a notification (AnyEvent, Webhook, for nobody in person) in this organisation"
    fix = (
        f"{where}, whose endpoint has this service's address and token: propolis setup; docs/thehive.md, Does it come?"
    )
    four = " (TheHive 4 takes up to five minutes to see a new one)" if hive.major == 4 else ""
    return fail("webhook", f"a change in TheHive was not here after {took:.0f} s{left}", fix + four)


def _alert(hive: Hive, clock: Clock) -> tuple[Alert, bool]:
    kind, source, reference = _PROBE
    draft = AlertDraft(kind, source, reference, _TITLE, _ABOUT, 1, int(clock.now() * 1000), tlp=1, pap=1)
    alert, fresh = hive.create_alert(draft)
    if not alert.read:
        hive.update_alert(alert.id, read=True)
    return alert, fresh


def _touch(probe: Probe, alert: Alert, now: float) -> None:
    """A text that was never there: TheHive says nothing of a change that changes nothing."""
    body = {"description": f"{_ABOUT}\n\nLast used: {utc_text(now)} ({token_hex(4)})"}
    probe.client.patch(_path(probe.hive, alert), json=body, retry=True)


def _path(hive: Hive, alert: Alert) -> str:
    return f"/api/{'alert' if hive.major == 4 else 'v1/alert'}/{segment(alert.id)}"


def _heard(probe: Probe, entity_id: str, before: int) -> bool:
    end = probe.clock.monotonic() + probe.wait
    while not has_news(probe.store, entity_id, before):
        if probe.clock.monotonic() >= end:
            return False
        probe.clock.sleep(_LOOK_EVERY)
    return True


def _leave(probe: Probe, alert: Alert, fresh: bool) -> str:
    """Delete the probe where the account may; else it stays, marked as read."""
    may = {"manageAlert", "manageAlert/delete"} & set(probe.me.permissions)
    if not may:
        return f"; the probe stays in TheHive as {';'.join(_PROBE)}, as the account deletes nothing" if fresh else ""
    try:
        probe.client.delete(_path(probe.hive, alert), accept=(200, 204, 404))
    except HttpError as error:
        return f"; the probe {';'.join(_PROBE)} could not be deleted: {error.message}"
    return ""


def told(found: Arrivals | str, clock: Clock) -> Finding:
    """Without a probe: when TheHive last told anything."""
    if isinstance(found, str):
        return unknown("webhook", found)
    if found.thehive is None:
        text = f"none of the newest {NEWEST} events is" if found.looked_at >= NEWEST else "no event that is kept is"
        return warn("webhook", f"{text} from TheHive", "propolis doctor without --no-probe tries it")
    return ok("webhook", f"TheHive last told something {ago(clock.now() - found.thehive)} ago")


def look(store: Store | None, hive: Hive | None, clock: Clock) -> Iterator[Finding]:
    """What has come of the last alerts."""
    newest, counts = _alerts(store) if store is not None else (None, {})
    if newest is None:
        for name in ("alerts", "observables", "cases", "tasks"):
            yield later(name, "no alert has come yet")
        return
    yield ok("alerts", f"{sum(counts.values())} kept, the newest {ago(clock.now() - newest.updated_at)} old")
    yield _observables(newest)
    yield _cases(counts)
    yield from _guarded("tasks", lambda: _tasks(store, hive))


def _alerts(store: Store) -> tuple[Record | None, dict[str, int]]:
    """The newest alert, and how many there are in each state."""
    newest: Record | None = None
    after: str | None = None
    states = (arrival.NEW, arrival.CASED, arrival.LOOSE, arrival.SUPPRESSED)
    with store.reading() as work:
        counts = {state: work.count(arrival.KIND, Filter(state=state)) for state in states}
        while page := work.find(arrival.KIND, Filter(after_key=after, limit=_PAGE)):
            best = max(page, key=lambda one: one.body.get("at", 0.0))
            newest = best if newest is None or best.body.get("at", 0.0) > newest.body.get("at", 0.0) else newest
            after = page[-1].key
    return newest, counts


def _observables(newest: Record) -> Finding:
    count = len(newest.body.get("observables") or ())
    if count:
        return ok("observables", f"{count} in the newest alert ({newest.key})")
    return warn("observables", f"none in the newest alert ({newest.key})", "see whether its rule has fields to extract")


def _cases(counts: dict[str, int]) -> Finding:
    told = ", ".join(f"{number} {state}" for state, number in counts.items() if number)
    if counts[arrival.CASED]:
        return ok("cases", told)
    return later("cases", f"no playbook wanted one yet ({told})")


def _tasks(store: Store | None, hive: Hive | None) -> Iterator[Finding]:
    """The tasks of one of the newest cases, beside its severity."""
    if store is None or hive is None:
        yield unknown("tasks", "TheHive does not answer")
        return
    with store.reading() as work:
        cased = work.find(arrival.KIND, Filter(state=arrival.CASED, limit=_PAGE))
    newest = max(cased, key=lambda one: one.body.get("at", 0.0), default=None)
    case = hive.case(newest.ref) if newest is not None else None
    if case is None:
        yield later("tasks", "no case yet")
        return
    tasks = hive.tasks(case.id)
    text = f"{len(tasks)} in case {case.number}, severity {case.severity}"
    yield ok("tasks", text) if tasks else later("tasks", f"{text}: no playbook wanted one")


def _guarded(name: str, looking: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from looking()
    except PropolisError as error:
        yield unknown(name, error.message)


def metrics(service: Client, settings: Settings) -> Finding:
    """Whether Prometheus finds at the service what it is to read there."""
    name, tokens = "metrics", settings["metrics_token"]
    if not settings["metrics"]:
        return ok(name, "switched off (the setting metrics)")
    headers = {"Authorization": f"Bearer {tokens[0]}"} if tokens else {}
    try:
        answer = service.get("/metrics", headers=headers, accept=(200, 401, 403, 404))
    except HttpError as error:
        return unknown(name, f"the service does not answer ({error.kind})", "see Service: running")
    if answer.status in (401, 403):
        fix = "set PROPOLIS_METRICS_TOKEN_FILE as the service has it, or run doctor where the service runs"
        return unknown(name, f"/metrics may not be read from here ({answer.status})", fix)
    if not any(line.startswith(_BUILD_INFO) for line in answer.text.splitlines()):
        fix = "restart the service in this version; if another program answers there, correct listen or --service"
        return warn(name, f"/metrics has no {_BUILD_INFO} ({answer.status}): Prometheus would see nothing", fix)
    whom = "Prometheus, with the token," if tokens else "Prometheus on this machine (no metrics_token)"
    return ok(name, f"{whom} can read them at /metrics")


def reports(store: Store | None) -> Finding:
    """Whether a report could be written; when the last one was is not known, as none is kept."""
    if store is None:
        return unknown("reports", "there is no store that can be read", "see Keeping: store")
    with store.reading() as look:
        look.last(LOG)
    return ok(
        "reports", "the store can be read: propolis report --since 30d writes one (when the last was is not kept)"
    )

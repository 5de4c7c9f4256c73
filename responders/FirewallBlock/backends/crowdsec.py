"""CrowdSec: decisions at the Local API (LAPI), which its bouncers enforce on firewalls, proxies and web servers.

Measured on 1.4.6: a decision's end is counted from the alert's `stop_at`, so that has to be LAPI's time and not ours; a
second alert for the same address makes a second decision; a look for an address also finds the networks it lies in, and
a DELETE by address takes those away too, so we delete by id only; deleting an unknown id answers 500, and so does junk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from ipaddress import ip_network
from typing import Any, NamedTuple

from propolis.clock import Clock, utc_text
from propolis.containment.backend import Backend, BackendError, Effect, Status, Subject, Target, Terms
from propolis.containment.change import AnswerLost, change, safe_url
from propolis.containment.mark import is_ours
from propolis.containment.responder import Workbench
from propolis.duration import duration_text
from propolis.http import Client, HttpError, Response, authorized, segment, session

SCENARIO = "propolis/firewallblock"
_ORIGIN = "propolis"
_AGENT = "propolis/1.0"  # LAPI refuses the login of whoever is not called name/version, as if the password were wrong
_MOST = "1000"  # alerts that one look may find; LAPI's own default is 50
_GO_DURATION = re.compile(r"(-?)((?:\d+(?:\.\d+)?(?:h|ms|us|µs|ns|m|s))+)")
_GO_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")
_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_REMAINING = (
    "Bouncers act with their next poll of LAPI (every 10 seconds by default).",
    "Sessions that are open: whether they end is up to the bouncer and where its rules stand.",
)
_EXTENDED = (
    "A bouncer may let the address through when the first ban ends, though LAPI holds the longer one: the nftables "
    "bouncer 0.0.25 was seen to. To be sure, undo after the first ban's end and block again."
)

Document = dict[str, Any]


class Settings(NamedTuple):
    """Which LAPI, and as which machine."""

    url: str
    machine_id: str
    password: str
    ca_file: str | None
    timeout: float
    """Seconds for each answer."""


class Decision(NamedTuple):
    """An active ban that covers the target."""

    id: int
    alert: int
    value: str
    message: str
    """The message of the alert that it belongs to."""
    scenario: str
    until: float
    exact: bool
    """It is for the target itself and not for a network around it."""

    @property
    def ours(self) -> bool:
        """Made by us, for this very target."""
        return self.exact and self.scenario == SCENARIO and is_ours(self.message)


class Seen(NamedTuple):
    """What a look found."""

    bans: list[Decision]
    """Newest alert first."""
    moment: float
    """LAPI's own wall time, seconds."""

    @property
    def ours(self) -> list[Decision]:
        return [ban for ban in self.bans if ban.ours]


class Login:
    """The token of a machine, asked for when first needed and again when LAPI takes it no more."""

    def __init__(self, client: Client, settings: Settings):
        self._client = client
        self._form = {"machine_id": settings.machine_id, "password": settings.password}
        self._token = ""

    def token(self, *, fresh: bool = False) -> str:
        """A token. Raises HttpError."""
        if fresh or not self._token:
            response = self._client.post("/v1/watchers/login", json=self._form, accept=(200,), retry=True)
            answer = response.json()
            token = answer.get("token") if isinstance(answer, dict) else None
            if not isinstance(token, str) or not token:
                raise HttpError(f"{response.where} failed: the answer holds no token.", kind="format", status=200)
            self._client.protect(token)
            self._token = token
        return self._token


class CrowdsecBackend(Backend):
    """One LAPI."""

    name = "crowdsec"
    kinds = ("ip",)
    expires = True
    marks = True

    def __init__(self, settings: Settings, clock: Clock):
        self._url = settings.url
        self._clock = clock
        self._client = session(
            settings.url,
            headers={"User-Agent": _AGENT},
            ca_file=settings.ca_file,
            timeout=(min(5.0, settings.timeout), settings.timeout),
            budget=4 * settings.timeout,
            retries=1,
            clock=clock,
            secrets=[settings.password],
            name="crowdsec_url",
        )
        self._api = authorized(self._client, Login(self._client, settings))

    @property
    def where(self) -> str:
        return f"CrowdSec at {self._url}"

    def status(self, target: Target) -> Status:
        return _status(target, self._look(target).bans)

    def contain(self, target: Target, status: Status, terms: Terms) -> Effect:
        standing = self._look(target)
        if standing.bans and not standing.ours:
            return Effect(f"{target.value} was banned already, not by us, and was left as it is")
        self._check_allowlists(target)
        done = f"made a ban of {target.value} for {duration_text(terms.seconds)}"
        try:
            self._post(_alert(target, terms, standing.moment))
        except AnswerLost as error:
            known = {ban.id for ban in standing.bans}
            if not any(ban.id not in known and ban.message == terms.mark for ban in self._look(target).ours):
                raise BackendError(f"{error} LAPI was asked again, and the ban was not made.") from None
            done += "; the answer was lost and the state read again"
        return Effect(done, remaining=(*_REMAINING, _EXTENDED) if standing.ours else _REMAINING)

    def release(self, target: Target, status: Status) -> Effect:
        ours = self._look(target).ours
        for ban in ours:
            self._delete(target, ban)
        listed = ", ".join(str(ban.id) for ban in ours)
        done = f"deleted decision {listed}" if ours else f"no ban of {target.value} by us was there any more"
        return Effect(done, remaining=_REMAINING[:1])

    def request(self, target: Target, status: Status, terms: Terms) -> str:
        self._check_allowlists(target)
        body = json.dumps([_alert(target, terms, self._clock.now())])
        return f"POST {self._url}/v1/alerts {body}"

    def close(self) -> None:
        self._client.close()

    def _look(self, target: Target) -> Seen:
        """The active bans that cover the target."""
        kind = "range" if "/" in target.value else "ip"
        params = {kind: target.value, "has_active_decision": "true", "limit": _MOST}
        try:
            response = self._api.get("/v1/alerts", params=params, accept=(200,))
            alerts = response.json()
        except HttpError as error:
            raise _fault(error) from None
        if alerts is not None and not (isinstance(alerts, list) and all(isinstance(alert, dict) for alert in alerts)):
            raise BackendError(f"{response.where} failed: the answer is not LAPI's; check crowdsec_url.")
        try:
            bans = [ban for alert in alerts or [] for ban in _bans(alert, target, self._clock.now())]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BackendError(f"{response.where} failed: an alert cannot be read; check LAPI's version.") from None
        return Seen(sorted(bans, key=lambda ban: -ban.alert), _moment(response, self._clock))

    def _check_allowlists(self, target: Target) -> None:
        """LAPI drops decisions about what its allowlists hold without a word. Versions before 1.6.8 know none (404)."""
        try:
            response = self._api.get(f"/v1/allowlists/check/{segment(target.value)}", accept=(200, 404))
            answer = response.json() if response.status == 200 else {}
        except HttpError as error:
            raise _fault(error) from None
        if not isinstance(answer, dict) or (response.status == 200 and "allowlisted" not in answer):
            raise BackendError(f"{response.where} failed: the answer is not LAPI's; check crowdsec_url.")
        if answer.get("allowlisted"):
            reason = response.redact(str(answer.get("reason") or "no reason given"))[:200]
            raise BackendError(f"{target.value} is on an allowlist of CrowdSec ({reason}), so it would not be banned.")

    def _post(self, alert: Document) -> None:
        try:
            response = change(self._api, self._clock, "POST", "/v1/alerts", json=[alert], accept=(201,))
        except HttpError as error:
            raise _fault(error) from None
        if not response.body.strip().startswith(b"["):
            raise AnswerLost(f"{response.where} failed: the answer is not LAPI's; check crowdsec_url.")

    def _delete(self, target: Target, ban: Decision) -> None:
        """Delete a decision. Whatever LAPI says, gone is gone: for an id that somebody else deleted it answers 500."""
        try:
            response = change(self._api, self._clock, "DELETE", f"/v1/decisions/{ban.id}", accept=(200, 404))
            if response.status == 200 and b"nbDeleted" not in response.body:
                raise AnswerLost(f"{response.where} failed: the answer is not LAPI's; check crowdsec_url.")
        except AnswerLost as error:
            if any(left.id == ban.id for left in self._look(target).bans):
                raise BackendError(f"{error} LAPI was asked again, and the ban is still there.") from None
        except HttpError as error:
            raise _fault(error) from None


def _alert(target: Target, terms: Terms, moment: float) -> Document:
    """The alert that carries the decision, as LAPI's AddAlertsRequest wants it."""
    scope = "Range" if "/" in target.value else "Ip"
    return {
        "scenario": SCENARIO, "scenario_hash": "", "scenario_version": "", "message": terms.mark,
        "events": [], "events_count": 1, "capacity": 0, "leakspeed": "0", "simulated": False,
        "start_at": utc_text(moment), "stop_at": utc_text(moment),
        "source": {"scope": scope, "value": target.value},
        "decisions": [
            {"origin": _ORIGIN, "type": "ban", "scope": scope, "value": target.value, "duration": f"{terms.seconds}s",
             "scenario": SCENARIO}
        ],
    }  # fmt: skip


def _bans(alert: Document, target: Target, now: float) -> Iterator[Decision]:
    """The active bans of an alert that cover the target; what only simulates or asks for a captcha is none."""
    wanted = ip_network(target.value)
    for decision in alert.get("decisions") or []:
        left = go_seconds(str(decision.get("duration")))
        if left <= 0 or decision.get("type") != "ban" or decision.get("simulated") or alert.get("simulated"):
            continue
        try:
            banned: Any = ip_network(str(decision.get("value")), strict=False)
        except ValueError:
            continue  # a user name, a country: another scope
        if banned.version == wanted.version and wanted.subnet_of(banned):
            yield Decision(
                int(decision["id"]), int(alert["id"]), str(decision["value"]), str(alert.get("message") or ""),
                str(decision.get("scenario") or ""), now + left, banned == wanted,
            )  # fmt: skip


def _status(target: Target, bans: list[Decision]) -> Status:
    subject = Subject(target.value, target.value, addresses=(target.value,))
    if not bans:
        return Status(subject, contained=False, detail=f"no active ban of {target.value}")
    ours = [ban for ban in bans if ban.ours]
    shown = ours or bans
    until = max(ban.until for ban in shown)
    others = [ban for ban in bans if not ban.ours]
    also = f", besides decision {others[0].id} ({others[0].scenario})" if ours and others else ""
    detail = f"decision {shown[0].id} bans {shown[0].value} until {utc_text(until)} ({shown[0].scenario}){also}"
    return Status(subject, True, bool(ours), until, shown[0].message, detail)


def go_seconds(text: str) -> float:
    """Seconds of a duration as Go writes it, `1h0m4.29s` or `-22.4ms`; 0 for what is none."""
    found = _GO_DURATION.fullmatch(text)
    if found is None:
        return 0.0
    seconds = sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(found.group(2)))
    return -seconds if found.group(1) else seconds


def _moment(response: Response, clock: Clock) -> float:
    """LAPI's own time, from its answer."""
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return clock.now()


def _fault(error: HttpError) -> BackendError:
    hint = " Check crowdsec_machine_id and crowdsec_password (cscli machines list)." if error.status == 401 else ""
    return BackendError(f"{error}{hint}")


def make(workbench: Workbench) -> Backend:
    """The backend that the items describe."""
    items = workbench.items
    settings = Settings(
        url=safe_url(items.text("crowdsec_url"), "crowdsec_url"),
        machine_id=items.text("crowdsec_machine_id"),
        password=items.text("crowdsec_password", strip=False),
        ca_file=items.optional_text("crowdsec_ca_file"),
        timeout=items.number("timeout_seconds", 15, low=1, high=120),
    )
    return CrowdsecBackend(settings, workbench.clock)

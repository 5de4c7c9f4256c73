"""The service and what it goes by: whether it answers, its policy, playbooks, modes, escalation rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from playbook_service.doctor.finding import Finding, fail, later, listed, ok, unknown, warn
from playbook_service.parts import check_exposure, escalation_rules, playbooks_of, policy_of
from playbook_service.playbook import Playbooks
from playbook_service.playbook.issue import ERROR
from playbook_service.playbook.lint import lint
from playbook_service.settings import Settings
from propolis.clock import Clock
from propolis.errors import PropolisError
from propolis.http import Client, HttpError, session

_ANY = ("0.0.0.0", "::", "")  # noqa: S104 - what such an address means is the point


def address_of(settings: Settings, given: str) -> str:
    """Where the service is looked for: as given, else at `listen` on this machine."""
    if given:
        return given
    host, port = settings["listen"]
    host = "127.0.0.1" if host in _ANY else host
    scheme = "https" if settings["tls_certificate"] else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def client_of(settings: Settings, clock: Clock, given: str = "", option: str = "--service") -> Client:
    """A line to the service; its own certificate counts as a CA, where it has one. Raises ConfigurationError."""
    return session(
        address_of(settings, given), ca_file=settings["tls_certificate"] or None, retries=0, budget=15.0,
        timeout=(3.0, 10.0), clock=clock, name=option,
    )  # fmt: skip


def look(settings: Settings, client: Client, playbooks: Playbooks | None) -> Iterator[Finding]:
    """Everything that needs neither TheHive nor Cortex."""
    yield running(client)
    yield _exposure(settings)
    yield _policy(settings)
    yield _playbooks(settings, playbooks)
    yield _modes(settings, playbooks)
    yield _escalation(settings, playbooks)


def playbooks_now(settings: Settings) -> Playbooks | None:
    """The playbooks as they would be loaded; None where that fails."""
    try:
        return playbooks_of(settings)()
    except PropolisError:
        return None


def running(client: Client) -> Finding:
    """Whether the service answers, and can keep what it is sent."""
    place = client.address.host
    try:
        answer = client.get("/readyz", accept=(200, 404, 503))
    except HttpError as error:
        if error.kind == "tls":
            fix = "name the service as its certificate does: --service https://NAME:PORT"
            return unknown("running", f"it answers at {place}, but its certificate is not for that name", fix)
        return fail("running", f"nothing answers at {place} ({error.kind})", "propolis serve; or --service, or listen")
    if answer.status == 404:
        return fail("running", f"what answers at {place} is not the service", "correct listen, or give --service")
    if answer.status == 503:
        return fail("running", f"it answers at {place}, but cannot write its store", "see Keeping: disk, store")
    return ok("running", f"at {place}")


def _exposure(settings: Settings) -> Finding:
    try:
        check_exposure(settings)
    except PropolisError as error:
        return fail("token", error.message, "set PROPOLIS_WEBHOOK_TOKEN_FILE")
    if not settings["webhook_token"]:
        return warn("token", "no webhook_token: only this machine may send events", "set PROPOLIS_WEBHOOK_TOKEN_FILE")
    return ok("token", f"{len(settings['webhook_token'])} good for webhooks")


def _policy(settings: Settings) -> Finding:
    if not settings["policy"]:
        return warn("policy", "none: nothing is ever contained", "write one, with your own networks (docs/policy.md)")
    try:
        policy = policy_of(settings)()
        held = policy.holds_back()
    except PropolisError as error:
        return fail("policy", f"unusable, so everything is refused: {error}", "mend it; it is read again by itself")
    if held:
        return warn("policy", " ".join(held), "see docs/policy.md")
    return ok("policy", str(settings["policy"]))


def _playbooks(settings: Settings, playbooks: Playbooks | None) -> Finding:
    place = settings["playbooks"] or "those that ship"
    if playbooks is None:
        return fail("playbooks", f"{place}: faulty; the last sound set is in use", "propolis lint says what is wrong")
    errors = [issue for issue in lint(playbooks) if issue.severity == ERROR]
    if errors:
        return warn(
            "playbooks", f"{place}: lint finds {len(errors)} errors", f"propolis lint {settings['playbooks']}".rstrip()
        )
    return ok("playbooks", f"{sum(one.enabled for one in playbooks)} of {len(playbooks)} enabled, {place}")


def _modes(settings: Settings, playbooks: Playbooks | None) -> Finding:
    containing = [one for one in playbooks or () if one.enabled and any(act.contains for act in one.actions)]
    counts = Counter(one.mode for one in containing)
    told = listed(f"{counts[mode]} {mode}" for mode in ("observe", "approve", "enforce") if counts[mode])
    return ok("modes", f"service {settings['mode']}; playbooks that contain: {told or 'none'}")


def _escalation(settings: Settings, playbooks: Playbooks | None) -> Finding:
    try:
        rules = escalation_rules(settings)
    except PropolisError as error:
        return fail("escalation", f"the rules cannot be read: {error}", "mend them, or unset escalation")
    if not rules:
        return later("escalation", "no rule")
    enabled = any(one.name == "escalation" and one.enabled for one in playbooks or ())
    return ok("escalation", f"{len(rules)} rules{', and the playbook escalation' if enabled else ''}")

"""The console: whether people reach its sign-in page, by TLS where they come from elsewhere; who may raise the mode."""

from __future__ import annotations

from playbook_service.doctor.finding import Finding, listed, ok, unknown, warn
from playbook_service.engine.approval import PROFILE
from playbook_service.hive.contract import Hive
from playbook_service.settings import Settings
from playbook_service.web.server import is_loopback
from propolis.errors import PropolisError
from propolis.http import Client, HttpError

_NAME = "console"
_PAGE, _STYLE = "/console/sign-in", "/console/static/console.css"
_FORM = 'name="secret"'


def look(service: Client, settings: Settings, hive: Hive | None) -> Finding:
    """One line: the first thing that is not as it should be, or who may raise the mode there."""
    if not settings["console"]:
        return ok(_NAME, "switched off (the setting console)")
    return _reached(service) or _open_to_listeners(service, settings) or _admins(settings, hive)


def _reached(service: Client) -> Finding | None:
    try:
        page = service.get(_PAGE, accept=(200, 404, 503))
        style = service.get(_STYLE, accept=(200, 404))
    except HttpError as error:
        return unknown(_NAME, f"the service does not answer ({error.kind})", "see Service: running")
    if page.status == 200 and style.status == 200 and _FORM in page.text:
        return None
    fix = "restart the service in this version and with these settings; a proxy must pass /console on"
    return warn(_NAME, f"no sign-in page at {_PAGE} ({page.status}): nobody can look or answer there", fix)


def _open_to_listeners(service: Client, settings: Settings) -> Finding | None:
    """Passwords of TheHive are typed there."""
    host = settings["listen"][0]
    if is_loopback(host) or settings["tls_certificate"] or service.address.origin.startswith("https://"):
        return None
    fix = "set tls_certificate; behind a TLS proxy look through it: --console https://NAME (docs/deploy.md)"
    return warn(_NAME, f"{host} serves it without TLS: passwords of TheHive would cross the network readable", fix)


def _admins(settings: Settings, hive: Hive | None) -> Finding:
    """A profile's holders are not listed: the service's account need not be able to list people."""
    named = settings["console_admins"]
    if not named:
        return ok(_NAME, f"{_PAGE}; console_admins is empty, so nobody raises the mode there")
    logins = [one for one in named if not one.startswith(PROFILE)]
    try:
        nobody = [one for one in logins if hive is not None and not hive.profile(one)]
    except PropolisError as error:
        return unknown(_NAME, f"whom console_admins names cannot be looked up: {error.message}")
    if nobody:
        text = f"console_admins names {listed(nobody)}, whom TheHive does not know in this organisation"
        return warn(_NAME, text, "correct console_admins: logins, or profile:<name> of TheHive")
    if logins and hive is None:
        return unknown(_NAME, "whom console_admins names cannot be looked up: TheHive does not answer")
    return ok(_NAME, f"{_PAGE}; the mode is raised there by {listed(named)}")

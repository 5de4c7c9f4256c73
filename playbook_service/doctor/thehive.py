"""TheHive as the service sees it: version, account, permissions, catalogues, connector, clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from playbook_service import jsonread
from playbook_service.doctor.clocks import skew
from playbook_service.doctor.finding import Finding, fail, listed, ok, unknown, warn
from playbook_service.hive import reading
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Me
from playbook_service.hive.rights import least_profile
from playbook_service.settings import Settings
from playbook_service.setup.account import DANGEROUS, holds
from playbook_service.setup.bundle import CASE_TEMPLATE, FIELDS, OBSERVABLE_TYPE
from propolis.clock import Clock
from propolis.http import Client, HttpError, segment, session

_SETUP = "propolis setup makes it (docs/setup.md)"
_MEMBERSHIP = "check the account's organisation and profile"


def client_of(settings: Settings, clock: Clock) -> Client:
    """For what the service itself does not ask. Raises ConfigurationError."""
    organisations = settings["thehive_organisations"]
    headers = {"Authorization": f"Bearer {settings['thehive_key']}"}
    headers |= {"X-Organisation": organisations[0]} if organisations else {}
    return session(
        settings["thehive_url"], headers=headers, ca_file=settings["thehive_ca_file"] or None, retries=1, budget=30.0,
        timeout=(5.0, 15.0), clock=clock, secrets=(settings["thehive_key"],), name="thehive_url",
    )  # fmt: skip


def look(hive: Hive, me: Me, client: Client, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Everything about a TheHive that answers. Raises HttpError where it no longer does."""
    yield version_of(hive.version(), client.address.host)
    yield skew(client.get("/api/v1/user/current"), clock)
    yield _account(me, hive.major, settings, client)
    yield _permissions(me, hive.major)
    yield _fields(client, hive.major)
    yield _present(client, "observable type", OBSERVABLE_TYPE, f"/api/v1/observable/type/{segment(OBSERVABLE_TYPE)}")
    yield _present(client, "case template", CASE_TEMPLATE, f"/api/v1/caseTemplate/{segment(CASE_TEMPLATE)}")
    yield _connector(client, hive.major)


def version_of(version: str, host: str) -> Finding:
    """Whether this version of TheHive works with us; its faults by the release notes of TheHive 5.1 and 5.7."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    told = f"{version} at {host}"
    if (5,) <= numbers < (5, 1, 5):
        return warn("version", f"{told}: its audit messages lack their id", "upgrade to 5.1.5 or later")
    if (5, 7) <= numbers < (5, 7, 3):
        return fail("version", f"{told}: results of Cortex jobs may not be fetched", "upgrade to 5.7.3 or later")
    if (4,) <= numbers < (4, 1):
        return fail("version", f"{told} is not supported", "upgrade to 4.1 or later")
    return ok("version", told)


def _account(me: Me, major: int, settings: Settings, client: Client) -> Finding:
    told = f"{me.login}, profile {me.profile}, organisation {me.organisation}"
    if me.login in settings["approvers"] or f"profile:{me.profile}" in settings["approvers"]:
        text = f"{told}: `approvers` takes the service's own account in, whose word never counts"
        return warn("account", text, "name people, or a profile of theirs, in approvers")
    user: Mapping[str, Any] = reading.document(client.get("/api/v1/user/current"))
    if major == 5 and jsonread.text(user, "type") == "Normal":
        return warn("account", f"{told}: it is of the type of a person", "make one of the type Service for it alone")
    return ok("account", told)


def _permissions(me: Me, major: int) -> Finding:
    lacking = [one for one in least_profile(major) if not holds(me.permissions, one)]
    if lacking:
        fix = "add them to the account's profile: propolis setup, or docs/permissions.md"
        return fail("permissions", f"{me.login} may not {listed(lacking)}", fix)
    surplus = [one for one in me.permissions if one.startswith(DANGEROUS) and one not in least_profile(major)]
    if surplus:
        text = f"{me.login} may more than anything here needs: {listed(surplus)}"
        return warn("permissions", text, "give it the least profile (docs/permissions.md)")
    return ok("permissions", f"all {len(least_profile(major))} that the service needs")


def _fields(client: Client, major: int) -> Finding:
    try:
        found = reading.documents(client.get("/api/customField" if major == 4 else "/api/v1/customField"))
    except HttpError as error:
        return unknown("custom fields", f"the account may not list them: {error.message}", _MEMBERSHIP)
    present = {jsonread.text(one, "reference", "name"): jsonread.text(one, "type").lower() for one in found}
    missing = [field.name for field in FIELDS if field.name not in present]
    wrong = [field.name for field in FIELDS if present.get(field.name, field.type) != field.type]
    if missing:
        text = f"{listed(missing)} missing: alerts go in without any custom field"
        return fail("custom fields", text, _SETUP.replace("it", "them", 1))
    if wrong:
        return fail("custom fields", f"{listed(wrong)} of the wrong type", "propolis setup --check says what to do")
    return ok("custom fields", f"all {len(FIELDS)}")


def _present(client: Client, kind: str, name: str, path: str) -> Finding:
    answer = client.get(path, accept=(200, 401, 403, 404))
    if answer.status == 404:
        return fail(kind, f"{name!r} is missing", _SETUP)
    if answer.status != 200:
        return unknown(kind, f"the account may not see {name!r} ({answer.status})", _MEMBERSHIP)
    return ok(kind, repr(name))


def _connector(client: Client, major: int) -> Finding:
    """TheHive starts every analyzer and responder: without its own line to Cortex nothing runs."""
    found = reading.document(client.get("/api/v1/status" if major == 5 else "/api/status"))
    connectors = found.get("connectors")
    cortex: Any = connectors.get("cortex") if isinstance(connectors, Mapping) else None
    if not isinstance(cortex, Mapping):
        return unknown("connector", "TheHive does not tell how its line to Cortex fares")
    servers = [one for one in cortex.get("servers") or [] if isinstance(one, Mapping)]
    told = listed(f"{jsonread.text(one, 'name')} {jsonread.text(one, 'status')}" for one in servers) or "no server"
    if not servers or not any(jsonread.text(one, "status") == "OK" for one in servers):
        fix = "Platform management > Cortex: address and key of the server, and the organisations it is for"
        return fail("connector", f"TheHive has no Cortex that works: {told}", fix)
    return ok("connector", f"TheHive -> {told}")

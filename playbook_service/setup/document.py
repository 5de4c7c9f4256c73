"""The set-up file: what is wished of TheHive and Cortex. All its faults come at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.setup.bundle import (
    CASE_TEMPLATE,
    FIELDS,
    OBSERVABLE_TYPE,
    REPORT_TEMPLATES,
    UNCACHED,
    Field,
    definition_id,
)
from playbook_service.setup.form import Form
from playbook_service.setup.look import SetupErrors
from playbook_service.setup.value import Given, Sources
from propolis import yamltree
from propolis.errors import ConfigurationError
from propolis.http import session
from propolis.worker.secrets import sounds_secret
from propolis.yamltree import Fault, Node

FIELD_TYPES = ("string", "integer", "float", "boolean", "date", "url")
RATE_UNITS = ("Second", "Minute", "Hour", "Day", "Month")
_THEHIVE = (
    "url", "organisation", "admin_key", "org_admin_key", "ca_file", "custom_fields", "observable_types",
    "case_templates", "report_templates", "account", "webhook",
)  # fmt: skip
_TEMPLATE = ("name", "title", "prefix", "description", "severity", "tlp", "pap", "tags", "tasks")
_WORKER = ("enable", "configuration", "job_cache", "job_timeout", "rate", "rate_unit")


class Server(NamedTuple):
    """An address and the certificates to check it against (empty: the system's)."""

    url: str
    ca_file: str


class Template(NamedTuple):
    """A case template; what is None or empty is left as it is."""

    name: str
    fields: Mapping[str, Any]
    """In TheHive's words: displayName, titlePrefix, description, severity, tlp, pap."""
    tags: tuple[str, ...]
    tasks: tuple[Mapping[str, str], ...]


class Account(NamedTuple):
    """The service's account."""

    login: str
    profile: str
    key_file: Path | None


class Webhook(NamedTuple):
    """Where TheHive is to send its events."""

    url: str
    token: Given


class HiveWish(NamedTuple):
    """What TheHive is to have."""

    server: Server
    organisation: str
    admin_key: str
    org_admin_key: str
    fields: tuple[Field, ...]
    types: tuple[str, ...]
    templates: tuple[Template, ...]
    report_templates: Path | None
    """Folder of the report templates; None: they are left alone."""
    account: Account | None
    webhook: Webhook | None


class WorkerWish(NamedTuple):
    """A worker that is to be enabled; settings that are None are left as they are."""

    definition: str
    configuration: Mapping[str, Given]
    settings: Mapping[str, Any]
    """In Cortex' words: jobCache, jobTimeout, rate, rateUnit."""
    place: str
    """Where it stands in the file, for faults: `my.yml:12: cortex.workers[1]`."""


class CortexWish(NamedTuple):
    """What Cortex is to have."""

    server: Server
    key: str
    workers: tuple[WorkerWish, ...]


class Wish(NamedTuple):
    """The whole file."""

    thehive: HiveWish | None
    cortex: CortexWish | None


def read(path: Path, environment: Mapping[str, str] | None = None) -> Wish:
    """Read the file. Raises SetupErrors with every fault."""
    try:
        root, faults = yamltree.read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupErrors([f"{path}: cannot be read: {error}."]) from None
    form = Form(Sources(path.parent, os.environ if environment is None else environment))
    form.faults += faults
    wish = _wish(form, root, path) if root is not None else Wish(None, None)
    if not form.faults and wish == Wish(None, None):
        form.faults.append(Fault(None, "", "it asks for nothing: give it a section thehive or cortex"))
    if form.faults:
        raise SetupErrors([_sentence(path, fault) for fault in sorted(form.faults, key=lambda one: one.line or 0)])
    return wish


def _sentence(path: Path, fault: Fault) -> str:
    return str(ConfigurationError(f"{fault.message}.", source=str(path), line=fault.line, path=fault.path or None))


def _wish(form: Form, root: Node, path: Path) -> Wish:
    sections = form.table(root, "", ("thehive", "cortex"))
    hive, cortex = sections.get("thehive"), sections.get("cortex")
    return Wish(
        None if hive is None else _thehive(form, hive), None if cortex is None else _cortex(form, cortex, str(path))
    )


def _server(form: Form, table: dict[str, Node], path: str) -> Server:
    server = Server(form.text(table, "url", path), form.text(table, "ca_file", path))
    try:
        if server.url:
            session(server.url, ca_file=server.ca_file or None, name="url").close()
    except ConfigurationError as error:
        form.fault(table["url"], f"{path}.url", error.message.rstrip("."))
    return server


def _thehive(form: Form, node: Node) -> HiveWish:
    path = "thehive"
    table = form.table(node, path, _THEHIVE, needed=("url", "organisation", "admin_key", "org_admin_key"))
    more = [_field(form, *one) for one in form.rows(table.get("custom_fields"), f"{path}.custom_fields")]
    asked = [_template(form, *one) for one in form.rows(table.get("case_templates"), f"{path}.case_templates")]
    own = [] if any(one.name == CASE_TEMPLATE for one in asked) else [Template(CASE_TEMPLATE, {}, ("wazuh",), ())]
    return HiveWish(
        server=_server(form, table, path),
        organisation=form.text(table, "organisation", path),
        admin_key=form.text(table, "admin_key", path),
        org_admin_key=form.text(table, "org_admin_key", path),
        fields=(*FIELDS, *(one for one in more if one.name not in {own.name for own in FIELDS})),
        types=tuple(dict.fromkeys([OBSERVABLE_TYPE, *form.texts(table, "observable_types", path)])),
        templates=(*own, *asked),
        report_templates=_report_templates(form, table),
        account=_account(form, table["account"]) if "account" in table else None,
        webhook=_webhook(form, table["webhook"]) if "webhook" in table else None,
    )


def _report_templates(form: Form, table: dict[str, Node]) -> Path | None:
    name = "report_templates"
    given = form.text(table, name, "thehive", str(REPORT_TEMPLATES))
    if not given:
        return None
    folder = form.sources.place(given)
    if name in table and not folder.is_dir():
        form.fault(table[name], f"thehive.{name}", f"there is no folder {folder}; an empty text leaves them alone")
    return folder


def _field(form: Form, node: Node, path: str) -> Field:
    table = form.table(node, path, ("name", "type", "title", "description"), needed=("name", "type"))
    name = form.text(table, "name", path)
    if "." in name:
        form.fault(table["name"], f"{path}.name", "must not hold a dot: responders could not read it")
    kind = form.choice(table, "type", path, FIELD_TYPES, "string") if "type" in table else "string"
    for own in FIELDS:
        if own.name == name and own.type != kind:
            form.fault(node, path, f"{name} is one of our own fields and must be of the type {own.type}")
    return Field(name, kind, form.text(table, "title", path, name), form.text(table, "description", path))


def _template(form: Form, node: Node, path: str) -> Template:
    table = form.table(node, path, _TEMPLATE, needed=("name",))
    words = {"title": "displayName", "prefix": "titlePrefix", "description": "description"}
    fields: dict[str, Any] = {theirs: form.text(table, ours, path) for ours, theirs in words.items() if ours in table}
    for name, low, high in (("severity", 1, 4), ("tlp", 0, 4), ("pap", 0, 3)):
        fields[name] = form.number(table, name, path, low, high)
    tasks = tuple(_task(form, *one) for one in form.rows(table.get("tasks"), f"{path}.tasks"))
    kept = {name: value for name, value in fields.items() if value is not None}
    return Template(form.text(table, "name", path), kept, form.texts(table, "tags", path), tasks)


def _task(form: Form, node: Node, path: str) -> Mapping[str, str]:
    names = ("title", "group", "description")
    table = form.table(node, path, names, needed=("title",))
    return {name: form.text(table, name, path) for name in names if name in table}


def _account(form: Form, node: Node) -> Account:
    path = "thehive.account"
    table = form.table(node, path, ("login", "profile", "key_file"), needed=("login", "profile"))
    name = form.text(table, "key_file", path)
    file = form.sources.place(name) if name else None
    form.sources.promised += [file] if file else []
    return Account(form.text(table, "login", path).lower(), form.text(table, "profile", path), file)


def _webhook(form: Form, node: Node) -> Webhook:
    path = "thehive.webhook"
    table = form.table(node, path, ("url", "token"), needed=("url", "token"))
    _server(form, table, path)
    return Webhook(form.text(table, "url", path), form.text_from(table, "token", path))


def _cortex(form: Form, node: Node, source: str) -> CortexWish:
    path = "cortex"
    table = form.table(node, path, ("url", "org_admin_key", "ca_file", "workers"), needed=("url", "org_admin_key"))
    workers: list[WorkerWish] = []
    for entry, place in form.rows(table.get("workers"), f"{path}.workers"):
        for wish in _workers(form, entry, place, source):
            if any(wish.definition == other.definition for other in workers):
                form.fault(entry, place, f"{wish.definition} is enabled by another entry already")
            workers.append(wish)
    return CortexWish(_server(form, table, path), form.text(table, "org_admin_key", path), tuple(workers))


def _workers(form: Form, node: Node, path: str, source: str) -> list[WorkerWish]:
    table = form.table(node, path, _WORKER, needed=("enable",))
    settings = {
        "jobCache": form.number(table, "job_cache", path, 0, 100_000),
        "jobTimeout": form.number(table, "job_timeout", path, 1, 100_000),
        "rate": form.number(table, "rate", path, 1, 1_000_000),
        "rateUnit": form.choice(table, "rate_unit", path, RATE_UNITS) or None,
    }
    if (settings["rate"] is None) != (settings["rateUnit"] is None):
        form.fault(node, path, "rate and rate_unit go together")
    names = form.texts(table, "enable", path)
    if "enable" in table and not names:
        form.fault(table["enable"], f"{path}.enable", "must name a worker at least")
    place = str(ConfigurationError("", source=source, line=node.line, path=path)).rstrip(": ")
    configuration = _configuration(form, table.get("configuration"), f"{path}.configuration")
    found = []
    for name in names:
        chosen = {key: value for key, value in settings.items() if value is not None}
        if name in UNCACHED and chosen.setdefault("jobCache", 0) != 0:
            form.fault(node, f"{path}.job_cache", f"must be 0 for {name}, whose inputs change from minute to minute")
        found.append(WorkerWish(definition_id(name), configuration, chosen, place))
    return found


def _configuration(form: Form, node: Node | None, path: str) -> dict[str, Given]:
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        form.fault(node, path, "must be a map of configuration items")
        return {}
    items = node.value.items()
    return {name: form.given(entry, f"{path}.{name}", secret=sounds_secret(name)) for name, entry in items}

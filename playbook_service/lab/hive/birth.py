"""What a fresh TheHive holds: profiles, the first administrator, observable types, statuses."""

from __future__ import annotations

from playbook_service.lab.hive.account import ADMIN_ORGANISATION, PROFILES, Account, permissions, sign
from playbook_service.lab.hive.kind import ALERT_STAGES, CASE_STAGES, OBSERVABLE_TYPES
from playbook_service.lab.hive.service import Hive

FIRST_ADMIN = ("admin@thehive.local", "secret")
SYSTEM = Account("system@thehive.local", ADMIN_ORGANISATION, "admin", frozenset(PROFILES["admin"]))


def fill(hive: Hive) -> None:
    """Make everything that TheHive makes at its first start."""
    with hive.transaction():
        _organisation(hive)
        _profiles(hive)
        _administrator(hive)
        for name in OBSERVABLE_TYPES:
            fields = {"name": name, "isAttachment": name == "file"}
            hive.make("ObservableType", fields, SYSTEM, organisation="", key=(name,))
        if hive.version == 5:
            _statuses(hive)


def _organisation(hive: Hive) -> None:
    fields = {
        "name": ADMIN_ORGANISATION, "description": "organisation for administration", "taskRule": "manual",
        "observableRule": "manual", "locked": False, "links": [],
    }  # fmt: skip
    hive.make("Organisation", fields, SYSTEM, organisation="", key=(ADMIN_ORGANISATION,))


def _profiles(hive: Hive) -> None:
    for name, names in PROFILES.items():
        fields = {
            "name": name, "permissions": list(permissions(names, hive.version)), "editable": name != "admin",
            "forAdmin": name == "admin", "forOrg": name != "admin", "consumesLicense": name != "read-only",
        }  # fmt: skip
        hive.make("Profile", fields, SYSTEM, organisation="", key=(name,))


def _administrator(hive: Hive) -> None:
    login, password = FIRST_ADMIN
    fields = {
        "login": login, "name": "Default admin user", "locked": False, "type": "Normal", "password": sign(password),
        "organisations": [{"organisation": ADMIN_ORGANISATION, "profile": "admin"}],
        "defaultOrganisation": ADMIN_ORGANISATION,
    }  # fmt: skip
    hive.make("User", fields, SYSTEM, organisation="", key=(login,))


def _statuses(hive: Hive) -> None:
    for kind, stages in (("CaseStatus", CASE_STAGES), ("AlertStatus", ALERT_STAGES)):
        for order, (value, stage) in enumerate(stages.items()):
            fields = {"value": value, "stage": stage, "order": order, "visibility": "Visible", "colour": "#888888"}
            hive.make(kind, fields, SYSTEM, organisation="", key=(value,))

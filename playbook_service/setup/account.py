"""The service's account in TheHive: its profile with the least permissions, the account itself, its key in a file."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from playbook_service import jsonread
from playbook_service.hive import reading
from playbook_service.hive.rights import least_profile
from playbook_service.jsonread import Document
from playbook_service.setup.document import Account
from playbook_service.setup.look import CHANGE, MAKE, Change, Look, Step
from playbook_service.setup.thehive import Doors
from propolis.errors import ConfigurationError
from propolis.http import segment

PREDEFINED = ("admin", "org-admin", "analyst", "read-only")
_SERVES = "analyst"
"""The predefined profile that serves as well, though it allows more than is needed (docs/permissions.md)."""
DANGEROUS = ("manageUser", "manageConfig", "managePlatform", "manageShare")
"""What the account must not hold, because nothing here needs it."""


def look(doors: Doors, wanted: Account) -> Look:
    """Compare profile and account with the wish. Raises HttpError."""
    found = Look()
    _profile(doors, wanted.profile, found)
    _account(doors, wanted, found)
    return found


def _profile(doors: Doors, name: str, found: Look) -> None:
    what = f"profile {name}"
    least = least_profile(doors.major)
    path = f"/api/v1/profile/{segment(name)}"
    answer = doors.admin.get(path, accept=(200, 404))
    if answer.status == 404:
        body = {"name": name, "permissions": list(least)}
        make = partial(doors.admin.post, "/api/v1/profile", json=body)
        found.changes.append(Change(MAKE, what, f" ({len(least)} permissions, the least)", make))
        return
    held = jsonread.texts(reading.document(answer).get("permissions"))
    lacking = [one for one in least if not holds(held, one)]
    if lacking and name in PREDEFINED:
        line = f"It lacks {', '.join(lacking)}: name another profile, or one that is to be made."
        found.steps.append(Step(f"The {what} allows too little", (line,)))
    elif lacking:
        change = partial(doors.admin.patch, path, json={"permissions": [*held, *lacking]})
        found.changes.append(Change(CHANGE, what, f": + {', '.join(lacking)}", change))
    else:
        found.right.append(what)
    surplus = [one for one in held if one.startswith(DANGEROUS) and name != _SERVES]
    if surplus:
        line = f"It holds {', '.join(surplus)}, which nothing here needs: take that away, or use a profile of its own."
        found.steps.append(Step(f"The {what} allows too much", (line,)))


def holds(held: tuple[str, ...], wanted: str) -> bool:
    """Whether a permission is held: version 4's `manageCase` is all of version 5's `manageCase/update` and others."""
    return wanted in held or wanted.partition("/")[0] in held or any(one.startswith(f"{wanted}/") for one in held)


def _account(doors: Doors, wanted: Account, found: Look) -> None:
    what = f"account {wanted.login}"
    answer = doors.owner.get(f"/api/v1/user/{segment(wanted.login)}", accept=(200, 404))
    if answer.status == 404:
        found.changes.append(Change(MAKE, what, f" (profile {wanted.profile})", partial(_make, doors, wanted)))
        _key(doors, wanted, False, found)
        return
    user = reading.document(answer)
    wrong = _wrong(doors, wanted, user)
    if wrong:
        found.steps.append(Step(f"The {what}", wrong))
    else:
        found.right.append(what)
    _key(doors, wanted, user.get("hasKey") is True, found)


def _wrong(doors: Doors, wanted: Account, user: Document) -> tuple[str, ...]:
    wrong = []
    profile = reading.me(user).profile
    if profile != wanted.profile:
        wrong.append(f"It has the profile {profile} in {doors.organisation}: give it {wanted.profile}.")
    if user.get("locked") is True:
        wrong.append("It is locked: unlock it.")
    if doors.major == 5 and jsonread.text(user, "type") not in ("Service", ""):
        wrong.append("It is a person's: make one of the type Service for the service alone, and name that here.")
    return tuple(wrong)


def _make(doors: Doors, wanted: Account) -> None:
    body = {
        "login": wanted.login, "name": "Propolis", "organisation": doors.organisation, "profile": wanted.profile,
        **({"type": "Service"} if doors.major == 5 else {}),
    }  # fmt: skip
    doors.owner.post("/api/v1/user", json=body)


def _key(doors: Doors, wanted: Account, has_key: bool, found: Look) -> None:
    """A key is renewed only where there is none: another one would lock the running service out."""
    what = f"API key of {wanted.login}"
    file = wanted.key_file
    if file is not None and not has_key:
        found.changes.append(
            Change(MAKE, what, f" (written to {file})", partial(_write_key, doors, wanted.login, file))
        )
    elif file is not None and not _filled(file):
        lines = (
            f"It has a key, but {file} is not there or empty: put the key into it,",
            "or delete the key in TheHive, and run this again.",
        )
        found.steps.append(Step(f"The {what}", lines))
    elif has_key:
        found.right.append(what)
    else:
        line = f"Users > {wanted.login} > API key > Create; put it into the file that PROPOLIS_THEHIVE_KEY_FILE names."
        found.steps.append(Step(f"The {what}", (line,)))


def _filled(file: Path) -> bool:
    """Whether there is something in it: a run that was cut off may have left it empty."""
    try:
        return file.stat().st_size > 0
    except OSError:
        return False


def _write_key(doors: Doors, login: str, file: Path) -> None:
    """The file is made first: a key that cannot be kept is not made."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"The file for the key, {file}, cannot be written: {error.strerror}.") from None
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(doors.owner.post(f"/api/v1/user/{segment(login)}/key/renew").text.strip() + "\n")

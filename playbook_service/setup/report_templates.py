"""Report templates of our workers in TheHive: how an analyzer's report is shown to people.

Routes: TheHive 4.1's Cortex connector. `_import` makes or changes a template for each folder of the archive
(`AnalyzerTemplateSrv.importZipFile`); `short.html` has had no meaning since version 4, so only `long.html` is sent.
TheHive 5 serves these paths too, but documents only the page, and who may use it:
https://docs.strangebee.com/thehive/administration/analyzer-templates/about-analyzer-templates/
"""

from __future__ import annotations

import io
import shlex
import zipfile
from functools import partial
from pathlib import Path

from playbook_service.hive import reading
from playbook_service.hive.multipart import Part, encode
from playbook_service.setup.look import CHANGE, MAKE, Change, Look, Step
from playbook_service.setup.thehive import Doors
from propolis.errors import ConfigurationError, PropolisError
from propolis.http import segment

PAGE = "long.html"
_ROOT = "/api/connector/cortex/analyzer/template"
_PERMISSION = {4: "manageAnalyzerTemplate", 5: "managePlatform"}
_NO_ANSWER = (400, 401, 403, 405)
"""What may come from a TheHive that does not show its templates by API."""


class NotTaken(PropolisError):
    """TheHive did not keep a template."""


def look(doors: Doors, folder: Path | None) -> Look:
    """Compare what TheHive shows with what the folder holds; None: they are left alone. Raises HttpError."""
    found = Look(f"Report templates in TheHive at {doors.admin.address.host}", last=True)
    if folder is None:
        return found
    templates = read(folder)
    if not templates:
        line = f"There are none at {folder}: name the repository's thehive-templates as thehive.report_templates."
        found.steps.append(Step("TheHive's report templates", (line,), known=False))
        return found
    me = reading.me(reading.document(doors.admin.get("/api/v1/user/current")))
    lacking, unseen = [], []
    for name, page in templates.items():
        answer = doors.admin.get(f"{_ROOT}/content/{segment(name)}", accept=(200, 404, *_NO_ANSWER))
        if answer.status == 200 and answer.text.strip() == page.strip():
            found.right.append(f"report template {name}")
        elif answer.status in _NO_ANSWER:
            unseen.append(name)
        elif _PERMISSION[doors.major] not in me.permissions:
            lacking.append(name)
        else:
            found.changes.append(_change(doors, name, page, present=answer.status == 200))
    for names, known in ((lacking, True), (unseen, False)):
        if names:
            found.steps.append(_step(doors.major, folder, names, known))
    return found


def read(folder: Path) -> dict[str, str]:
    """Definition id, such as `WazuhAlert_1_0` -> its page. Raises ConfigurationError for one that cannot be read."""
    try:
        return {page.parent.name: page.read_text(encoding="utf-8") for page in sorted(folder.glob(f"*/{PAGE}"))}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The report templates in {folder} cannot be read: {error}.") from None


def _change(doors: Doors, name: str, page: str, *, present: bool) -> Change:
    apply = partial(_import, doors, name, page)
    what = f"report template {name}"
    return Change(CHANGE, what, ": another page than this one", apply) if present else Change(MAKE, what, "", apply)


def _import(doors: Doors, name: str, page: str) -> None:
    body, kind = encode({}, [Part("templates", f"{name}.zip", _archive(name, page))])
    answer = doors.admin.post(f"{_ROOT}/_import", data=body, headers={"Content-Type": kind}, retry=True)
    if reading.document(answer).get(name) is not True:
        raise NotTaken(f"TheHive read the archive and did not keep {name}: its log says why.")


def _archive(name: str, page: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/{PAGE}", page)
    return file.getvalue()


def _step(major: int, folder: Path, names: list[str], known: bool) -> Step:
    menu = "Administration" if major == 4 else "Entities management"
    why = "which admin_key lacks" if known else "TheHive does not show them by API"
    pages = " ".join(shlex.quote(f"{name}/{PAGE}") for name in names)
    lines = (
        f"cd {shlex.quote(str(folder))}",
        f"zip /tmp/propolis-templates.zip {pages}",
        f"{menu} > Analyzer templates > Import: /tmp/propolis-templates.zip",
        f"  (organisation admin, permission {_PERMISSION[major]}; {why})",
    )
    return Step("TheHive's report templates", lines, known)

"""Report templates of analyzers: an archive of them, and one to read (section 6 of the contract)."""

from __future__ import annotations

import io
import zipfile

from playbook_service.lab.exchange import Reply, Request, bad_request, not_found
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.route import Route

_KIND = "AnalyzerTemplate"


def _import(hive: Hive, who: Account, request: Request) -> Reply:
    """Each folder of the archive is a template, made or changed."""
    found: dict[str, bool] = {}
    for part in request.files("templates"):
        try:
            archive = zipfile.ZipFile(io.BytesIO(part.body))
        except zipfile.BadZipFile:
            raise bad_request("That is no ZIP archive") from None
        with archive:
            for name in archive.namelist():
                folder, _, page = name.partition("/")
                if page == "long.html":
                    _save(hive, who, folder, archive.read(name).decode("utf-8", "replace"))
                    found[folder] = True
    return Reply(200, found)


def _save(hive: Hive, who: Account, analyzer: str, content: str) -> None:
    present = hive.store.by_key(_KIND, (analyzer,))
    if present is None:
        hive.make(_KIND, {"analyzerId": analyzer, "content": content}, who, organisation="", key=(analyzer,))
    else:
        hive.change(present, {"content": content}, who)


def _content(hive: Hive, who: Account, request: Request) -> Reply:
    analyzer = request.slot("id")
    present = hive.store.by_key(_KIND, (analyzer,))
    if present is None:
        raise not_found(f"AnalyzerTemplate {analyzer} not found")
    return Reply(200, str(present["content"]), kind="text/html; charset=utf-8")


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module, under one path in version 4 and two in version 5, which names the right otherwise."""
    right = "manageAnalyzerTemplate" if version == 4 else "managePlatform"
    bases = ["/api/connector/cortex"] + (["/api/v1/connector/cortex"] if version == 5 else [])
    table: list[Route[Handler]] = []
    for base in bases:
        table += [
            Route("POST", f"{base}/analyzer/template/_import", _import, right),
            Route("GET", f"{base}/analyzer/template/content/{{id}}", _content),
        ]
    return table

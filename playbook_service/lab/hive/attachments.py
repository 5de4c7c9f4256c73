"""Files: kept once by their hash, shown as attachments of observables, logs, cases and alerts."""

from __future__ import annotations

import hashlib
import io
import zipfile

from playbook_service.lab.exchange import NOTHING, Reply, Request, bad_request, not_found
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.multipart import Part
from playbook_service.lab.route import Route


def keep(hive: Hive, part: Part, who: Account, parent: Entity | None) -> Entity:
    """Keep a file."""
    digests = [
        hashlib.sha256(part.body).hexdigest(),
        hashlib.sha1(part.body, usedforsecurity=False).hexdigest(),
        hashlib.md5(part.body, usedforsecurity=False).hexdigest(),
    ]
    hive.blobs[digests[0]] = part.body
    fields = {
        "name": part.filename or "file", "hashes": digests, "size": len(part.body), "contentType": part.content_type,
        "digest": digests[0], "path": "", "external": False,
    }  # fmt: skip
    return hive.make("Attachment", fields, who, parent=parent)


def body(hive: Hive, attachment: Entity) -> Part:
    """A kept file."""
    content = hive.blobs[attachment["digest"]]
    return Part("attachment", content, attachment["name"], attachment["contentType"])


def _add(kind: str) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        parent = hive.get(kind, request.slots.get("id", who.organisation), who)
        files = request.files("attachments", "attachment")
        if not files:
            raise bad_request("No file was sent")
        made = [keep(hive, part, who, parent) for part in files]
        for one in made:
            hive.created(one, who)
        if kind in ("Case", "Alert"):
            hive.touch(parent, who)
        return Reply(201, {"attachments": [hive.view1.draw(one) for one in made]})

    return handle


def _found(hive: Hive, who: Account, request: Request) -> Entity:
    wanted = request.slot("attachment")
    name = request.slots.get("id")
    parent = hive.store.by_key("Organisation", (who.organisation,)) if name is None else hive.store.find(name)
    for one in hive.store.all("Attachment"):
        inside = parent is not None and (one.parent == parent.id or parent.get("attachment") == one.id)
        if wanted in (one.id, one["digest"]) and inside and hive.visible(one, who):
            return one
    raise not_found("Attachment not found")


def _download(hive: Hive, who: Account, request: Request) -> Reply:
    part = body(hive, _found(hive, who, request))
    if (request.option("asZip") or "").lower() == "true":
        return Reply(200, _zipped(part), kind="application/zip")
    name = {"Content-Disposition": f'attachment; filename="{part.filename}"'}
    return Reply(200, part.body, name, kind="application/octet-stream")


def _zipped(part: Part) -> bytes:
    """The file in a ZIP archive; TheHive encrypts it with the password `malware`, which Python's own library cannot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(part.filename or "file", part.body)
    return buffer.getvalue()


def _drop(hive: Hive, who: Account, request: Request) -> Reply:
    hive.store.remove(_found(hive, who, request).id)
    return NOTHING


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    table: list[Route[Handler]] = [
        Route("GET", "/api/v1/observable/{id}/attachment/{attachment}/download", _download),
        Route("GET", "/api/v1/log/{id}/attachment/{attachment}/download", _download),
        Route("POST", "/api/v1/log/{id}/attachments", _add("Log"), "manageTask"),
        Route("DELETE", "/api/v1/log/{id}/attachments/{attachment}", _drop, "manageTask"),
    ]
    if version == 4:
        return table
    table += [
        Route("POST", "/api/v1/attachment", _add("Organisation"), "manageConfig"),
        Route("GET", "/api/v1/attachment/{attachment}/download", _download),
        Route("DELETE", "/api/v1/attachment/{attachment}", _drop, "manageConfig"),
    ]
    for kind in ("Case", "Alert"):
        base, right = f"/api/v1/{kind.lower()}/{{id}}", f"manage{kind}/update"
        table += [
            Route("POST", f"{base}/attachments", _add(kind), right),
            Route("GET", f"{base}/attachment/{{attachment}}/download", _download),
            Route("DELETE", f"{base}/attachment/{{attachment}}", _drop, right),
        ]
    return table

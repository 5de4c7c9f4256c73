"""Hold a request against OpenAPI documents: path, method, query and body, as a generated client would check them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from account_disable.fake_keycloak import Request


class Contract:
    """Several documents taken as one."""

    def __init__(self, *files: Path):
        self._paths: dict[str, dict[str, Any]] = {}
        for file in files:
            self._paths.update(yaml.safe_load(file.read_text("utf-8"))["paths"])

    def faults(self, request: Request) -> list[str]:
        """What is wrong with a request; empty where nothing is."""
        found = [item for template, item in self._paths.items() if _matches(template, request.path)]
        if not found:
            return [f"{request.method} {request.path}: no such path"]
        operation = found[0].get(request.method.lower())
        if operation is None:
            return [f"{request.method} {request.path}: no such operation"]
        parameters = [*found[0].get("parameters", []), *operation.get("parameters", [])]
        return [f"{request.method} {request.path}: {fault}" for fault in _parts(request, operation, parameters)]


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None


def _parts(request: Request, operation: dict[str, Any], parameters: list[dict[str, Any]]) -> Iterator[str]:
    known = {entry["name"]: entry["schema"] for entry in parameters if entry["in"] == "query"}
    for name, text in request.query.items():
        if name not in known:
            yield f"query {name} is not known"
        elif not _reads_as(text, known[name]["type"]):
            yield f"query {name} is no {known[name]['type']}: {text}"
    wanted = operation.get("requestBody")
    if wanted is None:
        if request.body is not None:
            yield "takes no body"
        return
    content = wanted["content"].get(request.kind)
    if content is None:
        yield f"takes no body of type {request.kind or '(none)'}"
        return
    for error in Draft202012Validator(content["schema"]).iter_errors(request.body):
        yield f"body: {error.json_path} {error.message}"


def _reads_as(text: str, kind: str) -> bool:
    return {"boolean": text in ("true", "false"), "integer": text.isdecimal()}.get(kind, True)

"""Hold requests against OpenAPI 3 documents: path, method, query, headers and body, as a generated client would.

The documents are the vendors' own where there are any; they stand beside the repository and are only read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml
from failing_front import Asked
from jsonschema import Draft202012Validator

_SIMPLE = {
    "boolean": re.compile(r"true|false"),
    "integer": re.compile(r"-?\d+"),
    "number": re.compile(r"-?\d+(\.\d+)?"),
}
Document = dict[str, Any]


class Request(NamedTuple):
    """One request as a contract sees it."""

    method: str
    path: str
    """Decoded, without the query."""
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    kind: str
    """Its Content-Type, without parameters; empty where there is no body."""


def read(asked: Asked, prefix: str = "") -> Request:
    """A request that a `Front` received; `prefix` is the part of its path that belongs to no document."""
    parts = urlsplit(asked.target)
    kind = asked.headers.get("content-type", "").partition(";")[0].strip()
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    body = _body(asked.body, kind) if asked.body else None
    return Request(asked.method, unquote(parts.path).removeprefix(prefix), query, asked.headers, body, kind)


def _body(body: bytes, kind: str) -> Any:
    if kind.endswith("json"):
        return json.loads(body)
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    return body.decode()


class Contract:
    """Several documents taken as one."""

    def __init__(self, *files: Path):
        self._documents: list[Document] = [yaml.safe_load(file.read_text("utf-8")) for file in files]

    def faults(self, request: Request) -> list[str]:
        """What is wrong with a request; empty where nothing is."""
        where = f"{request.method} {request.path}"
        found = [
            (document, item)
            for document in self._documents
            for template, item in sorted(document["paths"].items(), key=lambda pair: pair[0].count("{"))
            if _matches(template, request.path)
        ]
        if not found:
            return [f"{where}: no such path"]
        for document, item in found:
            operation = item.get(request.method.lower())
            if operation is not None:
                check = _Check(document, request)
                parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
                return [f"{where}: {fault}" for fault in check.faults(operation, parameters)]
        return [f"{where}: no such operation"]


class _Check:
    def __init__(self, document: Document, request: Request):
        self._document = document
        self._request = request

    def faults(self, operation: Document, parameters: list[Document]) -> Iterator[str]:
        known = [self._resolved(parameter) for parameter in parameters]
        yield from self._query([one for one in known if one["in"] == "query"])
        for header in (one for one in known if one["in"] == "header" and one.get("required")):
            if header["name"].lower() not in self._request.headers:
                yield f"header {header['name']} is missing"
        yield from self._content(self._resolved(operation.get("requestBody")))

    def _query(self, known: list[Document]) -> Iterator[str]:
        by_name = {one["name"]: one for one in known}
        sent = {name.removesuffix("[]") if name not in by_name else name for name, _ in self._request.query}
        for name in [one["name"] for one in known if one.get("required") and one["name"] not in sent]:
            yield f"query {name} is missing"
        for name, text in self._request.query:
            parameter = by_name.get(name)
            if parameter is None:
                yield f"query {name} is not known"
            else:
                yield from self._text(name, text, self._resolved(parameter.get("schema")) or {})

    def _text(self, name: str, text: str, schema: Document) -> Iterator[str]:
        if schema.get("type") == "array":
            schema = self._resolved(schema.get("items")) or {}
            for part in text.split(","):
                yield from self._text(name, part, schema)
            return
        pattern = _SIMPLE.get(schema.get("type", ""))
        if pattern is not None and not pattern.fullmatch(text):
            yield f"query {name} is no {schema['type']}: {text}"
        if "enum" in schema and text not in schema["enum"]:
            yield f"query {name} is none of {schema['enum']}: {text}"
        if "pattern" in schema and not re.search(schema["pattern"], text):
            yield f"query {name} does not match {schema['pattern']}: {text}"

    def _content(self, wanted: Document | None) -> Iterator[str]:
        request = self._request
        if wanted is None:
            if request.body is not None:
                yield "takes no body"
            return
        if request.body is None:
            if wanted.get("required"):
                yield "needs a body"
            return
        content = wanted["content"].get(request.kind)
        if content is None:
            yield f"takes no body of type {request.kind or '(none)'}"
            return
        schema = {**_strict(content.get("schema", {})), "components": _strict(self._document.get("components", {}))}
        for error in Draft202012Validator(schema).iter_errors(request.body):
            yield f"body: {error.json_path} {error.message}"

    def _resolved(self, part: Any) -> Any:
        while isinstance(part, dict) and "$ref" in part:
            node: Any = self._document
            for step in part["$ref"].removeprefix("#/").split("/"):
                node = node[step.replace("~1", "/").replace("~0", "~")]
            part = node
        return part


def _strict(schema: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(one) for name, one in schema.items() if isinstance(name, str)}
    if made.pop("nullable", None) is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    return made


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None

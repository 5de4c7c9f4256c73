#!/usr/bin/env python3
"""Write the catalogs that Cortex reads over http: analyzers.json and responders.json, every worker as a Docker image.

    python3 deploy/catalog.py --registry registry.example.org/propolis --out catalog
    python3 deploy/catalog.py --registry registry.example.org/propolis --images

In Cortex: `analyzer.urls = ["https://example.org/catalog/analyzers.json"]`. Cortex drops an entry of such a catalog
that has a `command` (WorkerSrv.readUrl), so these have `dockerImage` instead; all else is the definition as it ships.
Standard library only. Exit codes: 0 done, 2 wrong use or a faulty definition.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("analyzers", "responders")
REQUIRED = ("name", "version", "description", "author", "url", "license")
"""What Cortex asks of every definition (WorkerDefinition.reads)."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9]+([.:/_-]+[a-z0-9]+)*")


class Refused(Exception):
    """What is wrong, where, and what to do, in one sentence."""


class Image(NamedTuple):
    """The image of one worker; the flavours of a responder share it."""

    worker: str
    """The folder, as `--build-arg WORKER=` wants it: `responders/FirewallBlock`."""
    reference: str
    """As `docker build -t` wants it: `registry.example.org/propolis/responder-firewallblock:0.1.0`."""


def version() -> str:
    """The bundle's version, which is the tag of its images: a worker changes with the core it stands on."""
    text = (ROOT / "propolis" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise Refused("propolis/__init__.py names no __version__; give --tag.")
    return found.group(1)


def images(registry: str, tag: str) -> list[Image]:
    """The image of every worker. An analyzer and a responder may share a name, so the room is part of it."""
    prefix = registry.rstrip("/")
    if not _NAME.fullmatch(prefix):
        raise Refused(f"--registry {registry!r} is no image name: write it as registry.example.org/propolis.")
    folders = sorted({path.parent for room in ROOMS for path in (ROOT / room).glob("*/*.json")})
    return [
        Image(
            f"{folder.parent.name}/{folder.name}",
            f"{prefix}/{folder.parent.name.removesuffix('s')}-{folder.name.lower()}:{tag}",
        )
        for folder in folders
    ]


def catalog(room: str, known: list[Image], digests: dict[str, str]) -> list[dict[str, Any]]:
    """The definitions of a room as Cortex is to read them. Raises Refused for one that Cortex would not take."""
    entries = []
    for image in known:
        if not image.worker.startswith(f"{room}/"):
            continue
        for path, definition in _definitions(ROOT / image.worker):
            missing = [key for key in REQUIRED if not isinstance(definition.get(key), str)]
            if missing:
                raise Refused(f"{path.relative_to(ROOT)}: {', '.join(missing)} must be given, as text.")
            kept = {key: value for key, value in definition.items() if key != "command"}
            entries.append({**kept, "dockerImage": _pinned(image.reference, digests)})
    return entries


def _definitions(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise Refused(f"{path.relative_to(ROOT)}: no JSON: {error}.") from None


def _pinned(reference: str, digests: dict[str, str]) -> str:
    """The image by digest where it is known: then a job runs what was published and nothing else under its name."""
    digest = digests.get(reference)
    return reference if digest is None else f"{reference.rsplit(':', 1)[0]}@{digest}"


def read_digests(path: Path | None, known: list[Image]) -> dict[str, str]:
    """`{"<reference>": "sha256:..."}`, for every image or none. Raises Refused otherwise."""
    if path is None:
        return {}
    try:
        digests = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"--digests {path} cannot be read: {error}.") from None
    if not isinstance(digests, dict):
        raise Refused(f'--digests {path} must be a map such as {{"{known[0].reference}": "sha256:..."}}.')
    for image in known:
        if not _DIGEST.fullmatch(str(digests.get(image.reference))):
            raise Refused(f"--digests {path}: no digest (sha256: and 64 hex digits) for {image.reference}.")
    return digests


def main(arguments: list[str]) -> int:
    """Write the two files, or print the images."""
    parser = argparse.ArgumentParser(description="Write Cortex catalogs of the workers as Docker images.")
    parser.add_argument("--registry", required=True, metavar="NAME", help="where the images are, without a tag")
    parser.add_argument("--tag", help="the images' tag (default: the bundle's version)")
    parser.add_argument(
        "--digests", type=Path, metavar="FILE", help="JSON: image -> sha256:..., to name them by digest"
    )
    parser.add_argument("--out", type=Path, default=Path("catalog"), metavar="FOLDER", help="default: catalog")
    parser.add_argument("--images", action="store_true", help="print worker and image, a line each, and write nothing")
    chosen = parser.parse_args(arguments)
    try:
        known = images(chosen.registry, chosen.tag or version())
        if chosen.images:
            print(*(f"{image.worker} {image.reference}" for image in known), sep="\n")
            return 0
        digests = read_digests(chosen.digests, known)
        written = {room: catalog(room, known, digests) for room in ROOMS}
        chosen.out.mkdir(parents=True, exist_ok=True)
        for room, entries in written.items():
            text = json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
            (chosen.out / f"{room}.json").write_text(text, encoding="utf-8")
            print(f"{chosen.out / room}.json: {len(entries)} definitions")
    except (Refused, OSError) as refused:
        print(f"catalog.py: {refused}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`propolis audit`: check the chain of the audit lines, write them out, print the head to keep elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from playbook_service.audit.chain import Anchor, Finding, disagreeing, verify
from playbook_service.audit.journal import AuditFiles, read_lines
from playbook_service.cli import DONE, FINDINGS
from playbook_service.commands.opened import add_config, opened, print_json
from playbook_service.engine.anchor import find_anchors, noted, read_anchor
from playbook_service.export.target import whole_file
from propolis.errors import ConfigurationError, InputError

_MOST_SHOWN = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """verify (also without a word), export, head."""
    add_config(parser)
    parser.add_argument("action", nargs="?", choices=("verify", "export", "head"), default="verify")
    parser.add_argument(
        "--anchor", metavar="N:HASH", action="append", default=[],
        help="verify: a head that was kept elsewhere; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--anchors", metavar="FILE", type=Path, action="append", default=[],
        help="verify: a log file (of syslog) with heads in its lines; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--files", metavar="DIR", type=Path, help="verify: the files there (audit-*.jsonl) instead of the store"
    )
    parser.add_argument("--after", metavar="N", type=int, default=0, help="export: only lines above this number")
    parser.add_argument("--out", metavar="FILE", type=Path, help="export: where to (default: standard output)")


def run(arguments: argparse.Namespace) -> int:
    """0: done, nothing is wrong. 1: the chain is not what it was. Raises PropolisError (2) for what cannot be read."""
    return {"verify": _verify, "export": _export, "head": _head}[arguments.action](arguments)


def _verify(arguments: argparse.Namespace) -> int:
    anchors = [*map(read_anchor, arguments.anchor), *_from_logs(arguments.anchors)]
    if arguments.files is not None:
        counter = _Counter(read_lines(_paths(arguments.files)))
        findings = verify(counter, anchors)
    else:
        with opened(arguments.config) as found:
            with found.store.reading() as work:
                anchors += noted(work)
            counter = _Counter(found.journal.lines())
            findings = verify(counter, anchors)
    findings += disagreeing(anchors)
    _report(arguments, counter, findings, len(set(anchors)))
    return FINDINGS if findings else DONE


class _Counter:
    """Lines on their way, counted, with the last one's head."""

    def __init__(self, lines: Iterable[Any]):
        self._lines = lines
        self.count = 0
        self.head = ""

    def __iter__(self) -> Iterator[Any]:
        for line in self._lines:
            self.count += 1
            if isinstance(line, dict):
                self.head = f"{line.get('n')}:{line.get('hash')}"
            yield line


def _report(arguments: argparse.Namespace, counter: _Counter, findings: list[Finding], anchors: int) -> None:
    if arguments.format == "json":
        document = {"lines": counter.count, "head": counter.head or None, "anchors": anchors, "sound": not findings}
        print_json({**document, "findings": [finding._asdict() for finding in findings]})
        return
    for finding in findings[:_MOST_SHOWN]:
        print(f"line {finding.number} {finding.problem}")
    if len(findings) > _MOST_SHOWN:
        print(f"... and {len(findings) - _MOST_SHOWN:,} more")
    against = f"{anchors} anchors" if anchors != 1 else "1 anchor"
    word = "NOT sound" if findings else "sound"
    print(f"{counter.count:,} lines checked against {against}: the chain is {word}. Head: {counter.head or 'none'}")
    if not findings and not arguments.anchor and not arguments.anchors:
        print("Without an anchor that was kept elsewhere nobody can see whether its end was cut off.")


def _paths(folder: Path) -> list[Path]:
    paths = AuditFiles(folder).paths()
    if not paths:
        raise ConfigurationError("There are no audit-*.jsonl files in it.", source=str(folder))
    return paths


def _from_logs(files: Iterable[Path]) -> list[Anchor]:
    found: list[Anchor] = []
    for file in files:
        try:
            with file.open(encoding="utf-8", errors="replace") as handle:
                anchors = find_anchors(handle)
        except OSError as error:
            raise InputError(f"cannot be read: {error}.", source=str(file)) from None
        if not anchors:
            raise InputError("No line of it holds an audit head (<number>:<hash>).", source=str(file))
        found += anchors
    return found


def _export(arguments: argparse.Namespace) -> int:
    with opened(arguments.config) as found, whole_file(arguments.out) as handle:
        count = 0
        for line in found.journal.lines(after=max(0, arguments.after)):
            handle.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    if arguments.out is not None:
        print(f"{count:,} lines written to {arguments.out}", file=sys.stderr)
    return DONE


def _head(arguments: argparse.Namespace) -> int:
    with opened(arguments.config) as found:
        head = found.journal.head()
    if arguments.format == "json":
        print_json({"head": f"{head.number}:{head.hash}" if head else None, "number": head.number if head else 0})
    else:
        print(f"{head.number}:{head.hash}" if head else "The chain is empty.")
    return DONE

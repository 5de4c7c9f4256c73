"""Read a Cortex job's input and write its output, so that whatever happens there is one valid JSON report.

Layout of a job folder (Cortex 4.1, `JobRunnerSrv`): `input/input.json`, `output/output.json`, attachments in `input/`.
If the output is missing or empty Cortex fails the job with everything the process printed.
"""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

from propolis.errors import InputError

MAX_INPUT = 64 * 1024 * 1024  # bytes; a Wazuh alert is at most 64 KiB, a batch of reports a few megabytes


def job_folder(arguments: list[str]) -> str | None:
    """The folder Cortex named (argument, else `/job` in a container), or None: then stdin and stdout are the job."""
    folder = arguments[1] if len(arguments) > 1 else "/job"
    return folder if os.path.isfile(os.path.join(folder, "input", "input.json")) else None


def read_input(folder: str | None) -> dict[str, Any]:
    """The job's input object. Raises InputError with one sentence for anything that is not one."""
    try:
        document = json.loads(_read_text(folder), parse_constant=str)
    except RecursionError:
        raise InputError("The job's input is nested too deeply to be read.") from None
    except ValueError as error:
        raise InputError(f"The job's input is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise InputError(f"The job's input must be a JSON object, not {_kind(document)}.")
    if not isinstance(document.get("config", {}), dict):
        raise InputError(f"The job's config must be a JSON object, not {_kind(document['config'])}.")
    return document


def _read_text(folder: str | None) -> str:
    if folder is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("No job: give a job folder as the argument, or the job's JSON on standard input.")
        raw = sys.stdin.buffer.read(MAX_INPUT + 1)
    else:
        with open(os.path.join(folder, "input", "input.json"), "rb") as handle:
            raw = handle.read(MAX_INPUT + 1)
    if len(raw) > MAX_INPUT:
        raise InputError(f"The job's input is larger than {MAX_INPUT // 1024 // 1024} MB and was not read.")
    return raw.decode("utf-8", "replace")


def write_output(folder: str | None, report: dict[str, Any]) -> None:
    """Write the report in one step: a reader sees the whole of it or none."""
    text = _strict_json(report)
    if folder is None:
        sys.stdout.buffer.write(text + b"\n")
        sys.stdout.flush()
        return
    target = os.path.join(folder, "output", "output.json")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".part", "wb") as handle:
        handle.write(text)
    os.replace(target + ".part", target)


def _strict_json(report: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(report, ensure_ascii=False, allow_nan=False)
    except ValueError:  # NaN or Infinity somewhere: no JSON reader but Python's takes them
        text = json.dumps(_finite(report), ensure_ascii=False)
    return text.encode("utf-8", "replace")  # half of a surrogate pair becomes "?": Cortex could not store it


def _finite(node: Any) -> Any:
    if isinstance(node, float) and not math.isfinite(node):
        return str(node)
    if isinstance(node, dict):
        return {name: _finite(value) for name, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_finite(value) for value in node]
    return node


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "a boolean", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), "something else")

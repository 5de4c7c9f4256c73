"""Wazuh: alerts as the service received them, and on the manager itself the script that sends them.

What integratord wants of a script (owner, mode, name, `<integration>`, its log): Wazuh 4.x `src/os_integrator`, and
the permissions of `integrations/` as Wazuh's packages set them (root:wazuh, 750).
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from playbook_service.doctor.finding import Finding, ago, fail, later, ok, unknown, warn
from playbook_service.doctor.inbox import NEWEST, Arrivals
from propolis.clock import Clock

SCRIPT = "custom-propolis"
_FILTERS = ("level", "group", "rule_id", "event_location")
_MANY_WAITING = 100
_QUIET = 24 * 3600.0
_TAIL = 256 * 1024
_BLOCK = re.compile(r"<integration>(.*?)</integration>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_REFUSED = re.compile(
    rf"(?:Unable to run integration for {SCRIPT}|Invalid integration: '?{SCRIPT}|{SCRIPT}.*(?:ERROR|denied)).*"
)


def received(found: Arrivals | str, clock: Clock) -> Finding:
    """When an alert last came by `/hooks/wazuh` (or another SIEM's); a text says why that cannot be seen."""
    name = "alerts received"
    if isinstance(found, str):
        return unknown(name, found)
    newest = max((at for at in (found.wazuh, found.siem) if at is not None), default=None)
    fix = "on the manager: propolis doctor --wazuh /var/ossec; then a failed log-in on an agent, to try"
    if newest is None and found.looked_at >= NEWEST:
        return warn(name, f"none among the newest {NEWEST} events, which are all TheHive's", fix)
    if newest is None:
        return later(name, "none yet; doctor --wazuh on the manager looks at the script that sends them")
    age = clock.now() - newest
    if age > _QUIET:
        return warn(name, f"the last one {ago(age)} ago", fix)
    return ok(name, f"the last one {ago(age)} ago")


def manager(root: Path) -> Iterator[Finding]:
    """The manager's folder (`/var/ossec`)."""
    if not (root / "integrations").is_dir():
        fix = "give the folder of a Wazuh manager, such as /var/ossec, as a user that may read it"
        yield unknown("script", f"{root} holds no integrations that can be read from here", fix)
        return
    yield _script(root / "integrations" / SCRIPT)
    options = _options(root / "etc" / "propolis.json")
    yield _configured(root / "etc" / "ossec.conf", options)
    yield _key(options)
    yield _spool(Path(str(options.get("spool") or root / "queue" / "propolis")))
    yield _integrator(root / "logs")


def _script(path: Path) -> Finding:
    install = f"install {SCRIPT} and {SCRIPT}.py into {path.parent}, owner root:wazuh, mode 750 (docs/wazuh.md)"
    try:
        mode = path.stat().st_mode
        begin = path.read_bytes()[:2]
    except FileNotFoundError:
        return fail("script", f"{path} is not there", install)
    except OSError as error:
        return unknown("script", f"{path} cannot be read: {error.strerror}", "run this as root")
    shown = stat.filemode(mode)
    wrong = (
        (not mode & stat.S_IXGRP, f"{path} cannot be executed by Wazuh ({shown})", f"chmod 750 {path}"),
        (mode & stat.S_IWOTH, f"{path} can be written by anybody ({shown})", f"chmod 750 {path}"),
        (begin != b"#!", f"{path} does not begin with #!", install),
        (not path.with_name(f"{SCRIPT}.py").is_file(), f"{SCRIPT}.py is not beside it", install),
    )
    return _first("script", wrong) or ok("script", f"{path}, {shown}")


def _first(name: str, wrong: Iterable[tuple[object, str, str]]) -> Finding | None:
    """The first fault that holds, of (whether it holds, what it is, how to mend it)."""
    return next((fail(name, text, fix) for holds, text, fix in wrong if holds), None)


def _options(path: Path) -> Mapping[str, Any]:
    """The script's own settings; none where there is no such file, which is allowed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _configured(path: Path, options: Mapping[str, Any]) -> Finding:
    name = "ossec.conf"
    try:
        text = _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        return unknown(name, f"{path} cannot be read: {error.strerror}", "run this as root")
    blocks = [one for one in _BLOCK.findall(text) if _value(one, "name") == SCRIPT]
    blanks = any(re.search(r"\s", _value(one, tag)) for one in blocks for tag in ("hook_url", "api_key"))
    wrong = _first(
        name,
        (
            (
                not blocks,
                f"no <integration> is called {SCRIPT}: Wazuh never starts it",
                "add the <integration> of deploy/wazuh/integration/ossec.conf.example, and restart the manager",
            ),
            (
                not options.get("hook_url") and not all(_value(one, "hook_url") for one in blocks),
                f"neither <integration> {SCRIPT} nor etc/propolis.json says where the service is",
                "give hook_url in etc/propolis.json (docs/wazuh.md)",
            ),
            (
                blanks,
                f"hook_url or api_key of {SCRIPT} holds a blank",
                "take it out: integratord hands everything after it over in the wrong place",
            ),
            (
                any(_value(one, "alert_format") != "json" for one in blocks),
                f"<integration> {SCRIPT} lacks <alert_format>json</alert_format>",
                "add it, and restart the manager",
            ),
        ),
    )
    if wrong is not None:
        return wrong
    where = _value(blocks[0], "hook_url") or options.get("hook_url")
    told = "; ".join(_filters(one) for one in blocks)
    if any(_value(one, "api_key") for one in blocks):
        fix = "put it into a file that etc/propolis.json names as api_key_file: a key here shows in the process list"
        return warn(name, f"{SCRIPT} -> {where}, {told}; the key stands in ossec.conf", fix)
    return ok(name, f"{SCRIPT} -> {where}, {told}")


def _filters(block: str) -> str:
    """What a block lets through."""
    return ", ".join(f"{tag} {_value(block, tag)}" for tag in _FILTERS if _value(block, tag)) or "every alert"


def _key(options: Mapping[str, Any]) -> Finding:
    """The file with the token; its content is not told."""
    file = options.get("api_key_file")
    if not file:
        return unknown("key", "etc/propolis.json names no api_key_file, or cannot be read from here", "docs/wazuh.md")
    path = Path(str(file))
    fix = f"put the service's webhook token into it: chown root:wazuh {path}; chmod 640 {path}"
    try:
        status = path.stat()
    except OSError as error:
        return fail("key", f"{path}: {error.strerror}", fix)
    if not status.st_size:
        return fail("key", f"{path} is empty", fix)
    if status.st_mode & stat.S_IROTH:
        return warn("key", f"{path} can be read by anybody ({stat.filemode(status.st_mode)})", fix)
    return ok("key", f"{path}, {stat.filemode(status.st_mode)}")


def _spool(folder: Path) -> Finding:
    """Alerts that wait on the manager because the service did not take them yet."""
    try:
        waiting = sum(1 for one in folder.iterdir() if one.suffix == ".json" and one.name[0] != ".")
        refused = sum(1 for _ in (folder / "refused").iterdir()) if (folder / "refused").is_dir() else 0
    except FileNotFoundError:
        return later("spool", f"{folder} is not there: no alert has gone through the script yet")
    except OSError as error:
        return unknown("spool", f"{folder} cannot be read: {error.strerror}", "run this as root")
    if waiting > _MANY_WAITING:
        fix = "see logs/integrations.log: is the service reachable from here, and the token right?"
        return fail("spool", f"{waiting} alerts wait in {folder}", fix)
    if refused:
        return warn("spool", f"{refused} alerts that the service refused lie in {folder / 'refused'}", "read the log")
    return ok("spool", f"{waiting} alerts wait in {folder}")


def _value(block: str, tag: str) -> str:
    found = re.search(rf"<{tag}>(.*?)</{tag}>", block, re.DOTALL)
    return found.group(1).strip() if found else ""


def _integrator(logs: Path) -> Finding:
    """The newest complaint about the script in the manager's log."""
    name, path = "integrator", logs / "ossec.log"
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - _TAIL))
            text = handle.read().decode("utf-8", "replace")
    except OSError as error:
        return unknown(name, f"{path} cannot be read: {error.strerror}", "run this as root")
    complaints = [found.group(0) for found in _REFUSED.finditer(text)]
    if complaints:
        said = complaints[-1][:160]
        return warn(
            name, f"{len(complaints)} complaints in {path}, the last: {said}", "mend it; each was an alert lost"
        )
    if SCRIPT not in text:
        return later(name, f"{path} does not speak of {SCRIPT} yet: was the manager restarted?")
    return ok(name, f"no complaint about {SCRIPT} in {path}")

"""What is kept: room on the disk, what waits, what was set aside, the audit chain, leases past their end, a backup."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from playbook_service.audit.chain import Finding as Breach
from playbook_service.audit.journal import Journal
from playbook_service.backup.check import check
from playbook_service.doctor.finding import Finding, ago, fail, later, listed, ok, unknown, warn
from playbook_service.engine import lease
from playbook_service.settings import Settings
from playbook_service.store.contract import Store
from propolis.clock import Clock
from propolis.errors import PropolisError

_GIB = 1 << 30
_LITTLE, _TOO_LITTLE = 2 * _GIB, _GIB // 4
_OLD_EVENT, _OLD_LEASE = 300.0, 120.0
_FRESH, _STALE = 26 * 3600.0, 7 * 86_400.0
_MANY_UNDOS = 3
"""Failed undos after which a lease counts as past its end: its next try is always due later."""
_MOST_READ = 256 << 20
"""Bytes of a backup that are unpacked for a look."""
_QUEUES = ("inbox", "step")


def look(settings: Settings, store: Store | None, clock: Clock, backups: Path | None = None) -> Iterator[Finding]:
    """Everything about what is kept. `store` is None where there is none, `backups` where the data folder has them."""
    folder = Path(settings["data_dir"])
    yield _disk(folder)
    if store is None:
        yield unknown(
            "store", f"there is none at {folder}", "start the service once, or set data_dir as it is set there"
        )
        return
    yield from _guarded(("backlog", "set aside", "chain", "leases"), lambda: _kept(store, clock, settings))
    yield backup(backups or folder / "backups", clock)


def _guarded(names: tuple[str, ...], looking: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from looking()
    except PropolisError as error:
        yield fail(names[0], error.message, "see docs/failures.md")


def _kept(store: Store, clock: Clock, settings: Settings) -> Iterator[Finding]:
    yield _backlog(store, clock, settings)
    yield _set_aside(store)
    yield _chain(Journal(store, clock).verify())
    yield _leases(store, clock)


def _disk(folder: Path) -> Finding:
    place = next((one for one in (folder.resolve(), *folder.resolve().parents) if one.is_dir()), Path("/"))
    return room(shutil.disk_usage(place).free, place)


def room(free: int, place: Path) -> Finding:
    """Whether so many free bytes are enough."""
    told = f"{free / _GIB:.1f} GiB free at {place}"
    fix = "make room: the service refuses events (503) when it cannot write"
    if free < _TOO_LITTLE:
        return fail("disk", told, fix)
    return warn("disk", told, fix) if free < _LITTLE else ok("disk", told)


def _backlog(store: Store, clock: Clock, settings: Settings) -> Finding:
    with store.reading() as work:
        found = work.backlog("inbox")
    count = found.waiting + found.claimed
    age = clock.now() - found.oldest_put_at if found.oldest_put_at is not None else 0.0
    told = f"{count} events wait{f', the oldest for {ago(age)}' if count else ''}"
    if count >= settings["backlog_limit"]:
        return fail("backlog", f"{told}: new ones are refused", "see why the service does not work them off (its log)")
    if age > _OLD_EVENT:
        return warn("backlog", told, "see whether the service runs and TheHive answers; its log says what it waits for")
    return ok("backlog", told)


def _set_aside(store: Store) -> Finding:
    with store.reading() as work:
        dead = [item for queue in _QUEUES for item in work.buried(queue)]
    if dead:
        text = f"{len(dead)} for a person: {listed((f'{one.key[:60]} ({one.error[:80]})' for one in dead), 2)}"
        return warn("set aside", text, "do by hand what is left of it (docs/failures.md)")
    return ok("set aside", "nothing")


def _chain(breaches: list[Breach]) -> Finding:
    if breaches:
        return fail("chain", f"the audit chain is broken in {len(breaches)} places", "propolis audit verify")
    return ok("chain", "whole, from the first line to the last")


def _leases(store: Store, clock: Clock) -> Finding:
    with store.reading() as work:
        force = lease.in_force(work)
    late = [one for one in force if one.due is not None and one.due < clock.now() - _OLD_LEASE]
    late += [one for one in force if one not in late and one.body.get("undos", 0) >= _MANY_UNDOS]
    doubtful = [one for one in force if one.state == lease.DOUBTFUL]
    if late:
        text = f"{len(late)} past their end and not undone: {listed(one.key for one in late)}"
        return fail("leases", text, "propolis leases list; is the service running, and its undo responder enabled?")
    if doubtful:
        text = f"{len(doubtful)} of {len(force)} in doubt: {listed(one.key for one in doubtful)}"
        return warn("leases", text, "look at the product, then propolis leases show")
    return ok("leases", f"{len(force)} in force, none past its end")


def backup(folder: Path, clock: Clock) -> Finding:
    """The newest backup: is it fresh, and can it be restored? It is unpacked and read for that, if it is not large."""
    files = [one for one in folder.glob("propolis-*.tar.gz") if one.is_file()] if folder.is_dir() else []
    if not files:
        return later("backup", f"none in {folder}; propolis backup --to {folder} makes one")
    newest = max(files, key=lambda one: one.stat().st_mtime)
    age = clock.now() - newest.stat().st_mtime
    told, fix = f"{newest.name}, {ago(age)} old", f"propolis backup --to {folder} every night (docs/operate.md)"
    verify = f"propolis backup --verify {newest}"
    faults = _unsound(newest)
    if faults:
        return fail("backup", f"{told}, cannot be restored: {faults[0]}", f"make another now; {verify} tells all")
    if age > _FRESH:
        return fail("backup", told, fix) if age > _STALE else warn("backup", told, fix)
    read = "read back and sound" if faults is not None else f"too large to be read here: {verify}"
    return ok("backup", f"{told}, {read}")


def _unsound(file: Path) -> list[str] | None:
    """Why a backup cannot be restored, nothing where it can; None where it was not read."""
    if file.stat().st_size > _MOST_READ:
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="propolis-doctor-") as place:
            return check(file, Path(place)).faults
    except (PropolisError, OSError) as error:
        return [str(error)]

"""Put a backup where a service is to go on from it: into an empty data folder, all or nothing."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.audit.journal import Journal
from playbook_service.backup.check import Checked, check
from playbook_service.backup.manifest import DATABASE
from playbook_service.engine import launch
from playbook_service.settings import Settings
from playbook_service.store.contract import Filter, StoreError, Transaction
from playbook_service.store.moved import refuse_moved
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import Clock
from propolis.errors import ConfigurationError

_STAGE = ".restoring"
_CONFIG = "config-of-the-backup"
_KNOCK_SECONDS = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Restored(NamedTuple):
    """What was restored."""

    checked: Checked
    in_doubt: int
    """Starts of responders that the backup had not asked for yet: TheHive is looked at before anything is started."""
    config: Path | None
    """Where the operator's files of the backup were put, if it has any."""


def restore(file: Path, settings: Settings, clock: Clock, operator: str) -> Restored:
    """Restore a backup into the data folder of these settings, which must be empty.

    Raises PropolisError, and leaves the folder as it is, where the folder is in use or its store was moved to another
    place, a service answers, or the backup is damaged or newer.
    """
    data = Path(settings["data_dir"])
    refuse_running(settings["listen"])
    stage = data / _STAGE
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_moved(data)  # it goes on elsewhere: a second service on the past would end its containments
        _refuse_filled(data)
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700)
        try:
            return _fill(file, data, stage, clock, operator)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    except OSError as error:
        raise ConfigurationError(f"The backup could not be restored: {error}.", source=str(data)) from None


def _fill(file: Path, data: Path, stage: Path, clock: Clock, operator: str) -> Restored:
    checked = check(file, stage)
    if checked.faults:
        raise StoreError(f"{file} cannot be restored: {'; '.join(checked.faults)}.")
    in_doubt = _prepare(stage / DATABASE, checked, clock, operator)
    # The store first: from then on the folder is a service's, and the audit files are made again from the store.
    (stage / DATABASE).rename(data / DATABASE)
    for name, wanted in (("audit", "audit"), ("config", _CONFIG)):
        if (stage / name).is_dir():
            (stage / name).rename(data / wanted)
    _sync(data)
    return Restored(checked, in_doubt, data / _CONFIG if (data / _CONFIG).is_dir() else None)


def refuse_running(address: tuple[str, int]) -> None:
    """Raise ConfigurationError where somebody listens on the service's address: two services would act twice."""
    host, port = address
    if not port:
        return
    try:
        socket.create_connection((_EVERYWHERE.get(host, host), port), timeout=_KNOCK_SECONDS).close()
    except OSError:
        return
    raise ConfigurationError(
        f"Something answers on {host}:{port}: stop the service, so that never two of them act on the same cases.",
        path="listen",
    )


def _refuse_filled(data: Path) -> None:
    there = sorted(path.name for path in data.iterdir() if path.name != _STAGE)
    if there:
        shown = ", ".join(there[:5]) + (", ..." if len(there) > 5 else "")
        raise ConfigurationError(
            f"The data folder {data} is not empty ({shown}): move what is there away, or set another data_dir.",
            path="data_dir",
        )


# what the time since the backup means for the store -----------------------------------------------------------------


def _prepare(path: Path, checked: Checked, clock: Clock, operator: str) -> int:
    _free_claims(path)
    store = SqliteStore(path, clock)
    journal = Journal(store, clock)
    try:
        with store.transaction() as work:
            in_doubt = _doubt(work, clock.now())
            journal.write(
                work, "restored", operator=operator, backup=checked.manifest.made_at, head=checked.manifest.audit_head,
                version=checked.manifest.version, in_doubt=in_doubt,
            )  # fmt: skip
        store.compact()
    finally:
        store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma journal_mode = delete")  # one file again, that a rename moves whole
    return in_doubt


def _free_claims(path: Path) -> None:
    """Whoever held a step is not there any more: nobody has to wait for its claim to run out."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update work set state = 'waiting', owner = '' where state = 'claimed'")


def _doubt(work: Transaction, now: float) -> int:
    """Whatever was only intended then may have been started since, by the service that the backup is of.

    So it is as after a crash between asking and noting: TheHive is looked at for a while before it is asked.
    """
    count, after = 0, None
    while found := work.find(launch.KIND, Filter(state=launch.INTENDED, after_key=after)):
        for record in found:
            body: dict[str, Any] = {**record.body, "known": [], "asked_at": now}
            work.save(record.kind, record.key, body, version=record.version, state=launch.ASKING, ref=record.ref)
            count, after = count + 1, record.key
    return count


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

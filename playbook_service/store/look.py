"""A look at the store: a transaction that refuses to write, in one sentence for every store."""

from __future__ import annotations

from typing import Any, NoReturn

from playbook_service.store.contract import StoreError, Transaction


class Look(Transaction):
    """Put before a store's transaction, it takes the writing away: `class SqliteLook(Look, SqliteTransaction)`."""

    def put(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("work be put")

    def claim(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("work be claimed")

    def done(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("work be acknowledged")

    def later(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("work be given back")

    def bury(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("work be set aside")

    def revive(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("work be revived")

    def save(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("records be saved")

    def enter(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("records be entered")

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("records be deleted")

    def append(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("logs be written")

    def purge_done(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("work be forgotten")

    def purge_records(self, *_: Any, **__: Any) -> NoReturn:
        _refuse("records be forgotten")


def _refuse(what: str) -> NoReturn:
    raise StoreError(f"In a look at the store nothing is written: in a transaction may {what}.")

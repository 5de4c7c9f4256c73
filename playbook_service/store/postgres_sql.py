"""What is said to PostgreSQL, and how values go there and come back.

`must(holds, what)` is a function of ours in the database that ends the transaction where something does not hold, so
that checks, writes and the commit travel together and nobody's turn is spent waiting for the network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from playbook_service.store.contract import Body, Entry, Filter, Fresh, Item, Record
from propolis.errors import InputError

_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_MOST_KEY = 2000  # bytes; an index of PostgreSQL takes no more than 2,704 in a row


class Statement(NamedTuple):
    """Fixed words, and the values that are bound to them."""

    sql: str
    values: tuple[Any, ...]


# --- work ----------------------------------------------------------------------------------------------------------

ITEM = "w.id, w.queue, w.key, w.body, w.attempts, w.due, w.put_at, w.owner, w.error, w.failures"
CLAIM = f"""
    with waiting as (
        select id, due from work where queue = %(queue)s and state = 'waiting' and due <= %(now)s
        order by due, id limit %(limit)s for update skip locked
    ), lapsed as (
        select id, due from work where queue = %(queue)s and state = 'claimed' and lease_until <= %(now)s
        order by lease_until limit %(limit)s for update skip locked
    ), ready as (
        select id from (select * from waiting union all select * from lapsed) as both_kinds
        order by due, id limit %(limit)s
    )
    update work as w set state = 'claimed', owner = %(owner)s, lease_until = %(until)s, attempts = w.attempts + 1
    from ready where w.id = ready.id returning {ITEM}
"""  # noqa: S608 - fixed words only
PUT = "insert into work (queue, key, body, due, put_at) values (%s, %s, %s, %s, %s) on conflict do nothing"
PUT_NEW = f"with put as ({PUT} returning 1) select must(exists (select from put), %s)"  # noqa: S608
WAITING = f"select {ITEM} from work as w where queue = %s and state = 'waiting' order by due, id limit %s"  # noqa: S608
RECENT = f"select {ITEM} from work as w where queue = %s order by id desc limit %s"  # noqa: S608
WAKE = (
    "update work set failures = case when state = 'dead' then 0 else failures end, state = 'waiting', due = %s, "
    "ended_at = null where queue = %s and key = %s and state in ('waiting', 'dead')"
)
DONE = "state = 'done', ended_at = %s"
LATER = "state = 'waiting', owner = '', due = %s, error = %s, failures = 0"
FAILED = "state = 'waiting', owner = '', due = %s, error = %s, failures = failures + 1"
DEAD = "state = 'dead', owner = '', ended_at = %s, error = %s"


def ending(item: Item, change: str, *values: Any) -> Statement:
    """Acknowledge an item, which must still be its owner's."""
    sql = (
        f"with ended as (update work set {change} "  # noqa: S608 - fixed words only
        "where id = %s and state = 'claimed' and owner = %s and attempts = %s returning 1) "
        "select must(exists (select from ended), %s, 'PR002')"
    )
    lost = f"The claim on {item.queue} {item.key} is no longer held by {item.owner}."
    return Statement(sql, (*values, item.id, item.owner, item.attempts, to_text(lost)))


# --- records -------------------------------------------------------------------------------------------------------

RECORD = "kind, key, body, version, state, ref, due, updated_at"
_COLUMNS = f"insert into record ({RECORD}) values (%s, %s, %s, 1, %s, %s, %s, %s) on conflict (kind, key) do"  # noqa: S608
SAVE_ANY = (
    f"{_COLUMNS} update set body = excluded.body, state = excluded.state, ref = excluded.ref, due = excluded.due, "
    "updated_at = excluded.updated_at, version = record.version + 1 returning version"
)


def saving(record: Record, text: str) -> Statement:
    """Write a record over the version before its own, which must be the stored one."""
    key, state, ref = to_key(record.key), to_text(record.state), to_text(record.ref)
    said = f"{record.kind} {record.key} was saved by somebody else: it is no longer at version {record.version - 1}."
    if record.version == 1:
        write = f"{_COLUMNS} nothing returning 1"
        values: tuple[Any, ...] = (record.kind, key, text, state, ref, record.due, record.updated_at)
    else:
        write = (
            "update record set body = %s, state = %s, ref = %s, due = %s, updated_at = %s, version = version + 1 "
            "where kind = %s and key = %s and version = %s returning 1"
        )
        values = (text, state, ref, record.due, record.updated_at, record.kind, key, record.version - 1)
    sql = f"with saved as ({write}) select must(exists (select from saved), %s)"  # noqa: S608 - fixed words only
    return Statement(sql, (*values, to_text(said)))


_ENTER = (
    f"insert into record ({RECORD}) select %s, key, body, 1, state, ref, null, %s "  # noqa: S608 - fixed words only
    "from json_to_recordset(%s::json) as fresh (key text, body text, state text, ref text) on conflict do nothing"
)


def entering(kind: str, records: Sequence[Fresh], now: float) -> Statement:
    """Write those that are not there yet."""
    rows = [
        {"key": to_key(key), "body": dump(body), "state": to_text(state), "ref": to_text(ref)}
        for key, body, state, ref in records
    ]
    return Statement(_ENTER, (kind, now, json.dumps(rows)))


def finding(kind: str, wanted: Filter) -> Statement:
    """Which records, from `from` on; nothing of what is listed."""
    clause, values = _where(kind, wanted)
    if wanted.after_key is not None:
        clause, values = f"{clause} and key > %s", (*values, to_text(wanted.after_key))
    if wanted.after_due is not None:  # `due >=` too: from there the index is read
        due, key = wanted.after_due
        clause, values = f"{clause} and due >= %s and (due, key) > (%s, %s)", (*values, due, due, to_text(key))
    order = "key" if wanted.due_before is None and wanted.after_due is None else "due, key"
    return Statement(f"from record where {clause} order by {order} limit %s", (*values, wanted.limit))


def counting(kind: str, wanted: Filter) -> Statement:
    """How many records."""
    clause, values = _where(kind, wanted)
    return Statement(f"select count(*) from record where {clause}", values)  # noqa: S608 - fixed words only


def _where(kind: str, wanted: Filter) -> tuple[str, tuple[Any, ...]]:
    clauses, values = ["kind = %s"], [kind]
    pairs: tuple[tuple[str, Any], ...] = (
        ("state = %s", wanted.state),
        ("ref = %s", wanted.ref),
        ("due <= %s", wanted.due_before),
    )
    for clause, value in pairs:
        if value is not None:
            clauses.append(clause)
            values.append(to_text(value) if isinstance(value, str) else value)
    return " and ".join(clauses), tuple(values)


# What was read must still be so. Said as a question to the database, answered when the turn has come.

CHANGED = "What this was decided upon was changed by somebody else at the same moment."


def still_version(kind: str, key: str, version: int) -> Statement:
    """A record is at this version; 0: there is none."""
    sql = "select must(coalesce((select version from record where kind = %s and key = %s), 0) = %s, %s)"
    return Statement(sql, (kind, key, version, CHANGED))


def still_found(query: Statement, found: list[Record]) -> Statement:
    """A search finds these records at these versions."""
    now = f"(select coalesce(array_agg(version || ' ' || key), '{{}}') from (select version, key {query.sql}) as now)"  # noqa: S608
    sql = f"select must({now} = %s::text[], %s)"
    return Statement(sql, (*query.values, [f"{one.version} {to_key(one.key)}" for one in found], CHANGED))


def still_count(query: Statement, number: int) -> Statement:
    """There are so many."""
    return Statement(f"select must(({query.sql}) = %s, %s)", (*query.values, number, CHANGED))


# --- values --------------------------------------------------------------------------------------------------------


def to_key(key: str) -> str:
    """A key as it is stored. Raises InputError for one that no index takes."""
    text = to_text(key)
    if len(text) > _MOST_KEY // 4 and len(text.encode()) > _MOST_KEY:
        raise InputError(f"A key may be {_MOST_KEY:,} bytes long, this one begins {key[:60]!r} and has {len(key):,}.")
    return text


def to_text(text: str) -> str:
    """PostgreSQL's texts cannot hold NUL. It is written as two others here, in such a way that the order stays."""
    return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01") if "\x00" in text or "\x01" in text else text


def _untext(text: str) -> str:
    """As it was; `\\x01` stands only before `\\x01` or `\\x02`, from left to right."""
    if "\x01" not in text:
        return text
    parts = iter(text)
    return "".join(("\x00" if next(parts) == "\x01" else "\x01") if part == "\x01" else part for part in parts)


def dump(body: Body) -> str:
    """ASCII: what no text of PostgreSQL can hold is an escape in it."""
    return _JSON.encode(body)


def item_of(row: tuple[Any, ...]) -> Item:
    """An item from the columns of `ITEM`."""
    item = Item(row[0], row[1], _untext(row[2]), json.loads(row[3]), *row[4:])
    return item._replace(error=_untext(item.error))


def record_of(row: tuple[Any, ...]) -> Record:
    """A record from the columns of `RECORD`."""
    kind, key, body, version, state, ref, due, updated_at = row
    return Record(kind, _untext(key), json.loads(body), version, _untext(state), _untext(ref), due, updated_at)


def entry_of(row: tuple[Any, ...]) -> Entry:
    """A line from log, number, body, at."""
    return Entry(row[0], row[1], json.loads(row[2]), row[3])

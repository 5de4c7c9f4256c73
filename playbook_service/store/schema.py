"""The tables of the SQLite store, as a list of migrations: entry n brings a database from version n to n + 1.

A migration that has been released is never changed; a new one is added.
"""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        create table work (
            id integer primary key,
            queue text not null,
            key text not null,
            body text not null,
            state text not null default 'waiting',
            due real not null,
            put_at real not null,
            attempts integer not null default 0,
            failures integer not null default 0,
            owner text not null default '',
            lease_until real,
            ended_at real,
            error text not null default '',
            unique (queue, key)
        )
        """,
        # put_at comes along so that a backlog of any size is counted from the index alone, not from the bodies
        "create index work_waiting on work (queue, due, id, put_at) where state = 'waiting'",
        "create index work_claimed on work (queue, lease_until, put_at) where state = 'claimed'",
        "create index work_ended on work (queue, state, ended_at) where ended_at is not null",
        """
        create table record (
            kind text not null,
            key text not null,
            body text not null,
            version integer not null,
            state text not null default '',
            ref text not null default '',
            due real,
            updated_at real not null,
            primary key (kind, key)
        ) without rowid
        """,
        "create index record_state on record (kind, state, key)",
        "create index record_ref on record (kind, ref, key)",
        "create index record_due on record (kind, state, due) where due is not null",
        """
        create table log (
            log text not null,
            number integer not null,
            body text not null,
            at real not null,
            primary key (log, number)
        ) without rowid
        """,
    ),
)
"""Each inner tuple is one migration, a statement each."""

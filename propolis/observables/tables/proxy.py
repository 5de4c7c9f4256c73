"""Proxies: Squid, and the front end of Exchange."""

from __future__ import annotations

from propolis.observables import kinds
from propolis.observables.table import Source, rows
from propolis.observables.texts import exchange, syslog

SQUID = Source(
    "squid",
    rows(
        "",
        (kinds.ip, "source", "data.srcip"),
        (kinds.ip, "destination", "data.dstip"),
        (kinds.uri, "request", "data.url"),
        (kinds.user, "subject", "data.srcuser", "data.dstuser"),
        (syslog.squid, "subject", "full_log"),
    ),
)
EXCHANGE = Source("exchange", rows("", (exchange.proxy_line, "source", "full_log")))

"""Sysmon through the event channel, by event id (schema 4.90), and the older text form."""

from __future__ import annotations

from propolis.observables import kinds
from propolis.observables.table import Row, Source, rows
from propolis.observables.texts import command, windows

E = "data.win.eventdata"
_WHO = rows(E, (kinds.user, "subject", "user", "sourceUser"), (kinds.user, "target", "targetUser"))
_IMAGE = rows(E, (kinds.program, "process", "image"))
_TARGET = rows(E, (kinds.file, "file", "targetFilename"))
_HASHES = rows(E, (kinds.digests, "file", "hashes", "hash"))


def _event(number: int, *table: tuple[Row, ...]) -> Source:
    return Source(f"sysmon {number}", tuple(row for part in table for row in part))


EVENTS = {
    "1": _event(
        1,
        rows(
            E,
            (kinds.program, "process", "image", "parentImage"),
            (kinds.digests, "process", "hashes"),
            (kinds.user, "subject", "user", "parentUser"),
            (command.windows_command, "command", "commandLine", "parentCommandLine"),
        ),
    ),
    "2": _event(2, _WHO, _IMAGE, _TARGET),
    "3": _event(
        3,
        _WHO,
        _IMAGE,
        rows(E, (kinds.ip, "destination", "destinationIp"), (kinds.host, "destination", "destinationHostname")),
    ),
    # An inbound connection: the remote party is the source, and the destination is the host itself.
    "3 inbound": _event(
        3, _WHO, _IMAGE, rows(E, (kinds.ip, "source", "sourceIp"), (kinds.host, "source", "sourceHostname"))
    ),
    "6": _event(6, _HASHES, rows(E, (kinds.file, "file", "imageLoaded"))),
    "7": _event(7, _WHO, _IMAGE, _HASHES, rows(E, (kinds.file, "file", "imageLoaded"))),
    "8": _event(8, _WHO, rows(E, (kinds.program, "process", "sourceImage"), (kinds.program, "target", "targetImage"))),
    "9": _event(9, _WHO, _IMAGE),
    "10": _event(
        10, _WHO, rows(E, (kinds.program, "process", "sourceImage"), (kinds.program, "target", "targetImage"))
    ),
    "11": _event(11, _WHO, _IMAGE, _TARGET),
    "12": _event(12, _WHO, _IMAGE, rows(E, (kinds.key, "registry", "targetObject"))),
    "13": _event(
        13,
        _WHO,
        _IMAGE,
        rows(E, (kinds.key, "registry", "targetObject"), (windows.registry_details, "command", "details")),
    ),
    "14": _event(14, _WHO, _IMAGE, rows(E, (kinds.key, "registry", "targetObject", "newName"))),
    "15": _event(15, _WHO, _IMAGE, _TARGET, _HASHES, rows(E, (windows.stream_contents, "referrer", "contents"))),
    "17": _event(17, _WHO, _IMAGE),
    "18": _event(18, _WHO, _IMAGE),
    "19": _event(19, _WHO, rows(E, (command.windows_command, "command", "query"))),
    "20": _event(20, _WHO, rows(E, (command.windows_command, "command", "destination"))),
    "21": _event(21, _WHO),
    "22": _event(
        22,
        _WHO,
        _IMAGE,
        rows(E, (kinds.name, "query", "queryName"), (windows.query_results, "result", "queryResults")),
    ),
    "23": _event(23, _WHO, _IMAGE, _TARGET, _HASHES),
    "24": _event(24, _WHO, _IMAGE, rows(E, (kinds.digests, "file", "hashes"))),
    "25": _event(25, _WHO, _IMAGE),
    "26": _event(26, _WHO, _IMAGE, _TARGET, _HASHES),
    "27": _event(27, _WHO, _IMAGE, _TARGET, _HASHES),
    "28": _event(28, _WHO, _IMAGE, _TARGET, _HASHES),
    "29": _event(29, _WHO, _IMAGE, _TARGET, _HASHES),
}
OTHER = _event(0, _WHO, _IMAGE, _TARGET, _HASHES)

# Sysmon for Linux and the old agent's text form: a decoder of its own, fields below `sysmon`.
LEGACY = Source(
    "sysmon text",
    rows(
        "data",
        (kinds.user, "subject", "srcuser", "sysmon.user"),
        (kinds.program, "process", "sysmon.image", "sysmon.parentImage"),
        (kinds.digest, "process", "sysmon.hash"),
        (kinds.digests, "process", "sysmon.hashes"),
        (kinds.file, "file", "sysmon.targetfilename"),
        (kinds.key, "registry", "sysmon.targetObject"),
        (command.command_line, "command", "sysmon.commandLine", "sysmon.parentCommandLine"),
        (kinds.ip, "source", "srcip"),
        (kinds.ip, "destination", "dstip"),
    ),
)

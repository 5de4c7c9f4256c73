"""Security identifiers of Windows, and which of them mean administrative power.

The form is MS-DTYP 2.4.2.2; the well-known ones are those of MS-DTYP 2.4.2.4 and of the protected groups that
AdminSDHolder guards.
"""

from __future__ import annotations

import struct

from propolis.containment.backend import BackendError

PRIVILEGED_RIDS = {
    498: "Enterprise Read-only Domain Controllers",
    500: "the built-in Administrator",
    502: "krbtgt",
    512: "Domain Admins",
    516: "Domain Controllers",
    517: "Cert Publishers",
    518: "Schema Admins",
    519: "Enterprise Admins",
    520: "Group Policy Creator Owners",
    521: "Read-only Domain Controllers",
    526: "Key Admins",
    527: "Enterprise Key Admins",
}
"""The last part of a SID that belongs to a domain (`S-1-5-21-...-512`) -> what it is."""

PRIVILEGED_BUILTIN = {
    544: "Administrators",
    548: "Account Operators",
    549: "Server Operators",
    550: "Print Operators",
    551: "Backup Operators",
    552: "Replicator",
}
"""The last part of `S-1-5-32-...` -> what it is."""


def sid_text(raw: bytes) -> str:
    """`S-1-5-21-1-2-3-1104` for the bytes of an objectSid. Raises BackendError for bytes that are none."""
    if len(raw) < 8 or raw[0] != 1 or len(raw) != 8 + 4 * raw[1]:
        raise BackendError("The directory answered with an objectSid that is none; nothing was done.")
    parts = struct.unpack(f"<{raw[1]}I", raw[8:])
    return "-".join(["S", "1", str(int.from_bytes(raw[2:8], "big")), *map(str, parts)])


def sid_bytes(text: str) -> bytes:
    """The opposite of `sid_text`."""
    _, _, authority, *parts = text.split("-")
    return struct.pack(f"<BB6s{len(parts)}I", 1, len(parts), int(authority).to_bytes(6, "big"), *map(int, parts))


def sibling(sid: str, rid: int) -> str:
    """Another SID of the same domain: `sibling(user_sid, 513)` is its Domain Users."""
    return f"{sid.rpartition('-')[0]}-{rid}"


def privilege(sid: str) -> str:
    """What administrative thing the SID is, or the empty string."""
    head, _, last = sid.rpartition("-")
    rid = int(last) if last.isdecimal() else -1
    if head == "S-1-5-32":
        return PRIVILEGED_BUILTIN.get(rid, "")
    return PRIVILEGED_RIDS.get(rid, "") if head.startswith("S-1-5-21-") else ""

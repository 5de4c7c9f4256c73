"""What a directory's refusals mean, each as one sentence that says what to put right.

Result codes are those of RFC 4511; the `data` behind code 49 is the Windows error, in hexadecimal, that Active
Directory and Samba add to a refused bind.
"""

from __future__ import annotations

import re
from typing import Any

_BIND_DATA = {
    "525": "that user does not exist",
    "52e": "user or password is wrong",
    "530": "that user may not log on at this hour",
    "531": "that user may not log on from this machine",
    "532": "that user's password has expired",
    "533": "that user is disabled",
    "701": "that user has expired",
    "773": "that user must change the password first",
    "775": "that user is locked out",
}

_OPENING: tuple[tuple[tuple[str, ...], str], ...] = (
    (("certificate has expired",), "shows a TLS certificate that has expired: renew it on the domain controller"),
    (
        ("certificate_verify_failed", "certificate verify failed"),
        "shows a TLS certificate that is not trusted: give the CA that signed it as ad_ca_file",
    ),
    (
        ("certificateerror", "certificate error", "match"),
        "shows a TLS certificate for another name: write that name as ad_server, or give it as ad_valid_name where "
        "ad_server must be an address",
    ),
    (("timed out", "timeout"), "did not answer in time: check the address, the port and the firewall between"),
    (("refused",), "refused the connection: check that the domain controller runs and offers LDAPS on that port"),
    (
        ("invalid server address", "name or service", "resolution", "getaddrinfo"),
        "cannot be resolved: check the name in ad_server, and the DNS",
    ),
    (("ssl", "reset"), "does not speak TLS as expected: check ad_port (636 is LDAPS) and its certificate"),
)

_UNFIT = "the mark attribute does not take text, or not so much beside what stands there; see ad_mark_attribute"
_CODES = {
    3: "the server's time limit was reached; narrow ad_base_dn",
    4: "more was found than the server gives",
    10: "that part of the directory is at another server; check ad_base_dn",
    17: "the schema has no such attribute; check ad_mark_attribute",
    19: _UNFIT,
    21: _UNFIT,
    32: "there is no such object; check ad_base_dn",
    34: "that is no distinguished name; check ad_base_dn",
    50: "the bind account lacks the right; delegate it as docs/backends-accounts.md shows",
    51: "the server is busy; try again",
    52: "the server is not available; try again",
    53: "the server is unwilling to do it",
    65: "it would break the schema; the account may be of a kind that is not disabled like this",
}


def open_fault(error: Exception, where: str) -> str:
    """Why there is no connection."""
    text = str(error).lower()
    for signs, meaning in _OPENING:
        if any(sign in text for sign in signs):
            return f"{where} {meaning}."
    return f"{where} cannot be reached: check ad_server, ad_port and the network between."


def bind_fault(result: dict[str, Any], user: str, where: str) -> str:
    """Why a bind was refused."""
    code = result.get("result")
    if code == 49:
        found = re.search(r"data ([0-9a-f]{3,8})", str(result.get("message") or ""))
        data = found.group(1) if found else ""
        why = _BIND_DATA.get(data, "the credentials were refused")
        tail = f" (49, data {data})" if data else " (49)"
        return f"{where} refused to bind {user}: {why}{tail}; check ad_bind_user and ad_bind_password."
    if code == 8:
        return f"{where} asks for stronger authentication (8): LDAPS must end at the domain controller itself."
    return f"{where} refused to bind {user} ({code}, {result.get('description')}); look into its log."


def modify_fault(result: dict[str, Any], dn: str) -> str:
    """Why a change was refused."""
    code = result["result"]
    if code in (16, 20):
        return f"{dn} was changed by somebody else meanwhile, or the schema lacks the mark attribute ({code})."
    return f"The change of {dn} was refused: {_meaning(result)} ({code})."


def search_fault(result: dict[str, Any], base: str, where: str) -> str:
    """Why a search was refused."""
    below = base or "its root"
    return f"{where} refused a search below {below}: {_meaning(result)} ({result['result']})."


def _meaning(result: dict[str, Any]) -> str:
    return _CODES.get(result["result"], str(result.get("description")))

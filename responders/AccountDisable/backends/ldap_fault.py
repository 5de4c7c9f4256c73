"""What an LDAP server's refusals mean, each as one sentence that says what to put right.

Result codes are those of RFC 4511 (appendix A.2). A locked, expired or wrong account is always 49 without a reason, as
slapd tells reasons only to whoever asks with the control of password policies.
"""

from __future__ import annotations

from typing import Any

_OPENING: tuple[tuple[tuple[str, ...], str], ...] = (
    (("starttls failed",), "offers no StartTLS, and nothing is sent without TLS: set it up at the server"),
    (("certificate has expired",), "shows a TLS certificate that has expired: renew it at the server"),
    (
        ("certificate_verify_failed", "certificate verify failed"),
        "shows a TLS certificate that is not trusted: give the CA that signed it as openldap_ca_file",
    ),
    (
        ("certificateerror", "certificate error", "match"),
        "shows a TLS certificate for another name: write that name as openldap_server, or give it as "
        "openldap_valid_name where openldap_server must be an address",
    ),
    (("timed out", "timeout"), "did not answer in time: check the address, the port and the firewall between"),
    (("refused",), "refused the connection: check that slapd runs and listens on that port"),
    (
        ("invalid server address", "name or service", "resolution", "getaddrinfo"),
        "cannot be resolved: check the name in openldap_server, and the DNS",
    ),
    (
        ("ssl", "reset", "tls", "eof"),
        "does not speak TLS as expected: port 636 is LDAPS (openldap_starttls false), port 389 is StartTLS "
        "(openldap_starttls true)",
    ),
)

_CODES = {
    3: "the server's time limit was reached; narrow openldap_base_dn, and index what is searched",
    4: "more was found than the server gives",
    10: "this server is a copy: give the one that takes changes as openldap_server",
    16: "the attribute is not there",
    17: "the server knows no such attribute: load the overlay ppolicy, and check openldap_mark_attribute",
    19: "the mark attribute takes no text, or no further value; see openldap_mark_attribute",
    20: "the value is there already",
    21: "the mark attribute takes no text; see openldap_mark_attribute",
    32: "there is no such object, or it may not be seen; check openldap_base_dn and the server's access rules",
    34: "that is no distinguished name; check openldap_base_dn",
    50: "the bind account lacks the right; give it the access rule of docs/backends-openldap.md",
    51: "the server is busy; try again",
    52: "the server is not available; try again",
    53: "the server is unwilling to do it; look into its log",
    65: "the schema of this entry does not allow the mark attribute; see openldap_mark_attribute",
}


def open_fault(error: Exception, where: str) -> str:
    """Why there is no connection with TLS."""
    text = str(error).lower()
    for signs, meaning in _OPENING:
        if any(sign in text for sign in signs):
            return f"{where} {meaning}."
    return f"{where} cannot be reached: check openldap_server, openldap_port and the network between."


def bind_fault(result: dict[str, Any], user: str, where: str) -> str:
    """Why a bind was refused."""
    code = result.get("result")
    if code == 49:
        return (
            f"{where} refused to bind {user} (49): the password is wrong, the entry does not exist, or it is locked; "
            "check openldap_bind_dn and openldap_bind_password."
        )
    if code in (8, 13):
        return f"{where} asks for more than TLS and a password ({code}): its rules must let {user} bind like this."
    return f"{where} refused to bind {user} ({code}, {result.get('description')}); look into its log."


def modify_fault(result: dict[str, Any], dn: str) -> str:
    """Why a change was refused."""
    return f"The change of {dn} was refused: {_meaning(result)} ({result['result']})."


def search_fault(result: dict[str, Any], base: str, where: str) -> str:
    """Why a search was refused."""
    return f"{where} refused a search below {base or 'its root'}: {_meaning(result)} ({result['result']})."


def _meaning(result: dict[str, Any]) -> str:
    return _CODES.get(result["result"], str(result.get("description")))

"""Say whether two spellings name the same observable."""

from __future__ import annotations

_NAMES = frozenset(("domain", "fqdn", "hostname", "mail", "hash", "mail_domain"))


def same(data_type: str, left: str, right: str) -> bool:
    """True when both texts are the same observable of that type, however they are written."""
    return left == right or canonical(data_type, left) == canonical(data_type, right)


def canonical(data_type: str, data: str) -> str:
    """One spelling for each observable; what is not understood is only trimmed."""
    text = data.strip()
    if data_type == "ip":
        return _address(text)
    if data_type == "url":
        return _url(text)
    if data_type in _NAMES:
        return text.lower().rstrip(".")
    return text


def _address(text: str) -> str:
    import ipaddress

    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return text.lower()
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _url(text: str) -> str:
    """Scheme and host in lower case, no default port, an empty path as `/`; the rest is as it is."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    scheme = scheme.lower()
    end = min((rest.find(sign) for sign in "/?#" if sign in rest), default=len(rest))
    host, path = rest[:end].lower().rstrip("."), rest[end:].partition("#")[0]
    host = host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ":"))
    return f"{scheme}://{host}{path or '/'}"

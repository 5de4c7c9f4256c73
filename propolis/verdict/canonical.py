"""Say whether two spellings name the same observable."""

from __future__ import annotations


def same(data_type: str, left: str, right: str) -> bool:
    """True when both texts are the same observable of that type, however they are written."""
    return left == right or canonical(data_type, left) == canonical(data_type, right)


def canonical(data_type: str, data: str) -> str:
    """One spelling for each observable; what is not understood is only trimmed."""
    if data_type == "url":
        return _url(data.strip())
    from propolis.observables.values import canonical as spelled  # equal spellings, the usual case, never get here

    return spelled(data_type, data)


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

"""What a browser sends: the fields of a form, the words of a query, and whether this site had it sent."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlsplit

from playbook_service.console.frame import ROOT
from playbook_service.web.message import Failure, Request

_MOST = 512 * 1024  # bytes of a form: an edited playbook fits
_FIELDS = 200
_OTHER = "This form was sent by another site."


def fields_of(request: Request) -> dict[str, str]:
    """A form's fields, the last of each name. Raises Failure."""
    kind = request.header("Content-Type").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the form as a browser does.")
    return _words(request.body(_MOST).decode("utf-8", "replace"))


def query_of(request: Request) -> dict[str, str]:
    """The words after the question mark, the last of each name. Raises Failure."""
    return _words(str(request.environ.get("QUERY_STRING") or ""))


def _words(text: str) -> dict[str, str]:
    try:
        found = parse_qs(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise Failure(HTTPStatus.BAD_REQUEST, "There are too many fields.") from None
    return {name: values[-1] for name, values in found.items()}


def check_origin(request: Request) -> None:
    """Another site may not post here, whatever cookies a browser sends along. Raises Failure.

    Browsers say where a form comes from in Sec-Fetch-Site (where the page came by HTTPS, or from this machine) and in
    Origin; a program that says neither has no cookies that somebody could abuse."""
    site, origin = request.header("Sec-Fetch-Site"), request.header("Origin")
    if site not in ("", "same-origin", "none"):
        raise Failure(HTTPStatus.FORBIDDEN, _OTHER)
    if not site and origin and urlsplit(origin).netloc.lower() != request.header("Host").lower():
        raise Failure(HTTPStatus.FORBIDDEN, _OTHER)


def from_elsewhere(request: Request) -> bool:
    """Did a link on another site lead here? Then the browser left the session's cookie at home."""
    return request.header("Sec-Fetch-Site") in ("cross-site", "same-site")


def here(request: Request) -> str:
    """The address that was asked for, as it can be linked to."""
    path = quote(request.path.encode("iso-8859-1", "replace"), safe="/~:@!$&'()*+,;=")
    query = str(request.environ.get("QUERY_STRING") or "")
    return f"{path}?{query}" if query else path


def own_path(text: str) -> str:
    """A path of the console: nobody is sent elsewhere after signing in."""
    fine = text == ROOT or text.startswith((f"{ROOT}/", f"{ROOT}?"))
    plain = text.isascii() and text.isprintable() and not set(text) & set(' \\"<>')
    return text if fine and plain and not any(part in text for part in ("//", "/..", "/%2e", "/%2E")) else ROOT


def same(one: str, other: str) -> bool:
    """Are two secrets the same? Takes as long whichever letter differs."""
    return bool(one) and hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))

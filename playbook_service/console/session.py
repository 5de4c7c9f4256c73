"""Sessions: a signed cookie that names a record in the store, so that signing out is final on every node.

Record `session`, key = SHA-256 of the session's id (the id itself is only in the cookie); state `open`; ref = the
login; due = its end. Body: `login`, `name`, `profile`, `role`, `csrf` (what every form of this session carries) and
`began`.
Record `control`, key `console`: body `key`, by which cookies are signed. It keeps strangers from making the store look
for sessions that were never there, and signs the one sentence that survives a redirect.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import NamedTuple

from playbook_service.console.person import Person, Role
from playbook_service.store.contract import Store, Transaction

KIND = "session"
OPEN = "open"
SECONDS = 8 * 3600.0
"""How long a session lasts: a shift."""
_KEY = ("control", "console")
COOKIE, NOTICE = "propolis_session", "propolis_notice"


class Session(NamedTuple):
    """Somebody's session. `csrf` stands in every form they are shown."""

    key: str
    person: Person
    csrf: str
    until: float


class Seal:
    """Signs what is left with a browser."""

    def __init__(self, key: bytes):
        self._key = key

    def sealed(self, purpose: str, text: str) -> str:
        """The text with its signature; of no use for another purpose."""
        text = text.encode("utf-8", "replace").decode()
        return f"{_base64(text.encode())}.{self._mac(purpose, text)}"

    def opened(self, purpose: str, sealed: str) -> str:
        """The text, or the empty text where the signature is not ours."""
        body, _, mac = sealed.partition(".")
        try:
            text = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        except ValueError:
            return ""
        return text if hmac.compare_digest(mac.encode("utf-8", "replace"), self._mac(purpose, text).encode()) else ""

    def _mac(self, purpose: str, text: str) -> str:
        return _base64(hmac.new(self._key, f"{purpose}\n{text}".encode(), hashlib.sha256).digest())


def seal_of(store: Store) -> Seal:
    """The installation's seal; made the first time. Raises Conflict where another node makes it at this moment."""
    with store.transaction() as work:
        record = work.get(*_KEY)
        if record is None:
            record = work.save(*_KEY, {"key": secrets.token_hex(32)}, version=0)
    return Seal(bytes.fromhex(record.body["key"]))


def begin(work: Transaction, person: Person, now: float) -> str:
    """A new session; the id that goes into the cookie."""
    number = secrets.token_urlsafe(32)
    body = {
        "login": person.login, "name": person.name, "profile": person.profile, "role": int(person.role),
        "csrf": secrets.token_urlsafe(32), "began": now,
    }  # fmt: skip
    work.save(KIND, _hashed(number), body, version=0, state=OPEN, ref=person.login, due=now + SECONDS)
    return number


def current(work: Transaction, number: str, now: float) -> Session | None:
    """The session of that id, where it is open."""
    record = work.get(KIND, _hashed(number)) if number else None
    if record is None or record.state != OPEN or record.due is None or record.due <= now:
        return None
    body = record.body
    person = Person(body["login"], body["name"], body["profile"], Role(body["role"]))
    return Session(record.key, person, body["csrf"], record.due)


def end(work: Transaction, session: Session) -> None:
    """Sign out."""
    work.delete(KIND, session.key)


def cookie(name: str, header: str, *, secure: bool) -> str:
    """A cookie's value from the Cookie header, or the empty text, whatever else other programs of the host left."""
    wanted = _named(name, secure)
    pairs = (pair.strip().partition("=") for pair in header.replace(",", ";").split(";"))
    return next((value for found, _, value in pairs if found == wanted), "")


def set_cookie(name: str, value: str, seconds: int, *, secure: bool) -> tuple[str, str]:
    """The header that leaves a cookie which no script reads and no other site sends; 0 seconds take it back."""
    words = [f"{_named(name, secure)}={value}", f"Path={'/' if secure else '/console'}", f"Max-Age={seconds}"]
    words += ["HttpOnly", "SameSite=Strict"]
    return "Set-Cookie", "; ".join([*words, "Secure"] if secure else words)


def _named(name: str, secure: bool) -> str:
    """`__Host-`: no neighbour (another name of the domain, the same one without TLS) can leave such a cookie."""
    return f"__Host-{name}" if secure else name


def _hashed(number: str) -> str:
    return hashlib.sha256(number.encode()).hexdigest()


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

"""The edge to ldap3 for a plain LDAP server: one connection, searched exactly and changed one entry at a time.

It is TLS from its first byte (LDAPS) or before anything else is said (StartTLS); nothing is bound without. The server's
certificate and name are always checked, no referral is followed and no alias looked behind.
"""

from __future__ import annotations

import contextlib
import ssl
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from propolis.containment.backend import BackendError
from propolis.errors import ConfigurationError, MissingExtraError

from .directory import AnswerLost, Changes, Entry, Outdated
from .ldap_fault import bind_fault, modify_fault, open_fault, search_fault

_NOT_AS_READ = (16, 20)  # noSuchAttribute, attributeOrValueExists: somebody else was there first


class Settings(NamedTuple):
    """How to reach the server, and as whom."""

    server: str
    port: int
    starttls: bool
    bind_dn: str
    bind_password: str
    ca_file: str | None
    """PEM file of the CA; None asks the system's own store."""
    valid_name: str | None
    """A name in the certificate where `server` is not one of them."""
    timeout: int
    """Seconds for each step: to connect, and for each answer."""


class LdapServer:
    """A connection that opens with the first question and again after it broke."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._ldap = _library()
        self._connection: Any = None
        if settings.ca_file is not None:
            _check_ca(settings.ca_file)
        self._own = self.parts(settings.bind_dn, "openldap_bind_dn")

    @property
    def where(self) -> str:
        """Server and port, for people."""
        settings = self._settings
        scheme, more = ("ldap", " with StartTLS") if settings.starttls else ("ldaps", "")
        return f"{scheme}://{settings.server}:{settings.port}{more}"

    def escaped(self, text: str) -> str:
        """The text as a value in a search filter (RFC 4515)."""
        from ldap3.utils.conv import escape_filter_chars

        return str(escape_filter_chars(text))

    def parts(self, dn: str, item: str) -> tuple[tuple[str, str], ...]:
        """A distinguished name in parts, to compare by. Raises ConfigurationError where a configured one is none."""
        try:
            return tuple((kind.lower(), value.casefold()) for kind, value, _ in self._ldap.utils.dn.parse_dn(dn))
        except self._ldap.core.exceptions.LDAPException:
            raise ConfigurationError(
                f"is no distinguished name such as cn=propolis,dc=example,dc=org: {dn}.",
                path=f"configuration item {item}",
            ) from None

    def is_own(self, dn: str) -> bool:
        """Whether this is the entry that this connection is bound as."""
        return self.parts(dn, "openldap_bind_dn") == self._own

    def read(self, dn: str, attributes: list[str]) -> Entry | None:
        """One object by its name; None where there is none, or where it may not be seen."""
        found = self._search(dn, "(objectClass=*)", self._ldap.BASE, attributes, 1, missing_is_empty=True)
        return found[0] if found else None

    def find(self, base: str, wanted: str, attributes: list[str], limit: int) -> list[Entry]:
        """The objects below `base` that the filter takes, `limit` of them at most."""
        return self._search(base, wanted, self._ldap.SUBTREE, attributes, limit)

    def change(self, dn: str, changes: Changes) -> None:
        """Change one object in one step. Raises AnswerLost, Outdated or BackendError."""
        connection = self._open()
        words = {
            "replace": self._ldap.MODIFY_REPLACE,
            "add": self._ldap.MODIFY_ADD,
            "delete": self._ldap.MODIFY_DELETE,
        }
        asked = {name: [(words[word], values) for word, values in steps] for name, steps in changes.items()}
        try:
            connection.modify(dn, asked)
        except self._ldap.core.exceptions.LDAPException:
            self.close()
            raise AnswerLost(f"{self.where} was sent the change of {dn}, and its answer was lost.") from None
        result = connection.result
        if result["result"] in _NOT_AS_READ:
            raise Outdated(f"{dn} was changed by somebody else meanwhile ({result['result']}); nothing was done.")
        if result["result"] != 0:
            raise BackendError(modify_fault(result, dn))

    def close(self) -> None:
        """Let the connection go; the next question opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._drop(connection)

    def _drop(self, connection: Any) -> None:
        """End a connection in whatever state it is; ldap3 leaves the socket of one that never opened."""
        sock = connection.socket
        with contextlib.suppress(self._ldap.core.exceptions.LDAPException, OSError):
            connection.unbind()  # where that fails it is gone already, which is what was wanted
        if sock is not None:
            sock.close()

    def _search(
        self, base: str, wanted: str, scope: str, attributes: list[str], limit: int, *, missing_is_empty: bool = False
    ) -> list[Entry]:
        connection = self._open()
        try:
            connection.search(
                base, wanted, scope, dereference_aliases=self._ldap.DEREF_NEVER, attributes=attributes,
                size_limit=limit, time_limit=self._settings.timeout,
            )  # fmt: skip
        except self._ldap.core.exceptions.LDAPException:
            self.close()
            raise BackendError(f"{self.where} gave no answer to a search; check the server, then try again.") from None
        result = connection.result
        code = result["result"]
        if code == 32 and missing_is_empty:
            return []
        found = [
            Entry(entry["dn"], {name.lower(): list(values) for name, values in entry["raw_attributes"].items()})
            for entry in connection.response or []
            if entry["type"] == "searchResEntry"  # the rest are referrals to other servers
        ]
        if code == 4 and len(found) >= limit:
            return found
        if code != 0:  # 4 with fewer: the server's own limit cut it short
            raise BackendError(search_fault(result, base, self.where))
        return found

    def _open(self) -> Any:
        if self._connection is None:
            connection = self._new()
            try:
                connection.open()
                self._secure(connection)
                bound = connection.bind()
            except (self._ldap.core.exceptions.LDAPException, ssl.SSLError, OSError) as error:
                self._drop(connection)
                raise BackendError(open_fault(error, self.where)) from None
            if not bound:
                result = dict(connection.result)
                self._drop(connection)
                raise BackendError(bind_fault(result, self._settings.bind_dn, self.where))
            self._connection = connection
        return self._connection

    def _secure(self, connection: Any) -> None:
        """TLS before the password, where the connection does not begin with it. Raises LDAPException."""
        if self._settings.starttls and not connection.start_tls(read_server_info=False):
            raise self._ldap.core.exceptions.LDAPStartTLSError("startTLS failed")

    def _new(self) -> Any:
        settings = self._settings
        tls = self._ldap.Tls(
            validate=ssl.CERT_REQUIRED,
            version=ssl.PROTOCOL_TLS_CLIENT,
            ca_certs_file=settings.ca_file,
            valid_names=[settings.valid_name] if settings.valid_name else None,
        )
        server = self._ldap.Server(
            settings.server,
            port=settings.port,
            use_ssl=not settings.starttls,
            tls=tls,
            get_info=None,
            connect_timeout=settings.timeout,
            allowed_referral_hosts=[],
        )
        return self._ldap.Connection(
            server,
            user=settings.bind_dn,
            password=settings.bind_password,
            authentication=self._ldap.SIMPLE,
            receive_timeout=settings.timeout,
            auto_referrals=False,
            raise_exceptions=False,
        )


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            # ldap3 2.9 still uses names that pyasn1 0.6 calls deprecated; that is between the two of them
            warnings.simplefilter("ignore", DeprecationWarning)
            import ldap3
            import ldap3.core.exceptions
            import ldap3.utils.dn
    except ImportError:
        raise MissingExtraError("The backend openldap", "ldap") from None
    return ldap3


def _check_ca(path: str) -> None:
    place = "configuration item openldap_ca_file"
    if not Path(path).is_file():
        raise ConfigurationError(f"names {path}, which is no file on the machine that runs the job.", path=place)
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError):
        raise ConfigurationError(f"names {path}, which holds no certificate in PEM form.", path=place) from None

"""What can go wrong on the way to a server and back, each as one sentence that says what to fix."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from propolis.errors import PropolisError

_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH (openssl/x509_vfy.h)
_WRONG_TIME = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class HttpError(PropolisError):
    """A request did not end as it should.

    `status` is the answer's, None without one. `ambiguous` is True when the server may have acted on the request
    although we cannot tell (sent, then no proper answer): look before doing it again. `retry_after` is the wait in
    seconds the server asked for. `excerpt` is the beginning of an error answer, secrets blanked. `kind` names the
    fault: tls, dns, refused, unreachable, timeout, proxy, broken, status, redirect, size, format.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str,
        status: int | None = None,
        ambiguous: bool = False,
        retry_after: float | None = None,
        excerpt: str = "",
    ):
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.ambiguous = ambiguous
        self.retry_after = retry_after
        self.excerpt = excerpt

    def because(self, reason: str) -> HttpError:
        """The same error, saying also why it was not tried again."""
        return HttpError(
            f"{self.message} Not tried again: {reason}.",
            kind=self.kind,
            status=self.status,
            ambiguous=self.ambiguous,
            retry_after=self.retry_after,
            excerpt=self.excerpt,
        )


@dataclass(frozen=True)
class Fault:
    """Why there is no answer: its kind and the part of the sentence that tells it and what to do."""

    kind: str
    text: str


def transport_fault(error: BaseException, *, proxied: bool, sent: bool) -> Fault:
    """Read the chain of exceptions below a failed call for the one that a person can do something about."""
    chain = list(_chain(error))
    fault = _tls_fault(chain) or _socket_fault(chain, sent) or _tunnel_fault(chain)
    if fault is None:
        return Fault("broken", "the connection broke or the answer is not HTTP; check the address, port and scheme")
    if proxied and fault.kind in ("dns", "refused", "unreachable"):
        return Fault("proxy", f"{fault.text} (this goes through the configured proxy: check that too)")
    return fault


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]


def _tls_fault(chain: list[BaseException]) -> Fault | None:
    for error in chain:
        if isinstance(error, ssl.SSLCertVerificationError):
            return Fault("tls", _certificate_text(error.verify_code, error.verify_message))
    for error in chain:
        if isinstance(error, ssl.SSLError) and not isinstance(error, TimeoutError):
            return Fault("tls", "the server does not speak TLS as expected; check scheme and port, and its TLS version")
    return None


def _certificate_text(code: int, message: str) -> str:
    if code in _WRONG_NAME:
        return "the TLS certificate is for another name; use the name in the certificate, or reissue it"
    if code in _WRONG_TIME:
        return "the TLS certificate has expired or is not valid yet; renew it, or set this machine's clock"
    return f"the TLS certificate is not trusted ({message}); give the CA that signed it as the CA file"


def _tunnel_fault(chain: list[BaseException]) -> Fault | None:
    for error in chain:
        # http.client says so in an OSError without a number; nothing else tells it from a broken answer
        if isinstance(error, OSError) and str(error).startswith("Tunnel connection failed"):
            return Fault("proxy", "the proxy refused to open a tunnel; check its credentials and what it lets through")
    return None


_SOCKET_FAULTS: tuple[tuple[type[BaseException], str, str], ...] = (
    (socket.gaierror, "dns", "the host name cannot be resolved; check its spelling and the DNS"),
    (ConnectionRefusedError, "refused", "the connection was refused; check that the service runs and the port"),
)


def _socket_fault(chain: list[BaseException], sent: bool) -> Fault | None:
    for error in chain:
        for cls, kind, text in _SOCKET_FAULTS:
            if isinstance(error, cls):
                return Fault(kind, text)
    if any(isinstance(error, TimeoutError) or "Timeout" in type(error).__name__ for error in chain):
        return Fault("timeout", _timeout_text(sent))
    if any(isinstance(error, ConnectionError) and not sent for error in chain):
        return Fault("unreachable", "the connection was cut while it was being opened; check the service and port")
    if any(isinstance(error, OSError) and error.errno is not None and not sent for error in chain):
        return Fault("unreachable", "the host cannot be reached; check the route, the address and the firewall between")
    return None


def _timeout_text(sent: bool) -> str:
    if sent:
        return "no complete answer in time; check the service's load, or raise the timeout"
    return "no connection in time; check the address, the port and the firewall between"


_STATUS_TEXT = {
    400: "the request was refused as malformed (400)",
    401: "the credentials were refused (401); check the key, token or password",
    403: "the account lacks the right (403); grant it to the account whose key is used",
    404: "nothing is there (404); check the address and that the object exists",
    405: "the method is not allowed there (405); check the address and the product's version",
    407: "the proxy wants credentials (407); check the proxy setting",
    409: "it is in conflict with the present state (409)",
    413: "the request is too large for the server (413)",
    429: "too many requests (429); wait, or raise the limit at the service",
}


def status_text(status: int) -> str:
    """The part of the sentence that an HTTP status stands for."""
    if status in _STATUS_TEXT:
        return _STATUS_TEXT[status]
    if status >= 500:
        return f"the service failed ({status}); look into its log, or try again later"
    return f"the answer was {status}, which was not expected here"

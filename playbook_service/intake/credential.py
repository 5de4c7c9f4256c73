"""Who may send webhooks: a secret in any form TheHive can present it, from networks the operator names."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from http import HTTPStatus

from playbook_service.web.message import Failure, Request
from playbook_service.web.server import is_loopback


class Doorkeeper:
    """Checks each request. Several tokens are good at once, so that a secret can be changed without losing events.

    Without a token only this machine itself may send.
    """

    def __init__(self, tokens: Iterable[str], networks: Iterable[str] = ()):
        self._tokens = [_fingerprint(token) for token in tokens if token]
        self._networks = [ipaddress.ip_network(network) for network in networks]

    @property
    def open(self) -> bool:
        """True where no secret is configured."""
        return not self._tokens

    def check(self, request: Request) -> None:
        """Raise Failure 401 without a good secret, 403 from a network that may not send."""
        if not self._from_allowed(request.remote):
            raise Failure(HTTPStatus.FORBIDDEN, "Webhooks are not accepted from this address.")
        if self.open:
            if not is_loopback(request.remote):
                raise Failure(HTTPStatus.FORBIDDEN, "Without a configured webhook_token only this machine may send.")
            return
        offered = _fingerprint(presented(request.header("Authorization")) or request.header("X-Api-Key"))
        good = [hmac.compare_digest(offered, token) for token in self._tokens]  # all of them: no early exit to time
        if not any(good):
            sentence = "Present the webhook token: as a bearer token, a basic password or the bare key."
            raise Failure(HTTPStatus.UNAUTHORIZED, sentence, {"WWW-Authenticate": 'Bearer realm="propolis"'})

    def _from_allowed(self, remote: str) -> bool:
        if not self._networks:
            return True
        try:
            address = ipaddress.ip_address(remote)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def presented(authorization: str) -> str:
    """The secret in an Authorization header: `Bearer <key>`, the password of `Basic <...>`, or `<key>` alone.

    These are the three forms of TheHive's endpoints (`bearer`, `basic`, `key`).
    """
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        return basic_pair(authorization).partition(":")[2]
    return authorization.strip()


def basic_pair(authorization: str) -> str:
    """`user:password` of a Basic Authorization header, or the empty string."""
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest.strip(), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _fingerprint(secret: str) -> bytes:
    """Of equal length for every secret, so that comparing tells nothing about it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()

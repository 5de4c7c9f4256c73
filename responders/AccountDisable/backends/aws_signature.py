"""AWS Signature Version 4 for one POST, with the standard library.

From "Signature Version 4 signing process" in the AWS General Reference: a canonical request is hashed into a string to
sign, and that is signed with a key derived from the secret for one day, region and service.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timezone
from typing import NamedTuple

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """An access key; `session_token` belongs to temporary ones (STS)."""

    key_id: str
    secret: str
    session_token: str = ""


class Scope(NamedTuple):
    """Where a signature holds."""

    region: str
    service: str


def signed_headers(
    credentials: Credentials, scope: Scope, *, host: str, body: bytes, kind: str, now: float
) -> dict[str, str]:
    """The headers that sign `POST /` at `host` with this body of type `kind`, at wall time `now` (seconds)."""
    moment = datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {"Content-Type": kind, "X-Amz-Date": moment}
    if credentials.session_token:
        headers["X-Amz-Security-Token"] = credentials.session_token
    covered = {name.lower(): " ".join(value.split()) for name, value in (*headers.items(), ("host", host))}
    names = ";".join(sorted(covered))
    lines = "".join(f"{name}:{covered[name]}\n" for name in sorted(covered))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{_hash(body)}"
    within = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{moment}\n{within}\n{_hash(canonical.encode())}"
    signature = _hmac(signing_key(credentials.secret, moment[:8], scope), to_sign).hex()
    headers["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.key_id}/{within}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def signing_key(secret: str, day: str, scope: Scope) -> bytes:
    """The key that signs for one day (`20150830`), region and service."""
    key = f"AWS4{secret}".encode()
    for part in (day, scope.region, scope.service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

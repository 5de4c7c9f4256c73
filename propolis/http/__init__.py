"""The one way out over HTTP: `session(base_url, ...)` gives a `Client`; nothing else in the project makes requests.

Every call has timeouts and a total budget, follows no redirect, reads no netrc and no proxy from the environment, stops
at a size limit, and repeats only what may be repeated. `requests` itself is imported with the first call, not here.
"""

from __future__ import annotations

from propolis.http.address import segment
from propolis.http.client import Client, Requester, Tries, session
from propolis.http.errors import HttpError
from propolis.http.oauth import ClientCredentials, TokenSource, authorized
from propolis.http.response import Response

__all__ = [
    "Client",
    "ClientCredentials",
    "HttpError",
    "Requester",
    "Response",
    "TokenSource",
    "Tries",
    "authorized",
    "segment",
    "session",
]

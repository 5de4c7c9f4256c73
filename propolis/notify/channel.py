"""Web channels: how a message gets to an incoming webhook, and whether it was taken."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from propolis.clock import Clock
from propolis.errors import ConfigurationError, PropolisError
from propolis.http import session
from propolis.notify.bodies import BODIES
from propolis.notify.message import Message

SECONDS = 20.0
"""For a call in all: a channel that is slow holds up nothing for longer."""
_SECRET_PART = 8  # characters from which on a part of an address is blanked where a server repeats it


class NotSent(PropolisError):
    """A channel did not take a message, or not surely."""


class Channel(NamedTuple):
    """Where messages go: `kind` is a word of `BODIES`, `address` a URL that is itself a secret."""

    kind: str
    address: str
    template: str = ""


class Way(NamedTuple):
    """How the web is reached: a proxy's address, the CA file (PEM) that certificates are checked against, seconds."""

    proxy: str | None = None
    ca_file: str | None = None
    seconds: float = SECONDS


def parse_channel(text: str, *, path: str = "notify") -> Channel:
    """`slack:https://...`, `teams:https://...`, `mattermost:https://...` or `webhook:https://...`.

    Raises ConfigurationError, which does not repeat the text; `path` is the setting that it names.
    """
    kind, _, address = text.strip().partition(":")
    try:
        parts = urlsplit(address)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fit = False
    if kind not in BODIES or not fit:
        known = ", ".join(sorted(BODIES))
        raise ConfigurationError(f"must be <kind>:<URL> with a kind of {known}.", path=path)
    if parts.username is not None or parts.fragment:
        raise ConfigurationError("must not hold a user, a password or a fragment (#) in its URL.", path=path)
    return Channel(kind, address)


def post(channel: Channel, message: Message, clock: Clock, way: Way = Way()) -> None:  # noqa: B008 - it is immutable
    """Send a message once, in the channel's own shape. Raises HttpError or NotSent; neither shows the address."""
    parts = urlsplit(channel.address)
    with session(
        f"{parts.scheme}://{parts.netloc}",
        clock=clock,
        retries=0,
        timeout=(min(5.0, way.seconds), way.seconds),
        budget=way.seconds,
        secrets=secret_parts(channel.address),
        ca_file=way.ca_file,
        proxy=way.proxy,
        max_body=1024 * 1024,
        name="The channel's address",
    ) as client:
        body = BODIES[channel.kind](message.cleaned(), channel.template)
        response = client.post(parts.path, params=dict(parse_qsl(parts.query)), json=body, retry=False)
    if response.body.lstrip()[:1] == b"<":
        raise NotSent(f"{parts.hostname} answered with a web page and no receipt: check the channel's address.")


def secret_parts(address: str) -> list[str]:
    """The parts of a webhook's address that let anybody post there, and the address itself."""
    parts = urlsplit(address)
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    whole = [part for part in (parts.path, parts.query) if len(part) > 1]
    return [address, *whole, *(piece for piece in pieces if len(piece) >= _SECRET_PART)]

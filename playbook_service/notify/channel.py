"""The channels: what a message looks like to each of them, and how it gets there.

Shapes: Slack and Mattermost incoming webhooks take `{"text": ...}`; Microsoft Teams workflows take a message with an
Adaptive Card; a plain webhook takes whatever its template says; mail is mail.
"""

from __future__ import annotations

import json
import re
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from playbook_service.notify.message import Message
from propolis.clock import Clock
from propolis.errors import ConfigurationError, PropolisError
from propolis.http import session

_FIELD = re.compile(r"\{(title|text|urgency|case|link)\}")
_PLAIN_TEMPLATE = '{"title": "{title}", "text": "{text}", "urgency": "{urgency}", "case": "{case}", "link": "{link}"}'
_SMTP_SECONDS = 20.0


class NotSent(PropolisError):
    """A channel did not take a message; it is tried again."""


class Channel(NamedTuple):
    """Where messages go: `kind` is a word of `BODIES`, `address` a URL that is itself a secret."""

    kind: str
    address: str
    template: str = ""


class Mail(NamedTuple):
    """How mail is sent."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password: str = ""
    starttls: bool = True


def parse_channel(text: str) -> Channel:
    """`slack:https://...`, `teams:https://...`, `mattermost:https://...` or `webhook:https://...`."""
    kind, _, address = text.partition(":")
    if kind not in BODIES or urlsplit(address).scheme not in ("http", "https"):
        known = ", ".join(sorted(BODIES))
        raise ConfigurationError(f"must be <kind>:<URL> with a kind of {known}.", path="notify")
    return Channel(kind, address)


def _chat(message: Message, _: str) -> Any:
    mark = ":rotating_light: " if message.urgency == "high" else ""
    link = f"\n{message.link}" if message.link else ""
    return {"text": f"{mark}*{_no_mentions(message.title)}*\n{_no_mentions(message.text)}{link}"}


def _teams(message: Message, _: str) -> Any:
    blocks = [
        {"type": "TextBlock", "weight": "Bolder", "wrap": True, "text": message.title},
        {"type": "TextBlock", "wrap": True, "text": message.text},
    ]
    card: dict[str, Any] = {"type": "AdaptiveCard", "version": "1.4", "body": blocks}
    if message.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the case", "url": message.link}]
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _webhook(message: Message, template: str) -> Any:
    """The template's JSON with its `{fields}` filled in, each as the inside of a JSON string: nothing can break out."""
    filled = _FIELD.sub(lambda match: json.dumps(getattr(message, match[1]))[1:-1], template or _PLAIN_TEMPLATE)
    try:
        return json.loads(filled)
    except ValueError as error:
        raise ConfigurationError(
            f"is not JSON once its fields are filled in: {error}.", path="notify_template"
        ) from None


def _no_mentions(text: str) -> str:
    """Text in which `@channel`, `<!here>` and links written as markup are only text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")


BODIES: dict[str, Callable[[Message, str], Any]] = {
    "slack": _chat,
    "mattermost": _chat,
    "teams": _teams,
    "webhook": _webhook,
}
"""Kind of channel -> what is posted to it."""


def post(channel: Channel, message: Message, clock: Clock) -> None:
    """Send a message to a web channel. Raises HttpError."""
    parts = urlsplit(channel.address)
    client = session(f"{parts.scheme}://{parts.netloc}", clock=clock, retries=0, secrets=(parts.path, parts.query))
    body = BODIES[channel.kind](message, channel.template)
    client.post(parts.path, params=dict(parse_qsl(parts.query)), json=body, retry=False)


def mail(settings: Mail, message: Message) -> None:
    """Send a message by mail. Raises NotSent."""
    letter = EmailMessage()
    letter["Subject"] = " ".join(f"[Propolis] {message.title}".split())[:200]
    letter["From"] = settings.sender
    letter["To"] = ", ".join(settings.to)
    letter.set_content("\n\n".join(part for part in (message.text, message.link) if part))
    try:
        with smtplib.SMTP(settings.host, settings.port, timeout=_SMTP_SECONDS) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.user:
                server.login(settings.user, settings.password)
            server.send_message(letter)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"Mail could not be sent by {settings.host}:{settings.port}: {type(error).__name__}.") from None

"""Messages by mail: SMTP with STARTTLS, the server's certificate checked."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import NamedTuple

from propolis.errors import ConfigurationError
from propolis.notify.channel import SECONDS, NotSent
from propolis.notify.message import Message


class Mail(NamedTuple):
    """How mail is sent."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password: str = ""
    starttls: bool = True
    ca_file: str | None = None
    """CA (PEM) that signed the server's certificate; None: the system's."""
    seconds: float = SECONDS
    """For each answer of the server."""


def mail(settings: Mail, message: Message) -> tuple[str, ...]:
    """Send a message by mail; gives the receivers that the server refused while it took others.

    Raises NotSent, or ConfigurationError for addresses that no mail can have.
    """
    letter = _letter(settings, message.cleaned())
    where = f"{settings.host}:{settings.port}"
    try:
        with smtplib.SMTP(settings.host, settings.port, timeout=settings.seconds) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context(cafile=settings.ca_file))
            if settings.user:
                server.login(settings.user, settings.password)
            return tuple(server.send_message(letter))
    except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: a host name that is none
        raise NotSent(f"Mail could not be sent by {where}: {_reason(error)}.") from None


def _letter(settings: Mail, message: Message) -> EmailMessage:
    letter = EmailMessage()
    try:
        letter["From"] = settings.sender
        letter["To"] = ", ".join(settings.to)
    except (ValueError, IndexError):  # what the standard library raises for addresses that it cannot read
        raise ConfigurationError("The mail's sender or one of its receivers is not a mail address.") from None
    letter["Subject"] = f"[Propolis] {message.title}"
    letter.set_content("\n\n".join(part for part in (message.text, message.link) if part))
    return letter


_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLCertVerificationError, "its certificate is not trusted; give the CA that signed it"),
    (smtplib.SMTPAuthenticationError, "it refused the user or the password"),
    (smtplib.SMTPNotSupportedError, "it offers no STARTTLS or no login"),
    (smtplib.SMTPRecipientsRefused, "it refused every receiver"),
    (smtplib.SMTPSenderRefused, "it refused the sender"),
    (ConnectionRefusedError, "the connection was refused; check host and port"),
    (TimeoutError, "no answer in time"),
)


def _reason(error: Exception) -> str:
    """What is the matter, without the server's own words: they may repeat what was sent."""
    return next((text for kind, text in _REASONS if isinstance(error, kind)), type(error).__name__)

"""The responder Notify: configuration, limits, one message to every channel, and a report of who took it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from propolis.clock import SystemClock
from propolis.containment.target import parent
from propolis.errors import ConfigurationError, InputError, PropolisError
from propolis.http import HttpError
from propolis.http.address import parse_base
from propolis.notify.bodies import BODIES
from propolis.notify.channel import Channel, NotSent, Way, parse_channel, post, secret_parts
from propolis.notify.entity import describe, safe
from propolis.notify.mail import Mail, mail
from propolis.notify.message import Message
from propolis.worker.base import Answer
from propolis.worker.responder import ResponderWorker
from propolis.worker.secrets import secret_values

_HIDDEN = ("channels", "template")  # a webhook's address is its password; a template may hold a key
_AT_ONCE = 8


class Receiver(NamedTuple):
    """One way out: how reports call it, and how a message gets there (giving what to note, or raising)."""

    name: str
    send: Callable[[Message], str]


class Result(NamedTuple):
    """What became of a message at one receiver."""

    channel: str
    sent: bool
    note: str
    """What is to be known of it: why it was not sent, or who did not get it."""


class NotifyResponder(ResponderWorker):
    """Sends once, to all channels at the same time; nothing is ever repeated."""

    def answer(self) -> Answer:
        """Send; fails only where no channel took it."""
        message = self._message()
        receivers = self._receivers()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            results = list(pool.map(lambda receiver: _deliver(receiver, message), receivers))
        told = "; ".join(f"{result.channel}: {result.note}" for result in results if not result.sent)
        if not any(result.sent for result in results):
            raise NotSent(f"No channel took the message. {told}")
        sent = sum(result.sent for result in results)
        noted = "".join(f" {result.channel}: {result.note}." for result in results if result.sent and result.note)
        text = f"Sent to {sent} of {len(results)} channels.{noted}" + (f" NOT sent to {told}" if told else "")
        full = {
            "message": text,
            "worker": "Notify",
            "result": "sent" if sent == len(results) else "partly_sent",
            "title": message.title,
            "text": message.text,
            "link": message.link,
            "channels": [result._asdict() for result in results],
            "requested_by": {"user": self._user(), "organisation": str(self.parameters.get("organisation") or "")},
        }
        return Answer(full)

    def _message(self) -> Message:
        prefix = safe(self.items.text("title_prefix", ""))
        base = self.items.text("thehive_url", "")
        if base:
            parse_base(base, name="configuration item thehive_url:")
        added = self.parameters.get("message") or ""
        if not isinstance(added, str):
            raise InputError("parameters.message must be a text.")
        kind = str(self.data_type).removeprefix("thehive:")
        message = describe(self.entity, kind, added=added, by=self._user(), prefix=prefix, base=base).cleaned()
        self._check_parent()
        return message

    def _check_parent(self) -> None:
        """The case's own TLP and PAP: the message tells the case's title, also when it is about an observable of it."""
        config = self._input["config"]
        above = parent(self.entity)
        for name, key in (("TLP", "tlp"), ("PAP", "pap")):
            level, limit = above.get(key), config.get(f"max_{key}")
            limit = 2 if limit is None else limit
            if config.get(f"check_{key}") is not False and isinstance(level, int) and level > limit:
                raise InputError(
                    f"{name} is higher than allowed: the case's or alert's is {level}, max_{key} is {limit}."
                )

    def _receivers(self) -> list[Receiver]:
        """In the order of the items. Raises ConfigurationError, with no address in it."""
        mailing, template, way = self._mailing(), self._template(), self._way()
        texts = self.items.texts("channels")
        place = "configuration item channels"
        channels = [parse_channel(text, path=f"{place}, entry {n}") for n, text in enumerate(texts, start=1)]
        self._hide(part for channel in channels for part in secret_parts(channel.address))
        found = [
            Receiver(f"{channel.kind} (channel {number})", _poster(channel._replace(template=template), way))
            for number, channel in enumerate(channels, start=1)
        ]
        if mailing is not None:
            found.append(Receiver("mail", _mailer(mailing)))
        if not found:
            raise ConfigurationError("is required: set at least one channel, or mail_server.", path=place)
        return found

    def _mailing(self) -> Mail | None:
        host, sender = self.items.text("mail_server", ""), self.items.text("mail_from", "")
        port = int(self.items.number("mail_port", 587, low=1, high=65_535))
        user, password = self.items.text("mail_user", ""), self.items.text("mail_password", "", strip=False)
        starttls, to = self.items.flag("mail_starttls", True), self.items.texts("mail_to")
        if not host:
            return None
        for name, value in (("mail_from", sender), ("mail_to", to)):
            if not value:
                raise ConfigurationError("is required with mail_server: set it.", path=f"configuration item {name}")
        if user and not starttls:
            reason = "must be true where mail_user is set: the password would travel in the clear."
            raise ConfigurationError(reason, path="configuration item mail_starttls")
        way = self._way()
        return Mail(host, port, sender, tuple(to), user, password, starttls, way.ca_file, way.seconds)

    def _template(self) -> str:
        template = self.items.text("template", "")
        if template:  # one that is none is said before anything is sent
            self._hide(secret_values(BODIES["webhook"](Message("", ""), template)))
        return template

    def _way(self) -> Way:
        proxy = self.get_param("config.proxy.https") or self.get_param("config.proxy.http")
        seconds = self.items.number("timeout_seconds", 15, low=1, high=120)
        return Way(proxy if isinstance(proxy, str) else None, self.items.optional_text("ca_file"), seconds)

    def _user(self) -> str:
        return str(self.parameters.get("user") or "")

    def _hide(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({*self._secrets, *secrets}, key=lambda value: (-len(value), value))

    def _echo(self) -> dict[str, Any]:
        echo = super()._echo()
        if isinstance(echo.get("config"), dict):
            echo["config"].update({name: "REMOVED" for name in _HIDDEN if name in echo["config"]})
        return echo


def _poster(channel: Channel, way: Way) -> Callable[[Message], str]:
    def send(message: Message) -> str:
        post(channel, message, SystemClock(), way)
        return ""

    return send


def _mailer(settings: Mail) -> Callable[[Message], str]:
    def send(message: Message) -> str:
        refused = mail(settings, message)
        return f"the server refused {len(refused)} of {len(settings.to)} receivers" if refused else ""

    return send


def _deliver(receiver: Receiver, message: Message) -> Result:
    try:
        return Result(receiver.name, True, receiver.send(message))
    except PropolisError as error:
        unsure = isinstance(error, HttpError) and error.ambiguous
        doubt = " It may have arrived all the same: look there before you send it again." if unsure else ""
        return Result(receiver.name, False, f"{error}{doubt}")

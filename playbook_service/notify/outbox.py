"""Messages on their way: one step of work for each channel, so that a channel that is down holds up no other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from playbook_service.engine.step import Done, Give, Outcome, follow
from playbook_service.store.contract import Item, Transaction
from propolis.clock import Clock
from propolis.notify.channel import Channel, post
from propolis.notify.mail import Mail, mail
from propolis.notify.message import Message

_TRIES = 50
"""About half a day; an announcement that is older helps nobody."""


class Outbox:
    """The channels of this service. Their addresses stay in its settings; the store holds only which one is meant."""

    def __init__(self, clock: Clock, channels: Sequence[Channel], mailing: Mail | None = None):
        self._clock = clock
        self._channels = list(channels)
        self._mailing = mailing
        self._link: Callable[[str], str] = lambda case: ""

    def linked(self, link: Callable[[str], str]) -> Outbox:
        """The same outbox, whose messages about a case lead there: `link` gives the web address of a case's id."""
        linked = Outbox(self._clock, self._channels, self._mailing)
        linked._link = link
        return linked

    def announce(self, work: Transaction, message: Message) -> None:
        """Put a message on its way to every channel; the same message again is the same step."""
        names = [str(number) for number in range(len(self._channels))] + (["mail"] if self._mailing else [])
        told = hashlib.sha256(repr(message).encode("utf-8", "surrogatepass")).hexdigest()[:24]
        for name in names:
            follow(work, "notify", f"{told}:{name}", channel=name, message=message._asdict())

    def step(self, item: Item) -> Outcome:
        """The step `notify:<message>:<channel>`: send it; what fails in passing is tried again by the loop."""
        if item.attempts > _TRIES:
            raise Give(f"The message was not taken by its channel in {_TRIES} tries: {item.error}")
        message, name = Message(**item.body["message"]), str(item.body["channel"])
        if message.case and not message.link:
            message = message._replace(link=self._link(message.case))
        if name == "mail" and self._mailing is not None:
            mail(self._mailing, message)
        elif name.isdigit() and int(name) < len(self._channels):
            post(self._channels[int(name)], message, self._clock)
        return Done()

"""Announcements on their way: one step for each channel, tried again until it is taken, and told once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from notify_receivers import SECRET, Postbox, Receiver, Reply

from playbook_service.engine.loop import Loop
from playbook_service.notify.outbox import Outbox
from playbook_service.store.contract import Item, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.notify.channel import parse_channel
from propolis.notify.entity import case_link
from propolis.notify.mail import Mail
from propolis.notify.message import Message

MESSAGE = Message("Contained: 203.0.113.7", "Verified.", "high", "~8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


class House:
    """An outbox with its loop."""

    def __init__(self, *channels: str, mailing: Mail | None = None):
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.outbox = Outbox(self.clock, [parse_channel(text) for text in channels], mailing)
        self.buried: list[str] = []
        self._loop = Loop(
            self.store, self.clock, {"notify": self.outbox.step}, owner="node", buried=self._bury, jitter=lambda: 1.0
        )

    def _bury(self, work: Transaction, item: Item, sentence: str) -> None:
        self.buried.append(sentence)

    def announce(self) -> None:
        with self.store.transaction() as work:
            self.outbox.announce(work, MESSAGE)

    def run(self, looks: int = 10) -> None:
        for _ in range(looks):
            self._loop.run_due()
            self.clock.advance(5)

    def waiting(self) -> int:
        with self.store.transaction() as work:
            return work.backlog("step").waiting


def test_a_message_is_tried_again_until_its_channel_takes_it_and_told_once(receiver: Receiver):
    house = House(f"mattermost:{receiver.address}")
    receiver.replies = [Reply(503), Reply(500)]
    house.announce()
    house.announce()
    house.run()
    assert len(receiver.got) == 3
    assert house.waiting() == 0
    assert house.buried == []


def test_a_channel_that_is_down_holds_up_no_other(receiver: Receiver):
    with Postbox() as postbox:
        mailing = Mail("127.0.0.1", postbox.port, "propolis@example.org", ("soc@example.org",), starttls=False)
        house = House("slack:http://127.0.0.1:9/hook", f"teams:{receiver.address}", mailing=mailing)
        house.announce()
        house.run()
        assert len(postbox.letters) == len(receiver.got) == 1
    assert house.waiting() == 1


def test_the_store_holds_which_channel_is_meant_and_never_its_address(receiver: Receiver):
    house = House(f"slack:{receiver.address}")
    house.announce()
    with house.store.transaction() as work:
        (item,) = work.claim("step", "test", seconds=60)
    assert SECRET not in repr(item)


def test_a_message_about_a_case_leads_there(receiver: Receiver):
    house = House(f"webhook:{receiver.address}")
    linked = house.outbox.linked(lambda case: case_link("https://thehive.example.org", case, five=True))
    about = {"channel": "0", "message": MESSAGE._asdict()}
    linked.step(Item(1, "step", "notify:x", about, 1, 0, 0))
    house.outbox.step(Item(1, "step", "notify:x", about, 1, 0, 0))
    links = [body["link"] for _, body in receiver.got]
    assert links == ["https://thehive.example.org/cases/~8/details", ""]


def test_a_channel_that_takes_nothing_is_given_up_in_the_end_and_said_to_a_person():
    outbox = House("slack:http://127.0.0.1:9/hook").outbox
    item = Item(1, "step", "notify:x", {"channel": "0", "message": MESSAGE._asdict()}, 51, 0, 0)
    with pytest.raises(Exception, match="not taken"):
        outbox.step(item)

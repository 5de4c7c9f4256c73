"""Messages reach each channel in its own shape, are tried again, and carry no text that does more than be read."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from playbook_service.engine.loop import Loop
from playbook_service.notify.channel import BODIES, Channel, Mail, NotSent, mail, parse_channel, post
from playbook_service.notify.message import Message
from playbook_service.notify.outbox import Outbox
from playbook_service.store.contract import Item, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock
from propolis.errors import ConfigurationError
from propolis.http import HttpError

MESSAGE = Message("Contained: 203.0.113.7", "Verified.", "high", "~8", "https://thehive.example.org/cases/~8")
HOSTILE = Message('"}, "admin": true, {"', "<!channel> @here <https://evil.example.net|click>\n\r\x00")


class Receiver(HTTPServer):
    """Takes what is posted, or answers with the next of `answers`."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", 0), Posted)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/T0/B0/s3cret?sig=abc"


class Posted(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(body)))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_each_kind_of_channel_gets_its_own_shape(receiver: Receiver, kind: str):
    post(Channel(kind, receiver.address), MESSAGE, ManualClock())
    ((path, body),) = receiver.got
    assert path == "/services/T0/B0/s3cret?sig=abc"
    text = json.dumps(body)
    assert MESSAGE.title in text
    assert MESSAGE.link in text


def test_a_chat_message_mentions_nobody_and_links_nowhere():
    text = BODIES["slack"](HOSTILE, "")["text"]
    assert "<!channel>" not in text
    assert "@here" not in text
    assert "<https" not in text


def test_a_template_cannot_be_broken_out_of():
    template = '{"summary": "{title}", "details": {"body": "{text}"}, "fixed": 1}'
    body = BODIES["webhook"](HOSTILE, template)
    assert body == {"summary": HOSTILE.title, "details": {"body": HOSTILE.text}, "fixed": 1}


def test_a_template_that_is_no_json_is_said_to_be_none():
    with pytest.raises(ConfigurationError, match="not JSON"):
        BODIES["webhook"](MESSAGE, "{title}")


@pytest.mark.parametrize("text", ["https://hooks.example.net/x", "irc:https://x", "slack:ftp://x", "slack:"])
def test_a_channel_that_is_none_is_refused(text: str):
    with pytest.raises(ConfigurationError, match="kind"):
        parse_channel(text)


def test_a_refused_message_names_the_host_and_never_the_secret_path(receiver: Receiver):
    receiver.answers = [500]
    with pytest.raises(HttpError) as caught:
        post(Channel("slack", receiver.address), MESSAGE, ManualClock())
    assert "127.0.0.1" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_message_is_tried_again_until_its_channel_takes_it_and_told_once(receiver: Receiver):
    clock = ManualClock()
    store = MemoryStore(clock)
    outbox = Outbox(clock, [parse_channel(f"mattermost:{receiver.address}")])

    def buried(work: Transaction, item: Item, sentence: str) -> None:
        raise AssertionError(sentence)

    loop = Loop(store, clock, {"notify": outbox.step}, owner="node", buried=buried, jitter=lambda: 1.0)
    receiver.answers = [503, 500]
    for _ in range(2):
        with store.transaction() as work:
            outbox.announce(work, MESSAGE)
    for _ in range(10):
        loop.run_due()
        clock.advance(5)
    assert len(receiver.got) == 3
    with store.transaction() as work:
        assert work.backlog("step").waiting == 0
        item = Item(1, "step", "notify:x", {"channel": "0", "message": MESSAGE._asdict()}, 51, 0, 0)
    with pytest.raises(Exception, match="not taken"):
        outbox.step(item)


class Postbox(socketserver.ThreadingTCPServer):
    """A mail server that takes everything."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.letters: list[str] = []
        super().__init__(("127.0.0.1", 0), Counter)


class Counter(socketserver.StreamRequestHandler):
    server: Postbox

    def handle(self) -> None:
        self.wfile.write(b"220 mail.example.org\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(letter.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    server = Postbox()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_mail_is_sent_with_a_subject_of_one_line(postbox: Postbox):
    settings = Mail(
        "127.0.0.1", postbox.server_address[1], "propolis@example.org", ("soc@example.org",), starttls=False
    )
    mail(settings, MESSAGE._replace(title="Contained\r\nBcc: evil@example.net"))
    (letter,) = postbox.letters
    assert "Subject: [Propolis] Contained Bcc: evil@example.net" in letter
    assert "\nBcc:" not in letter.split("\r\n\r\n")[0]
    assert MESSAGE.text in letter


def test_mail_without_a_server_says_so():
    settings = Mail("127.0.0.1", 1, "propolis@example.org", ("soc@example.org",), password="pa55word")
    with pytest.raises(NotSent, match="could not be sent") as caught:
        mail(settings, MESSAGE)
    assert "pa55word" not in str(caught.value)

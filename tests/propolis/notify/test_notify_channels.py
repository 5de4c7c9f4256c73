"""Messages reach each channel in its own shape, once, and carry no text that does more than be read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from notify_receivers import SECRET, Postbox, Receiver, Reply, certificate

from propolis.clock import SystemClock
from propolis.errors import ConfigurationError
from propolis.http import HttpError
from propolis.notify.bodies import BODIES
from propolis.notify.channel import Channel, NotSent, Way, parse_channel, post
from propolis.notify.mail import Mail, mail
from propolis.notify.message import Message

CLOCK = SystemClock()
MESSAGE = Message("Contained: 203.0.113.7", "Verified.", "high", "128", "https://thehive.example.org/cases/~8/details")
MARKUP = "<!channel> @here @all [click](https://evil.example.net) ![i](http://t.example.net/p.png) *b* _i_ ~s~ `c` # h"
HOSTILE = Message('"}, "admin": true, {"', f"{MARKUP}\n```\nout\n```\n<https://evil.example.net|click> &lt; | :tada:")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def texts_of(node: Any, kind: str) -> list[str]:
    """The `text` of every object of a type, wherever it is."""
    if isinstance(node, list):
        return [text for part in node for text in texts_of(part, kind)]
    if not isinstance(node, dict):
        return []
    own = [node["text"]] if node.get("type") == kind else []
    return own + [text for part in node.values() for text in texts_of(part, kind)]


# Shapes


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_each_kind_of_channel_gets_title_text_and_link_at_the_address_as_it_is(receiver: Receiver, kind: str):
    post(Channel(kind, receiver.address), MESSAGE, CLOCK)
    ((path, body),) = receiver.got
    assert receiver.address.endswith(path)
    told = json.dumps(body)
    assert MESSAGE.title in told
    assert MESSAGE.text in told
    assert MESSAGE.link in told


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_no_kind_needs_a_text_or_a_link(kind: str):
    assert "None" not in json.dumps(BODIES[kind](Message("Only a title", ""), ""))


@pytest.mark.parametrize("kind", ["slack", "mattermost", "teams"])
def test_what_is_urgent_is_seen_to_be(kind: str):
    urgent, calm = (json.dumps(BODIES[kind](MESSAGE._replace(urgency=word), "")) for word in ("high", "info"))
    assert "\\ud83d\\udea8" in urgent
    assert "\\ud83d\\udea8" not in calm


# Nothing in a message is more than text


def test_in_slack_all_of_a_message_is_plain_text_and_the_fallback_mentions_nobody():
    body = BODIES["slack"](HOSTILE, "")
    assert texts_of(body["blocks"], "plain_text") == [HOSTILE.title, HOSTILE.text]
    assert texts_of(body["blocks"], "mrkdwn") == []
    fallback = BODIES["slack"](Message(MARKUP, ""), "")["text"]
    assert not any(mark in fallback for mark in ("<", ">", "@here", "@all"))


def test_slacks_limits_are_kept():
    blocks = BODIES["slack"](Message("t" * 500, "x" * 9000).cleaned(), "")["blocks"]
    assert [len(block["text"]["text"]) for block in blocks] == [150, 3000]


def test_in_mattermost_all_of_a_message_is_code_that_nothing_ends():
    head, opened, *inside = BODIES["mattermost"](HOSTILE._replace(title=MARKUP), "")["text"].split("\n")
    assert head == "`" + MARKUP.replace("`", "'") + "`"
    assert opened == "```text"
    assert inside[-1] == "```"
    assert not any("`" in line for line in inside[:-1])


def test_in_teams_all_of_a_message_is_in_text_runs_which_know_no_markdown():
    body = BODIES["teams"](HOSTILE, "")
    assert texts_of(body, "TextRun") == [HOSTILE.title, *HOSTILE.text.split("\n")]
    assert texts_of(body, "TextBlock") == []
    assert "msteams" not in json.dumps(body)  # mentions would be declared there


def test_a_template_cannot_be_broken_out_of():
    template = '{"summary": "{title}", "details": {"body": "{text}"}, "fixed": 1}'
    body = BODIES["webhook"](HOSTILE, template)
    assert body == {"summary": HOSTILE.title, "details": {"body": HOSTILE.text}, "fixed": 1}


def test_a_field_in_a_value_is_not_filled_in_again():
    assert BODIES["webhook"](Message("{text}", "secret"), '{"a": "{title}"}') == {"a": "{text}"}


def test_a_template_that_is_no_json_is_said_to_be_none():
    with pytest.raises(ConfigurationError, match="not JSON"):
        BODIES["webhook"](MESSAGE, "{title}")


@pytest.mark.parametrize(
    ("title", "seen"),
    [
        ("a\r\nBcc: evil@example.net", "a Bcc: evil@example.net"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("half \ud83d of a sign", "half of a sign"),
        ("\x00\x1b[2J", "[2J"),
        ("zero\u200bwidth", "zerowidth"),
        ("x" * 300, "x" * 197 + "..."),
    ],
)
def test_signs_that_nobody_sees_do_not_travel(title: str, seen: str):
    assert Message(title, title).cleaned().title == seen
    json.dumps(Message(title, title).cleaned()._asdict()).encode()


# Addresses


@pytest.mark.parametrize(
    "text",
    [
        "https://hooks.example.net/secret", "irc:https://secret", "slack:ftp://secret", "slack:", "", "slack:https://",
        "slack:https://[secret", "slack:https://x:99999999/secret", "slack:https://user:secret@example.net/x",
        "slack:https://example.net/x#secret", "SLACK:https://example.net/secret", "slack:javascript:secret",
    ],
)  # fmt: skip
def test_a_channel_that_is_none_is_refused_without_repeating_it(text: str):
    with pytest.raises(ConfigurationError, match="notify") as caught:
        parse_channel(text)
    assert "secret" not in str(caught.value)


# Whether it was taken


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
def test_a_refused_message_names_the_host_and_never_the_secret_address(receiver: Receiver, status: int):
    receiver.replies = [Reply(status, f"no such hook {SECRET} abc-{SECRET} /services/T0/{SECRET}".encode())]
    with pytest.raises(HttpError) as caught:
        post(Channel("slack", receiver.address), MESSAGE, CLOCK)
    assert "127.0.0.1" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(receiver.got) == 1


def test_a_redirect_is_not_followed_and_is_no_success(receiver: Receiver):
    with Receiver() as elsewhere:
        receiver.replies = [Reply(302, b"", (("Location", f"{elsewhere.address}"),))]
        with pytest.raises(HttpError, match="redirect") as caught:
            post(Channel("slack", receiver.address), MESSAGE, CLOCK)
        assert elsewhere.got == []
    assert SECRET not in str(caught.value)


def test_a_login_page_is_no_receipt(receiver: Receiver):
    receiver.replies = [Reply(200, b"\n<!doctype html><title>Sign in</title>")]
    with pytest.raises(NotSent, match="web page"):
        post(Channel("mattermost", receiver.address), MESSAGE, CLOCK)


def test_a_channel_that_does_not_answer_is_given_up_and_may_have_taken_it(receiver: Receiver):
    receiver.replies = [Reply(hang=True)]
    with pytest.raises(HttpError) as caught:
        post(Channel("teams", receiver.address), MESSAGE, CLOCK, Way(seconds=0.3))
    assert caught.value.ambiguous
    assert len(receiver.got) == 1


def test_a_channel_that_sends_a_byte_now_and_then_is_given_up_too(receiver: Receiver):
    receiver.replies = [Reply(drip=True)]
    with pytest.raises(HttpError, match="in time"):
        post(Channel("slack", receiver.address), MESSAGE, CLOCK, Way(seconds=0.5))


def test_what_is_posted_and_mailed_holds_no_sign_that_nobody_sees(receiver: Receiver):
    odd = Message("invoice\u202egpj.exe", "zero\u200bwidth\x1b", case="1\u2066")
    post(Channel("webhook", receiver.address), odd, CLOCK)
    ((_, body),) = receiver.got
    assert (body["title"], body["text"], body["case"]) == ("invoicegpj.exe", "zerowidth ", "1")


def test_nobody_at_the_address_is_said(receiver: Receiver):
    with pytest.raises(HttpError, match="refused") as caught:
        post(Channel("slack", "http://127.0.0.1:9/hook"), MESSAGE, CLOCK)
    assert not caught.value.ambiguous


# Mail


def settings(postbox: Postbox, **changes: Any) -> Mail:
    plain = Mail("127.0.0.1", postbox.port, "propolis@example.org", ("soc@example.org",), starttls=False)
    return plain._replace(**changes)


def test_mail_has_a_subject_of_one_line_and_is_plain_text():
    with Postbox() as postbox:
        assert mail(settings(postbox), MESSAGE._replace(title="Contained\r\nBcc: evil@example.net", text=MARKUP)) == ()
    (letter,) = postbox.letters
    assert letter["Subject"] == "[Propolis] Contained Bcc: evil@example.net"
    assert letter["Bcc"] is None
    assert letter.get_content_type() == "text/plain"
    assert letter.get_content().split("\n\n") == [MARKUP, f"{MESSAGE.link}\n"]


def test_mail_takes_any_sign_there_is():
    with Postbox() as postbox:
        mail(settings(postbox), Message("Überfall ☠ \ud800", "漢字 \ud83d.\n.\n..\n"))
    assert postbox.letters[0]["Subject"] == "[Propolis] Überfall ☠"
    assert postbox.letters[0].get_content() == "漢字 .\n.\n..\n"


def test_mail_over_tls_with_a_login(tmp_path: Path, need: Callable[[object, str], None]):
    need(shutil.which("openssl"), "openssl")
    trusted, context = certificate(tmp_path)
    safely = {"starttls": True, "user": "propolis", "password": "pa55word"}
    with Postbox(context, users={"propolis": "pa55word"}) as postbox:
        mail(settings(postbox, ca_file=str(trusted), **safely), MESSAGE)
        assert postbox.encrypted == [True]
        with pytest.raises(NotSent, match="not trusted"):
            mail(settings(postbox, **safely), MESSAGE)
        with pytest.raises(NotSent, match="user or the password") as caught:
            mail(settings(postbox, ca_file=str(trusted), **{**safely, "password": "wr0ng-one"}), MESSAGE)
    assert "wr0ng-one" not in str(caught.value)  # this server repeats it
    assert len(postbox.letters) == 1


def test_mail_is_not_sent_in_the_clear_where_encryption_is_wanted():
    with Postbox() as postbox, pytest.raises(NotSent, match="STARTTLS"):
        mail(settings(postbox, starttls=True), MESSAGE)
    assert postbox.letters == []


def test_receivers_that_were_refused_are_told_apart_from_those_that_were_not():
    with Postbox() as postbox:
        postbox.refused = {"gone@example.org"}
        both = settings(postbox, to=("soc@example.org", "gone@example.org"))
        assert mail(both, MESSAGE) == ("gone@example.org",)
        with pytest.raises(NotSent, match="every receiver"):
            mail(settings(postbox, to=("gone@example.org",)), MESSAGE)
    assert len(postbox.letters) == 1


@pytest.mark.parametrize("wrong", [{"sender": "a\nb@example.org"}, {"to": ("x@example.org\r\nBcc: y@example.org",)}])
def test_an_address_that_no_mail_can_have_is_refused(wrong: dict[str, Any]):
    with Postbox() as postbox, pytest.raises(ConfigurationError, match="not a mail address"):
        mail(settings(postbox, **wrong), MESSAGE)


def test_mail_without_a_server_says_so():
    nowhere = Mail("127.0.0.1", 1, "propolis@example.org", ("soc@example.org",), password="pa55word")
    with pytest.raises(NotSent, match="refused") as caught:
        mail(nowhere, MESSAGE)
    assert "pa55word" not in str(caught.value)

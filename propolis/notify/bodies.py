"""What a message looks like to each kind of channel. Nothing in it becomes markup, a link or a mention there.

Written from the vendors' documents, not tried on the products: Slack "Incoming webhooks", "Text object" and "Formatting
text for app surfaces" (a `plain_text` object has no formatting; `&`, `<` and `>` are escaped in `text`); Mattermost
"Incoming webhooks" and "Format text" (nothing is formatted inside code); Microsoft "Format cards in Teams" (Markdown
in TextBlock and Fact only) and the Adaptive Cards schema (RichTextBlock with TextRun, from version 1.2). That a plain
web address in Slack's `plain_text` is not made a link is assumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from propolis.errors import ConfigurationError
from propolis.notify.message import Message

_FIELD = re.compile(r"\{(title|text|urgency|case|link)\}")
_PLAIN_TEMPLATE = '{"title": "{title}", "text": "{text}", "urgency": "{urgency}", "case": "{case}", "link": "{link}"}'
_SIREN = "\N{POLICE CARS REVOLVING LIGHT} "
_OPEN = "Open in TheHive"
_HEADER, _SECTION = 150, 3000  # characters that Slack takes in a header and in a section
_LINES = 60  # lines that a card shows; each is a block of its own


def slack(message: Message, _: str = "") -> Any:
    """Blocks of plain text; `text` is what notifications show."""
    title = _headline(message)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(title[:_HEADER])}]
    if message.text:
        blocks.append({"type": "section", "text": _plain(message.text[:_SECTION])})
    if message.link:
        link = f"<{_escaped(message.link)}|{_OPEN}>"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link}})
    return {"text": _escaped(title), "mrkdwn": False, "unfurl_links": False, "blocks": blocks}


def mattermost(message: Message, _: str = "") -> Any:
    """Code, in which nothing is formatted; a backtick in it would end it and becomes an apostrophe."""
    parts = [f"`{_headline(message).replace('`', chr(39))}`"]
    if message.text:
        parts.append(f"```text\n{message.text.replace('`', chr(39))}\n```")
    if message.link:
        parts.append(f"[{_OPEN}]({message.link})")
    return {"text": "\n".join(parts)}


def teams(message: Message, _: str = "") -> Any:
    """An Adaptive Card as a Teams workflow takes it, in text runs: Markdown is read in text blocks only."""
    lines = message.text.splitlines()
    shown = [line for line in lines[:_LINES] if line] + (["..."] if len(lines) > _LINES else [])
    body = [_run(_headline(message), weight="Bolder"), *map(_run, shown)]
    card: dict[str, Any] = {"type": "AdaptiveCard", "version": "1.4", "body": body}
    if message.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": _OPEN, "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment]}


def webhook(message: Message, template: str = "") -> Any:
    """The template's JSON with its `{fields}` filled in, each as the inside of a JSON string: nothing can break out.

    Raises ConfigurationError where that is no JSON.
    """
    filled = _FIELD.sub(lambda match: json.dumps(getattr(message, match[1]))[1:-1], template or _PLAIN_TEMPLATE)
    try:
        return json.loads(filled)
    except ValueError as error:
        raise ConfigurationError(f"The template is not JSON once its fields are filled in: {error}.") from None


BODIES: dict[str, Callable[[Message, str], Any]] = {
    "slack": slack,
    "mattermost": mattermost,
    "teams": teams,
    "webhook": webhook,
}
"""Kind of channel -> what is posted to it."""


def _headline(message: Message) -> str:
    return (_SIREN if message.urgency == "high" else "") + message.title


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text or " ", "emoji": False}


def _escaped(text: str) -> str:
    """Text in which `<!channel>`, `@here` and links written as markup are only text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}

"""One PAN-OS firewall (or Panorama): its registered addresses and their tags, by the XML API.

Read from pan-os-python (panos/userid.py): the messages `register` and `unregister`, `timeout` in seconds up to 30 days,
the texts that say a tag was there or was gone already, pages of 500 from PAN-OS 8.0 on. From Palo Alto's API lab
(registered-ip): IPv4 networks and ranges from PAN-OS 10.0 on, and that an address inherits the tags of what holds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree

from propolis.clock import Clock
from propolis.containment.backend import BackendError
from propolis.containment.change import AnswerLost, change
from propolis.http import HttpError, Response, session

from .fw_entries import entry_network

LONGEST = 30 * 24 * 3600
"""Seconds that PAN-OS keeps a tag at most."""
_PAGE = 500
_MOST_PAGES = 400
_NO_CHANGE = ("already exists, ignore", "does not exist, ignore unreg")
_HINTS = {
    401: "Check panos_keys.",
    403: "Check panos_keys; the administrator's role needs the XML API's 'User-ID Agent' and 'Operational Requests'.",
    404: "Check panos_urls.",
}


class Link(NamedTuple):
    """How firewalls are reached."""

    vsys: str
    ca_file: str | None
    proxy: str | None
    timeout: float
    """Seconds for each answer."""


class Firewall:
    """One address of an API, with the key that belongs to it."""

    def __init__(self, url: str, key: str, link: Link, clock: Clock):
        self.url = url
        self._vsys = link.vsys
        self._clock = clock
        self._client = session(
            url,
            headers={"X-PAN-KEY": key, "Accept": "application/xml"},
            ca_file=link.ca_file,
            proxy=link.proxy,
            timeout=(min(5.0, link.timeout), link.timeout),
            budget=4 * link.timeout,
            retries=1,
            clock=clock,
            secrets=[key],
            name="panos_urls",
        )

    def tagged(self, tag: str) -> list[str]:
        """Every address, network and range that carries the tag itself. Raises BackendError."""
        found: dict[str, None] = {}
        for number in range(_MOST_PAGES):
            page = self._entries(_show(tag=tag, start=number * _PAGE + 1))
            before = len(found)
            found |= {entry.get("ip", ""): None for entry in page}
            if len(page) < _PAGE:
                return list(found)
            if len(found) == before:
                break  # the same page again
        raise BackendError(f"{self.url} does not come to the end of the addresses with tag {tag}.")

    def tags(self, address: str) -> list[str]:
        """The tags that exactly this address, network or range carries. Raises BackendError."""
        wanted = entry_network(address)
        entries = [one for one in self._entries(_show(address=address)) if entry_network(one.get("ip", "")) == wanted]
        return [member.text.strip() for entry in entries for member in entry.iterfind("./tag/member") if member.text]

    def register(self, address: str, tags: Iterable[str], seconds: int) -> None:
        """Give an address tags for a time. Raises AnswerLost where it may have been done, else BackendError."""
        self._send(register(address, tags, seconds))

    def unregister(self, address: str, tags: Iterable[str]) -> None:
        """Take tags from an address. Raises AnswerLost where it may have been done, else BackendError."""
        self._send(_message("unregister", address, tags, {}))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _entries(self, command: str) -> list[ElementTree.Element]:
        form = {"type": "op", "cmd": command, "vsys": self._vsys}
        try:
            response = self._client.post("/api/", form=form, accept=(200,), retry=True)
        except HttpError as error:
            raise _fault(error) from None
        answer = _parsed(response)
        if answer is None:
            raise BackendError(_strange(response))
        result = answer.find("./result")
        if answer.get("status") != "success" or result is None:
            raise BackendError(_said(response, answer))
        if result.find(".//outfile") is not None:
            raise BackendError(
                f"{response.where} failed: PAN-OS gave a file and no list; version 8.0 or later is needed."
            )
        return result.findall("./entry")

    def _send(self, message: str) -> None:
        form = {"type": "user-id", "cmd": message, "vsys": self._vsys}
        try:
            response = change(self._client, self._clock, "POST", "/api/", form=form, accept=(200,))
        except HttpError as error:
            raise _fault(error) from None
        answer = _parsed(response)
        if answer is None:
            raise AnswerLost(_strange(response))
        if answer.get("status") == "success" or _only_says_so(answer):
            return
        raise BackendError(_said(response, answer))


def register(address: str, tags: Iterable[str], seconds: int) -> str:
    """The message that gives an address tags which PAN-OS takes away again after so many seconds."""
    return _message("register", address, tags, {"timeout": str(seconds)})


def _message(verb: str, address: str, tags: Iterable[str], options: dict[str, str]) -> str:
    root = ElementTree.Element("uid-message")
    ElementTree.SubElement(root, "version").text = "1.0"
    ElementTree.SubElement(root, "type").text = "update"
    parent = ElementTree.SubElement(ElementTree.SubElement(root, "payload"), verb)
    listed = ElementTree.SubElement(ElementTree.SubElement(parent, "entry", {"ip": address}), "tag")
    for tag in tags:
        ElementTree.SubElement(listed, "member", options).text = tag
    return ElementTree.tostring(root, encoding="unicode")


def _show(*, tag: str = "", address: str = "", start: int = 0) -> str:
    root = ElementTree.Element("show")
    command = ElementTree.SubElement(ElementTree.SubElement(root, "object"), "registered-ip")
    if start:
        ElementTree.SubElement(command, "limit").text = str(_PAGE)
        ElementTree.SubElement(command, "start-point").text = str(start)
    if tag:
        ElementTree.SubElement(ElementTree.SubElement(command, "tag"), "entry", {"name": tag})
    if address:
        ElementTree.SubElement(command, "ip").text = address
    return ElementTree.tostring(root, encoding="unicode")


class _NoDoctype(ElementTree.TreeBuilder):
    """A tree of a document that declares nothing: no entity that could be blown up, no file that could be read."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ElementTree.ParseError("a DOCTYPE has no place in an answer")


def _parsed(response: Response) -> ElementTree.Element | None:
    """The answer's root; None where it is not PAN-OS that answers."""
    try:
        parser = ElementTree.XMLParser(target=_NoDoctype())  # noqa: S314 - without a DOCTYPE there is nothing to expand
        root = ElementTree.fromstring(response.body, parser)  # noqa: S314 - as above
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    return root if root.tag == "response" and root.get("status") in ("success", "error") else None


def _texts(answer: ElementTree.Element) -> list[str]:
    """What an error answer says: texts of `msg` and `line`, and the attribute `message` of a uid-response's entries."""
    texts = [element.get("message") or element.text or "" for element in answer.iter()]
    return [text for text in (" ".join(text.split()) for text in texts) if text and text not in ("1.0", "2.0")]


def _only_says_so(answer: ElementTree.Element) -> bool:
    """It is called an error, and it only says that there was nothing to do."""
    texts = _texts(answer)
    return bool(texts) and all(text.endswith(_NO_CHANGE) for text in texts)


def _said(response: Response, answer: ElementTree.Element) -> str:
    text = response.redact("; ".join(_texts(answer)))[:200].rstrip(". ") or "no reason given"
    return f"{response.where} failed: PAN-OS refused it ({text})."


def _strange(response: Response) -> str:
    return f"{response.where} failed: the answer is not PAN-OS's XML API; check panos_urls."


def _fault(error: HttpError) -> BackendError:
    return BackendError(f"{error} {_HINTS.get(error.status or 0, '')}".strip())

"""A PAN-OS firewall that remembers registered addresses and their tags.

Messages, limits and texts are those that pan-os-python (panos/userid.py) sends and reads: a tag that is there already
or gone already answers status="error", pages have 500 entries, `timeout` is in seconds up to 30 days and 0 means for
ever. The entries of an answer, and the inheritance of a network's tags (PAN-OS 10.0), are as in Palo Alto's API lab.
That a tag which is there keeps its end is read out of "already exists, ignore".
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from urllib.parse import parse_qs
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from failing_front import Asked, Told

from propolis.clock import Clock

KEY = "LUFRPT1-panos-key-of-the-lab=="
_LONGEST = 2592000


class FakePanos:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.registered: dict[str, dict[str, float | None]] = {}
        """Address, network or range -> tag -> end in wall time, None for none."""
        self.deaf = False
        """Say success and do nothing."""
        self.refusal = ""
        """Answer every change with this text and status="error"."""
        self.stuck = False
        """Give the first page whatever page is asked for."""
        self.raw = b""
        """Answer this to every question."""

    @staticmethod
    def is_question(asked: Asked) -> bool:
        """An operational command changes nothing, although it is sent by POST."""
        return _form(asked).get("type") == "op"

    def answer(self, asked: Asked) -> Told:
        """What the firewall answers."""
        form = _form(asked)
        if asked.headers.get("x-pan-key") != KEY:
            return Told(
                403, b'<response status="error" code="403"><result><msg>Invalid Credential</msg></result></response>'
            )
        if asked.method != "POST" or asked.target != "/api/" or form.get("vsys") != "vsys1":
            return Told(200, b'<response status="error" code="17"><msg><line>Illegal parameter</line></msg></response>')
        command = ElementTree.fromstring(form["cmd"])  # noqa: S314 - our own request
        if form["type"] == "op":
            return Told(200, self.raw or self._shown(command))
        return self._changed(command)

    def tag(self, address: str, tag: str, seconds: float | None = None) -> None:
        """What another program registers."""
        self.registered.setdefault(address, {})[tag] = None if seconds is None else self._clock.now() + seconds

    def blocks(self, address: str, tag: str = "propolis-block") -> bool:
        """Whether a group that matches the tag holds the address."""
        return any(tag in self._live(holder) for holder in self.registered if _holds(holder, address))

    def tags_of(self, address: str) -> set[str]:
        return set(self._live(address))

    def _live(self, address: str) -> dict[str, float | None]:
        now = self._clock.now()
        return {tag: end for tag, end in self.registered.get(address, {}).items() if end is None or end > now}

    def _shown(self, command: ElementTree.Element) -> bytes:
        where = command.find("./object/registered-ip")
        assert where is not None
        tag, address = where.find("./tag/entry"), where.findtext("./ip")
        found = [
            name
            for name in self.registered
            if self._live(name)
            and (tag is None or tag.get("name") in self._live(name))
            and (address is None or name == address)
        ]
        start, limit = int(where.findtext("./start-point", "1")), int(where.findtext("./limit", "0"))
        if limit:
            first = 0 if self.stuck else start - 1
            found = found[first : first + min(limit, 500)]
        entries = "".join(
            f'<entry ip={quoteattr(name)} from_agent="0" persistent="1"><tag>'
            + "".join(f"<member>{escape(tag)}</member>" for tag in self._live(name))
            + "</tag></entry>"
            for name in found
        )
        return f'<response status="success"><result>{entries}<count>{len(found)}</count></result></response>'.encode()

    def _changed(self, message: ElementTree.Element) -> Told:
        if self.refusal:
            return _error([self.refusal])
        said = []
        for verb in ("register", "unregister"):
            for entry in message.iterfind(f"./payload/{verb}/entry"):
                for member in entry.iterfind("./tag/member"):
                    said += self._one(verb, entry.get("ip", ""), member)
        return _error(said) if said else Told(200, b'<response status="success"><result></result></response>')

    def _one(self, verb: str, address: str, member: ElementTree.Element) -> list[str]:
        tag, timeout = member.text or "", int(member.get("timeout", "0"))
        assert 0 <= timeout <= _LONGEST
        assert len(tag) <= 127
        if self.deaf:
            return []
        if verb == "register":
            if tag in self._live(address):
                return [f"tag {tag} already exists, ignore"]
            self.registered.setdefault(address, {})[tag] = self._clock.now() + timeout if timeout else None
        elif self.registered.get(address, {}).pop(tag, 0) == 0:
            return [f"tag {tag} does not exist, ignore unreg"]
        return []


def _error(said: list[str]) -> Told:
    entries = "".join(f"<entry message={quoteattr(text)}/>" for text in said)
    body = f"<uid-response><version>2.0</version><payload><register>{entries}</register></payload></uid-response>"
    return Told(200, f'<response status="error"><msg><line>{body}</line></msg></response>'.encode())


def _form(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


def _holds(holder: str, address: str) -> bool:
    first, dash, last = holder.partition("-")
    wanted = ip_network(address)
    if dash:
        return int(ip_address(first)) <= int(wanted[0]) and int(wanted[-1]) <= int(ip_address(last))
    network = ip_network(holder)
    return network.version == wanted.version and wanted.subnet_of(network)  # type: ignore[arg-type]

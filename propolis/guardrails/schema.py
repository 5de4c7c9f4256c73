"""Every key a policy may hold: its path, how its value is read, its default, and what it means.

This table feeds the reader, the defaults and, held by a test, the handbook.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from propolis.duration import parse_duration
from propolis.errors import InputError
from propolis.guardrails.builtin import THIRD_PARTY
from propolis.guardrails.domains import canonical_domain
from propolis.guardrails.networks import AnyNetwork, parse_target
from propolis.yamltree import Fault, Node

KINDS = ("firewall", "accounts", "hosts")
_MOST_ENTRIES = 20_000
_LONGEST_NAME = 256


class ThirdParty(NamedTuple):
    """A named list of networks that many share."""

    name: str
    networks: tuple[AnyNetwork, ...]


class _BadValueError(Exception):
    """A value that does not fit, with its own line and the end of its path where it lies deeper."""

    def __init__(self, message: str, node: Node, below: str = ""):
        super().__init__(message)
        self.message = message
        self.line = node.line
        self.below = below


Reader = Callable[[Node, "_Report"], Any]


class _Report:
    """Where readers of lists leave their faults, so that one bad entry does not hide the next."""

    def __init__(self, path: str, faults: list[Fault]):
        self.path = path
        self.faults = faults

    def fault(self, node: Node, below: str, message: str) -> None:
        self.faults.append(Fault(node.line, self.path + below, message))


class Key(NamedTuple):
    """One key: `firewall.max_ttl`, its reader, its default, and a sentence for people."""

    path: str
    read: Reader
    default: Any
    help: str


def load(root: Node | None, faults: list[Fault]) -> dict[str, Any]:
    """The value of every key, defaults where the document has none; what does not fit is added to the faults."""
    values = {key.path: key.default for key in KEYS}
    if root is None or root.value is None:
        return values
    _load_mapping(root, "", values, faults)
    if not faults and values["firewall.default_ttl"] > values["firewall.max_ttl"]:
        faults.append(Fault(root.line, "firewall.default_ttl", "it is longer than firewall.max_ttl"))
    return values


def _load_mapping(node: Node, path: str, values: dict[str, Any], faults: list[Fault]) -> None:
    if not isinstance(node.value, dict):
        faults.append(Fault(node.line, path, f"it must be a mapping of keys, not {_kind(node)}"))
        return
    for name, child in node.value.items():
        place = f"{path}.{name}" if path else name
        if place in _BY_PATH:
            _load_value(_BY_PATH[place], child, values, faults)
        elif place in _GROUPS:
            _load_mapping(child, place, values, faults)
        else:
            known = ", ".join(_children(path))
            faults.append(Fault(child.line, place[:120], f"there is no such key; known here: {known}"))


def _load_value(key: Key, node: Node, values: dict[str, Any], faults: list[Fault]) -> None:
    try:
        values[key.path] = key.read(node, _Report(key.path, faults))
    except _BadValueError as error:
        faults.append(Fault(error.line, key.path + error.below, error.message))


# --- readers


def _text(node: Node) -> str:
    if not isinstance(node.value, str):
        raise _BadValueError(f"it must be text, not {_kind(node)}; put it in quotes if it is one", node)
    if not node.value.strip() or len(node.value) > _LONGEST_NAME or not node.value.isprintable():
        raise _BadValueError(f"it must be printable text of 1 to {_LONGEST_NAME} characters", node)
    return node.value.strip()


def _entries(one: Callable[[Node], Any]) -> Reader:
    """A list, each entry read by `one`; every bad entry is reported."""

    def read(node: Node, report: _Report) -> tuple[Any, ...]:
        if not isinstance(node.value, list):
            raise _BadValueError(f"it must be a list, not {_kind(node)}", node)
        if len(node.value) > _MOST_ENTRIES:
            raise _BadValueError(f"it holds more than {_MOST_ENTRIES:,} entries", node)
        found = []
        for place, child in enumerate(node.value):
            try:
                found.append(one(child))
            except _BadValueError as error:
                report.fault(child, f"[{place}]{error.below}", error.message)
        return tuple(found)

    return read


def _network(node: Node) -> AnyNetwork:
    try:
        network = parse_target(_text(node))
    except InputError as error:
        raise _BadValueError(error.message, node) from None
    if network.prefixlen == 0:
        raise _BadValueError("it covers every address there is; name the networks that are meant", node)
    return network


def _network_or_name(node: Node) -> AnyNetwork | str:
    text = _text(node)
    if ":" in text or "/" in text or text.rpartition(".")[2].isdigit():
        return _network(node)
    return _domain(node)


def _domain(node: Node) -> str:
    try:
        return canonical_domain(_text(node))
    except InputError as error:
        raise _BadValueError(error.message, node) from None


def _third_party(node: Node) -> ThirdParty:
    if isinstance(node.value, dict):
        return _given_list(node)
    name = _text(node)
    if name not in THIRD_PARTY:
        shipped = ", ".join(THIRD_PARTY)
        raise _BadValueError(f"no list of this name is shipped ({shipped}); give it as name: and networks:", node)
    return ThirdParty(name, tuple(parse_target(text) for text in THIRD_PARTY[name]))


def _given_list(node: Node) -> ThirdParty:
    if set(node.value) != {"name", "networks"}:
        raise _BadValueError("a list of one's own has just the keys name and networks", node)
    faults: list[Fault] = []
    networks = _entries(_network)(node.value["networks"], _Report(".networks", faults))
    if faults:
        raise _BadValueError(f"{faults[0].message} (line {faults[0].line})", node, faults[0].path)
    return ThirdParty(_text(node.value["name"]), networks)


def _one(read: Callable[[Node], Any]) -> Reader:
    return lambda node, _: read(node)


def _choice(*options: str) -> Reader:
    def read(node: Node, _: _Report) -> str:
        if node.value not in options or not isinstance(node.value, str):
            raise _BadValueError(f"it must be one of {', '.join(options)}", node)
        return node.value

    return read


def _permanent(node: Node, report: _Report) -> str:
    """`false` says the same as `never`."""
    return "never" if node.value is False else str(_choice("human", "never")(node, report))


def _flag(node: Node, _: _Report) -> bool:
    if not isinstance(node.value, bool):
        raise _BadValueError(f"it must be true or false, not {_kind(node)}", node)
    return node.value


def _fixed(value: bool, why: str) -> Reader:
    """A switch that may be written down but not turned."""

    def read(node: Node, report: _Report) -> bool:
        if _flag(node, report) is not value:
            raise _BadValueError(f"it must be {str(value).lower()}: {why}", node)
        return value

    return read


def _number(low: int, high: int) -> Reader:
    def read(node: Node, _: _Report) -> int:
        if isinstance(node.value, bool) or not isinstance(node.value, int) or not low <= node.value <= high:
            raise _BadValueError(f"it must be a whole number from {low} to {high}", node)
        return node.value

    return read


def _span(node: Node, _: _Report) -> int:
    try:
        return parse_duration(_text(node))
    except InputError as error:
        raise _BadValueError(error.message, node) from None


def _place(node: Node) -> str:
    text = _text(node)
    if not text.startswith("/"):
        raise _BadValueError("it must be the absolute path of a file", node)
    return text


def _kind_name(node: Node) -> str:
    return str(_choice(*KINDS)(node, _Report("", [])))


def _kind(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a mapping"
    if isinstance(node.value, list):
        return "a list"
    return "nothing" if node.value is None else f"{node.value!r}"[:60]


_SHIPPED = tuple(ThirdParty(name, tuple(parse_target(text) for text in texts)) for name, texts in THIRD_PARTY.items())
_NETWORKS, _NAMES, _DOMAINS = _entries(_network), _entries(_text), _entries(_domain)
_COUNT = _number(0, 1_000_000)
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60

KEYS: tuple[Key, ...] = (
    Key("mode", _choice("observe", "approve", "enforce"), None, "A ceiling: `observe` only says what would be done."),
    Key("actor_required", _flag, False, "Refuse what nobody known asked for."),
    Key("kill_switch", _one(_place), None, "A file: while it exists, nothing is contained, by anybody."),
    Key("firewall.never", _NETWORKS, (), "Networks never blocked, beside the built-in ones."),
    Key("firewall.own", _NETWORKS, (), "Your public ranges, VPN and branch egress. Until set, nothing is contained."),
    Key("firewall.infrastructure", _entries(_network_or_name), (), "Resolvers, mail, SIEM, this chain, the firewall."),
    Key("firewall.third_party_lists", _entries(_third_party), _SHIPPED, "Networks that many share."),
    Key("firewall.on_third_party_hit", _choice("refuse", "ask", "allow"), "ask", "What follows for one of those."),
    Key("firewall.max_prefix_v4", _number(8, 32), 32, "The shortest IPv4 prefix that may be blocked."),
    Key("firewall.max_prefix_v6", _number(32, 128), 64, "The shortest IPv6 prefix that may be blocked."),
    Key("firewall.resolve_names", _fixed(False, "a name is never turned into a block"), False, "Always false."),
    Key("firewall.default_ttl", _span, _DAY, "How long a containment lasts where nobody says."),
    Key("firewall.max_ttl", _span, 7 * _DAY, "The longest any containment lasts; a longer wish is cut to it."),
    Key("firewall.permanent", _permanent, "human", "Who may contain without an end: a `human`, or `never` anybody."),
    Key("domains.own", _DOMAINS, (), "Your domains: neither they, nor what is above or below them, are blocked."),
    Key("domains.never", _DOMAINS, (), "Other domains never blocked, beside the built-in ones."),
    Key("accounts.never_names", _NAMES, (), "Account names (globs) never disabled, beside the built-in ones."),
    Key("accounts.never_ids", _NAMES, (), "SIDs, RIDs or object ids never disabled."),
    Key("accounts.never_groups", _NAMES, (), "Groups (globs) whose members are never disabled."),
    Key("accounts.never_roles", _NAMES, (), "Roles (globs) whose holders are never disabled."),
    Key("accounts.never_self", _fixed(True, "the integration must not lock itself out"), True, "Always true."),
    Key("accounts.service_accounts", _choice("refuse", "allow"), "refuse", "Whether service accounts may be disabled."),
    Key("hosts.never_names", _NAMES, (), "Host names (globs) never isolated, beside the built-in ones."),
    Key("hosts.never_tags", _NAMES, (), "Tags (globs) of hosts never isolated, beside the built-in ones."),
    Key("hosts.never_types", _NAMES, None, "Types never isolated, in place of Domain Controller and Server."),
    Key("hosts.never_networks", _NETWORKS, (), "Networks whose hosts are never isolated."),
    Key("hosts.exactly_one", _fixed(True, "one containment has one target"), True, "Always true."),
    Key("hosts.max_last_seen", _span, _DAY, "A host not seen for longer is refused: it may be another by now."),
    Key("limits.per_hour.firewall", _COUNT, 50, "Blocks begun in one hour."),
    Key("limits.per_hour.accounts", _COUNT, 5, "Accounts disabled in one hour."),
    Key("limits.per_hour.hosts", _COUNT, 3, "Hosts isolated in one hour."),
    Key("limits.per_case.firewall", _COUNT, 50, "Blocks for one case."),
    Key("limits.per_case.accounts", _COUNT, 5, "Accounts for one case."),
    Key("limits.per_case.hosts", _COUNT, 5, "Hosts for one case."),
    Key("limits.active_total.firewall", _COUNT, 5_000, "Blocks in force."),
    Key("limits.active_total.accounts", _COUNT, 100, "Accounts disabled at a time."),
    Key("limits.active_total.hosts", _COUNT, 20, "Hosts isolated at a time."),
    Key("limits.breaker.failures", _number(1, 1_000), 5, "So many failures stop a responder."),
    Key("limits.breaker.within", _span, 10 * _MINUTE, "The span in which they are counted."),
    Key("limits.breaker.cool_down", _span, 30 * _MINUTE, "How long it is stopped."),
    Key("approval.required_for", _entries(_kind_name), ("accounts", "hosts"), "Kinds that need an analyst's grant."),
    Key("approval.valid_for", _span, 4 * _HOUR, "How long a grant is good."),
    Key("approval.same_person", _flag, False, "Whether who asked may also grant. Not read yet."),
)
_BY_PATH = {key.path: key for key in KEYS}
_GROUPS = {path[:place] for path in _BY_PATH for place in range(len(path)) if path[place] == "."}


def _children(path: str) -> list[str]:
    """The keys that may stand directly below a path."""
    start = f"{path}." if path else ""
    return list(dict.fromkeys(key.path[len(start) :].partition(".")[0] for key in KEYS if key.path.startswith(start)))

"""Well-known field names: what a field of this name holds, in whatever source it occurs.

Names are compared without case, `_`, `-`, `.` and blanks: `src_ip`, `SrcIp` and `srcIP` are one. Every kind checks the
value, so a field that holds something else by this name gives nothing. Names that often mean the reporting device
(`host`, `hostname`, `dvc`), a link to a vendor (`ref`, `link`, `permalink`) or an id are left out on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from propolis.observables import kinds
from propolis.observables.kinds import Kind
from propolis.observables.names import words
from propolis.observables.table import DEEPEST, text
from propolis.observables.texts import command

MOST_FIELDS = 20_000  # fields of one alert that are looked at by name
_REMEMBERED = 4096  # names whose meaning is kept


def _names(kind: Kind, role: str, names: str) -> dict[str, tuple[Kind, str]]:
    return dict.fromkeys(names.split(), (kind, role))


NAMES: dict[str, tuple[Kind, str]] = {
    **_names(
        kinds.peer,
        "source",
        "srcip sip sourceip sourceaddress srcaddr srcaddress clientip clientaddr clientaddress remoteip remoteaddr"
        " remoteaddress remotehost callerip calleripaddress ipaddress attackerip attacker origh peerip remotepeer"
        " natsourceip transrcip mappedsrcip xff xforwardedfor forwardedfor cip actorip actoripaddress rhost senderip"
        " remip originatorip clientdynip sourceipv4 sourceipv6 srcv6 userip loginip fromip saddr foreignip peer"
        " sourceips clientips",
    ),
    **_names(kinds.endpoint, "source", "src source client ip ipv4 ipv6 remote rip origin"),
    **_names(
        kinds.peer,
        "destination",
        "dstip dip destip destinationip destinationaddress dstaddr dstaddress targetip resph serverip"
        " natdestinationip trandstip mappeddstip targetipv4 targetipv6 dstv6 daddr victimip originserverip",
    ),
    **_names(kinds.endpoint, "destination", "dst dest destination target server victim lip"),
    **_names(
        kinds.name, "destination", "dstname desthost destinationhostname destinationdomain targethostname dsthost"
    ),
    **_names(kinds.name, "source", "srchost sourcehostname srcdomain clienthostname helo"),
    **_names(kinds.name, "query", "query qname rrname queryname dnsquery dnsname domainname dnsqueryname"),
    **_names(
        kinds.peer, "request", "httphost hosthead hostheader sni servername requesthost urlhost urldomain vhost domain"
    ),
    **_names(
        kinds.user,
        "subject",
        "srcuser user username usrname suser sourceuser sourceusername login loginname accountname account"
        " subjectusername actor useraccount usr suname srcusername uname clientusername logonuser authuser",
    ),
    **_names(
        kinds.user, "target", "dstuser duser destinationuser destinationusername targetusername targetuser affecteduser"
    ),
    **_names(
        kinds.mail,
        "subject",
        "email useremail mail principalemail emailaddress userprincipalname upn mailboxownerupn userid alternateid",
    ),
    **_names(
        kinds.mail,
        "sender",
        "from sender mailfrom srcemail p1sender p2sender senderaddress fromaddress envelopefrom emailfrom",
    ),
    **_names(
        kinds.mail,
        "recipient",
        "to recipient recipients rcptto rcpt dstemail recipientaddress toaddress envelopeto emailto",
    ),
    **_names(
        kinds.uri,
        "request",
        "url uri requesturl requesturi request urlpath targeturl httpurl fullurl clienturl requestpath",
    ),
    **_names(kinds.url, "referrer", "referer referrer httpreferer httprefer httpreferrer"),
    **_names(
        kinds.agent,
        "client",
        "useragent httpuseragent agent clientagent requestclientapplication ua csuseragent rawuseragent",
    ),
    **_names(
        kinds.digest,
        "file",
        "md5 sha1 sha256 hash filehash filedigest filemd5 filesha1 filesha256 filehashmd5 filehashsha1 filehashsha256"
        " md5string sha1string sha256string"
        " analyticscksum checksum md5sum sha1sum sha256sum filechecksum processhash hashvalue",
    ),
    **_names(kinds.digests, "file", "hashes"),
    **_names(
        kinds.file,
        "file",
        "filename filepath fname targetfilename fullpath infectedfile infectedfilepath infectedpath quarantinedfile",
    ),
    **_names(kinds.path, "file", "path file target folder object objectname filefullpath virusfilepath"),
    **_names(
        kinds.program,
        "process",
        "process processname processpath exe executable image parentimage sproc imagepath newprocessname",
    ),
    **_names(command.command_line, "command", "commandline cmdline command processcommandline cmd parentcommandline"),
    **_names(
        kinds.vulnerability,
        "vulnerability",
        "cve cveid cves vulnerabilityid vulnerability signature alertsignature attackname",
    ),
    **_names(kinds.threat, "threat", "threatname virusname virus malware malwarename malwarefamily virusthreatname"),
    **_names(kinds.indicator, "related", "ioc iocvalue indicator indicatorvalue observable observablevalue"),
    **_names(kinds.key, "registry", "registrykey regkey registrypath targetobject"),
}
# What a party's own object (`source.ip`, `client.address`) makes of the plain names in it.
_PARTIES = {
    **dict.fromkeys(
        ("source", "src", "srcendpoint", "client", "attacker", "remote", "actor", "caller", "peer"), "source"
    ),
    **dict.fromkeys(("destination", "dst", "dest", "dstendpoint", "server", "target", "victim"), "destination"),
}
_PARTY_NAMES = frozenset(("ip", "address", "addr", "ipaddress", "ipv4", "ipv6", "host", "hostname", "domain"))
# Objects that describe the reporting side, or quote another document.
_CLOSED = frozenset(
    words(
        "rule agent manager cluster predecoder decoder host observer device sensor parameters alert geoip "
        "geo compliance reference references metadata tags labels flow win syscheck"
    )
)

_known: dict[str, tuple[Kind, str] | None] = {}


def _lookup(name: str) -> tuple[Kind, str] | None:
    found = _known.get(name, False)
    if found is not False:
        return found  # type: ignore[return-value]
    meaning = NAMES.get(plain(name))
    if len(_known) < _REMEMBERED:  # names come from outside: the memory of them is bounded
        _known[name] = meaning
    return meaning


def plain(name: str) -> str:
    """A field's name as it is compared."""
    return name.lower().replace("_", "").replace("-", "").replace(".", "").replace(" ", "")


def fields(data: Any, path: str, notes: list[str]) -> Iterator[tuple[Kind, str, str, str]]:
    """`(kind, role, text, path)` for every field of a well-known name below `data`; what is left out is noted."""
    waiting: list[tuple[str, Any, str, str, int]] = [("", data, path, "", 0)]
    for _ in range(MOST_FIELDS):
        if not waiting:
            return
        name, node, place, party, depth = waiting.pop()
        kind = type(node)
        if kind is str:
            meaning = _meaning(name, party)
            if meaning is not None:
                yield meaning[0], meaning[1], node, place
        elif depth < DEEPEST and kind is dict:
            steps = [_step(key, value, place, party, depth) for key, value in node.items()]
            if "path" in node and _is_request(node):
                steps = [("requestpath", *step[1:]) if step[0] == "path" else step for step in steps]
            waiting.extend(reversed(steps))
        elif depth < DEEPEST and kind is list:
            waiting.extend((name, entry, place, party, depth + 1) for entry in reversed(node))
    notes.append(f"Only the first {MOST_FIELDS} fields below {path} were read by their names.")


_METHODS = frozenset(words("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND"))


def _is_request(node: dict[str, Any]) -> bool:
    """True for the log of a web request: its `path` is what was asked for, and no file."""
    return any(text(node, name) in _METHODS for name in ("method", "request_method", "http_method"))


def _step(name: str, value: Any, place: str, party: str, depth: int) -> tuple[str, Any, str, str, int]:
    """One level down; what describes the reporting side or quotes another document is passed over."""
    if type(value) is str:
        return name, value, f"{place}.{name}", party, depth + 1
    short = plain(name)
    return name, None if short in _CLOSED else value, f"{place}.{name}", _PARTIES.get(short, ""), depth + 1


def _meaning(name: str, party: str) -> tuple[Kind, str] | None:
    if party:
        short = plain(name)
        if short in _PARTY_NAMES:
            return (kinds.name if short == "domain" else kinds.host), party
    return _lookup(name)

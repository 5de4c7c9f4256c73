"""What an analyst asks for by a tag on an observable or a case: release a containment, renew it, make it permanent.

`propolis:release`, `propolis:renew=4h`, `propolis:permanent`. A tag is a person's word only where TheHive's own audit
trail says who put it there, and that was not the service: tags also come with alerts, and from workers. On an
observable it is about the containments that were started on it, on a case about all of the case; never about those that
began after it was put.

Step `request:<entity>:<moment>` `{"entity", "entity_id", "case"}`, one for every change of what carries such a tag.
Record `request`, key a hash of (entity, tag, audit): what became of it, so that a tag that stays works once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from playbook_service.engine import approval, launch, lease, renewal
from playbook_service.engine.markdown import code, plain
from playbook_service.engine.notice import notice
from playbook_service.engine.step import Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Audit
from playbook_service.playbook.model import content_digest
from playbook_service.store.contract import Filter, Item, Record, Transaction
from propolis.duration import parse_duration
from propolis.errors import InputError, PropolisError

KIND = "request"
RELEASE, RENEW, PERMANENT = "release", "renew", "permanent"
_PREFIX = "propolis:"
_TOLD_WITHIN = 60.0
"""Seconds that TheHive's trail may lag behind the entity."""
_LOOK_AGAIN = 5.0
_SKEW = 120.0
"""Seconds by which TheHive's clock may be behind ours."""
_CUT_OFF = 200
"""Lines of the trail at which it may be incomplete."""


class Request(NamedTuple):
    """What one tag asks for. `seconds` belongs to `renew`; `fault` says what is wrong with the tag."""

    word: str
    tag: str
    seconds: int = 0
    fault: str = ""


class Author(NamedTuple):
    """Who put a tag, and when (milliseconds); empty where TheHive does not say."""

    login: str
    at: int


def requests_of(tags: Sequence[str]) -> list[Request]:
    """The requests among tags. TheHive 4 writes `a:b="c"` for `a:b=c`."""
    found = []
    for tag in (tag.replace('"', "") for tag in tags if tag.startswith(_PREFIX)):
        word, _, value = tag.removeprefix(_PREFIX).partition("=")
        if word == RENEW:
            found.append(_renewal(tag, value))
        elif word in (RELEASE, PERMANENT) and not value:
            found.append(Request(word, tag))
    return found


def _renewal(tag: str, value: str) -> Request:
    try:
        return Request(RENEW, tag, parse_duration(value))
    except InputError as error:
        return Request(RENEW, tag, fault=str(error))


def noticed(work: Transaction, entity: str, entity_id: str, case_id: str, tags: Sequence[str], changed_at: int) -> bool:
    """An entity (`case`, `observable`) was seen with these tags: where they ask for something, it is looked into."""
    if not requests_of(tags) or not _concerned(work, entity, entity_id, case_id):
        return False
    return follow(work, "request", f"{entity_id}:{changed_at}", entity=entity, entity_id=entity_id, case=case_id)


def who_tagged(audits: Sequence[Audit], tag: str) -> Author:
    """Who put a tag that is there now, from the lines of the trail, newest first.

    Every line with tags tells all of them. The author's is the oldest line of the latest stretch that has the tag; it
    must be seen to begin there: by a line before it without the tag, by the entity's creation, or because the trail is
    whole and tells of no creation (observables that TheHive 4 imported).
    """
    lines = [audit for audit in audits if isinstance(audit.details.get("tags"), list)]
    stretch: list[Audit] = []
    for line in lines:
        if tag not in [str(found).replace('"', "") for found in line.details["tags"]]:
            return Author(stretch[-1].actor, stretch[-1].at) if stretch else Author("", 0)
        stretch.append(line)
    whole = any(audit.verb == "create" for audit in audits) or len(audits) < _CUT_OFF
    return Author(stretch[-1].actor, stretch[-1].at) if stretch and whole else Author("", 0)


class Requests:
    """The step `request`. `approvers`: who may renew and make permanent; empty: any analyst but the service."""

    def __init__(self, tools: Tools, approvers: Sequence[str] = ()):
        self._tools = tools
        self._approvers = tuple(approvers)

    def step(self, item: Item) -> Outcome:
        """Read the entity again, and do what its tags ask for."""
        entity, entity_id = str(item.body["entity"]), str(item.body["entity_id"])
        case_id = str(item.body["case"])
        hive = self._tools.hive
        found = hive.case(entity_id) if entity == "case" else hive.observable(entity_id)
        asked = requests_of(found.tags) if found is not None else []
        with self._tools.store.transaction() as work:
            leases = _concerned(work, entity, entity_id, case_id)
        if not asked or not leases:
            return Done()
        if any(record.state == lease.WISHED for record in leases):
            return Later(_LOOK_AGAIN, "a containment is still being started")
        audits = hive.audits(entity, entity_id, case_id)
        authors = [who_tagged(audits, request.tag) for request in asked]
        untold = any(not author.login for author in authors)
        if untold and self._tools.clock.now() - item.put_at < _TOLD_WITHIN:
            return Later(_LOOK_AGAIN, "TheHive does not say yet who put the tag")
        return Done(lambda work: self._settle(work, entity, entity_id, case_id, list(zip(asked, authors, strict=True))))

    def _settle(
        self, work: Transaction, entity: str, entity_id: str, case_id: str, asked: list[tuple[Request, Author]]
    ) -> None:
        for request, author in asked:
            key = content_digest([entity_id, request.tag, author.login, author.at])[:32]
            if work.get(KIND, key) is not None:
                continue
            why = request.fault or self._refused(request, author)
            results = [f"refused: {why}"] if why else []
            for record in _concerned(work, entity, entity_id, case_id) if not why else ():
                if _began(work, record) <= author.at / 1000 + _SKEW:
                    results.append(self._carried_out(work, request, record, author.login))
            self._note(work, key, case_id, request, author, results)

    def _refused(self, request: Request, author: Author) -> str:
        if not author.login:
            return "TheHive does not say who put the tag"
        if author.login == self._tools.account:
            return "the service's own account cannot ask for it"
        if request.word != RELEASE and self._approvers and not self._may(author.login):
            return f"{author.login} is not one of those who may approve"
        return ""

    def _carried_out(self, work: Transaction, request: Request, record: Record, by: str) -> str:
        try:
            if request.word == RELEASE:
                return f"{record.key}: {'released' if lease.end(work, self._tools, record.key, by) else 'not in force'}"
            if request.word == RENEW:
                renewal.renew(work, self._tools, record.key, request.seconds, by)
            else:
                renewal.make_permanent(work, self._tools, record.key, by)
        except PropolisError as error:
            return f"refused: {error}"
        return f"{record.key}: {request.word}"

    def _note(
        self, work: Transaction, key: str, case_id: str, request: Request, author: Author, results: list[str]
    ) -> None:
        body: dict[str, Any] = {"tag": request.tag, "by": author.login, "results": results}
        work.save(KIND, key, body, version=0, state="answered", ref=case_id)
        refusals = [text.removeprefix("refused: ") for text in results if text.startswith("refused: ")]
        self._tools.journal.write(
            work, "tag read", case=case_id, tag=request.tag, operator=author.login or None, automated=False,
            result=results,
        )  # fmt: skip
        if refusals:
            lines = [f"The tag {code(request.tag)} did nothing: {plain(refusals[0], 500)}"]
            notice(work, f"request:{key}", case_id, f"Not done: {request.tag}", lines, urgent=True)

    def _may(self, login: str) -> bool:
        by_profile = any(entry.startswith(approval.PROFILE) for entry in self._approvers)
        profile = self._tools.hive.profile(login) if by_profile and login not in self._approvers else ""
        return approval.is_listed(self._approvers, login, profile)


def _concerned(work: Transaction, entity: str, entity_id: str, case_id: str) -> list[Record]:
    """The leases that a tag there is about: in force, or on their way."""
    found = [*work.find(lease.KIND, Filter(state=lease.WISHED, ref=case_id)), *lease.in_force(work, case_id)]
    return [record for record in found if entity == "case" or record.body["grant"]["entity_id"] == entity_id]


def _began(work: Transaction, record: Record) -> float:
    """When a containment was started; 0 where that is forgotten by now."""
    begun = work.get(launch.KIND, f"contain:{record.key}")
    return float(begun.body["asked_at"]) if begun is not None else 0.0

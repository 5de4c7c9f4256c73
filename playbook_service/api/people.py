"""Leases and approvals over HTTP. Whoever calls presents their own TheHive API key (`Authorization: Bearer ...`); it is
checked with TheHive on every call and kept nowhere. The rules are those of answers given in TheHive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from playbook_service.engine import approval, lease, renewal
from playbook_service.engine.document import approval_document, lease_document
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import Me
from playbook_service.intake.credential import presented
from playbook_service.store.contract import Conflict, Transaction
from playbook_service.web.application import Route
from playbook_service.web.message import Answer, Failure, Request, answer_json
from propolis.clock import utc_text
from propolis.duration import parse_duration
from propolis.errors import ConfigurationError, InputError, PropolisError
from propolis.http import HttpError

_BODY = 2000
_ACT = "manageAction"
"""The permission in TheHive to run responders: who may do that by hand may also end or prolong what they did."""
Act = Callable[[Transaction, Tools, Me, Request], dict[str, Any]]


class PeopleApi:
    """`tools` gives None until the engine has met TheHive; `approvers` may prolong, where any are named."""

    def __init__(self, tools: Callable[[], Tools | None], approvers: Sequence[str] = ()):
        self._tools = tools
        self._approvers = tuple(approvers)

    def routes(self) -> list[Route]:
        """The addresses."""
        return [
            Route("GET", "/api/v1/leases", self._handler(_leases)),
            Route("POST", "/api/v1/leases/{lease}/release", self._handler(_release, _ACT)),
            Route("POST", "/api/v1/leases/{lease}/renew", self._handler(self._renew, _ACT)),
            Route("POST", "/api/v1/leases/{lease}/permanent", self._handler(self._permanent, _ACT)),
            Route("GET", "/api/v1/approvals", self._handler(_approvals)),
            Route("POST", "/api/v1/approvals/{approval}/grant", self._handler(_granting(approval.GRANTED))),
            Route("POST", "/api/v1/approvals/{approval}/deny", self._handler(_granting(approval.DENIED))),
        ]

    def _handler(self, act: Act, permission: str = "") -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            tools = self._tools()
            if tools is None:
                sentence = "The service has not met TheHive yet, which says who you are."
                raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence, {"Retry-After": "10"})
            me = _who(tools, request)
            if permission and permission not in me.permissions:
                raise Failure(HTTPStatus.FORBIDDEN, f"{me.login} lacks the permission {permission} in TheHive.")
            return answer_json({"ok": True, **_done(tools, act, me, request)})

        return handle

    def _renew(self, work: Transaction, tools: Tools, me: Me, request: Request) -> dict[str, Any]:
        self._check_approver(me)
        wanted = request.json(_BODY)
        span = wanted.get("for") if isinstance(wanted, dict) else None
        if not isinstance(span, str):
            raise Failure(HTTPStatus.BAD_REQUEST, 'Say how much longer: {"for": "4h"}.')
        end = renewal.renew(work, tools, request.parameters["lease"], parse_duration(span), me.login)
        return {"until": utc_text(end)}

    def _permanent(self, work: Transaction, tools: Tools, me: Me, request: Request) -> dict[str, Any]:
        self._check_approver(me)
        renewal.make_permanent(work, tools, request.parameters["lease"], me.login)
        return {"permanent": True}

    def _check_approver(self, me: Me) -> None:
        if self._approvers and not approval.is_listed(self._approvers, me.login, me.profile):
            raise Failure(HTTPStatus.FORBIDDEN, f"{me.login} is not one of those who may prolong a containment.")


def _who(tools: Tools, request: Request) -> Me:
    """The caller, by TheHive's word. Raises Failure: 401 for a key it does not know, 403 for the service's own."""
    key = presented(request.header("Authorization"))
    if not key:
        raise Failure(HTTPStatus.UNAUTHORIZED, "Present your own TheHive API key as a bearer token.")
    try:
        me = tools.hive.whose(key)
    except HttpError as error:
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Failure(HTTPStatus.UNAUTHORIZED, "TheHive does not know this API key.") from None
        sentence = "TheHive cannot be asked now whose key this is."
        raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence, {"Retry-After": "10"}) from None
    except ConfigurationError as error:
        raise Failure(HTTPStatus.FORBIDDEN, error.message) from None
    if me.login == tools.account:
        raise Failure(HTTPStatus.FORBIDDEN, "The service's own account answers nothing.")
    return me


def _done(tools: Tools, act: Act, me: Me, request: Request) -> dict[str, Any]:
    try:
        with tools.store.transaction() as work:
            return act(work, tools, me, request)
    except Conflict:
        raise Failure(HTTPStatus.CONFLICT, "It changed in this very moment: look again.") from None
    except Failure:
        raise
    except PropolisError as error:
        raise Failure(HTTPStatus.CONFLICT, str(error)) from None


def _leases(work: Transaction, tools: Tools, me: Me, request: Request) -> dict[str, Any]:
    return {"leases": [lease_document(record, tools.clock.now()) for record in lease.in_force(work)]}


def _approvals(work: Transaction, tools: Tools, me: Me, request: Request) -> dict[str, Any]:
    return {"approvals": [approval_document(record) for record in approval.waiting(work)]}


def _release(work: Transaction, tools: Tools, me: Me, request: Request) -> dict[str, Any]:
    key = request.parameters["lease"]
    if not lease.end(work, tools, key, me.login):
        raise InputError(f"There is no lease {key!r} in force.")
    return {"lease": key, "releasing": True}


def _granting(word: str) -> Act:
    def act(work: Transaction, tools: Tools, me: Me, request: Request) -> dict[str, Any]:
        key = request.parameters["approval"]
        approval.give(work, tools, key, me.login, word, me.profile)
        return {"approval": key, "answer": word, "by": me.login}

    return act

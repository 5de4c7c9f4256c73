"""What a responder is started on: the observable in the case that stands for a target, made where there is none.

A responder contains the observable it is started on and takes no target from anywhere else. A host (the agent of an
alert) or an account is often no observable of the case: then one is made for it, of a type and with a tag by which the
responder knows what it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Observable, ObservableDraft
from playbook_service.playbook import Target
from propolis.verdict.canonical import same

ENTITY = "case_artifact"
TARGET_TAG = "propolis:target"
_ACCOUNT_TYPES = frozenset(("username", "user", "account", "user-account", "mail"))
_HOST_TYPES = frozenset(("hostname", "fqdn"))
_TAGGED = {"account": "subtype:username", "host": "subtype:hostname"}


def name_of(target: Target) -> str:
    """What the observable says: a host goes by its name, as an agent's number means nothing outside its manager."""
    return (target.label or target.data) if target.kind == "host" else target.data


def stands_for(observable: Observable, target: Target) -> bool:
    """Would the responder for this kind of target take the observable, and is it the target?"""
    if target.kind == "address":
        return observable.data_type == "ip" and same("ip", observable.data, target.data)
    types = _ACCOUNT_TYPES if target.kind == "account" else _HOST_TYPES
    tagged = observable.data_type == "other" and _TAGGED[target.kind] in observable.tags
    return (observable.data_type in types or tagged) and observable.data.casefold() == name_of(target).casefold()


def aimed(hive: Hive, case_id: str, target: Target, present: Iterable[Observable], why: str) -> Observable:
    """The observable to start the responder on. Raises HttpError."""
    for observable in present:
        if stands_for(observable, target):
            return observable
    made = hive.create_observable(case_id, draft_of(target, why))
    if not stands_for(made, target):  # `other` was there without the tag that says that it is a user name
        hive.update_observable(made.id, add_tags=[_TAGGED[target.kind]])
    return made


def draft_of(target: Target, why: str) -> ObservableDraft:
    """The observable for a target that is none yet."""
    message = f"Target of a containment: {why}"[:1000]
    if target.kind == "address":
        return ObservableDraft("ip", target.data, message, (TARGET_TAG,))
    if target.kind == "host":
        return ObservableDraft("hostname", name_of(target), message, (TARGET_TAG, f"agent:{target.data}"[:128]))
    if target.data_type == "mail":
        return ObservableDraft("mail", target.data, message, (TARGET_TAG,))
    return ObservableDraft("other", target.data, message, (TARGET_TAG, _TAGGED["account"]))

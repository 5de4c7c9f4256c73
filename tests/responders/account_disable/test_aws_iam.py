"""AccountDisable's backend `aws_iam`: the suite against moto's IAM, with its checks of signatures and rights on."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any
from urllib.parse import quote

import pytest
from failing_front import Asked, Front, Told
from front_bench import FrontBench
from suite import BackendSuite, Failure, HttpFailures, look, refused, result_or_sentence, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError, InputError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

if not os.environ.get("CI"):  # CI must have it
    pytest.importorskip("moto", reason="needs moto and flask (the extra dev)")
from account_disable import lab_moto as lab
from account_disable.lab_moto import ACCOUNT, DENY, POLICY_ARN, Moto, allow

pytestmark = pytest.mark.daemon

aws_iam = load_backend("AccountDisable", "aws_iam")
aws_api = load_backend("AccountDisable", "aws_api")
aws_policy = load_backend("AccountDisable", "aws_policy")
aws_principal = load_backend("AccountDisable", "aws_principal")
aws_signature = load_backend("AccountDisable", "aws_signature")

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
HARMLESS = allow("iam:ListAccountAliases", "ec2:Describe*")


def aim(name: str) -> Target:
    return Target("account", name, "test")


def user_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


JDOE, MAILED = aim("jdoe"), aim("j.doe+ops@example.org")
APP = aim(f"arn:aws:iam::{ACCOUNT}:role/app")


def deny(**more: object) -> dict[str, Any]:
    """The policy that denies everything, changed."""
    return {**DENY, "Statement": [{**DENY["Statement"][0], **more}]}


class AwsBench(FrontBench):
    responder = "AccountDisable"
    target = JDOE
    missing = aim("nobody")
    hostile = (
        aim(f"arn:aws:iam::{ACCOUNT}:root"),
        aim("arn:aws:iam::999999999999:user/jdoe"),
        aim(f"arn:aws:iam::{ACCOUNT}:user/other/jdoe"),
        aim(f"arn:aws:iam::{ACCOUNT}:group/jdoe"),
        aim(f"arn:aws:iam::{ACCOUNT}:user/"),
        aim("LAB\\jdoe"),
        aim("*"),
        aim("jdoe&Action=DeleteUser"),
        aim("jdoe&UserName=admin"),
        aim("jdoe%26Action=DeleteUser"),
        aim("jd/oe"),
        aim("jdoe " * 9 + "x"),
        aim("jdoe\r\nX-Evil: 1"),
        aim("jd\u202eoe"),
        aim("@"),
        aim("x" * 300),
    )

    def __init__(self, moto: Moto, front: Front):
        self.moto, self.front, self.clock = moto, front, ManualClock(NOW)
        self.policy = Policy.parse("accounts: {never_groups: [Board, /vault/]}")
        self.user_keys: dict[str, Any] = {}
        self._person(JDOE)
        assert moto.managed(lab.POLICY, DENY) == POLICY_ARN
        moto.user("auto-contain", lab.documented_rights())
        self.key = moto.key("auto-contain")
        self.secrets = (self.key.secret_key,)

    def _person(self, target: Target) -> Target:
        self.moto.user(target.value, HARMLESS)
        self.user_keys[target.value] = self.moto.key(target.value)
        return target

    @cached_property
    def other(self) -> Target:  # type: ignore[override]
        """Made when it is asked for, as each test has an account of its own."""
        return self._person(MAILED)

    @cached_property
    def protected(self) -> tuple[Target, ...]:  # type: ignore[override]
        """Made when they are asked for, as each test has an account of its own."""
        moto = self.moto
        names = ("director", "byGroup", "byPolicy", "break-glass-1", "svc-backup", "chair")
        for name in names:
            moto.user(name, allow("*") if name == "director" else HARMLESS)
        moto.user("vault", HARMLESS, path="/vault/")
        moto.group("Admins", "byGroup")
        moto.group("Board", "chair")
        moto.call("AttachGroupPolicy", GroupName="Admins", PolicyArn=moto.managed("Everything", allow("*")))
        moto.call("AttachUserPolicy", UserName="byPolicy", PolicyArn=moto.managed("Keys", allow("iam:*Key")))
        return tuple(map(aim, (*names, "vault", "auto-contain")))

    def settings(self, **other: object) -> Any:
        made = aws_api.Settings(
            aws_api.Partition(self.front.url, self.front.url, "us-east-1"),
            aws_signature.Credentials(self.key.access_key, self.key.secret_key),
            None, None, 0.4,
        )  # fmt: skip
        return made._replace(**other)

    def backend(self, settings: Any = None, **more: Any) -> Backend:
        made: Backend = aws_iam.AwsIam(settings or self.settings(), self.clock, **{"roles": True, **more})
        return made

    def can_call(self, target: Target) -> bool:
        """Whether the user gets an answer with his own key."""
        return self.moto.try_call("ListAccountAliases", self.user_keys[target.value])[0] == 200

    def in_force(self, target: Target) -> bool:
        listed = self.moto.call("ListAttachedUserPolicies", UserName=target.value)
        denied = POLICY_ARN in [found.text for found in listed.iterfind(".//{*}PolicyArn")]
        assert denied is not self.can_call(target)
        return denied

    def keys(self, name: str) -> dict[str, str]:
        listed = self.moto.call("ListAccessKeys", UserName=name)
        return {
            one.findtext("{*}AccessKeyId"): one.findtext("{*}Status")
            for one in listed.iterfind(".//{*}AccessKeyMetadata/{*}member")
        }

    def tags(self, name: str, kind: str = "User") -> dict[str, str]:
        shown = self.moto.call(f"List{kind}Tags", **{f"{kind}Name": name})
        return {one.findtext("{*}Key"): one.findtext("{*}Value") for one in shown.iterfind(".//{*}Tags/{*}member")}

    def contain_by_other_hands(self, target: Target) -> None:
        self.moto.call("AttachUserPolicy", UserName=target.value, PolicyArn=POLICY_ARN)

    def release_by_other_hands(self, target: Target) -> None:
        self.moto.call("DetachUserPolicy", UserName=target.value, PolicyArn=POLICY_ARN)

    def shows(self, target: Target) -> tuple[str, ...]:
        return (user_arn(target.value), "AttachUserPolicy", POLICY_ARN, *self.keys(target.value))


@pytest.fixture(scope="session")
def moto(need: Callable[[object, str], None]) -> Iterator[Moto]:
    need(importlib.util.find_spec("flask") and importlib.util.find_spec("flask_cors"), "flask and flask-cors, for moto")
    running = Moto()
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def bench(moto: Moto) -> Iterator[AwsBench]:
    moto.reset()
    with Front(moto.answer) as front:
        front.reading = lab.reads
        yield AwsBench(moto, front)


class TestAwsIam(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def actions(bench: AwsBench) -> list[str]:
    return [change.partition("Action=")[2].partition("&")[0] for change in bench.writes()]


# --- users ----------------------------------------------------------------------------------------------------------


def test_proof_first_then_the_deny_then_the_keys_and_back_in_the_other_order(bench: AwsBench) -> None:
    run(bench, JDOE)
    assert actions(bench) == ["TagUser", "AttachUserPolicy", "UpdateAccessKey"]
    undo(bench, JDOE)
    assert actions(bench)[3:] == ["UpdateAccessKey", "DetachUserPolicy", "UntagUser"]
    assert bench.tags("jdoe") == {}


def test_the_deny_alone_stops_the_user_whatever_his_keys(bench: AwsBench) -> None:
    assert bench.can_call(JDOE)
    run(bench, JDOE)
    (key,) = bench.keys("jdoe")
    bench.moto.call("UpdateAccessKey", UserName="jdoe", AccessKeyId=key, Status="Active")
    assert not bench.can_call(JDOE)
    undo(bench, JDOE)
    assert bench.can_call(JDOE)


def test_only_the_keys_that_we_deactivated_are_given_back(bench: AwsBench) -> None:
    (ours,) = bench.keys("jdoe")
    theirs = bench.moto.key("jdoe").access_key
    bench.moto.call("UpdateAccessKey", UserName="jdoe", AccessKeyId=theirs, Status="Inactive")
    run(bench, JDOE)
    assert bench.keys("jdoe") == {ours: "Inactive", theirs: "Inactive"}
    assert bench.tags("jdoe") == {
        "propolis:containment": "propolis case=128 by=analyst@soc.example", "propolis:keys": ours,
    }  # fmt: skip
    undo(bench, JDOE)
    assert bench.keys("jdoe") == {ours: "Active", theirs: "Inactive"}


def test_a_key_made_while_the_user_was_contained_joins_the_list(bench: AwsBench) -> None:
    run(bench, JDOE)
    bench.moto.key("jdoe")
    backend = bench.backend()
    backend.contain(JDOE, backend.status(JDOE), Terms(60, "propolis case=130"))
    backend.close()
    assert set(bench.keys("jdoe").values()) == {"Inactive"}
    undo(bench, JDOE)
    assert list(bench.keys("jdoe").values()) == ["Active", "Active"]


def test_a_key_that_was_deleted_meanwhile_stays_gone_and_is_told(bench: AwsBench) -> None:
    run(bench, JDOE)
    (key,) = bench.keys("jdoe")
    bench.moto.call("DeleteAccessKey", UserName="jdoe", AccessKeyId=key)
    assert f"Access key {key} was deleted meanwhile." in undo(bench, JDOE).remaining


def test_a_user_without_keys_is_contained_too(bench: AwsBench) -> None:
    bench.moto.user("console", HARMLESS)
    bench.user_keys["console"] = None
    assert run(bench, aim("console")).result == "contained"
    assert bench.tags("console")["propolis:keys"] == "none"
    assert undo(bench, aim("console")).result == "released"


def test_other_tags_and_policies_stay_as_they_are(bench: AwsBench) -> None:
    bench.moto.call("TagUser", UserName="jdoe", **{"Tags.member.1.Key": "team", "Tags.member.1.Value": "blue"})
    run(bench, JDOE)
    undo(bench, JDOE)
    assert bench.tags("jdoe") == {"team": "blue"}
    assert [name.text for name in bench.moto.call("ListUserPolicies", UserName="jdoe").iterfind(".//{*}member")] == [
        "p0"
    ]


def test_the_console_password_is_not_touched_and_the_report_says_so(bench: AwsBench) -> None:
    bench.moto.call("CreateLoginProfile", UserName="jdoe", Password="C0nsole-Of-The-Lab!")
    remaining = " ".join(run(bench, JDOE).remaining)
    assert bench.moto.call("GetLoginProfile", UserName="jdoe") is not None
    for words in ("console password was not touched", "Sessions of roles", "What the user made"):
        assert words in remaining


def test_a_key_that_could_not_be_deactivated_is_told_and_the_deny_stands(bench: AwsBench) -> None:
    def refusing(asked: Asked) -> Told:
        if lab.form(asked)["Action"] == "UpdateAccessKey":
            return error(403, "AccessDenied", "not authorized to perform: iam:UpdateAccessKey")
        return bench.moto.answer(asked)

    bench.front.product = refusing
    outcome = run(bench, JDOE)
    assert outcome.result == "contained"
    assert "NOT deactivated" in outcome.remaining[0]
    assert not bench.can_call(JDOE)


def test_a_deny_that_fails_after_the_tag_is_not_claimed_and_an_undo_cleans_up(bench: AwsBench) -> None:
    bench.front.product = failing_once(bench, "AttachUserPolicy", 409, "LimitExceeded")
    assert "LimitExceeded" in refused(bench, lambda: run(bench, JDOE), BackendError)
    seen = look(bench, JDOE)
    assert (seen.contained, seen.ours, seen.remains) == (False, True, True)
    assert undo(bench, JDOE).result == "released"
    assert bench.tags("jdoe") == {}


def test_a_policy_that_was_detached_by_hand_leaves_the_keys_to_the_undo(bench: AwsBench) -> None:
    run(bench, JDOE)
    bench.release_by_other_hands(JDOE)
    assert look(bench, JDOE).remains
    assert undo(bench, JDOE).result == "released"
    assert set(bench.keys("jdoe").values()) == {"Active"}


# --- the policy that denies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        allow("*"),
        deny(Action="s3:*"),
        deny(Resource="arn:aws:s3:::x"),
        deny(Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
    ],
)
def test_a_policy_that_does_not_deny_everything_is_not_used(bench: AwsBench, document: dict[str, Any]) -> None:
    bench.moto.managed("Weak", document)
    backend = bench.backend(policy="Weak")
    for act in (backend.contain, backend.request):
        sentence = refused(bench, lambda act=act: act(JDOE, backend.status(JDOE), Terms(60, "propolis")), BackendError)  # type: ignore[misc]
        assert "does not deny everything" in sentence
    backend.close()
    assert bench.writes() == []


def test_a_policy_that_was_made_harmless_later_is_not_believed(bench: AwsBench) -> None:
    run(bench, JDOE)
    bench.moto.call(
        "CreatePolicyVersion", PolicyArn=POLICY_ARN, PolicyDocument=json.dumps(allow("s3:Get*")), SetAsDefault="true"
    )
    seen = look(bench, JDOE)
    assert (seen.contained, seen.remains) == (False, True)
    undo(bench, JDOE)
    assert bench.moto.call("ListAttachedUserPolicies", UserName="jdoe").findtext(".//{*}PolicyArn") is None


def test_the_policy_may_be_named_by_its_arn(bench: AwsBench) -> None:
    backend = bench.backend(policy=POLICY_ARN)
    backend.contain(JDOE, backend.status(JDOE), Terms(60, "propolis"))
    assert backend.status(JDOE).ours
    assert not bench.can_call(JDOE)
    backend.release(JDOE, backend.status(JDOE))
    backend.close()
    assert bench.can_call(JDOE)


@pytest.mark.parametrize("way", ["attached", "inline", "by a group"])
def test_whoever_is_denied_everything_by_others_is_contained_already(bench: AwsBench, way: str) -> None:
    moto = bench.moto
    if way == "attached":
        moto.call("AttachUserPolicy", UserName="jdoe", PolicyArn=moto.managed("Leavers", DENY))
    elif way == "inline":
        moto.call("PutUserPolicy", UserName="jdoe", PolicyName="Leaver", PolicyDocument=json.dumps(DENY))
    else:
        moto.group("Leavers", "jdoe")
        moto.call("PutGroupPolicy", GroupName="Leavers", PolicyName="Leaver", PolicyDocument=json.dumps(DENY))
    assert "somebody else" in run(bench, JDOE).done
    refused(bench, lambda: undo(bench, JDOE), NotOurs)
    assert bench.writes() == []


def test_a_deny_set_by_somebody_else_since_the_look_is_not_taken_for_ours(bench: AwsBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.contain_by_other_hands(JDOE)
    assert "somebody else" in refused(bench, lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), BackendError)
    backend.close()
    assert bench.writes() == []


def test_two_jobs_at_once_lose_no_key(bench: AwsBench) -> None:
    """The second finds the key inactive already; that it is to be given back stands in the first one's tag."""
    first, second = bench.backend(), bench.backend()
    seen = second.status(JDOE)

    def overtaken(asked: Asked) -> Told:
        if lab.form(asked)["Action"] == "ListAccessKeys":
            bench.front.product = bench.moto.answer
            first.contain(JDOE, seen, Terms(60, "propolis case=1"))
        return bench.moto.answer(asked)

    bench.front.product = overtaken
    second.contain(JDOE, seen, Terms(60, "propolis case=2"))
    first.close()
    second.close()
    assert bench.tags("jdoe")["propolis:keys"] in bench.keys("jdoe")
    undo(bench, JDOE)
    assert set(bench.keys("jdoe").values()) == {"Active"}


def test_a_user_deleted_and_made_anew_meanwhile_is_left_alone(bench: AwsBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    other = seen._replace(subject=seen.subject._replace(ids=("AIDAOTHER", user_arn("jdoe"))))
    for act in (lambda: backend.contain(JDOE, other, Terms(60, "propolis")), lambda: backend.release(JDOE, other)):
        assert "made anew" in refused(bench, act, BackendError)
    backend.close()
    assert bench.writes() == []


# --- roles ----------------------------------------------------------------------------------------------------------


def test_a_roles_sessions_from_before_now_are_denied_and_what_that_leaves_is_told(bench: AwsBench) -> None:
    bench.moto.role("app", HARMLESS)
    outcome = run(bench, APP)
    assert outcome.result == "contained"
    shown = bench.moto.call("GetRolePolicy", RoleName="app", PolicyName=lab.POLICY).findtext(".//{*}PolicyDocument")
    assert aws_policy.parse(shown) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny", "Action": "*", "Resource": "*",
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2027-01-15T08:00:00Z"}},
            }
        ],
    }  # fmt: skip
    assert outcome.remaining[0].startswith("New sessions are NOT denied")
    assert run(bench, APP).result == "already_contained"
    assert undo(bench, APP).result == "released"
    assert bench.moto.try_call("GetRolePolicy", RoleName="app", PolicyName=lab.POLICY)[0] == 404
    assert bench.tags("app", "Role") == {}


def test_a_session_of_a_role_names_the_role(bench: AwsBench) -> None:
    bench.moto.role("app", HARMLESS)
    seen = look(bench, aim(f"arn:aws:sts::{ACCOUNT}:assumed-role/app/i-0123456789abcdef0"))
    assert seen.subject.id == APP.value


def test_roles_are_left_alone_unless_that_is_allowed_and_an_undo_asks_no_such_thing(bench: AwsBench) -> None:
    bench.moto.role("app", HARMLESS)
    backend = bench.backend(roles=False)
    for act in (backend.contain, backend.request):
        sentence = refused(bench, lambda act=act: act(APP, backend.status(APP), Terms(60, "propolis")), BackendError)  # type: ignore[misc]
        assert "aws_iam_roles" in sentence
    assert bench.writes() == []
    run(bench, APP)
    backend.release(APP, backend.status(APP))
    assert not backend.status(APP).contained
    backend.close()


@pytest.mark.parametrize("path", ["/aws-service-role/x.amazonaws.com/", "/aws-reserved/sso.amazonaws.com/"])
def test_a_role_that_only_aws_changes_is_explained(bench: AwsBench, path: str) -> None:
    bench.moto.role("fixed", HARMLESS, path=path)
    sentence = refused(bench, lambda: run(bench, aim(f"arn:aws:iam::{ACCOUNT}:role{path}fixed")), BackendError)
    assert "only AWS changes" in sentence
    assert bench.writes() == []


def test_another_policy_of_our_name_in_a_role_contains_nothing_and_is_not_overwritten(bench: AwsBench) -> None:
    bench.moto.role("app", HARMLESS)
    bench.moto.call("PutRolePolicy", RoleName="app", PolicyName=lab.POLICY, PolicyDocument=json.dumps(HARMLESS))
    assert not look(bench, APP).contained
    assert "somebody else" in refused(bench, lambda: run(bench, APP), BackendError)
    assert bench.writes() == []


def test_credentials_of_a_role_work_and_that_role_is_us(bench: AwsBench) -> None:
    bench.moto.role("soc", lab.documented_rights())
    given = bench.moto.call(
        "AssumeRole", service="sts", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/soc", RoleSessionName="cortex-jobs"
    )
    parts = [given.findtext(f".//{{*}}{name}") for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    backend = bench.backend(bench.settings(credentials=aws_signature.Credentials(*parts)))
    backend.contain(JDOE, backend.status(JDOE), Terms(60, "propolis"))
    assert backend.status(JDOE).ours
    assert backend.status(aim(f"arn:aws:iam::{ACCOUNT}:role/soc")).subject.own
    wrong = bench.backend(bench.settings(credentials=aws_signature.Credentials(parts[0], parts[1], "forged")))
    bench.secrets = tuple(parts[1:])
    refused(bench, lambda: wrong.status(JDOE), BackendError)
    backend.close()
    wrong.close()


# --- who ------------------------------------------------------------------------------------------------------------


def test_the_protected_are_refused_for_the_right_reason(bench: AwsBench) -> None:
    reasons = {
        "director": "administrative",
        "byGroup": "administrative",
        "byPolicy": "administrative",
        "break-glass-1": "break-glass",
        "svc-backup": "service accounts",
        "chair": "names Board",
        "vault": "names /vault/",
        "auto-contain": "integration works with",
    }
    assert {target.value for target in bench.protected} == reasons.keys()
    for name, why in reasons.items():
        assert why in refused(bench, lambda name=name: run(bench, aim(name)), Refused)  # type: ignore[misc]


def test_groups_policies_and_the_path_are_there_for_the_never_lists(bench: AwsBench) -> None:
    assert bench.protected
    subject = look(bench, aim("byGroup")).subject
    assert {"Admins", f"arn:aws:iam::{ACCOUNT}:group/Admins", "/"} == set(subject.groups)
    assert {"Everything", "p0"} <= set(subject.tags)


def test_where_rights_cannot_be_read_nobody_is_contained_and_an_undo_still_works(bench: AwsBench) -> None:
    def hiding(asked: Asked) -> Told:
        if lab.form(asked)["Action"] == "ListGroupsForUser":
            return error(403, "AccessDenied", "not authorized to perform: iam:ListGroupsForUser")
        return bench.moto.answer(asked)

    run(bench, JDOE)
    bench.front.product = hiding
    assert undo(bench, JDOE).result == "released"
    assert "nobody could tell" in refused(bench, lambda: run(bench, JDOE), Refused)


@pytest.mark.parametrize("name", ["jdoe", user_arn("jdoe")])
def test_a_name_and_an_arn_mean_the_same_user(bench: AwsBench, name: str) -> None:
    assert look(bench, aim(name)).subject.id == user_arn("jdoe")


def test_the_root_user_cannot_be_stopped_by_a_policy_and_the_sentence_says_what_to_do(bench: AwsBench) -> None:
    sentence = refused(bench, lambda: run(bench, aim(f"arn:aws:iam::{ACCOUNT}:root")), BackendError)
    assert "by hand" in sentence


def test_an_account_of_another_number_is_not_ours_to_find(bench: AwsBench) -> None:
    other = aim("arn:aws:iam::999999999999:user/jdoe")
    assert "belongs to the account 999999999999" in refused(bench, lambda: look(bench, other), NotFound)


def test_no_call_may_leave_out_the_name_as_that_would_mean_ourselves(bench: AwsBench) -> None:
    api = aws_api.Aws(bench.settings(), bench.clock)
    with pytest.raises(InputError, match="the caller himself"):
        api.change("TagUser", UserName="")
    api.close()
    assert bench.front.requests == []


def test_a_user_of_another_name_is_not_taken_for_the_one_that_was_asked_for(bench: AwsBench) -> None:
    def mixed_up(asked: Asked) -> Told:
        told = bench.moto.answer(asked)
        return told._replace(body=told.body.replace(b"<UserName>jdoe<", b"<UserName>admin<"))

    bench.front.product = mixed_up
    assert "something else" in refused(bench, lambda: run(bench, JDOE), BackendError)


# --- consistency, throttling, errors --------------------------------------------------------------------------------


def error(status: int, code: str, message: str = "refused") -> Told:
    said = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return Told(status, f"<ErrorResponse>{said}</ErrorResponse>".encode())


def failing_once(bench: AwsBench, action: str, status: int, code: str, times: int = 1) -> Callable[[Asked], Told]:
    left = [times]

    def product(asked: Asked) -> Told:
        if lab.form(asked)["Action"] == action and left[0]:
            left[0] -= 1
            return error(status, code, "Rate exceeded")
        return bench.moto.answer(asked)

    return product


@pytest.mark.parametrize(
    ("action", "code"),
    [("GetUser", "Throttling"), ("TagUser", "ThrottlingException"), ("AttachUserPolicy", "RequestLimitExceeded")],
)
def test_throttling_is_a_400_and_is_waited_out(bench: AwsBench, action: str, code: str) -> None:
    bench.front.product = failing_once(bench, action, 400, code, times=3)
    assert run(bench, JDOE).result == "contained"
    assert bench.clock.now() - NOW >= 7


def test_throttling_without_end_is_told(bench: AwsBench) -> None:
    bench.front.product = failing_once(bench, "AttachUserPolicy", 400, "Throttling", times=99)
    assert "Throttling" in refused(bench, lambda: run(bench, JDOE), BackendError)
    assert actions(bench).count("AttachUserPolicy") == 4


def test_a_change_that_shows_later_is_waited_for(bench: AwsBench) -> None:
    stale: dict[str, Told] = {}
    until = [0.0]

    def lagging(asked: Asked) -> Told:
        action = lab.form(asked)["Action"]
        told = bench.moto.answer(asked)
        if action in ("ListAttachedUserPolicies", "GetUser"):
            if bench.clock.now() < until[0]:
                return stale.setdefault(action, told)
            stale[action] = told
        elif not lab.reads(asked):
            until[0] = bench.clock.now() + 6
        return told

    bench.front.product = lagging
    assert run(bench, JDOE).result == "contained"
    assert undo(bench, JDOE).result == "released"
    assert len(actions(bench)) == len(set(bench.writes())) == 6


def test_a_deny_that_was_taken_and_never_shows_is_not_claimed(bench: AwsBench) -> None:
    def idle(asked: Asked) -> Told:
        if lab.form(asked)["Action"] == "AttachUserPolicy":
            return Told(200, b"<AttachUserPolicyResponse/>")
        return bench.moto.answer(asked)

    bench.front.product = idle
    refused(bench, lambda: run(bench, JDOE), NotVerified)


@pytest.mark.parametrize("action", ["TagUser", "AttachUserPolicy", "UpdateAccessKey"])
def test_every_lost_answer_is_looked_up_and_not_repeated(bench: AwsBench, action: str) -> None:
    def losing(asked: Asked) -> Told:
        bench.front.lose_next = lab.form(asked)["Action"] == action and not actions(bench).count(action) > 1
        return bench.moto.answer(asked)

    bench.front.product = losing
    assert run(bench, JDOE).result == "contained"
    assert actions(bench).count(action) == 1
    assert set(bench.keys("jdoe").values()) == {"Inactive"}


@pytest.mark.parametrize("action", ["UpdateAccessKey", "DetachUserPolicy", "UntagUser"])
def test_every_lost_answer_of_an_undo_is_looked_up_and_not_repeated(bench: AwsBench, action: str) -> None:
    run(bench, JDOE)
    before = len(bench.writes())

    def losing(asked: Asked) -> Told:
        bench.front.lose_next = lab.form(asked)["Action"] == action
        return bench.moto.answer(asked)

    bench.front.product = losing
    assert undo(bench, JDOE).result == "released"
    assert actions(bench)[before:].count(action) == 1
    assert (bench.tags("jdoe"), set(bench.keys("jdoe").values())) == ({}, {"Active"})


def test_lists_are_read_to_their_last_page(bench: AwsBench) -> None:
    for number in range(100):
        bench.moto.call(
            "PutUserPolicy", UserName="jdoe", PolicyName=f"n{number:03}", PolicyDocument=json.dumps(HARMLESS)
        )
    bench.moto.call("PutUserPolicy", UserName="jdoe", PolicyName="zz-last", PolicyDocument=json.dumps(allow("iam:*")))
    assert "zz-last" in look(bench, JDOE).subject.tags
    assert look(bench, JDOE).subject.privileged


def test_a_list_without_end_is_given_up(bench: AwsBench) -> None:
    page = b"<R><AttachedPolicies/><IsTruncated>true</IsTruncated><Marker>more</Marker></R>"
    bench.front.product = lambda asked: (
        Told(200, page) if lab.form(asked)["Action"].startswith("ListAttached") else bench.moto.answer(asked)
    )
    assert "more than 20 pages" in refused(bench, lambda: run(bench, JDOE), BackendError)


def test_an_answer_that_declares_entities_is_not_read(bench: AwsBench) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;">]><R><UserName>&b;</UserName></R>'
    bench.front.product = lambda asked: Told(200, bomb)
    assert "something else than an answer of AWS" in refused(bench, lambda: run(bench, JDOE), BackendError)


@pytest.mark.parametrize(
    ("key_id", "secret", "why"),
    [(None, "wr0ng-secret", "SignatureDoesNotMatch"), ("AKIAUNKNOWNUNKNOWN00", None, "InvalidClientTokenId")],
)
def test_credentials_that_are_refused_name_their_items(
    bench: AwsBench, key_id: str | None, secret: str | None, why: str
) -> None:
    key = aws_signature.Credentials(key_id or bench.key.access_key, secret or bench.key.secret_key)
    bench.secrets = (key.secret,)
    backend = bench.backend(bench.settings(credentials=key))
    sentence = refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()
    assert why in sentence
    assert "aws_iam_" in sentence


def test_a_right_that_is_missing_points_to_the_documentation(bench: AwsBench) -> None:
    bench.moto.user("bare", allow("iam:GetUser"))
    key = bench.moto.key("bare")
    settings = bench.settings(credentials=aws_signature.Credentials(key.access_key, key.secret_key))
    backend = bench.backend(settings)
    sentence = refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()
    assert "ListAttachedUserPolicies was refused (403 AccessDenied)" in sentence
    assert "docs/backends-aws-iam.md" in sentence


def test_the_root_users_own_credentials_are_not_worked_with(bench: AwsBench) -> None:
    answer = b"<R><Arn>arn:aws:iam::123456789012:root</Arn></R>"
    bench.front.product = lambda asked: Told(200, answer)
    assert "delete the root user's keys" in refused(bench, lambda: run(bench, JDOE), BackendError)


def test_a_failing_clean_up_is_not_reported_as_done(bench: AwsBench) -> None:
    run(bench, JDOE)
    bench.fail(Failure.FORBIDDEN, writes_only=True)
    assert "(403" in result_or_sentence(lambda: undo(bench, JDOE))


# --- what policies mean ---------------------------------------------------------------------------------------------


def test_documents_that_make_an_administrator() -> None:
    for document in (
        allow("*"),
        allow("iam:*"),
        allow("IAM:PutUserPolicy"),
        allow("iam:Put????Policy"),
        allow("iam:create*", resource=f"arn:aws:iam::{ACCOUNT}:user/*"),
        {"Statement": {"Effect": "Allow", "Action": "iam:AttachRolePolicy", "Resource": "*"}},
        {"Statement": [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::x"}]},
    ):
        assert aws_policy.administrative(document), document


def test_documents_that_make_none() -> None:
    for document in (
        HARMLESS,
        DENY,
        allow("iam:Get*", "iam:List*"),
        allow("iam:CreateAccessKey", resource="arn:aws:iam::*:user/${aws:username}"),
        {"Statement": [{"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}]},
        {"Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]},
        {},
    ):
        assert not aws_policy.administrative(document), document


def test_amazons_own_policy_denies_everything_too() -> None:
    """AWSDenyAll writes lists."""
    assert aws_policy.denies_everything(deny(Sid="DenyAll", Action=["*"], Resource=["*"]))


def test_a_document_comes_percent_encoded() -> None:
    assert aws_policy.parse(quote(json.dumps(DENY))) == DENY
    for text in ("", "%", "[]", "<html>"):
        with pytest.raises(ValueError):  # noqa: PT011 - of json, or ours
            aws_policy.parse(text)


# --- signatures -----------------------------------------------------------------------------------------------------


def test_a_signing_key_is_that_of_the_documentation() -> None:
    """The example of "Deriving the signing key" in the AWS General Reference."""
    key = aws_signature.signing_key(
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", aws_signature.Scope("us-east-1", "iam")
    )
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


@pytest.mark.parametrize("token", ["", "IQoJb3JpZ2luX2VjE-temporary//=="])
@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("body", [b"Action=ListUsers&Version=2010-05-08", b"", "Tag=\u00e4%20+&x".encode()])
def test_signatures_are_botocores(monkeypatch: pytest.MonkeyPatch, token: str, region: str, body: bytes) -> None:
    import datetime

    from botocore import auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    moment = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_, **__: moment)
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    request = AWSRequest("POST", "https://iam.example.org:8443/", {"Content-Type": kind}, body)
    auth.SigV4Auth(Credentials("AKIDEXAMPLE", "secret/key", token or None), "iam", region).add_auth(request)
    ours = aws_signature.signed_headers(
        aws_signature.Credentials("AKIDEXAMPLE", "secret/key", token), aws_signature.Scope(region, "iam"),
        host="iam.example.org:8443", body=body, kind=kind, now=NOW,
    )  # fmt: skip
    assert ours["Authorization"] == request.headers["Authorization"]


# --- Amazon's own description of IAM --------------------------------------------------------------------------------


def test_every_call_of_a_whole_life_is_one_that_amazons_service_model_knows(bench: AwsBench) -> None:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    models = {
        "2010-05-08": ServiceModel(Loader().load_service_model("iam", "service-2"), "iam"),
        "2011-06-15": ServiceModel(Loader().load_service_model("sts", "service-2"), "sts"),
    }
    bench.moto.role("app", HARMLESS)
    for target in (JDOE, APP, aim("byGroup")):
        result_or_sentence(lambda target=target: run(bench, target))  # type: ignore[misc]
        result_or_sentence(lambda target=target: undo(bench, target))  # type: ignore[misc]
    calls = [lab.form(asked) for asked in bench.front.requests]
    assert {call["Action"] for call in calls} >= {"AttachUserPolicy", "PutRolePolicy", "UntagRole", "GetCallerIdentity"}
    assert [fault for call in calls for fault in faults(models[call["Version"]], call)] == []


def faults(model: Any, call: dict[str, str]) -> list[str]:
    """What is wrong with the fields of a call: unknown or missing ones, texts too long or of another form."""
    shape = model.operation_model(call["Action"]).input_shape
    given = {name: text for name, text in call.items() if name not in ("Action", "Version")}
    members = shape.members if shape else {}
    found = [
        name
        for name in (shape.required_members if shape else ())
        if not any(g.partition(".")[0] == name for g in given)
    ]
    for name, text in given.items():
        member = members.get(name.partition(".")[0])
        if member is None or (member.type_name == "list") != (".member." in name):
            found.append(f"{call['Action']}: {name}")
            continue
        if member.type_name == "list":
            member = member.member
            member = member.members[name.rpartition(".")[2]] if member.type_name == "structure" else member
        rules = member.metadata
        pattern = re.sub(r"\\p\{[LZN]\}", r"\\w\\s", rules.get("pattern", ".*")).replace("\\u0020-\\u00FF", "\x20-\xff")
        if not rules.get("min", 0) <= len(text) <= rules.get("max", 10**6) or text not in (member.enum or [text]):
            found.append(f"{call['Action']}: {name}={text}")
        elif "\\u" not in pattern and not re.fullmatch(pattern, text):
            found.append(f"{call['Action']}: {name}={text} is not {pattern}")
    return found


# --- settings -------------------------------------------------------------------------------------------------------


def made(proxy: str | None = None, **more: object) -> Any:
    items = {"aws_iam_key_id": "AKIAEXAMPLE", "aws_iam_secret_key": "secret", **more}
    return aws_iam.make(Workbench(Items(items), ManualClock(), proxy))


@pytest.mark.parametrize(
    ("partition", "iam", "region"),
    [
        ("aws", "https://iam.amazonaws.com", "us-east-1"),
        ("aws-cn", "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("aws-us-gov", "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
    ],
)
def test_each_cloud_has_its_own_addresses(partition: str, iam: str, region: str) -> None:
    backend = made("http://proxy.example.org:3128", aws_iam_partition=partition)
    assert backend.where == f"AWS IAM at {iam}, with key AKIAEXAMPLE"
    assert backend._aws._settings.place.region == region
    assert backend._aws._iam._proxy == "http://proxy.example.org:3128"
    assert made("http://proxy.example.org:3128", aws_iam_use_proxy=False)._aws._iam._proxy is None


def test_an_address_of_its_own_serves_both() -> None:
    place = made(aws_iam_url="https://vpce.example.org/")._aws._settings.place
    assert (place.iam, place.sts) == ("https://vpce.example.org", "https://vpce.example.org")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"aws_iam_key_id": None}, "aws_iam_key_id: is required"),
        ({"aws_iam_secret_key": None}, "aws_iam_secret_key: is required"),
        ({"aws_iam_partition": "aws-iso"}, "must be one of aws, aws-cn, aws-us-gov"),
        ({"aws_iam_url": "http://iam.example.org"}, "must begin with https://"),
        ({"aws_iam_url": "https://iam.example.org/path"}, "without a path"),
        ({"aws_iam_policy": "arn:aws:iam::1:user/x"}, "name of a managed policy"),
        ({"aws_iam_policy": "Deny All"}, "name of a managed policy"),
        ({"aws_iam_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem does not exist"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_setting_that_cannot_work_is_named(values: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(**values)
    assert why in str(caught.value)


def test_the_documentation_gives_no_right_to_write_policies() -> None:
    for_users = lab.documented_rights(roles=False)
    assert "AttachUserPolicy" in json.dumps(for_users)
    assert "Put" not in json.dumps(for_users)
    assert "PutUserPolicy" not in json.dumps(lab.documented_rights())

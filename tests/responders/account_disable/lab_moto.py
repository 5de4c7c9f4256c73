"""An IAM and STS to test against: moto's server in a process of its own, with its checks of signatures and rights on.

Moto recomputes every signature with botocore and holds every call against the caller's policies (users, groups and
sessions), but not against conditions; it answers at once and forgets nothing, so that what IAM shows later, and IAM's
throttling, are made by the `Front` before it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from failing_front import Asked, Told

ACCOUNT = "123456789012"  # moto's
POLICY = "PropolisContainment"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/{POLICY}"
DENY: dict[str, Any] = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
RIGHTS = Path(__file__).resolve().parents[3] / "docs" / "backends-aws-iam.md"


def allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource}]}


def documented_rights(*, roles: bool = True) -> dict[str, Any]:
    """The rights that the documentation gives the integration, for users and (its second policy) for roles."""
    found = [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", RIGHTS.read_text("utf-8"), re.DOTALL)]
    statements = [statement for policy in found[: 2 if roles else 1] for statement in policy["Statement"]]
    for statement in statements:
        statement.pop("Condition", None)  # moto takes a statement with conditions that it does not know for a denial
        statement["Resource"] = "*"  # and knows the resources of few calls
    return {"Version": "2012-10-17", "Statement": statements}


class Moto:
    """Start it, use it, stop it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = Credentials("none", "none")

    def start(self) -> None:
        program = Path(sys.executable).with_name("moto_server")
        self._process = subprocess.Popen(
            [str(program), "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "MOTO_ACCOUNT_ID": ACCOUNT},
        )  # fmt: skip
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            assert time.monotonic() < end, "moto did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def reset(self) -> None:
        """An empty account with an administrator, and every check on."""
        self._post("/moto-api/reset", {}, b"")
        self._post("/moto-api/reset-auth", {}, b"inf")
        self.call("CreateUser", UserName="admin")
        self.call("PutUserPolicy", UserName="admin", PolicyName="all", PolicyDocument=json.dumps(allow("*")))
        self._admin = self.key("admin")
        self._post("/moto-api/reset-auth", {}, b"0")

    def key(self, user: str) -> Credentials:
        """A new access key."""
        made = self.call("CreateAccessKey", UserName=user)
        return Credentials(made.findtext(".//{*}AccessKeyId"), made.findtext(".//{*}SecretAccessKey"))

    def user(self, name: str, *policies: dict[str, Any], path: str = "/") -> None:
        """A new user, with these policies of its own."""
        self.call("CreateUser", UserName=name, Path=path)
        for number, policy in enumerate(policies):
            self.call("PutUserPolicy", UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))

    def role(self, name: str, *policies: dict[str, Any], path: str = "/") -> None:
        """A new role that anybody of the account may assume."""
        trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
        self.call("CreateRole", RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))
        for number, policy in enumerate(policies):
            self.call("PutRolePolicy", RoleName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))

    def managed(self, name: str, policy: dict[str, Any]) -> str:
        """A new managed policy; gives its ARN."""
        made = self.call("CreatePolicy", PolicyName=name, PolicyDocument=json.dumps(policy))
        return made.findtext(".//{*}Arn") or ""

    def group(self, name: str, *members: str) -> None:
        """A new group."""
        self.call("CreateGroup", GroupName=name)
        for member in members:
            self.call("AddUserToGroup", GroupName=name, UserName=member)

    def call(self, action: str, as_: Credentials | None = None, service: str = "iam", **fields: str) -> Any:
        """The XML of an answer, asked as the administrator. Fails where it is refused."""
        status, body = self.try_call(action, as_, service, **fields)
        assert status == 200, body
        return ElementTree.fromstring(body)  # noqa: S314 - of the lab's own server

    def try_call(
        self, action: str, as_: Credentials | None = None, service: str = "iam", **fields: str
    ) -> tuple[int, str]:
        """Status and body of a call, signed by botocore."""
        version = "2010-05-08" if service == "iam" else "2011-06-15"
        data = urlencode({"Action": action, "Version": version, **fields}).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", f"http://127.0.0.1:{self.port}/", kind, data)
        SigV4Auth(as_ or self._admin, service, "us-east-1").add_auth(request)
        return self._post("/", dict(request.headers.items()), data)

    def answer(self, asked: Asked) -> Told:
        """What is behind a `Front`: the same request, with the name it was sent to, which is signed."""
        return Told(*self._raw(asked.method, asked.target, asked.headers, asked.body))

    def _post(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        status, answer = self._raw("POST", path, headers, body)
        return status, answer.decode()

    def _raw(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.putrequest(method, path, skip_host="host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "accept-encoding", "connection"):
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def form(asked: Asked) -> dict[str, str]:
    """The fields of a call."""
    return dict(parse_qsl(asked.body.decode(), keep_blank_values=True))


def reads(asked: Asked) -> bool:
    """Whether a call changes nothing."""
    return form(asked).get("Action", "").startswith(("Get", "List"))

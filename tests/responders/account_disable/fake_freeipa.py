"""A FreeIPA server that remembers: its login and the four commands that AccountDisable uses.

Written from ipalib 4.13.1 (errors.py: the numbers), ipaserver (plugins/user.py and baseuser.py: user_disable refuses
protected members, names are made small letters, nsaccountlock comes as true or false; rpcserver.py: a login is a form,
every request needs a Referer below /ipa, a session that has ended is 401) and community.general's ipa.py (the form of
a call). Assumed: that `addattr` of a value that is there is EmptyModlist, and the text of messages. Nothing here was
seen on the product.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from failing_front import Asked, Told

USER, PASSWORD = "auto-disable", "S3rvice-$ecret-Of-The-Lab"
REALM = "LAB.EXAMPLE.TEST"

Document = dict[str, Any]


class _Refused(Exception):
    def __init__(self, code: int, name: str, message: str):
        super().__init__(message)
        self.code, self.name = code, name


class FakeIpa:
    """`answer` is the product behind a `Front`; change its state by its attributes."""

    def __init__(self) -> None:
        self.users: dict[str, Document] = {}
        self.sessions: set[str] = set()
        self.logins = 0
        self.rejection = ""
        """Why the next logins are refused."""
        self.writable = {"nsaccountlock", "description"}
        """The attributes that the account may write."""
        self.host = ""

    def add(self, uid: str, *groups: str, **more: Any) -> Document:
        """A new user."""
        number = len(self.users)
        self.users[uid] = {
            "dn": f"uid={uid},cn=users,cn=accounts,dc=lab,dc=example,dc=test",
            "uid": [uid],
            "ipauniqueid": [f"6a7e0000-0000-11f0-8000-{number:012d}"],
            "krbprincipalname": [f"{uid}@{REALM}"],
            "mail": [f"{uid}@mail.example.org"],
            "nsaccountlock": False,
            "preserved": False,
            "memberof_group": ["ipausers", *groups],
            **more,
        }
        return self.users[uid]

    def answer(self, asked: Asked) -> Told:
        """What FreeIPA answers."""
        if not asked.headers.get("referer", "").startswith(f"{self.host}/ipa"):
            return Told(400, b"<html>Missing or invalid HTTP Referer</html>")
        if asked.target == "/ipa/session/login_password":
            return self._login(parse_qs(asked.body.decode()))
        if asked.headers.get("cookie", "").removeprefix("ipa_session=") not in self.sessions:
            return Told(401, b"<html>Unauthorized</html>")
        call = json.loads(asked.body)
        try:
            (key,), options = call["params"]
            done = self._command(call["method"], key.lower(), options)
            body = {"result": {"result": done, "value": key, "summary": None}, "error": None}
        except _Refused as refusal:
            body = {
                "result": None,
                "error": {"code": refusal.code, "message": str(refusal), "name": refusal.name, "data": {}},
            }
        more = {"id": call["id"], "principal": f"{USER}@{REALM}", "version": "4.12.2"}
        return Told(200, json.dumps({**body, **more}).encode())

    def _login(self, form: dict[str, list[str]]) -> Told:
        self.logins += 1
        if self.rejection or form != {"user": [USER], "password": [PASSWORD]}:
            why = (("X-IPA-Rejection-Reason", self.rejection),) if self.rejection else ()
            return Told(401, b"<html>Invalid Authentication</html>", why)
        token = f"MagBearerToken={self.logins:032d}%3d"
        self.sessions.add(token)
        return Told(200, b"", (("Set-Cookie", f"ipa_session={token};path=/ipa;httponly;secure;"),))

    def _command(self, method: str, uid: str, options: Document) -> object:
        if options["version"] > "2.254":
            raise _Refused(901, "VersionError", "client is newer than the server")
        user = self.users.get(uid)
        if user is None:
            raise _Refused(4001, "NotFound", f"{uid}: user not found")
        if method == "user_show":
            return user
        if method == "user_mod":
            return self._modify(user, options)
        if method == "user_disable" and uid == "admin":
            raise _Refused(4308, "LastMemberError", "admin cannot be deleted or disabled because it is the last member")
        return self._lock(user, {"user_disable": True, "user_enable": False}[method])

    def _lock(self, user: Document, lock: bool) -> bool:
        self._check("nsaccountlock")
        if user["nsaccountlock"] is lock:
            code, name = (4010, "AlreadyInactive") if lock else (4009, "AlreadyActive")
            raise _Refused(code, name, "This entry is already so")
        user["nsaccountlock"] = lock
        return True

    def _modify(self, user: Document, options: Document) -> Document:
        (kind,) = {"addattr", "delattr"} & set(options)
        for pair in options[kind]:
            attribute, _, value = pair.partition("=")
            self._check(attribute)
            values = user.setdefault(attribute, [])
            if kind == "addattr" and value in values:
                raise _Refused(4202, "EmptyModlist", "no modifications to be performed")
            if kind == "delattr" and value not in values:
                raise _Refused(4026, "AttrValueNotFound", f"{attribute} does not contain '{value}'")
            values.append(value) if kind == "addattr" else values.remove(value)
            if not values:
                del user[attribute]
        return user

    def _check(self, attribute: str) -> None:
        if attribute not in self.writable:
            raise _Refused(2100, "ACIError", f"Insufficient access: Insufficient 'write' privilege to '{attribute}'")

"""A Keycloak realm that remembers: as much of the admin interface as AccountDisable uses, and every way to fail.

Written from the server's own behaviour (Keycloak 26: UsersResource, UserResource, RoleMapperResource) and its manual:
search by substring unless `exact`; a PUT replaces the whole user; attributes that the realm does not know are dropped
unless its unmanaged attribute policy takes them; logout ends online sessions only and sets notBefore; offline sessions
outlive it and show among the consents; newer versions hide roles that the asking client may not view.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote

from contract import Request, read
from failing_front import Asked
from suite import Failure

Document = dict[str, Any]
REALM = "staff"
CLIENT, SECRET = "propolis", "kc-s3cret-of-the-lab"
NOT_BEFORE = 1_767_225_600
MANAGEMENT = "realm-management"
_PROFILE = ("email", "firstName", "lastName")


@dataclass
class User:
    """One user with everything that hangs on it."""

    document: Document
    realm_roles: list[str] = field(default_factory=lambda: [f"default-roles-{REALM}"])
    client_roles: dict[str, list[str]] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    online: int = 0
    offline: dict[str, int] = field(default_factory=dict)
    consents: dict[str, list[str]] = field(default_factory=dict)
    read_only: bool = False


class Answer(NamedTuple):
    status: int
    body: Any = None


class FakeKeycloak:
    """Start it with `with FakeKeycloak() as keycloak`; change its state by its attributes."""

    def __init__(self, realm: str = REALM, management: str = MANAGEMENT) -> None:
        self.realm = realm
        self.users: dict[str, User] = {}
        self.clients = {
            name: str(uuid.uuid4()) for name in (management, "staff-realm", CLIENT, "account", "mail-app", "evil-app")
        }
        self.group_roles: dict[str, dict[str, list[str]]] = {}
        """Group path -> client -> roles."""
        self.composites: dict[str, dict[str, list[str]]] = {}
        """Realm role -> client -> roles that it contains."""
        self.unmanaged: str | None = "ADMIN_EDIT"
        self.hides_roles = False
        """As recent versions do to a client without view-clients and view-realm."""
        self.lightweight = False
        """Tokens without `sub` and roles."""
        self.logout_fails = False
        self.requests: list[Request] = []
        self.changes: list[str] = []
        self.elsewhere: list[str] = []
        self.tokens: set[str] = set()
        self.failure: Failure | None = None
        self.writes_only = False
        self.refuse_once: list[tuple[int, dict[str, str]]] = []
        """Answers to the next changes, which are then not carried out: (status, headers)."""
        self.lose_next = False
        self._stopping = threading.Event()
        self._servers: list[ThreadingHTTPServer] = []
        self.service = self.add(
            f"service-account-{CLIENT}",
            client_roles={management: ["view-users", "manage-users", "view-clients", "view-realm"]},
        )
        self.users[self.service].document["serviceAccountClientId"] = CLIENT

    def __enter__(self) -> FakeKeycloak:
        self.url = self._serve(_Handler)
        self.other_url = self._serve(_Elsewhere)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _serve(self, handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), {"keycloak": self}))
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def take_down(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()

    def add(self, username: str, **more: Any) -> str:
        """A new user; gives its id."""
        one = str(uuid.uuid5(uuid.NAMESPACE_DNS, username))
        document = {
            "id": one,
            "username": username,
            "email": more.pop("email", f"{username}@mail.example.test"),
            "emailVerified": True,
            "firstName": "Some",
            "lastName": "Body",
            "enabled": more.pop("enabled", True),
            "createdTimestamp": 1_700_000_000_000,
            "totp": False,
            "attributes": more.pop("attributes", {"department": ["R&D"], "badge": ["17", "18"]}),
            "disableableCredentialTypes": [],
            "requiredActions": ["VERIFY_EMAIL"],
            "notBefore": 0,
            "access": {"manage": True},
        }
        if "federation" in more:
            document["federationLink"] = more.pop("federation")
        self.users[one] = User(document, **more)
        return one

    def user(self, username: str) -> User:
        """A user by its name."""
        return next(user for user in self.users.values() if user.document["username"] == username)

    def revives(self, username: str, client: str) -> bool:
        """Whether an offline token of this user would be taken now."""
        user = self.user(username)
        return bool(user.document["enabled"] and user.offline.get(client))

    # --- what is asked -------------------------------------------------------------------------------------------

    def answer(self, request: Request, token: str) -> Answer:  # noqa: PLR0911 - one line a case
        base = f"/admin/realms/{self.realm}"
        if request.path == f"/realms/{self.realm}/protocol/openid-connect/token":
            return self._token(request)
        if token not in self.tokens:
            return Answer(401, {"error": "HTTP 401 Unauthorized"})
        if not request.path.startswith(f"{base}/"):
            return Answer(404, {"error": "Realm not found."})
        parts = [unquote(part) for part in request.path[len(base) + 1 :].split("/")]
        if parts[0] != "users":
            return Answer(403, {"error": "HTTP 403 Forbidden"})
        if len(parts) == 1:
            return Answer(200, [self._shown(user) for user in self._search(dict(request.query))])
        user = self.users.get(parts[1])
        if user is None:
            return Answer(404, {"error": "User not found"})
        return self._of_user(request, user, parts[2:])

    def _token(self, request: Request) -> Answer:
        form = request.body
        if form.get("client_id") != CLIENT or form.get("client_secret") != SECRET:
            return Answer(401, {"error": "unauthorized_client", "error_description": "Invalid client credentials"})
        claims: Document = {"azp": CLIENT}
        if not self.lightweight:
            claims |= {"sub": self.service, "realm_access": {"roles": self._effective(self.users[self.service])[0]}}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        token = f"e30.{payload}.{uuid.uuid4().hex}"
        self.tokens.add(token)
        return Answer(200, {"access_token": token, "expires_in": 60, "token_type": "Bearer"})

    def _search(self, query: dict[str, str]) -> list[User]:
        exact = query.get("exact") == "true"

        def fits(user: User, name: str) -> bool:
            have, want = str(user.document.get(name, "")).lower(), query[name].lower()
            return have == want if exact else want in have

        asked = [name for name in ("username", "email") if name in query]
        found = [user for user in self.users.values() if all(fits(user, name) for name in asked)]
        return found[: int(query.get("max", "100"))]

    def _of_user(self, request: Request, user: User, rest: list[str]) -> Answer:
        reads: dict[tuple[str, ...], Any] = {
            (): lambda: self._shown(user),
            ("sessions",): lambda: [{"id": str(number)} for number in range(user.online)],
            ("consents",): lambda: self._consents(user),
            ("groups",): lambda: [{"id": path, "name": path.rsplit("/", 1)[-1], "path": path} for path in user.groups],
            ("role-mappings",): lambda: self._mappings(user),
            ("role-mappings", "realm", "composite"): lambda: self._roles(self._effective(user)[0]),
        }
        if request.method == "GET":
            if tuple(rest) in reads:
                return Answer(200, reads[tuple(rest)]())
            return self._by_client(user, rest)
        writes: dict[tuple[str, ...], Any] = {
            ("PUT",): lambda: self._put(user, request.body),
            ("POST", "logout"): lambda: self._logout(user),
        }
        if (request.method, *rest) in writes:
            answer: Answer = writes[(request.method, *rest)]()
            return answer
        if request.method == "DELETE" and len(rest) == 2 and rest[0] == "consents":
            return self._revoke(user, rest[1])
        return Answer(405, {"error": "HTTP 405 Method Not Allowed"})

    def _by_client(self, user: User, rest: list[str]) -> Answer:
        names = {one: name for name, one in self.clients.items()}
        if len(rest) == 2 and rest[0] == "offline-sessions" and rest[1] in names:
            return Answer(200, [{"id": str(number)} for number in range(user.offline.get(names[rest[1]], 0))])
        if len(rest) == 4 and rest[:2] == ["role-mappings", "clients"] and rest[2] in names:
            return Answer(200, self._roles(self._effective(user)[1].get(names[rest[2]], [])))
        return Answer(404, {"error": "Client not found"})

    def _effective(self, user: User) -> tuple[list[str], dict[str, list[str]]]:
        """Realm and client roles with those of groups and composites."""
        clients: dict[str, list[str]] = {client: list(roles) for client, roles in user.client_roles.items()}
        sources = [self.group_roles.get(path, {}) for path in user.groups]
        sources += [self.composites.get(role, {}) for role in user.realm_roles]
        for source in sources:
            for client, roles in source.items():
                clients.setdefault(client, []).extend(roles)
        return list(user.realm_roles), clients

    def _roles(self, names: list[str]) -> list[Document]:
        return [] if self.hides_roles else [{"id": name, "name": name} for name in names]

    def _mappings(self, user: User) -> Document:
        if self.hides_roles:
            return {}
        clients = {
            client: {"id": self.clients[client], "client": client, "mappings": self._roles(roles)}
            for client, roles in user.client_roles.items()
        }
        return {"realmMappings": self._roles(user.realm_roles), **({"clientMappings": clients} if clients else {})}

    def _consents(self, user: User) -> list[Document]:
        return [
            {
                "clientId": client,
                "grantedClientScopes": user.consents.get(client, []),
                "additionalGrants": [{"client": self.clients[client], "key": "Offline Token"}]
                if user.offline.get(client)
                else [],
            }
            for client in sorted({*user.consents, *(name for name, count in user.offline.items() if count)})
        ]

    def _shown(self, user: User) -> Document:
        document: Document = json.loads(json.dumps(user.document))
        if self.unmanaged is None:
            document["attributes"].pop("propolis", None)
        return document

    # --- what is changed -----------------------------------------------------------------------------------------

    def _put(self, user: User, body: Any) -> Answer:
        if user.read_only:
            return Answer(400, {"errorMessage": "User is read only!"})
        if not body.get("email") and user.document.get("email"):
            return Answer(400, {"field": "email", "errorMessage": "error-user-attribute-required"})
        kept = ("id", "username", "createdTimestamp", "totp", "disableableCredentialTypes", "notBefore", "access")
        fixed = {name: user.document[name] for name in kept}
        for name in ("federationLink", "serviceAccountClientId"):
            if name in user.document:
                fixed[name] = user.document[name]
        attributes = dict(body.get("attributes") or {})
        if self.unmanaged is None:
            attributes.pop("propolis", None)
        self._note(user, f"PUT enabled={body.get('enabled')} mark={attributes.get('propolis')}")
        user.document = {
            **fixed,
            **{name: body[name] for name in (*_PROFILE, "emailVerified", "requiredActions") if name in body},
            "enabled": body.get("enabled", user.document["enabled"]),
            "attributes": attributes,
        }
        return Answer(204)

    def _logout(self, user: User) -> Answer:
        if self.logout_fails:
            return Answer(403, {"error": "HTTP 403 Forbidden"})
        self._note(user, "logout")
        user.online = 0
        user.document["notBefore"] = NOT_BEFORE
        return Answer(204)

    def _revoke(self, user: User, client: str) -> Answer:
        if client not in user.consents and not user.offline.get(client):
            return Answer(404, {"error": "Consent nor offline token not found"})
        self._note(user, f"revoke {client}")
        user.consents.pop(client, None)
        user.offline.pop(client, None)
        return Answer(204)

    def _note(self, user: User, what: str) -> None:
        self.changes.append(f"{user.document['username']}: {what}")


class _Handler(BaseHTTPRequestHandler):
    keycloak: FakeKeycloak
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for the acknowledgement of its headers

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        keycloak, request = self.keycloak, self._request()
        keycloak.requests.append(request)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        changing = request.method != "GET" and "openid-connect" not in request.path
        if keycloak.failure is not None and (changing or not keycloak.writes_only):
            self._fail(keycloak.failure, token_wanted="openid-connect" in request.path)
            return
        if changing and keycloak.refuse_once and token in keycloak.tokens:
            status, headers = keycloak.refuse_once.pop(0)
            self._send(status, b'{"error":"not now"}', headers)
            return
        answer = keycloak.answer(request, token)
        if changing and keycloak.lose_next:
            keycloak.lose_next = False
            self._cut()
            return
        self._send(answer.status, b"" if answer.body is None else json.dumps(answer.body).encode())

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the names http.server looks for

    def _request(self) -> Request:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return read(Asked(self.command, self.path, {name.lower(): text for name, text in self.headers.items()}, raw))

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, kind: str = "") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind or "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, failure: Failure, *, token_wanted: bool) -> None:
        if failure is Failure.SILENCE:
            self.keycloak._stopping.wait(5)
            self.close_connection = True
            return
        if failure is Failure.HALF_BODY:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"half":')
            self._cut()
            return
        if failure is Failure.UNAUTHORIZED and token_wanted:
            answer = self.keycloak._token(
                Request("POST", "", (), {}, {"client_id": CLIENT, "client_secret": SECRET}, "")
            )
            self._send(200, json.dumps(answer.body).encode())
            return
        status, body, headers, kind = {
            Failure.SERVER_ERROR: (500, b'{"error":"unknown_error"}', {}, ""),
            Failure.UNAUTHORIZED: (401, b'{"error":"HTTP 401 Unauthorized"}', {}, ""),
            Failure.FORBIDDEN: (403, b'{"error":"HTTP 403 Forbidden"}', {}, ""),
            Failure.RATE_LIMITED: (429, b"", {"Retry-After": "86400"}, ""),
            Failure.REDIRECT: (302, b"", {"Location": f"{self.keycloak.other_url}/admin"}, ""),
            Failure.HTML: (200, b"<html><body>Sign in</body></html>", {}, "text/html"),
            Failure.NONSENSE: (200, b'{"result": {"ok": 1}}', {}, ""),
        }[failure]
        self._send(status, body, headers, kind)

    def _cut(self) -> None:
        """End the connection with a reset, in the middle of whatever it was in."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class _Elsewhere(BaseHTTPRequestHandler):
    keycloak: FakeKeycloak

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.keycloak.elsewhere.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.end_headers()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

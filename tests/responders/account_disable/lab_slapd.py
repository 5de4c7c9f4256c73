"""A real OpenLDAP server (slapd with the overlay ppolicy) of one test session, on ports of its own.

Everything it writes lies in the session's temporary folder. Its access rules are those of docs/backends-openldap.md.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # ldap3 2.9 uses names that pyasn1 0.6 calls deprecated
    import ldap3
    from ldap3.core.exceptions import LDAPException

PACKAGES = "slapd"
BASE = "dc=lab,dc=example,dc=test"
PEOPLE, GROUPS, POLICIES = f"ou=people,{BASE}", f"ou=groups,{BASE}", f"ou=policies,{BASE}"
ROOT, ROOT_PASSWORD = f"cn=admin,{BASE}", "R00t-Of-The-Lab"
SERVICE, SERVICE_PASSWORD = f"uid=auto-lock,{PEOPLE}", "S3rvice-$ecret-Of-The-Lab"
PASSWORD = "Us3r-Of-The-Lab"
NAME = "ldap.lab.example.test"
POLICY, NO_LOCKS, FOR_EVER = (f"cn={name},{POLICIES}" for name in ("default", "no-locks", "for-ever"))
LOCK = "pwdAccountLockedTime"
DNS = {
    "jdoe": f"cn=Doe\\2C Jane (R&D) \\2B1,{PEOPLE}",
    **{name: f"uid={name},{PEOPLE}" for name in (
        "asmith", "noted", "outsider", "break-glass-1", "deepadmin", "wheeled", "unixroot", "primary", "unlocked",
        "chair", "strict",
    )},
}  # fmt: skip
DNS["outsider"] = f"uid=outsider,ou=elsewhere,{BASE}"
DUP = (f"uid=dup,{PEOPLE}", f"uid=dup,ou=more,{PEOPLE}")

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload memberof
pidfile {folder}/pid
argsfile {folder}/args
{tls}
database mdb
suffix "{base}"
rootdn "{root}"
rootpw {root_password}
directory {folder}/db
sizelimit size.soft=500 size.hard=500
overlay ppolicy
ppolicy_default "{policy}"
overlay memberof
memberof-group-oc groupOfNames
memberof-member-ad member
memberof-memberof-ad memberOf
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{people}" attrs=pwdAccountLockedTime,description by dn.exact="{service}" write by * none
access to dn.subtree="{base}" by dn.exact="{service}" read by users read by * none
"""


class Slapd:
    """Start it, use it, stop it."""

    def __init__(self, folder: Path, *, tls: bool = True):
        self.folder = folder
        self.tls_port, self.port = _free_port(), _free_port()
        self.ca_file = folder / "ca.pem"
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Any = None

    def start(self) -> None:
        (self.folder / "db").mkdir()
        if self._tls:
            _certificates(self.folder)
        lines = {
            "TLSCACertificateFile": "ca.pem",
            "TLSCertificateFile": "server.pem",
            "TLSCertificateKeyFile": "key.pem",
        }
        tls = "\n".join(f"{name} {self.folder / file}" for name, file in lines.items()) if self._tls else ""
        config = self.folder / "slapd.conf"
        config.write_text(
            _CONFIG.format(
                folder=self.folder, tls=tls, base=BASE, root=ROOT, root_password=ROOT_PASSWORD, policy=POLICY,
                people=PEOPLE, service=SERVICE,
            )
        )  # fmt: skip
        urls = f"ldap://127.0.0.1:{self.port}" + (f" ldaps://127.0.0.1:{self.tls_port}" if self._tls else "")
        program = shutil.which("slapd") or "/usr/sbin/slapd"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-f", str(config), "-h", urls, "-d", "stats"], stdout=log, stderr=log
            )
        self._wait()
        self._fill()

    def stop(self) -> None:
        if self._admin is not None:
            self._admin.unbind()
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)

    @property
    def log(self) -> Path:
        return self.folder / "slapd.log"

    def connect(self, dn: str, password: str) -> tuple[Any, int]:
        """A connection, and the result code of its bind."""
        server = ldap3.Server("127.0.0.1", port=self.port, get_info=None, connect_timeout=5)
        connection = ldap3.Connection(server, dn, password, receive_timeout=10)
        try:
            connection.open()
        except LDAPException:
            if connection.socket is not None:
                connection.socket.close()  # ldap3 leaves it open
            raise
        connection.bind()
        return connection, int(connection.result["result"])

    def bind_says(self, name: str) -> int:
        """The result code of a user's own bind with the right password: 0 where it works, 49 where it is refused."""
        connection, code = self.connect(DNS[name], PASSWORD)
        connection.unbind()
        return code

    def read(self, dn: str, *attributes: str) -> dict[str, list[str]]:
        """An object's attributes, asked as the administrator."""
        self._admin.search(dn, "(objectClass=*)", ldap3.BASE, attributes=list(attributes))
        raw = self._admin.response[0]["raw_attributes"]
        return {name: [value.decode() for value in values] for name, values in raw.items()}

    def lock(self, name: str) -> str:
        return "".join(self.read(DNS[name], LOCK).get(LOCK, []))

    def notes(self, name: str) -> list[str]:
        return sorted(self.read(DNS[name], "description").get("description", []))

    def set(self, dn: str, **values: str | list[str] | None) -> None:
        """Set attributes as the administrator; None deletes."""
        changes = {
            key: [(ldap3.MODIFY_REPLACE, [] if value is None else [value] if isinstance(value, str) else value)]
            for key, value in values.items()
        }
        self._admin.modify(dn, changes)
        assert self._admin.result["result"] == 0, self._admin.result

    def reset(self) -> None:
        """Every account as it was at the start."""
        for name, dn in DNS.items():
            wanted = ["Ticket 4711: wants a second screen."] if name == "noted" else []
            if self.lock(name) or self.notes(name) != wanted:
                self.set(dn, **{LOCK: None, "description": wanted})

    def changes(self) -> list[str]:
        """Every change that the service account asked for, granted or not, from the server's own log."""
        bound: dict[str, str] = {}
        found = []
        for line in self.log.read_text("utf-8", "replace").splitlines():
            words = re.search(
                r'conn=(\d+) op=\d+ (BIND dn="([^"]*)" method|(?:ADD|DEL|MODRDN|MOD) (?:dn|attr)=.*)', line
            )
            if words and words[3] is not None:
                bound[words[1]] = words[3]
            elif words and bound.get(words[1]) == SERVICE:
                found.append(words[2])
        return found

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while True:
            try:
                self._admin, code = self.connect(ROOT, ROOT_PASSWORD)
            except (LDAPException, OSError):
                code = -1
            if code == 0:
                return
            assert time.monotonic() < end, self.log.read_text("utf-8", "replace")
            time.sleep(0.05)

    def _fill(self) -> None:
        self._add(BASE, "domain", dc="lab")
        for unit in ("people", "groups", "policies", "elsewhere"):
            self._add(f"ou={unit},{BASE}", "organizationalUnit", ou=unit)
        self._add(f"ou=more,{PEOPLE}", "organizationalUnit", ou="more")
        for policy, locks, seconds in ((POLICY, "TRUE", "600"), (NO_LOCKS, "FALSE", "0"), (FOR_EVER, "TRUE", "0")):
            self._add(
                policy, ["organizationalRole", "pwdPolicy"], pwdAttribute="userPassword", pwdLockout=locks,
                pwdLockoutDuration=seconds, pwdMaxFailure="3",
            )  # fmt: skip
        self._add(SERVICE, "inetOrgPerson", cn="Propolis", sn="Service", userPassword=SERVICE_PASSWORD)
        more = {
            "jdoe": {"uid": "jdoe", "mail": "jane.doe@example.org"},
            "unixroot": {"uidNumber": "0", "gidNumber": "100"},
            "primary": {"uidNumber": "1007", "gidNumber": "27"},
            "asmith": {"uidNumber": "1008", "gidNumber": "100"},
            "unlocked": {"pwdPolicySubentry": NO_LOCKS},
            "strict": {"pwdPolicySubentry": FOR_EVER},
            "noted": {"description": "Ticket 4711: wants a second screen."},
        }
        for name, dn in DNS.items():
            self._add_person(dn, **more.get(name, {}))
        for dn in DUP:
            self._add_person(dn)
        self._add(f"uid=alias,{PEOPLE}", ["alias", "extensibleObject"], aliasedObjectName=DNS["outsider"])
        self._groups()

    def _groups(self) -> None:
        """An administrator three groups deep, through a circle; one by a Unix group, one by the primary one."""
        admins, seniors, helpers = (f"cn={name},{GROUPS}" for name in ("admins", "seniors", "helpers"))
        self._add(helpers, "groupOfNames", member=[DNS["deepadmin"], seniors])
        self._add(seniors, "groupOfUniqueNames", uniqueMember=helpers)
        self._add(admins, "groupOfNames", member=seniors)
        self._add(f"cn=wheel,{GROUPS}", "posixGroup", gidNumber="10", memberUid=["wheeled"])
        self._add(f"cn=sudo,{GROUPS}", "posixGroup", gidNumber="27")
        self._add(f"cn=users,{GROUPS}", "posixGroup", gidNumber="100")
        self._add(f"cn=Board,{GROUPS}", "groupOfNames", member=DNS["chair"])

    def _add_person(self, dn: str, **values: str) -> None:
        kinds = ["inetOrgPerson"]
        if "uidNumber" in values:
            kinds.append("posixAccount")
            values = {**values, "homeDirectory": "/home/somebody"}
        if "cn=" not in dn:
            values = {"cn": "Somebody", **values}
        self._add(dn, kinds, sn="Body", userPassword=PASSWORD, **values)

    def _add(self, dn: str, kinds: str | list[str], **values: str | list[str]) -> None:
        self._admin.add(dn, kinds, values)
        assert self._admin.result["result"] == 0, (dn, self._admin.result)


class Wire:
    """A relay before the server that can lose an answer: the next one given once `losing` holds."""

    def __init__(self, port: int):
        self.losing: Callable[[], bool] | None = None
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to), timeout=10)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if answers and self.losing is not None and self.losing():
                    self.losing = None
                    break
                sink.sendall(data)
        except OSError:
            pass
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        sink.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _certificates(folder: Path) -> None:
    """A CA, and a certificate of it for NAME."""
    names = folder / "names.cnf"
    names.write_text(f"subjectAltName=DNS:{NAME}\n")
    for command in (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca-key.pem -out ca.pem"
        " -days 2 -subj /CN=Lab-CA -addext keyUsage=critical,keyCertSign",
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out server.csr"
        f" -subj /CN={NAME}",
        "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca-key.pem -days 2 -out server.pem -extfile names.cnf",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    ssl.create_default_context(cafile=str(folder / "ca.pem"))

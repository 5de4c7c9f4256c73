"""A real Active Directory domain controller (Samba) of one test session, in a network namespace of its own.

It listens on many ports, so it gets its own namespace and is reached over a veth pair. Everything it writes lies in the
session's temporary folder. Recipe: provision (3 s), start, wait for LDAPS (4 s), fill through LDAP.
"""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # ldap3 2.9 uses names that pyasn1 0.6 calls deprecated
    import ldap3
    from ldap3.core.exceptions import LDAPException
    from ldap3.protocol.microsoft import security_descriptor_control

PACKAGES = (
    "samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind python3-samba ldb-tools krb5-user iproute2"
)
_NET = f"198.18.{os.getpid() % 250}"  # RFC 2544: nobody's network, and one for each session that runs beside this one
HOST, DC = f"{_NET}.1", f"{_NET}.2"
INSIDE = "pdc-inside"
REALM, SHORT, BASE = "lab.example.test", "LAB", "DC=lab,DC=example,DC=test"
STAFF, TIER0 = f"OU=Staff,{BASE}", f"OU=Tier0,{BASE}"
NAME = f"dc1.{REALM}"
ADMIN_PASSWORD, PASSWORD = "Adm1n-Of-The-Lab", "Us3r-Of-The-Lab"
SERVICE, SERVICE_PASSWORD = f"{SHORT}\\auto-disable", "S3rvice-$ecret-Of-The-Lab"

USER_FLAGS = "bf967a68-0de6-11d0-a285-00aa003049e2"  # schemaIDGUID of userAccountControl
NOTES = "bf96793e-0de6-11d0-a285-00aa003049e2"  # of info
USER_CLASS = "bf967aba-0de6-11d0-a285-00aa003049e2"  # of the class user


class User(NamedTuple):
    """An account of the lab."""

    name: str
    dn: str
    flags: int = 512
    upn: str = ""
    notes: str = ""


def _user(name: str, container: str, flags: int = 512, common: str = "", upn: str = "", notes: str = "") -> User:
    return User(name, f"CN={common or name},{container}", flags, upn or f"{name}@{REALM}", notes)


USERS = {
    user.name: user
    for user in (
        _user("jdoe", STAFF, 66048, common="Doe\\, Jane (R&D) \\+1"),
        _user("asmith", STAFF, 512, upn=f"anna.smith@{REALM}"),
        _user("noted", STAFF, 512, notes="Works Mon-Wed.\r\nTicket 4711: wants a second screen."),
        _user("dup", STAFF, upn=f"first@{REALM}"),
        _user("twin", STAFF, upn="twin@other.example.test"),
        _user("gone", STAFF, 514),
        _user("outsider", f"OU=Elsewhere,{BASE}"),
        _user("break-glass-1", STAFF),
        _user("deepadmin", STAFF),
        _user("oldadmin", STAFF),
        _user("primadmin", STAFF),
        _user("auto-disable", f"OU=Service,{BASE}"),
    )
}


class SambaDc:
    """Start it, use it, stop it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.space = f"propolis-dc-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Any = None

    @property
    def ca_file(self) -> Path:
        return self.folder / "dc/private/tls/ca.pem"

    def start(self) -> None:
        self._network()
        self._provision()
        with (self.folder / "samba.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, "samba", "-F", "--no-process-group", "-s", self._config],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()
        self._fill()

    def stop(self) -> None:
        if self._admin is not None:
            self._admin.unbind()
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(10)
        subprocess.run(["ip", "netns", "del", self.space], check=False)

    def bind(self, user: str, password: str) -> tuple[Any, str]:
        """A connection and what the bind said: the empty string, or the server's message."""
        tls = ldap3.Tls(
            validate=ssl.CERT_REQUIRED,
            version=ssl.PROTOCOL_TLS_CLIENT,
            ca_certs_file=str(self.ca_file),
            valid_names=[NAME],
        )
        server = ldap3.Server(DC, port=636, use_ssl=True, tls=tls, get_info=None, connect_timeout=5)
        connection = ldap3.Connection(server, user, password, receive_timeout=10, auto_referrals=False)
        try:
            connection.open()
        except LDAPException:
            if connection.socket is not None:
                connection.socket.close()  # ldap3 leaves it open
            raise
        return connection, "" if connection.bind() else str(connection.result["message"])

    def bind_says(self, name: str) -> str:
        """What a user's own bind with the right password says: the empty string where it works."""
        connection, said = self.bind(f"{SHORT}\\{name}", PASSWORD)
        connection.unbind()
        return said

    def read(self, dn: str, *attributes: str) -> dict[str, list[str]]:
        """An object's attributes, asked as the administrator."""
        self._admin.search(dn, "(objectClass=*)", ldap3.BASE, attributes=list(attributes))
        raw = self._admin.response[0]["raw_attributes"]
        return {name: [value.decode("utf-8", "replace") for value in values] for name, values in raw.items()}

    def flags(self, name: str) -> int:
        return int(self.read(USERS[name].dn, "userAccountControl")["userAccountControl"][0])

    def notes(self, name: str) -> str:
        return "".join(self.read(USERS[name].dn, "info").get("info", []))

    def version(self) -> int:
        """The highest change number of the directory: the same before and after means that nothing was written."""
        self._admin.search("", "(objectClass=*)", ldap3.BASE, attributes=["highestCommittedUSN"])
        return int(self._admin.response[0]["raw_attributes"]["highestCommittedUSN"][0])

    def set(self, name: str, **values: str | int | None) -> None:
        """Set attributes as the administrator; None deletes."""
        changes = {
            key: [(ldap3.MODIFY_REPLACE, [] if value is None else [str(value)])] for key, value in values.items()
        }
        self._admin.modify(USERS[name].dn, changes)
        assert self._admin.result["result"] == 0, self._admin.result

    def set_values(self, name: str, attribute: str, values: list[str]) -> None:
        """Set an attribute of several values."""
        self._admin.modify(USERS[name].dn, {attribute: [(ldap3.MODIFY_REPLACE, values)]})
        assert self._admin.result["result"] == 0, self._admin.result

    def reset(self) -> None:
        """Every account as it was at the start."""
        for user in USERS.values():
            seen = self.read(user.dn, "userAccountControl", "info")
            if seen["userAccountControl"] != [str(user.flags)] or "".join(seen.get("info", [])) != user.notes:
                self.set(user.name, userAccountControl=user.flags, info=user.notes or None)

    @property
    def _config(self) -> str:
        return str(self.folder / "dc/etc/smb.conf")

    def _network(self) -> None:
        inner, outer = INSIDE, f"pdc{os.getpid()}"
        for command in (
            f"ip netns add {self.space}",
            f"ip -n {self.space} link set lo up",
            f"ip link add {outer} type veth peer name {inner} netns {self.space}",
            f"ip addr add {HOST}/30 dev {outer}",
            f"ip link set {outer} up",
            f"ip -n {self.space} addr add {DC}/30 dev {inner}",
            f"ip -n {self.space} link set {inner} up",
        ):
            subprocess.run(command.split(), check=True)

    def _provision(self) -> None:
        """The machine's own smb.conf plays no part, and nothing is written outside the folder."""
        run, base = self.folder / "run", self.folder / "base.conf"
        run.mkdir()
        base.write_text(
            "[global]\n"
            "server services = rpc ldap cldap kdc\n"
            f"log file = {self.folder}/log.%m\n"
            f"pid directory = {run}\nncalrpc dir = {run}/ncalrpc\n"
            f"winbindd socket directory = {run}/winbindd\nntp signd socket directory = {run}/ntp\n"
        )
        tool = shutil.which("samba-tool") or "samba-tool"
        done = subprocess.run(
            ["ip", "netns", "exec", self.space, tool, "domain", "provision", "-s", str(base),
             f"--realm={REALM.upper()}", f"--domain={SHORT}", "--server-role=dc", "--dns-backend=SAMBA_INTERNAL",
             f"--adminpass={ADMIN_PASSWORD}",
             "--host-name=dc1", f"--host-ip={DC}", f"--targetdir={self.folder / 'dc'}",
             f"--option=interfaces=lo {INSIDE}", "--option=bind interfaces only=yes"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _wait(self) -> None:
        end = time.monotonic() + 45
        while True:
            try:
                self._admin, said = self.bind(f"{SHORT}\\Administrator", ADMIN_PASSWORD)
            except (LDAPException, OSError) as error:
                said = str(error)
            if not said:
                return
            assert time.monotonic() < end, f"{said}\n{(self.folder / 'samba.log').read_text('utf-8', 'replace')}"
            time.sleep(0.2)

    def _fill(self) -> None:
        for unit in ("Staff", "Tier0", "Elsewhere", "Service"):
            self._add(f"OU={unit},{BASE}", "organizationalUnit", {})
        for user in USERS.values():
            self._add_user(user)
        self._admins()
        self._delegate()
        self._collide()

    def _collide(self) -> None:
        """Two users answer to one name: `dup` by its account name, `twin` by its userPrincipalName.

        The server refuses that from one client, and gets it when two controllers are written to before they replicate;
        so it is written below the server, into the database of the domain.
        """
        database = self.folder / f"dc/private/sam.ldb.d/{BASE.upper()}.ldb"
        change = (
            f"dn: {USERS['twin'].dn}\nchangetype: modify\nreplace: userPrincipalName\nuserPrincipalName: dup@{REALM}\n"
        )
        done = subprocess.run(
            ["ldbmodify", "-H", str(database)], input=change, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr

    def _add_user(self, user: User) -> None:
        password = SERVICE_PASSWORD if user.name == "auto-disable" else PASSWORD
        values: dict[str, Any] = {
            "sAMAccountName": user.name,
            "userPrincipalName": user.upn,
            "userAccountControl": user.flags,
            "unicodePwd": f'"{password}"'.encode("utf-16-le"),
        }
        if user.notes:
            values["info"] = user.notes
        self._add(user.dn, "user", values)

    def _admins(self) -> None:
        """An administrator two groups deep, one by an old adminCount, one whose primary group is Domain Admins."""
        admins = f"CN=Domain Admins,CN=Users,{BASE}"
        self._add(f"CN=Helpers,{TIER0}", "group", {"sAMAccountName": "Helpers"})
        self._add(f"CN=Seniors,{TIER0}", "group", {"sAMAccountName": "Seniors"})
        self._join(f"CN=Helpers,{TIER0}", USERS["deepadmin"].dn)
        self._join(f"CN=Seniors,{TIER0}", f"CN=Helpers,{TIER0}")
        self._join(admins, f"CN=Seniors,{TIER0}")
        self.set("oldadmin", adminCount=1)
        self._join(admins, USERS["primadmin"].dn)
        self.set("primadmin", primaryGroupID=512)

    def _delegate(self) -> None:
        """The least right, as docs/backends-accounts.md gives it: two attributes of the users in one unit."""
        sid = self._service_sid()
        aces = "".join(f"(OA;CIIO;RPWP;{attribute};{USER_CLASS};{sid})" for attribute in (USER_FLAGS, NOTES))
        self._dsacl(STAFF, aces)

    def hide_groups(self) -> Callable[[], None]:
        """Take Domain Users out of the delegated account's sight; the answer puts it back."""
        group = f"CN=Domain Users,CN=Users,{BASE}"
        only_the_list = security_descriptor_control(sdflags=4)
        self._admin.search(
            group, "(objectClass=*)", ldap3.BASE, attributes=["nTSecurityDescriptor"], controls=only_the_list
        )
        before = self._admin.response[0]["raw_attributes"]["nTSecurityDescriptor"]
        self._dsacl(group, f"(D;;RPLCLORC;;;{self._service_sid()})")

        def show() -> None:
            change = {"nTSecurityDescriptor": [(ldap3.MODIFY_REPLACE, before)]}
            self._admin.modify(group, change, controls=only_the_list)
            assert self._admin.result["result"] == 0, self._admin.result

        return show

    def _service_sid(self) -> str:
        self._admin.search(USERS["auto-disable"].dn, "(objectClass=*)", ldap3.BASE, attributes=["objectSid"])
        raw = self._admin.response[0]["raw_attributes"]["objectSid"][0]
        return "S-1-5-" + "-".join(str(int.from_bytes(raw[at : at + 4], "little")) for at in range(8, len(raw), 4))

    def _dsacl(self, dn: str, aces: str) -> None:
        tool = shutil.which("samba-tool") or "samba-tool"
        done = subprocess.run(
            [tool, "dsacl", "set", "-s", self._config, "-H", str(self.folder / "dc/private/sam.ldb"),
             f"--objectdn={dn}", f"--sddl={aces}"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _add(self, dn: str, kind: str, values: dict[str, Any]) -> None:
        self._admin.add(dn, kind, values)
        assert self._admin.result["result"] == 0, (dn, self._admin.result)

    def _join(self, group: str, member: str) -> None:
        self._admin.modify(group, {"member": [(ldap3.MODIFY_ADD, [member])]})
        assert self._admin.result["result"] == 0, (group, self._admin.result)

"""Find out which TheHive it is, and open the adapter for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from playbook_service import jsonread
from playbook_service.hive import reading
from playbook_service.hive.common import Common
from playbook_service.hive.link import Link
from playbook_service.hive.v4 import HiveV4
from playbook_service.hive.v5 import HiveV5
from propolis.clock import Clock, SystemClock
from propolis.errors import ConfigurationError
from propolis.http import Client, HttpError, session

_ADAPTERS: Mapping[int, type[Common]] = {4: HiveV4, 5: HiveV5}
_NUMBER = re.compile(r"(\d{1,4})(\.\d+)*")


def connect(  # noqa: PLR0913 - the settings of a connection
    url: str,
    key: str,
    *,
    organisation: str = "",
    ca_file: str | Path | None = None,
    proxy: str | None = None,
    clock: Clock | None = None,
    timeout: tuple[float, float] = (5.0, 30.0),
    retries: int = 2,
    budget: float = 90.0,
) -> Common:
    """The adapter for the TheHive at an address, after reading its public status.

    `organisation` is the one to work in where the account has several. `timeout` is (connect, read) in seconds,
    `budget` what one call may take with its repetitions. Raises HttpError where TheHive cannot be reached,
    ConfigurationError where it is a version that is not supported or the key is missing.
    """
    if not key.strip():
        raise ConfigurationError("The key of the service's account in TheHive is missing: set thehive_key.")
    time = clock or SystemClock()
    headers = {"Authorization": f"Bearer {key.strip()}"}
    if organisation:
        headers["X-Organisation"] = organisation
    client = session(
        url, headers=headers, ca_file=ca_file, proxy=proxy, timeout=timeout, retries=retries, budget=budget,
        clock=time, secrets=(key.strip(),),
    )  # fmt: skip
    version = find_version(client)
    adapter = _ADAPTERS[_major(version, client)]
    return adapter(Link(client, adapter.major, organisation), version, time)


def find_version(client: Client) -> str:
    """TheHive's version, by the public status of version 5, else by that of version 4 and 3."""
    public = client.get("/api/v1/status/public", accept=lambda status: status == 200 or 400 <= status < 500)
    if public.status == 200:
        try:
            version = jsonread.text(reading.document(public), "version")
        except HttpError:
            version = ""  # TheHive 4 may answer an unknown path with its page
        if version:
            return version
    status = reading.document(client.get("/api/status"))
    versions = status.get("versions")
    found = jsonread.text(versions, "TheHive") if isinstance(versions, Mapping) else jsonread.text(status, "version")
    if not found:
        raise ConfigurationError(
            f"What answers at {client.address.host} does not say which TheHive it is: check that thehive_url is the "
            "address of TheHive itself."
        )
    return found


def _major(version: str, client: Client) -> int:
    number = _NUMBER.match(version.strip())
    major = int(number.group(1)) if number else 0
    if major not in _ADAPTERS:
        raise ConfigurationError(
            f"TheHive {version[:40]} at {client.address.host} is not supported: use TheHive 4.1 or 5."
        )
    return major

"""Give admin@thehive.local a password of its own, where it still has the one that everybody knows.

    python3 first_login.py http://thehive:9000 /run/secrets/thehive_admin

Harmless to run again. Exit codes: 0 the well-known password is gone, 1 TheHive does not answer as expected.
"""

from __future__ import annotations

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

LOGIN = "admin@thehive.local"
WELL_KNOWN = "secret"
SECONDS = 30


def ask(url: str, password: str, body: dict[str, str] | None = None) -> int:
    """The status of one request as the administrator. Raises OSError where nothing answers."""
    basic = base64.b64encode(f"{LOGIN}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - the address is an argument of the one who deploys
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Basic {basic}", "Content-Type": "application/json", "X-Organisation": "admin"},
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def main(base: str, file: str) -> int:
    """Look, change, look again."""
    me = f"{base.rstrip('/')}/api/v1/user/current"
    password = Path(file).read_text(encoding="utf-8").strip()
    if len(password) < 16 or password == WELL_KNOWN:
        print(f"first_login.py: {file} must hold a password of at least 16 characters.", file=sys.stderr)
        return 1
    try:
        if ask(me, WELL_KNOWN) == 200:
            status = ask(f"{base.rstrip('/')}/api/v1/user/{LOGIN}/password/set", WELL_KNOWN, {"password": password})
            if status not in (200, 204) or ask(me, password) != 200:
                print(f"first_login.py: TheHive answered {status}; the password is unchanged.", file=sys.stderr)
                return 1
            print(f"first_login.py: {LOGIN} has the password in {file} now")
        still = ask(me, WELL_KNOWN)
    except OSError as error:
        print(f"first_login.py: {base} does not answer: {error}.", file=sys.stderr)
        return 1
    if still not in (401, 403):
        print(f"first_login.py: TheHive answered {still} to the well-known password; look yourself.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

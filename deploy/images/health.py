"""The health check of the service's image: does the process answer on the address that its settings name?

Exit code 0: `GET /readyz` says 200, or with `--alive` `GET /healthz` does. 1: it does not. Nothing but this machine is
asked: TheHive may be away, and events are still taken in.
"""

from __future__ import annotations

import http.client
import ssl
import sys

from playbook_service.settings import load

SECONDS = 4.0
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - recognised here, not listened on


def main(arguments: list[str]) -> int:
    """Ask once."""
    settings = load()
    host, port = settings["listen"]
    host = WILDCARDS.get(host, host)
    path = "/healthz" if "--alive" in arguments else "/readyz"
    connection: http.client.HTTPConnection
    if settings["tls_certificate"]:
        context = ssl.create_default_context()
        context.check_hostname = False  # the certificate is for the name outside; the question stays on this machine
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except OSError as error:
        print(f"{path} on {host}:{port}: {error}", file=sys.stderr)
        return 1
    print(f"{path} on {host}:{port}: {status}", file=sys.stderr)
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

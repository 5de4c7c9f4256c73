"""Where messages arrive in tests: an HTTP server that takes what is posted, and an SMTP server with STARTTLS and login.

The SMTP server speaks as much of RFC 5321 (the session), RFC 3207 (STARTTLS) and RFC 4954 (AUTH PLAIN) as a client that
submits mail needs, and keeps what it was told.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import socketserver
import ssl
import subprocess
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

SECRET = "s3cret-part-of-the-address"


class Reply(NamedTuple):
    """What the HTTP receiver says next."""

    status: int = 200
    body: bytes = b"ok"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/html"),)
    """Slack answers `ok` as text/html."""
    hang: bool = False
    """Take the request and never answer."""
    drip: bool = False
    """Answer a byte now and then, for ever."""


class Receiver(ThreadingHTTPServer):
    """Takes what is posted, or answers with the next of `replies`. Use as a context manager."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        self.replies: list[Reply] = []
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), _Posted)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/T0/{SECRET}?sig=abc-{SECRET}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Posted(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(body)))
        reply = self.server.replies.pop(0) if self.server.replies else Reply()
        if reply.hang:
            self.server.over.wait()
            return
        if reply.drip:
            self._drip()
            return
        self.send_response(reply.status)
        for name, value in (*reply.headers, ("Content-Length", str(len(reply.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    def _drip(self) -> None:
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not self.server.over.wait(0.05):
                self.wfile.write(b"o")
        except OSError:
            return  # nobody listens any more

    def log_message(self, *_: Any) -> None:
        return


class Postbox(socketserver.ThreadingTCPServer):
    """A mail server. `users` may log in; `refused` are receivers it does not know. Use as a context manager."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None, users: dict[str, str] | None = None):
        self.tls = tls
        self.users = users or {}
        self.refused: set[str] = set()
        self.letters: list[EmailMessage] = []
        self.encrypted: list[bool] = []
        super().__init__(("127.0.0.1", 0), _Mailed)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> Postbox:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Mailed(socketserver.StreamRequestHandler):
    server: Postbox

    def handle(self) -> None:
        self._encrypted = False
        try:
            self._talk()
        except OSError:
            return  # the client went away, perhaps because it does not trust the certificate
        finally:
            self.connection.close()

    def _talk(self) -> None:
        self._say("220 mail.example.org")
        while line := self.rfile.readline():
            word, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            if word.upper() == "QUIT":
                self._say("221 bye")
                return
            getattr(self, f"_{word.lower()}", self._fine)(rest)

    def _say(self, *lines: str) -> None:
        self.wfile.write(("\r\n".join(lines) + "\r\n").encode())

    def _fine(self, _: str) -> None:
        self._say("250 ok")

    def _ehlo(self, _: str) -> None:
        offers = [*(["STARTTLS"] if self.server.tls and not self._encrypted else [])]
        offers += ["AUTH PLAIN"] if self.server.users else []
        told = ["mail.example.org", *offers, "SMTPUTF8", "8BITMIME"]
        self._say(*(f"250{' ' if number == len(told) else '-'}{offer}" for number, offer in enumerate(told, start=1)))

    def _starttls(self, _: str) -> None:
        assert self.server.tls is not None
        self._say("220 go on")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self._encrypted = True

    def _auth(self, rest: str) -> None:
        _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
        good = self.server.users.get(user) == password
        self._say("235 welcome" if good else f"535 the password {password} is wrong")

    def _rcpt(self, rest: str) -> None:
        address = rest.partition("<")[2].partition(">")[0]
        self._say("550 nobody of that name" if address in self.server.refused else "250 ok")

    def _data(self, _: str) -> None:
        self._say("354 go on")
        lines = iter(self.rfile.readline, b".\r\n")
        raw = b"".join(line[1:] if line.startswith(b".") else line for line in lines).replace(b"\r\n", b"\n")
        letter = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(letter, EmailMessage)
        self.server.letters.append(letter)
        self.server.encrypted.append(self._encrypted)
        self._say("250 taken")


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signed itself: the file to trust, and the server's context. Needs openssl."""
    key, made = folder / "tls.key", folder / "tls.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=mail", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return made, context

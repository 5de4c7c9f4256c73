"""Hand one Wazuh alert to Propolis, and never lose it: Wazuh's integratord starts this for every alert.

The alert is written to a spool on disk first. Then all that waits there is sent, oldest first, many alerts a request,
and each is removed only when the service has said that it has it (202). Where the service is away or busy the alert
stays and the exit code is 0; the next alert, or `custom-propolis --drain` from a timer, sends it.

    custom-propolis ALERT_FILE API_KEY HOOK_URL [debug] [OPTIONS_FILE] [TIMEOUT] [RETRIES]      as integratord does
    custom-propolis --drain                                                                    as a timer does

Settings: etc/propolis.json below Wazuh's folder, overridden by the integration's <options>, overridden by <hook_url>
and <api_key>; see docs/wazuh.md of Propolis. integratord waits for this script, so a run has a time budget that holds.

Standard library only, Python 3.9 or later: it runs on the Python that Wazuh 4 ships. Calling convention: Wazuh 4.14
src/os_integrator/integrator.c.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from contextlib import contextmanager, suppress

NAME = "custom-propolis"
HOME = os.environ.get("WAZUH_PATH") or os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
LOG = os.path.join(HOME, "logs", "integrations.log")
DONE, LOST, USAGE = 0, 1, 2

DEFAULTS = {
    "hook_url": "",
    "api_key_file": "",
    "ca_file": "",
    "spool": os.path.join(HOME, "queue", "propolis"),
    "max_spool_bytes": 64 * 1024 * 1024,
    "min_level": 0,
    "exclude_rules": [],
    "exclude_groups": [],
    "timeout": 5,
    "budget": 8,
}
LARGEST_ALERT = 512 * 1024  # bytes; Wazuh itself writes no line above 64 KiB
BATCH_ALERTS, BATCH_BYTES, REFUSED_KEPT = 500, 512 * 1024, 200  # a request: half of what the service takes by default
STALE = 600  # seconds after which an unfinished file is a killed run's
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED = 10, 60, 300  # seconds without a try after a failed one
AUTHORITIES = (  # where systems keep their CAs; the Python of Wazuh looks at none of them by itself
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class Trouble(Exception):
    """Something is wrong that a person should read: one sentence."""


class Away(Exception):
    """The service did not take it now; `pause` is the seconds it asked for, or None."""

    def __init__(self, sentence, pause=None):
        super().__init__(sentence)
        self.pause = pause


class Refused(Exception):
    """The service will never take this document as it is."""


class Log:
    """Lines in Wazuh's integrations.log, in its form; on standard error too, which ossec.log quotes when we fail."""

    def __init__(self, debug):
        self.debug_on = debug
        self.secrets = []

    def say(self, sentence):
        for secret in self.secrets:
            sentence = sentence.replace(secret, "********")
        text = "".join(letter if letter.isprintable() else "?" for letter in sentence)
        line = "{}: {}: {}\n".format(time.strftime("%a %b %d %H:%M:%S %Z %Y"), NAME, text)
        with suppress(OSError), open(LOG, "a", encoding="utf-8", errors="replace") as stream:
            stream.write(line)
        sys.stderr.write(line)
        sys.stderr.flush()

    def debug(self, sentence):
        if self.debug_on:
            self.say(sentence)


def settings(options_file, log):
    """The defaults, etc/propolis.json and the integration's options. A fault in them is told and costs no alert."""
    found = dict(DEFAULTS)
    own = os.path.join(HOME, "etc", "propolis.json")
    for path in [own] * os.path.exists(own) + [options_file] * bool(options_file):
        try:
            document = json.loads(read(path, LARGEST_ALERT))
        except (OSError, ValueError) as error:
            log.say(f"{path} is left out: {reason(error)}.")
            continue
        if not isinstance(document, dict):
            log.say(f"{path} is left out: it must be a JSON object.")
            continue
        for name, value in document.items():
            fault = fault_of(name, value)
            if fault:
                log.say(f"{path}: {name}: {fault}; it is left out.")
            else:
                found[name] = value
    return found


def fault_of(name, value):
    """What is wrong with one option; nothing where it is right."""
    if name not in DEFAULTS:
        return "is no option; they are {}".format(", ".join(DEFAULTS))
    if isinstance(DEFAULTS[name], list):
        good = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        return "" if good else "must be a list of texts"
    if isinstance(DEFAULTS[name], int):
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= (name != "min_level")
        return "" if good else "must be a number, at least {}".format(int(name != "min_level"))
    return "" if isinstance(value, str) else "must be a text"


def key_of(argument, options):
    """The key: the integration's <api_key>, else the first one in the file. Raises Trouble."""
    key = argument
    if not key and options["api_key_file"]:
        try:
            key = read(options["api_key_file"], 65536).decode("utf-8", "replace").split(",")[0].strip()
        except OSError as error:
            raise Trouble(
                "The key file {} cannot be read: {}.".format(options["api_key_file"], reason(error))
            ) from None
    if not all(" " < letter <= "~" for letter in key):
        raise Trouble("The key holds a blank, a line break or a character outside ASCII: enter it again.")
    return key


def wanted(data, options):
    """Whether the alert is for Propolis. Raises Trouble for what is no alert in JSON."""
    try:
        alert = json.loads(data)
    except (ValueError, RecursionError):
        alert = None
    if not isinstance(alert, dict):
        raise Trouble("The alert is not JSON: put <alert_format>json</alert_format> into the <integration>.")
    rule = alert.get("rule") if isinstance(alert.get("rule"), dict) else {}
    level, groups = rule.get("level"), rule.get("groups")
    if (level if isinstance(level, (int, float)) else 0) < options["min_level"]:
        return False
    if str(rule.get("id")) in options["exclude_rules"]:
        return False
    return not set(options["exclude_groups"]) & {str(group) for group in (groups if isinstance(groups, list) else [])}


class Spool:
    """One file an alert, named so that names sort by age. What is there is whole: it was synced, then renamed."""

    def __init__(self, folder, max_bytes):
        self.folder = folder
        self.refused = os.path.join(folder, "refused")
        self.max_bytes = max_bytes

    def keep(self, data):
        """Put an alert to the others. Raises Trouble where there is no room, OSError where the disk fails."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        used = sum(size for _, size, _ in self._entries())
        if used + len(data) > self.max_bytes:
            raise Trouble(f"the spool {self.folder} is full ({used:,} bytes of {int(self.max_bytes):,})")
        name = f"{time.time_ns():020d}-{os.getpid()}.json"
        unfinished = os.path.join(self.folder, "." + name)
        with open(unfinished, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(unfinished, os.path.join(self.folder, name))
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)  # the name, too
        os.close(folder)

    def waiting(self):
        """The names of what waits, oldest first."""
        try:
            return sorted(name for name in os.listdir(self.folder) if name.endswith(".json") and name[0] != ".")
        except FileNotFoundError:
            return []

    def _entries(self):
        """(path, bytes, seconds since it was written) of each file; others may remove some meanwhile."""
        for entry in os.scandir(self.folder):
            with suppress(FileNotFoundError):
                if entry.is_file():
                    found = entry.stat()
                    yield entry.path, found.st_size, time.time() - found.st_mtime

    def remove(self, names):
        """The service has them."""
        for name in names:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, name))

    def refuse(self, name):
        """Keep aside what the service will never take; the oldest of them make room."""
        os.makedirs(self.refused, mode=0o700, exist_ok=True)
        os.rename(os.path.join(self.folder, name), os.path.join(self.refused, name))
        for old in sorted(os.listdir(self.refused))[:-REFUSED_KEPT]:
            os.unlink(os.path.join(self.refused, old))

    def sweep(self):
        """Remove what killed runs left unfinished; their alerts were never acknowledged to integratord."""
        for path, _, age in self._entries():
            if age > STALE and os.path.basename(path)[0] == "." and path.endswith(".json"):
                with suppress(FileNotFoundError):
                    os.unlink(path)

    @contextmanager
    def locked(self):
        """Whether this run is the one that sends. The lock dies with the process."""
        with open(os.path.join(self.folder, ".lock"), "ab") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def pause(self):
        """(seconds until the next try, tries that failed in a row)."""
        try:
            note = json.loads(read(os.path.join(self.folder, ".away"), 4096))
            left, failed = note["until"] - time.time(), int(note["failed"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0
        return (left if left <= LONGEST_ASKED else 0), failed  # a longer one: the clock was set back

    def note_away(self, asked):
        """Try again later: every run until then only spools, and integratord is not held up by each alert anew."""
        failed = self.pause()[1] + 1
        pause = min(FIRST_PAUSE * 2 ** min(failed - 1, 8), LONGEST_PAUSE) if asked is None else asked
        text = json.dumps({"until": time.time() + min(max(pause, 1), LONGEST_ASKED), "failed": failed})
        with open(os.path.join(self.folder, ".away"), "w", encoding="ascii") as stream:
            stream.write(text)  # a torn one is none: then there is no pause

    def note_back(self):
        """True where it was away."""
        try:
            os.unlink(os.path.join(self.folder, ".away"))
        except FileNotFoundError:
            return False
        return True


def read(path, limit):
    """The file's bytes. Raises OSError, ValueError above the limit."""
    with open(path, "rb") as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return data


class Service:
    """The hook. A request is one connection: no redirect is followed, no proxy of the environment is used.

    Written out, because http.client costs more to import than all the rest of this script, for every alert anew.
    """

    def __init__(self, url, key, ca_file, timeout, deadline):
        from urllib.parse import urlsplit  # what only a run that sends needs is loaded there

        try:
            parts = urlsplit(url)
            self.host, self.port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
            good = parts.scheme in ("http", "https") and self.host and "@" not in parts.netloc
        except ValueError:
            good = False
        if not good or not all(" " < letter <= "~" for letter in url):
            raise Trouble("hook_url must be such as https://propolis.example.org:8080/hooks/wazuh.")
        self.tls = parts.scheme == "https"
        path = parts.path if parts.path not in ("", "/") else "/hooks/wazuh"
        self.head = f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\nUser-Agent: {NAME}\r\n"
        self.head += f"Content-Type: application/json\r\nAuthorization: Bearer {key}\r\nContent-Length: "
        self.ca_file, self.timeout, self.deadline = ca_file, timeout, deadline

    def post(self, body):
        """Returns when the service has it on disk. Raises Away or Refused."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Away("the time of this run is over", 0)
        try:
            words, fields, text = self._exchange(body, min(self.timeout, left))
        except (OSError, ValueError) as error:
            raise Away(f"the service cannot be reached: {reason(error)}") from None
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise Away("no HTTP answer came: check the address, and http or https")
        judge(int(words[1]), fields.get("retry-after", ""), text)

    def _exchange(self, body, seconds):
        """What came, to its end or to as much of it as says something; some servers keep the connection open."""
        import socket

        answer, part = b"", b"-"
        with socket.create_connection((self.host, self.port), timeout=seconds) as plain, self._wrapped(plain) as stream:
            stream.sendall(f"{self.head}{len(body)}\r\n\r\n".encode("ascii") + body)
            while part and len(answer) < 65536:
                part = stream.recv(65536)
                answer += part
                words, fields, text = parsed(answer)
                if len(text) >= int(fields.get("content-length", 65536)):
                    break
        return words, fields, text

    def _wrapped(self, plain):
        if not self.tls:
            return plain
        import ssl

        authorities = self.ca_file or next((path for path in AUTHORITIES if os.path.exists(path)), None)
        try:
            context = ssl.create_default_context(cafile=authorities)
        except OSError as error:
            raise Away(f"ca_file {authorities} cannot be used: {reason(error)}") from None
        return context.wrap_socket(plain, server_hostname=self.host)


def parsed(answer):
    """(the words of the first line, the fields, the body) of an answer, as far as it came."""
    head, end, text = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if end)
    return first.split(" "), {name.strip().lower(): value.strip() for name, _, value in pairs}, text


def judge(status, retry_after, text):
    """Nothing for a status that says `taken`. Raises Refused for what lies in the document, Away for the rest."""
    if 200 <= status < 300:
        return
    try:
        said = str(json.loads(text)["error"])[:300]
    except (ValueError, KeyError, TypeError):
        said = "no reason given"
    if status in (400, 413, 422):
        raise Refused(f"{said} ({status})")
    if status in (429, 503):
        asked = int(retry_after) if retry_after.isdigit() and len(retry_after) < 6 else None
        raise Away(f"the service is busy: {said} ({status})", asked)
    if 300 <= status < 400:
        said = "it is a redirect; give the final address as hook_url"
    raise Away(f"the service does not take alerts: {said} ({status})")


def reason(error):
    """What an exception says, without its class and number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Run:
    """Sends what waits, oldest first, until nothing waits, the service is away or the time is over."""

    def __init__(self, spool, service, log):
        self.spool, self.service, self.log = spool, service, log

    def drain(self):
        """True where nothing waits any more."""
        try:
            while self.spool.waiting():
                if self.spool.pause()[0] > 0:
                    return False
                with self.spool.locked() as ours:
                    if not ours:
                        return False  # whoever holds the lock looks again after letting go of it
                    self._drain_locked()
        except Away as away:
            self._note(away)
            return False
        except OSError as error:
            self.log.say(f"the spool {self.spool.folder} fails: {reason(error)}.")
            return False
        return True

    def _drain_locked(self):
        self.spool.sweep()
        names = self.spool.waiting()
        while names:
            batch, size = {}, 0
            while names and len(batch) < BATCH_ALERTS and size < BATCH_BYTES:
                name = names.pop(0)
                batch[name] = read(os.path.join(self.spool.folder, name), LARGEST_ALERT)
                size += len(batch[name])
            self._send(batch)

    def _send(self, batch):
        """Send these together. What the service refuses is found by halving, and costs the others nothing."""
        names = list(batch)
        try:
            self.service.post(b"[" + b",".join(batch.values()) + b"]")
        except Refused as refused:
            if len(names) > 1:
                half = len(names) // 2
                self._send({name: batch[name] for name in names[:half]})
                self._send({name: batch[name] for name in names[half:]})
                return
            self.spool.refuse(names[0])
            self.log.say(f"the service refused {names[0]}: {refused}; it lies in {self.spool.refused}.")
            return
        self.spool.remove(names)
        self.log.debug(f"{len(names)} alert(s) delivered.")
        if self.spool.note_back():
            self.log.say("the service is back.")

    def _note(self, away):
        if away.pause != 0:
            with suppress(OSError):
                self.spool.note_away(away.pause)
            self.log.say(f"{away}; {len(self.spool.waiting()):,} alert(s) wait in {self.spool.folder}.")

    def last_resort(self, data, why):
        """An alert that there was no room for goes out by itself, or is lost."""
        try:
            if self.spool.pause()[0] > 0:
                raise Away("the service was away a moment ago")
            self.service.post(b"[" + data + b"]")
        except (Away, Refused) as error:
            self.log.say(f"an alert is LOST: {why}, and {error}; `propolis follow` can read it from alerts.json.")
            return False
        return True

    def watch(self, seconds):
        """End this process when the time is over, wherever it hangs (say, in a name server): the alert is kept."""

        def end():
            with suppress(OSError):
                self.spool.note_away(None)
            self.log.say(f"no end after {seconds} s; what waits is sent later.")
            os._exit(DONE)

        watcher = threading.Timer(seconds, end)
        watcher.daemon = True
        watcher.start()


def main(arguments):
    """The exit code: 0 sent or kept, 1 this alert is lost to us (integratord logs it), 2 wrong use or configuration."""
    os.umask(0o077)
    log = Log("debug" in arguments[3:4])
    draining = arguments[:1] == ["--drain"]
    if not draining and len(arguments) < 3:
        log.say(f"usage: {NAME} ALERT_FILE API_KEY HOOK_URL [debug] [OPTIONS_FILE] ..., or {NAME} --drain.")
        return USAGE
    options_file = next((argument for argument in arguments[3:] if argument.endswith(".options")), "")
    options = settings(options_file, log)
    alert_file, key, url = ("", "", "") if draining else arguments[:3]
    log.secrets = [key] if key else []
    return hand_over(alert_file, key, url or options["hook_url"], options, log)


def hand_over(alert_file, key, url, options, log):
    """Keep the alert, then send what waits. See `main` for the exit code."""
    try:
        data = read(alert_file, LARGEST_ALERT).strip() if alert_file else b""
        if alert_file and not wanted(data, options):
            log.debug("not sent: excluded, or below level {}.".format(options["min_level"]))
            return DONE
    except (Trouble, OSError, ValueError) as error:
        log.say(f"the alert {alert_file} is not sent: {reason(error)}")
        return USAGE
    spool = Spool(options["spool"], options["max_spool_bytes"])
    lost = kept(spool, data) if data else ""
    try:
        key = key_of(key, options)
        log.secrets = [key] if key else []
        deadline = time.monotonic() + options["budget"]
        service = Service(url, key, options["ca_file"], options["timeout"], deadline)
    except Trouble as trouble:
        log.say("{} {}".format(trouble, f"The alert is LOST: {lost}." if lost else "What came waits."))
        return USAGE
    run = Run(spool, service, log)
    run.watch(options["budget"] + 1)
    empty = run.drain()
    if lost and not run.last_resort(data, lost):
        return LOST
    return DONE if alert_file or empty else LOST


def kept(spool, data):
    """Keep the alert; the text says why it could not be."""
    try:
        spool.keep(data)
        return ""
    except (Trouble, OSError) as error:
        return reason(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""One line for each event: in both forms, without secrets, of bounded length, and nothing forged."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import Any

import pytest

from playbook_service.logs.lines import JsonLines, TextLines, secrets_of
from playbook_service.logs.setup import configure
from playbook_service.settings import Settings, load
from propolis.http.redaction import Redaction

SECRETS = {
    "PROPOLIS_THEHIVE_KEY": "k3y-0f-the-hive",
    "PROPOLIS_WEBHOOK_TOKEN": "t0ken-one,t0ken-two",
    "PROPOLIS_NOTIFY": "slack:https://hooks.example.org/services/T0/B0/pl4ce",
    "PROPOLIS_FEED_READERS": "firewall:r3ader-pass",
    "PROPOLIS_STORE": "postgresql://propolis:pa55%2Fword@db.example.org/propolis",
}
SHOWN = (
    "k3y-0f-the-hive", "t0ken-one", "t0ken-two", "https://hooks.example.org/services/T0/B0/pl4ce",
    "services/T0/B0/pl4ce", "firewall:r3ader-pass", "r3ader-pass", "pa55/word", "pa55%2Fword",
)  # fmt: skip
EVIL = 'a"b = c : d\n2026-01-01T00:00:00.000Z INFO propolis.event : released\r\x1b[2J\u2028\u202e\ud800\x00'


def record(message: str, facts: dict[str, Any] | None = None, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("propolis.event", logging.INFO, "", 0, "%s", (message,), info)
    made.created, made.msecs = 1_767_225_600.25, 250.0
    if facts is not None:
        made.facts = facts
    return made


def text(*given: Any) -> str:
    return TextLines(Redaction(())).format(record(*given))


def document(*given: Any) -> dict[str, Any]:
    return dict(json.loads(JsonLines(Redaction(())).format(record(*given))))


def test_a_line_of_text_has_time_level_logger_facts_and_at_last_the_message():
    assert text("contained", {"case": "~8", "until": 1.5, "why": "3 sources agree", "job": None}) == (
        '2026-01-01T00:00:00.250Z INFO propolis.event case=~8 until=1.5 why="3 sources agree" : contained'
    )


def test_a_line_of_json_has_the_same_and_its_own_names_cannot_be_overwritten():
    facts = {"case": "~8", "level": "critical", "message": "released", "trace": "another", "at": "never"}
    assert document("contained", facts) == {
        "at": "2026-01-01T00:00:00.250Z", "level": "info", "logger": "propolis.event", "case": "~8",
        "message": "contained",
    }  # fmt: skip


@pytest.mark.parametrize("form", [TextLines, JsonLines])
def test_whatever_an_alert_holds_it_stays_one_line_of_printable_characters(form: type[logging.Formatter]):
    try:
        raise ValueError(EVIL)
    except ValueError as error:
        line = form(Redaction(())).format(record(EVIL, {"user": EVIL, "list": [EVIL, {"deep": EVIL}]}, error))  # type: ignore[arg-type]
    assert line.isprintable()
    assert line.startswith(("2026-01-01T00:00:00.250Z INFO", '{"at": "2026-01-01T00:00:00.250Z"'))
    line.encode("utf-8")


def test_a_value_cannot_pretend_to_be_another_fact():
    line = text("decision", {"user": "root lease=L1", "case": "~8"})
    assert 'user="root lease=L1" case=~8 : decision' in line


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("secret", SHOWN)
def test_no_secret_is_logged_wherever_it_stands(form: str, secret: str):
    stream = io.StringIO()
    with configured(load({**SECRETS, "PROPOLIS_LOG_FORMAT": form}), stream):
        log = logging.getLogger("propolis.test")
        try:
            raise ValueError(f"answered {secret}")
        except ValueError:
            log.exception(
                "refused %s", secret, extra={"facts": {"said": [{"deep": f"x{secret}x"}], "long": "y" * 999 + secret}}
            )
    said = stream.getvalue()
    assert secret not in said
    assert "answered" in said


def test_a_secret_of_the_settings_that_is_none_is_not_blanked_everywhere():
    assert secrets_of(load({"PROPOLIS_STORE": "sqlite"})).text("the sqlite store") == "the sqlite store"


def test_lines_and_what_is_in_them_are_of_bounded_length():
    many = {f"name{number}": "x" * 100_000 for number in range(200)}
    for line in (text("m" * 100_000, many), json.dumps(document("m" * 100_000, many))):
        assert len(line) < 70_000
    assert len(text("m" * 100_000)) < 5_000


def test_an_error_is_on_the_line_of_its_event():
    try:
        raise RuntimeError("the reason")
    except RuntimeError as error:
        line, told = text("failed", None, error), document("failed", None, error)
    assert line.split(" : ", 1)[1].startswith("failed | Traceback (most recent call last):\\n")
    assert told["error"].endswith("RuntimeError: the reason")


class configured:  # noqa: N801 - reads as a sentence
    """Logging as the service sets it up, and as it was afterwards."""

    def __init__(self, settings: Settings, stream: io.StringIO, *, verbose: bool = False):
        self._given = (settings, stream, verbose)

    def __enter__(self) -> None:
        root = logging.getLogger()
        self._before = (root.handlers[:], root.level, threading.excepthook)
        settings, stream, verbose = self._given
        configure(settings, verbose=verbose, stream=stream)

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.handlers[:], level, threading.excepthook = self._before
        root.setLevel(level)
        logging.captureWarnings(False)


@pytest.mark.parametrize(
    ("level", "verbose", "heard"),
    [("error", False, 1), ("warning", False, 2), ("info", False, 3), ("debug", False, 4), ("error", True, 4)],
)
def test_the_level_says_how_much_is_logged_and_verbose_is_all(level: str, verbose: bool, heard: int):
    stream = io.StringIO()
    with configured(load({"PROPOLIS_LOG_LEVEL": level}), stream, verbose=verbose):
        for word in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger("propolis.test"), word)("said")
    assert stream.getvalue().count("said\n") == heard


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_says_so_in_one_line():
    stream = io.StringIO()
    with configured(load({"PROPOLIS_LOG_FORMAT": "json"}), stream):
        thread = threading.Thread(target=lambda: {}["none"], name="server-8080")
        thread.start()
        thread.join()
    (line,) = stream.getvalue().splitlines()
    assert (json.loads(line)["message"], json.loads(line)["level"]) == ("server-8080 ended with an error", "error")
    assert "KeyError" in json.loads(line)["error"]

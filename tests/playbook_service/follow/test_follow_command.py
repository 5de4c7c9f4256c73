"""The command as an operator starts it: its answers, its ends, and what it shows."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from follow_lab import Alerts, command, line, lines, start, until
from intake_lab import KEY, Propolis, propolis


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Propolis]:
    with propolis(tmp_path / "service") as made:
        yield made


@pytest.fixture
def wazuh(tmp_path: Path) -> Alerts:
    return Alerts(tmp_path)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def once(wazuh: Alerts, url: str, tmp_path: Path, *more: str, key: str = KEY) -> tuple[int, str, str]:
    return ended(start(*command(wazuh.file, url, tmp_path / "state", "--once", *more), key=key))


def test_it_sends_what_is_there_and_says_how_much(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(7)))
    code, output, errors = once(wazuh, service.url, tmp_path)
    assert (code, output) == (0, "7 sent, 0 filtered, 0 set aside\n")
    assert errors == ""
    assert service.count() == 7


def test_the_address_of_the_service_alone_is_enough(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(line(1))
    assert once(wazuh, service.url.removesuffix("hooks/wazuh"), tmp_path)[0] == 0
    assert service.count() == 1


def test_lines_set_aside_are_an_exit_code_and_their_file_is_named(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(line(1) + b"rubbish\n")
    code, output, errors = once(wazuh, service.url, tmp_path)
    assert code == 1
    assert f"what was set aside, and why: {tmp_path}/state/set-aside.jsonl" in output
    assert "1 line(s) set aside" in errors
    assert once(wazuh, service.url, tmp_path)[0] == 0


def test_the_summary_as_json(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(3)) + line(3, level=2))
    code, output, _ = once(wazuh, service.url, tmp_path, "--level", "3", "--format", "json")
    facts = json.loads(output)
    assert code == 0
    assert (facts["sent"], facts["known"], facts["filtered"], facts["set_aside"]) == (3, 0, 1, 0)
    assert facts["checkpoint"]["offset"] == wazuh.file.stat().st_size


def test_a_wrong_key_is_told_at_once_and_never_shown(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(line(1))
    code, output, errors = once(wazuh, service.url, tmp_path, key="the-wrong-secret")
    assert code == 2
    assert "the credentials were refused (401)" in errors
    assert "the-wrong-secret" not in output + errors
    assert once(wazuh, service.url, tmp_path)[0] == 0
    assert service.count() == 1, "nothing was lost by it"


def test_the_key_comes_from_a_file_and_of_several_the_first_is_presented(
    service: Propolis, wazuh: Alerts, tmp_path: Path
):
    wazuh.write(line(1))
    (tmp_path / "key").write_text(f"{KEY}, the-next-one\n")
    assert once(wazuh, service.url, tmp_path, "--key-file", str(tmp_path / "key"), key="wrong")[0] == 0
    assert service.count() == 1


@pytest.mark.parametrize(("more", "sentence"), [
    (["--rule", "x"], "--rule: 'x' is no rule; write 5710, or 100100-100199."),
    (["--max-line", "10k"], "--max-line: must be at least 64k"),
    (["--max-line", "much"], "--max-line: must be a number of bytes"),
    (["--key-file", "/nowhere/key"], "/nowhere/key: the key cannot be read: No such file or directory."),
    (["--ca-file", "/nowhere/ca.pem"], "The CA file /nowhere/ca.pem does not exist"),
    (["--to", "propolis:8080"], "--to must begin with http:// or https://"),
    (["--to", "https://user:pw@host"], "--to must not hold a user or password"),
])  # fmt: skip
def test_wrong_use_is_one_sentence_and_exit_code_2(
    service: Propolis, wazuh: Alerts, tmp_path: Path, more: list[str], sentence: str
):
    code, _, errors = once(wazuh, service.url, tmp_path, *more)
    assert code == 2
    assert f"propolis: {sentence}" in errors
    assert errors.count("\n") == 1
    assert "pw" not in errors


def test_a_folder_that_is_not_there_is_a_mistake_and_a_file_that_is_not_there_yet_is_none(
    service: Propolis, wazuh: Alerts, tmp_path: Path
):
    code, _, errors = ended(start(*command(tmp_path / "no" / "alerts.json", service.url, tmp_path / "state", "--once")))
    assert (code, "there is no folder" in errors) == (2, True)
    assert ended(start(*command(tmp_path / "new.json", service.url, tmp_path / "state", "--once")))[0] == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_ends_cleanly_and_the_next_life_sends_nothing_twice(
    service: Propolis, wazuh: Alerts, tmp_path: Path, sign: signal.Signals
):
    wazuh.write(lines(range(5)))
    process = start(*command(wazuh.file, service.url, tmp_path / "state"))
    until(lambda: service.count() == 5, "the lines")
    process.send_signal(sign)
    code, output, errors = ended(process)
    assert (code, output, errors) == (0, "5 sent, 0 filtered, 0 set aside\n", "")
    wazuh.write(line(5))
    assert once(wazuh, service.url, tmp_path)[1] == "1 sent, 0 filtered, 0 set aside\n"


def test_told_to_end_while_the_service_is_away_it_does_not_wait_for_it(wazuh: Alerts, tmp_path: Path):
    wazuh.write(line(1))
    process = start(*command(wazuh.file, "http://127.0.0.1:1", tmp_path / "state"))
    assert process.stderr is not None
    assert "waiting, nothing is lost" in process.stderr.readline()
    process.terminate()
    assert ended(process)[0] == 0


def test_a_second_one_on_the_same_state_is_refused(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(line(1))
    first = start(*command(wazuh.file, service.url, tmp_path / "state"))
    until(lambda: service.count() == 1, "the first one's line")
    code, _, errors = once(wazuh, service.url, tmp_path)
    assert (code, "another `propolis follow` works with this folder" in errors) == (2, True)
    first.terminate()
    assert ended(first)[0] == 0


def test_an_untrusted_certificate_is_told_with_what_to_do(
    wazuh: Alerts, tmp_path: Path, need: Callable[[object, str], None]
):
    need(shutil.which("openssl"), "openssl")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         "2", "-keyout", "key.pem", "-out", "ca.pem", "-subj", "/CN=propolis", "-addext",
         "subjectAltName=IP:127.0.0.1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    wazuh.write(line(1))
    with propolis(tmp_path / "service", tls=tls) as service:
        code, _, errors = once(wazuh, service.url, tmp_path)
        assert (code, "give the CA that signed it as the CA file" in errors) == (2, True)
        assert once(wazuh, service.url, tmp_path, "--ca-file", str(tmp_path / "ca.pem"))[0] == 0
        assert service.count() == 1


def test_on_a_terminal_it_shows_how_far_it_is(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(20)))
    master, slave = pty.openpty()
    process = start(*command(wazuh.file, service.url, tmp_path / "state"), stderr=slave)
    os.close(slave)
    shown = b""

    def seen() -> bool:
        nonlocal shown
        shown += os.read(master, 4096)
        return b"20 sent, 0 filtered, 0 set aside" in shown and b" 0 bytes behind" in shown

    until(seen, "the progress")
    process.terminate()
    assert ended(process)[0] == 0
    os.close(master)


def test_on_no_terminal_it_shows_no_progress(service: Propolis, wazuh: Alerts, tmp_path: Path):
    wazuh.write(lines(range(20)))
    assert once(wazuh, service.url, tmp_path)[2] == ""

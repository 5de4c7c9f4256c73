"""The pure parts of AccountDisable: names, the line in the notes, security identifiers, what refusals mean."""

from __future__ import annotations

import pytest
from suite import is_sentence
from workers import load_backend

from propolis.containment.backend import BackendError
from propolis.errors import InputError

account = load_backend("AccountDisable", "account")
note = load_backend("AccountDisable", "note")
sid = load_backend("AccountDisable", "sid")
fault = load_backend("AccountDisable", "fault")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("jdoe", ("jdoe", "", "")),
        ("  jdoe ", ("jdoe", "", "")),
        ("LAB\\jdoe", ("jdoe", "LAB", "")),
        ("jdoe@lab.example.test", ("jdoe", "", "lab.example.test")),
        ("a@b@lab.example.test", ("a@b", "", "lab.example.test")),
        ("LAB\\j@doe", ("j@doe", "LAB", "")),
        ("j.d-oe_7+x", ("j.d-oe_7+x", "", "")),
        ("müller", ("müller", "", "")),
    ],
)
def test_a_name_is_taken_apart_and_written_as_it_was(text: str, parts: tuple[str, str, str]) -> None:
    assert account.parse_account(text) == parts
    assert account.parse_account(text).text == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", "  ", "*", "j*", "j?", 'j"d', "a|b", "<x>", "j\x00d", "j\nd", "j\u200bd", "j\u202ed", "\ud800",
     "\\jdoe", "LAB\\", "A\\B\\c", "a@b\\c", "@b", "a@", "x" * 257],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        account.parse_account(text)


MARK = "propolis case=128 by=analyst@soc.example"


@pytest.mark.parametrize(
    "text",
    ["", "one line", "two\r\nlines", "two\nlines\n", "\r\nleading break", "trailing break\r\n", "propolis is no mark",
     "x was=7", "propolis\nwas=512"],
)  # fmt: skip
def test_what_others_wrote_comes_back_to_the_letter(text: str) -> None:
    marked = note.with_line(text, MARK, 66048)
    assert note.line_of(marked) == f"{MARK} was=66048"
    assert note.flags_of(marked) == 66048
    assert note.without_line(marked) == text
    assert note.line_of(text) == ""
    assert note.without_line(text) == text


@pytest.mark.parametrize("added", ["\r\nmore", "\nmore", "\r\n\r\nmore\r\n"])
def test_what_others_add_meanwhile_stays(added: str) -> None:
    assert note.without_line(note.with_line("before", MARK, 512) + added) == "before" + added


def test_a_line_that_others_moved_is_found_and_only_it_removed() -> None:
    assert note.without_line(f"first\r\n{MARK} was=512\r\nlast") == "first\r\nlast"
    assert note.without_line(f"first\r\n{MARK} was=512") == "first"
    assert note.without_line(f"first\n{MARK} was=512") == "first"


def test_the_barest_mark_is_found_again() -> None:
    assert note.without_line(note.with_line("mine", "propolis", 512)) == "mine"


def test_a_new_mark_takes_the_place_of_the_old() -> None:
    twice = note.with_line(note.with_line("mine", MARK, 512), "propolis case=129", 514)
    assert twice == "propolis case=129 was=514\r\nmine"


@pytest.mark.parametrize("text", ["S-1-5-21-3217336069-905648946-2280200442-512", "S-1-5-32-544", "S-1-5-18"])
def test_a_security_identifier_reads_and_writes(text: str) -> None:
    assert sid.sid_text(sid.sid_bytes(text)) == text


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x02" + bytes(11), b"\x01\x05" + bytes(10)])
def test_bytes_that_are_no_identifier_stop_everything(raw: bytes) -> None:
    with pytest.raises(BackendError):
        sid.sid_text(raw)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("S-1-5-21-1-2-3-500", True),
        ("S-1-5-21-1-2-3-512", True),
        ("S-1-5-21-1-2-3-519", True),
        ("S-1-5-32-544", True),
        ("S-1-5-32-551", True),
        ("S-1-5-21-1-2-3-513", False),
        ("S-1-5-21-1-2-3-1512", False),
        ("S-1-5-32-545", False),
        ("S-1-5-512", False),
    ],
)
def test_the_identifiers_of_power_are_known(text: str, is_one: bool) -> None:
    assert bool(sid.privilege(text)) is is_one


def test_the_primary_group_is_in_the_users_own_domain() -> None:
    assert sid.sibling("S-1-5-21-1-2-3-1104", 513) == "S-1-5-21-1-2-3-513"


@pytest.mark.parametrize("code", [1, 3, 4, 8, 10, 16, 17, 19, 20, 21, 32, 34, 49, 50, 51, 52, 53, 65, 80])
def test_every_refusal_is_a_sentence(code: int) -> None:
    result = {"result": code, "description": "someDescription", "message": ""}
    where = "ldaps://dc1.example.test:636"
    for sentence in (
        fault.bind_fault(result, "LAB\\auto", where),
        fault.modify_fault(result, "CN=J,DC=example,DC=test"),
        fault.search_fault(result, "", where),
    ):
        assert is_sentence(sentence)
        assert str(code) in sentence


@pytest.mark.parametrize(
    ("data", "why"), [("52e", "wrong"), ("533", "disabled"), ("532", "expired"), ("775", "locked"), ("fff", "refused")]
)
def test_a_refused_bind_says_why(data: str, why: str) -> None:
    message = f"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1"
    sentence = fault.bind_fault({"result": 49, "message": message}, "LAB\\auto", "ldaps://dc1.example.test:636")
    assert why in sentence
    assert f"data {data}" in sentence

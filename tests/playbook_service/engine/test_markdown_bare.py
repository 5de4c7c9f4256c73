"""What was made harmless for Markdown is told outside as it was: `bare` is the way back from `plain` and `code`."""

from __future__ import annotations

import pytest

from playbook_service.engine.markdown import bare, code, plain


@pytest.mark.parametrize(
    "text",
    [
        "CORP\\anna",
        "a_b*c[d](e)",
        "https://x.example.net www.example.net",
        "<@here> & |",
        "`tick`",
        "\\\\host\\c$",
        "\\",
    ],
)
def test_plain_text_comes_back_as_it_was(text: str):
    assert bare([plain(text)]) == text


def test_code_loses_its_marks_and_nothing_else():
    account = "CORP\\anna_b"
    assert bare([f"{code(account)} at {plain('fw_1')}."]) == "CORP\\anna_b at fw_1."


def test_lines_stay_lines():
    assert bare([plain("a_b"), code("c")]) == "a_b\nc"

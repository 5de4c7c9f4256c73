"""An alert is drafted so that an analyst can read it, TheHive takes it, and an attacker cannot write in it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from engine_lab import SAMPLES, sample

from playbook_service.engine.attack import spelled, techniques
from playbook_service.engine.draft import MOST_OBSERVABLES, RAW_TYPE, SUPPRESSED_TAG, cell, draft_alert, fenced, key_of
from playbook_service.hive import limits
from playbook_service.hive.model import AlertDraft
from propolis.alert import Alert
from propolis.observables import Observable, extract

NOW = 1_767_225_600.0
BRUTE_FORCE = "1794881684.25339"


def drafted(document: dict[str, Any], **more: Any) -> AlertDraft:
    alert = Alert(document)
    return draft_alert(alert, extract(alert), **{"origin": "wazuh", "moment": NOW, **more})


def changed(path: str, value: Any) -> dict[str, Any]:
    """The sample with one field replaced."""
    document = sample(BRUTE_FORCE)
    node = document
    *way, last = path.split(".")
    for name in way:
        node = node[name]
    node[last] = value
    return document


def test_the_alert_says_which_rule_level_agent_and_alert_it_is() -> None:
    draft = drafted(sample(BRUTE_FORCE))
    assert (draft.type, draft.source, draft.reference) == ("wazuh", "siem01", BRUTE_FORCE)
    assert draft.title.startswith("Wazuh 5712: sshd: brute force")
    assert draft.title.endswith("on gw01")
    assert draft.severity == 2
    assert draft.date == 1794881684_000 + draft.date % 1000
    assert {"wazuh", "rule-5712", "level-10", "authentication_failures"} <= set(draft.tags)
    assert draft.custom_fields == {
        "wazuh_rule_id": "5712", "wazuh_rule_level": 10, "wazuh_agent_id": "003", "wazuh_agent_name": "gw01",
        "wazuh_alert_id": BRUTE_FORCE,
    }  # fmt: skip
    assert draft.techniques == (("T1110", "credential-access"),)


def test_every_observable_comes_with_its_role_and_the_raw_alert_comes_last() -> None:
    draft = drafted(sample(BRUTE_FORCE))
    address = next(entry for entry in draft.observables if entry.data == "203.0.113.17")
    assert (address.data_type, address.message) == ("ip", next(e.message for e in extract(Alert(sample(BRUTE_FORCE)))))
    assert {"wazuh", "role:source", "external"} <= set(address.tags)
    raw = draft.observables[-1]
    assert raw.data_type == RAW_TYPE
    assert json.loads(raw.data) == sample(BRUTE_FORCE)


def test_a_raw_alert_over_the_limit_of_an_observable_becomes_a_file_with_all_of_it() -> None:
    document = changed("full_log", "x" * 5000)
    raw = drafted(document).observables[-1]
    assert (raw.data_type, raw.data[:12], raw.data[-5:]) == ("file", "wazuh-alert-", ".json")
    assert raw.file is not None
    assert json.loads(raw.file) == document


@pytest.mark.parametrize("line", (SAMPLES / "alerts.jsonl").read_text(encoding="utf-8").splitlines())
def test_every_sample_makes_an_alert_that_thehive_takes(line: str) -> None:
    limits.check_alert(drafted(json.loads(line)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "9" * 400), ("id", "a;b"), ("manager.name", "m" * 80), ("rule.description", "d" * 3000),
        ("rule.groups", ["g" * 300, *(f"group{number}" for number in range(500))]), ("agent.name", "n" * 2000),
        ("rule.id", "7" * 200), ("full_log", "é" * 700_000), ("data.srcuser", "u" * 9000), ("rule.description", ""),
        ("data.url", "http://example.org/" + "p" * 6000), ("id", ""), ("manager", {}),
    ],
)  # fmt: skip
def test_no_field_however_long_makes_an_alert_that_thehive_refuses(path: str, value: Any) -> None:
    limits.check_alert(drafted(changed(path, value)))


def test_what_was_shortened_shows_it() -> None:
    draft = drafted(changed("rule.description", "d" * 3000))
    assert limits.length(draft.title) == limits.TITLE
    assert draft.title.endswith("…")
    log = drafted(changed("full_log", "l" * 20_000)).description
    assert "shortened: 20,000 characters in all" in log


def test_two_long_ids_do_not_fall_together_when_they_are_shortened() -> None:
    one, other = drafted(changed("id", "9" * 400 + "1")), drafted(changed("id", "9" * 400 + "2"))
    assert one.reference != other.reference


def test_an_alert_without_an_id_goes_by_its_content() -> None:
    document = changed("id", "")
    assert key_of(Alert(document)) == key_of(Alert(json.loads(json.dumps(document))))
    assert drafted(document).reference != drafted({**document, "full_log": "another"}).reference
    assert key_of(Alert(sample(BRUTE_FORCE))) == f"siem01:{BRUTE_FORCE}"


def test_a_suppressed_alert_says_so_and_why() -> None:
    draft = drafted(sample(BRUTE_FORCE), suppressed="closed as FalsePositive 3 times")
    assert SUPPRESSED_TAG in draft.tags
    assert "closed as FalsePositive 3 times" in draft.description


def test_the_description_tells_what_where_when_who_and_which_rule() -> None:
    text = drafted(sample(BRUTE_FORCE)).description
    for part in (
        "`2026-11-17T02:14:44Z`",
        "`5712` level 10 (Medium)",
        "`003` `gw01` `192.0.2.2`",
        "`siem01`",
        "`T1110`",
    ):
        assert part in text
    assert "| `203.0.113.17` | `ip` | `source` | `data.srcip` |" in text
    assert "```text\n" in text


FORGED = [
    "[click](http://evil.example.org)", "![x](http://evil.example.org/a.png)", "<a href='http://evil.example.org'>x</a>",
    "`[click](http://evil.example.org)`", "| [click](http://evil.example.org) |", "``` \n# Approved by the CISO\n```",
    "~~~\n# Approved\n~~~", "user\n\n# Approved by the CISO\n\n- [ ] done", "http://evil.example.org",
    "www.evil.example.org", "\u202egro.elpmaxe",
    "a\\`b`[c](http://evil.example.org)", "x\x00\x1b[31m", "\r\n| a | b |\r\n|---|---|",
]  # fmt: skip


@pytest.mark.parametrize("text", FORGED)
@pytest.mark.parametrize(
    "path", ["data.srcuser", "full_log", "rule.description", "agent.name", "location", "previous_output", "id"]
)
def test_text_of_an_attacker_stays_text(path: str, text: str) -> None:
    rendered = outside_of_code(drafted(changed(path, text)).description)
    assert "evil.example.org" not in rendered
    assert not re.search(r"(?<!\\)\]\(", rendered)
    assert not re.search(r"^#", rendered, re.MULTILINE)
    assert "<a " not in rendered
    assert "\u202e" not in drafted(changed(path, text)).description


def outside_of_code(markdown: str) -> str:
    """What is left for a reader of Markdown to interpret, after CommonMark's rules for fences and code spans."""
    lines, fence = [], ""
    for line in markdown.split("\n"):
        opened = re.match(r"(`{3,})", line)
        if fence:
            if re.fullmatch(rf"`{{{len(fence)},}}\s*", line):
                fence = ""
        elif opened and "`" not in line[len(opened.group()) :]:
            fence = opened.group()
        else:
            lines.append(line)
    assert fence == "", "a fence was left open"
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", "\n".join(lines))


def test_a_cell_cannot_be_left_and_a_fence_cannot_be_closed() -> None:
    assert cell("a|b`c\nd") == "`a\u2502b'c d`"
    assert fenced("x\n````\ny").startswith("`````text\n")


@pytest.mark.parametrize(("count", "said"), [(60, "10 more are among the observables."), (700, "650 more were found")])
def test_a_long_list_of_observables_is_cut_visibly(count: int, said: str) -> None:
    many = [Observable("hash", f"{number:064x}", "file", "data.x", (), "m") for number in range(count)]
    draft = draft_alert(Alert(sample(BRUTE_FORCE)), many, origin="wazuh", moment=NOW)
    assert said in draft.description
    assert len(draft.observables) == min(count, MOST_OBSERVABLES) + 1


@pytest.mark.parametrize(
    ("ids", "tactics", "pairs"),
    [
        (["T1110"], ["Credential Access"], [("T1110", "credential-access")]),
        (["T1110.001"], [], [("T1110.001", "credential-access")]),
        (["T1078"], ["Lateral Movement", "Initial Access"], [("T1078", "initial-access")]),
        (
            ["T1055", "T1105"], ["Defense Evasion", "Command and Control"],
            [("T1055", "defense-evasion"), ("T1105", "command-and-control")],
        ),
        (["T9999"], ["Impact"], [("T9999", "impact")]),
        (["T9999"], ["Impact", "Discovery"], []),
        (["nonsense", "", "T1110; drop"], ["Impact"], []),
    ],
)  # fmt: skip
def test_a_technique_gets_a_tactic_that_it_serves(
    ids: list[str], tactics: list[str], pairs: list[tuple[str, str]]
) -> None:
    assert list(techniques(ids, tactics)) == pairs


def test_tactics_are_spelled_as_thehive_spells_them() -> None:
    assert [spelled("Command and Control"), spelled("Initial Access"), spelled("Bogus")] == [
        "command-and-control",
        "initial-access",
        "",
    ]

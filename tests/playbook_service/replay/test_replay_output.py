"""What people and programs get to see: the table, the document, the page."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from playbook_service.playbook import load
from playbook_service.replay.document import SCHEMA, Writer
from playbook_service.replay.fault import Faults
from playbook_service.replay.page import page
from playbook_service.replay.run import Result, run
from playbook_service.replay.source import Item, items
from playbook_service.replay.summary import DISPOSITIONS
from playbook_service.replay.table import Paper, render
from playbook_service.replay.words import answer, spoke
from playbook_service.web.style import CSS

HOSTILE = "</style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\x07\ud800"


def result_of(setup, stream, name="alerts.json"):
    faults = Faults(name)
    return Result(setup, run(items(stream), setup, faults), (faults,), name)


@pytest.fixture
def result(setup, lines):
    return result_of(setup, io.BytesIO(b"".join(lines)))


@pytest.fixture
def hostile(setup, alert):
    """A run in which everything an attacker can write holds markup and control characters."""
    made = alert(
        rule={"level": 15, "description": HOSTILE, "id": HOSTILE, "groups": ["web", "attack"]},
        agent={"id": HOSTILE, "name": HOSTILE}, id=HOSTILE, location=HOSTILE, decoder={"name": HOSTILE},
        data={"srcip": "203.0.113.17", "srcuser": HOSTILE, "url": HOSTILE},
    )  # fmt: skip
    faults = Faults(HOSTILE)
    faults.add(1, HOSTILE)
    return Result(setup, run([Item(1, made)], setup, faults), (faults,), HOSTILE)


@pytest.fixture
def compared(setup, fixtures, lines):
    before, after = (load(fixtures / "replay" / f"playbooks-{which}") for which in ("before", "after"))
    return result_of(setup._replace(playbooks=after, against=before), io.BytesIO(b"".join(lines)))


# --- words ---------------------------------------------------------------------------------------------------------


def test_the_answer_says_what_came_in_what_would_be_done_and_that_nothing_was(result):
    sentences = answer(result)
    assert 5 <= len(sentences) <= 8
    assert sentences[0].startswith("93 alerts from ")
    assert "203.0.113.17" in sentences[1]
    text = " ".join(sentences)
    for said in ("Would ask an analyst", "Guardrails stop", "Suppressed 3 alerts", "Left alone", "nothing was done"):
        assert said in text
    assert "would do nothing either" in sentences[-1]


def test_it_says_what_the_modes_let_happen(compared):
    assert re.search(
        r"1 enforce, ceiling enforce\) the service would act \d+ times and ask \d+ times", answer(compared)[-1]
    )


def test_it_says_which_profile_policy_and_mode_spoke(result):
    told = dict(spoke(result))
    assert told["Dry run"].startswith("yes")
    assert told["Verdicts"] == "profile evidence, from 244 recorded reports"
    assert told["Policy"].startswith("policy.yml, ")
    assert "ceiling enforce" in told["Mode"]


def test_without_a_policy_it_says_that_responders_would_only_say(setup, lines, policy):
    bare = setup._replace(policy=type(policy).parse(None))
    told = dict(spoke(result_of(bare, io.BytesIO(lines[0]))))
    assert "built-in rules only" in told["Policy"]
    assert "firewall.own" in told["Responders"]


def test_nothing_replayed_is_said_plainly(setup):
    assert answer(result_of(setup, io.BytesIO(b""))) == ["No alert of alerts.json was replayed."]


# --- the table -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_no_line_is_wider_than_the_terminal(result, width):
    assert max(len(line) for line in render(result, Paper(width), limit=30)) <= width


def test_it_opens_with_the_answer(result):
    text = list(render(result, Paper(120), limit=30))
    assert text[0].startswith("93 alerts from")
    assert any(line.startswith("Containments") for line in text[5:14])


def test_colour_only_where_it_is_wanted(result):
    assert "\x1b" not in "".join(render(result, Paper(100), limit=30))
    assert "\x1b[31;1mact" in "".join(render(result, Paper(100, colour=True), limit=30))


def test_what_an_attacker_wrote_cannot_steer_the_terminal(hostile):
    text = "\n".join(render(hostile, Paper(100), limit=30))
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_limit_is_named(result):
    text = list(render(result, Paper(120), limit=2))
    assert any(re.match(r"Containments \(the first 2 of \d+\)", line) for line in text)


def test_differences_are_shown_with_before_and_after(compared):
    text = "\n".join(render(compared, Paper(160), limit=200))
    assert "Decided differently" in text
    assert "before is --against" in text


# --- the document --------------------------------------------------------------------------------------------------


def document_of(setup, lines, limit=None):
    stream = io.StringIO()
    writer = Writer(stream, limit)
    writer.begin(setup, "alerts.json")
    faults = Faults("alerts.json")
    summary = run(items(io.BytesIO(b"".join(lines))), setup, faults, sink=writer.alert)
    writer.end(Result(setup, summary, (faults,), "alerts.json"))
    return json.loads(stream.getvalue())


def test_the_document_holds_every_alert_and_the_totals(setup, lines):
    found = document_of(setup, [*lines, b"not json\n"])
    assert found["schema"] == SCHEMA
    assert found["dry_run"] is True
    assert len(found["alerts"]) == found["totals"]["alerts"] == len(lines)
    assert set(found["totals"]["dispositions"]) == set(DISPOSITIONS)
    assert sum(found["totals"]["dispositions"].values()) == len(lines)
    assert found["faults"][0]["first"][0]["number"] == len(lines) + 1
    assert found["spoke"]["playbooks"]["digest"] == setup.playbooks.digest


def test_the_documented_keys_are_the_keys(setup, lines, root):
    """docs/replay.md names every key of the schema."""
    found = document_of(setup, lines)
    docs = (root / "docs" / "replay.md").read_text(encoding="utf-8")
    places = [found, found["spoke"], found["totals"], *(found[part][0] for part in ("alerts", "cases", "containments"))]
    places += [found["observables"][0], next(entry for entry in found["alerts"] if entry["decisions"])["decisions"][0]]
    missing = {key for place in places for key in place if f"`{key}`" not in docs}
    assert not missing


def test_an_alert_tells_its_verdicts_decisions_and_case(setup, lines):
    alerts = document_of(setup, lines)["alerts"]
    success = next(entry for entry in alerts if entry["rule"]["id"] == "40112")
    assert success["case"]
    assert {"dataType", "data", "score", "recommendation", "veto"} <= set(success["verdicts"][0])
    asked = [entry for entry in success["decisions"] if entry["action"] == "respond AccountDisable"]
    assert [(entry["outcome"], entry["today"]) for entry in asked] == [("ask", "observe")]
    hidden = next(entry for entry in alerts if entry["suppressed"])
    assert hidden["disposition"] == "suppressed"
    assert hidden["decisions"] == []


def test_half_a_surrogate_pair_is_no_reason_to_fail(setup, hostile):
    stream = io.StringIO()
    writer = Writer(stream)
    writer.begin(setup, HOSTILE)
    writer.end(hostile)
    stream.getvalue().encode("utf-8")
    "\n".join(render(hostile, Paper(100), limit=30)).encode("utf-8")
    page(hostile, stories=40).encode("utf-8")


def test_a_limit_cuts_the_list_and_not_the_totals(setup, lines):
    found = document_of(setup, lines, limit=5)
    assert len(found["alerts"]) == found["alerts_listed"] == 5
    assert found["totals"]["alerts"] == len(lines)


def test_two_runs_give_the_same_document(setup, lines):
    assert document_of(setup, lines) == document_of(setup, lines)


# --- the page ------------------------------------------------------------------------------------------------------

VOID = {"meta", "br", "img", "link", "path", "rect", "line"}


class Checker(HTMLParser):
    """Every element is closed in turn; gathers what must be looked at."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def checked(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker.tags


@pytest.fixture(params=["samples", "compared", "hostile", "empty"])
def any_page(request, setup):
    if request.param == "empty":
        return page(result_of(setup, io.BytesIO(b"")), stories=40)
    name = {"samples": "result"}.get(request.param, request.param)
    return page(request.getfixturevalue(name), stories=40)


def test_the_page_is_well_formed_and_loads_nothing(any_page):
    tags = checked(any_page)
    assert not {"script", "link", "iframe", "object", "img", "base", "form"} & {tag for tag, _ in tags}
    for _, attributes in tags:
        assert not {"src", "srcset", "style", "onclick", "onerror"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_only_the_page_s_own_style_sheet_may_apply(any_page):
    policy = next(
        attributes["content"] for tag, attributes in checked(any_page) if tag == "meta" and "http-equiv" in attributes
    )
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert f"<style>{CSS}</style>" in any_page
    assert "url(" not in CSS
    assert "@import" not in CSS


def test_ids_are_unique_and_links_lead_somewhere(any_page):
    tags = checked(any_page)
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = {attributes["href"][1:] for tag, attributes in tags if tag == "a"}
    assert links <= set(ids)


def test_cases_whose_story_is_not_told_are_no_links(result):
    tags = checked(page(result, stories=2))
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert len(links) == 2
    assert links == {f"#{attributes['id']}" for tag, attributes in tags if tag == "details" and "id" in attributes}


def test_every_alert_is_listed_with_what_becomes_of_it(result):
    text = page(result, stories=40)
    assert "93 alerts, in order of the input." in text
    rows = re.findall(r"<tr><td class=.n.>\d+</td><td class=.t.>\d\d:\d\d:\d\d", text)
    assert len(rows) == 93
    table = list(render(result, Paper(160), limit=93))
    begin = next(index for index, line in enumerate(table) if line.startswith("Alerts (93)"))
    assert sum(line.split()[:1] == [str(number)] for number, line in enumerate(table[begin + 2 :], 1)) == 93


def test_plots_and_tables_can_be_read_without_seeing_them(result):
    tags = checked(page(result, stories=40))
    plots = [attributes for tag, attributes in tags if tag == "svg"]
    assert all(
        "aria-hidden" in one or (one.get("role") == "img" and ("aria-label" in one or "aria-labelledby" in one))
        for one in plots
    )
    assert {"title", "desc", "caption"} <= {tag for tag, _ in tags}
    assert all(attributes.get("scope") == "col" for tag, attributes in tags if tag == "th")


def test_the_page_tells_the_stories(result):
    text = page(result, stories=40)
    for said in (
        "What would have been done",
        "Case by case",
        "The evidence",
        "Suppressed",
        "What is what",
        "203.0.113.17",
    ):
        assert said in text


def test_a_hostile_alert_is_shown_and_not_obeyed(hostile):
    text = page(hostile, stories=40)
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.browser
def test_a_browser_shows_it_without_a_complaint(result, hostile, tmp_path: Path, need):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(chromium, "chromium")
    for name, one in (("samples", result), ("hostile", hostile)):
        place = tmp_path / f"{name}.html"
        place.write_text(page(one, stories=40), encoding="utf-8")
        command = [
            str(chromium), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / name}.png", "--window-size=1280,2000",
            place.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        assert "Refused to" not in done.stderr
        assert "CONSOLE" not in done.stderr
        assert (tmp_path / f"{name}.png").stat().st_size > 20_000

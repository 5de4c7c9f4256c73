"""What the documents of an export say, and what they never say."""

from __future__ import annotations

import json

import pytest
from exported import SECRET, filled, fits, flat, lines_of, mapping, of, one, text_of
from feedback_shop import ANNA, BEN, Shop, decision, wazuh

from playbook_service.engine import approval, arrival, lease
from playbook_service.export.elastic import INDICES, id_of
from playbook_service.export.fields import address, between, moment, nested, number, text
from propolis.alert import Alert
from propolis.observables import extract


@pytest.fixture
def shop() -> Shop:
    return filled(Shop())


def test_there_is_one_of_everything(shop: Shop):
    found = lines_of(shop.store)
    assert {line.index for line in found} == {f"propolis-{name}" for name in INDICES}
    assert len({(line.index, line.id) for line in found}) == len(found)


def test_every_field_is_mapped_and_its_values_fit(shop: Shop):
    known = mapping()
    for line in lines_of(shop.store):
        for name, value in flat(line.document).items():
            assert name in known, f"{line.index}: {name} is not in the index template"
            assert fits(known[name], value), f"{line.index}: {name} is {known[name]}, not {value!r}"


def test_every_mapped_field_is_one_that_some_document_has(shop: Shop):
    shop.arrived(wazuh("14", suppressed=True), "", state=arrival.SUPPRESSED)
    shop.set_state(arrival.KIND, "siem01:14", arrival.SUPPRESSED, suppressed="closed three times as harmless")
    shop.decided("~2", decision("203.0.113.9", kind="observe"))
    met = {name for line in lines_of(shop.store) for name in flat(line.document)}
    rare = {  # of other sources of alerts, of a lease's end, of endpoints and files: see the next tests
        "host.ip", "related.hash", "related.hosts", "propolis.lease.ended_by", "propolis.target.label", "trace.id",
        "propolis.decision.rule", "propolis.verdict.verdict", "propolis.verdict.families",
    }  # fmt: skip
    assert set(mapping()) - met <= rare


def test_an_alert_is_told_in_ecs(shop: Shop):
    alert = one(lines_of(shop.store), "alerts")
    assert alert["event"] == {
        "kind": "alert", "module": "wazuh", "dataset": "propolis.alerts", "id": "13", "severity": 5,
        "ingested": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert alert["rule"] == {"id": "5760", "name": "sshd: authentication failed.", "category": ["sshd"]}
    assert alert["threat"]["technique"] == {"id": ["T1110"], "subtechnique": {"id": ["T1110.001"]}}
    assert (alert["source"]["ip"], alert["agent"]["name"]) == ("203.0.113.17", "gw01")
    assert alert["propolis"]["alert"]["suppressed"] is False


def test_nothing_of_an_alerts_free_parts_goes_along(shop: Shop):
    text = text_of(shop.store)
    assert SECRET not in text
    assert "x" * 300 not in text
    assert '"propolis.lease.in_force"' not in text


def test_a_decision_says_who_what_and_what_became_of_it(shop: Shop):
    found = one(lines_of(shop.store), "decisions")["propolis"]
    assert (found["decision"]["state"], found["decision"]["wanted"]) == ("act", "act")
    assert (found["playbook"]["name"], found["responder"]) == ("malicious-ip", "FirewallBlock")
    assert found["target"] == {"kind": "address", "data": "203.0.113.17"}
    assert (found["alert"]["key"], found["case"]["id"]) == ("siem01:13", "~1")


def test_a_lease_says_since_when_and_whether_it_is_in_force(shop: Shop):
    found = one(lines_of(shop.store), "leases")
    assert found["@timestamp"] == "2026-01-01T00:00:04.000Z"
    assert (found["propolis"]["lease"]["in_force"], found["propolis"]["lease"]["state"]) == (True, "active")
    with shop.store.transaction() as work:
        (record,) = work.find(lease.KIND)
    shop.set_state(lease.KIND, record.key, lease.ENDED, ended_by=ANNA, ended_at=shop.clock.now())
    found = one(lines_of(shop.store), "leases")
    assert (found["propolis"]["lease"]["in_force"], found["propolis"]["lease"]["ended_by"]) == (False, ANNA)
    assert found["event"]["end"] == "2026-01-01T00:01:40.000Z"


def test_from_alert_to_containment_is_measured_from_its_coming_in(shop: Shop):
    (contained,) = [line for line in of(lines_of(shop.store), "audit") if line["event"]["action"] == "contained"]
    assert contained["propolis"]["audit"]["alert_to_containment_seconds"] == 10.0
    assert contained["event"]["outcome"] == "success"


def test_an_answer_is_told_with_how_long_it_took(shop: Shop):
    found = one(lines_of(shop.store), "approvals")
    assert (found["propolis"]["approval"]["state"], found["propolis"]["approval"]["wait_seconds"]) == ("granted", 30.0)
    assert found["user"]["name"] == [ANNA]


@pytest.mark.parametrize(
    ("state", "answers", "outcome"),
    [("asked", [], "waiting"), ("waiting", [], "waiting"), ("expired", [], "expired"), ("denied", [ANNA], "denied"),
     ("denied", [], "void")],
)  # fmt: skip
def test_a_question_that_nobody_answered_is_no_answer(shop: Shop, state: str, answers: list[str], outcome: str):
    shop.set_state(approval.KIND, "Q1", state, answers=answers)
    found = one(lines_of(shop.store), "approvals")["propolis"]["approval"]
    assert (found["state"], found["outcome"]) == (state, outcome)
    assert ("wait_seconds" in found) is bool(answers)


def test_several_approvers_are_named_one_by_one(shop: Shop):
    shop.set_state(approval.KIND, "Q1", approval.GRANTED, answers=[f"{ANNA}, {BEN}"])
    assert one(lines_of(shop.store), "approvals")["user"]["name"] == [ANNA, BEN]


def test_what_a_line_measured_needs_no_record(shop: Shop):
    with shop.store.transaction() as work:
        work.delete(arrival.KIND, "siem01:13")
    (contained,) = [line for line in of(lines_of(shop.store), "audit") if line["event"]["action"] == "contained"]
    assert contained["propolis"]["audit"]["alert_to_containment_seconds"] == 10.0


def test_a_closed_case_says_how_and_after_how_long(shop: Shop):
    found = one(lines_of(shop.store), "cases")["propolis"]["case"]
    assert (found["status"], found["resolution"], found["judgement"]) == ("closed", "TruePositive", "TruePositive")
    assert found["resolution_seconds"] == 100.0
    shop.reopen("~1")
    found = one(lines_of(shop.store), "cases")["propolis"]["case"]
    assert found["status"] == "reopened"
    assert "resolution" not in found


def test_an_audit_line_goes_along_with_its_number_and_hash(shop: Shop):
    lines = of(lines_of(shop.store), "audit")
    chain = list(shop.journal.lines())
    assert [line["event"]["sequence"] for line in lines] == [line["n"] for line in chain]
    assert [line["event"]["hash"] for line in lines] == [line["hash"] for line in chain]


# what could break an index --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["any", "203.0.113.7/24", "<b>", "", None, 7, "fe80::1%eth0\x00"])
def test_what_is_no_address_is_left_out(value: object):
    assert address(value) is None


def test_addresses_are_spelled_as_they_are_normally():
    assert address(" 2001:DB8::0:1 ") == "2001:db8::1"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "7", None, 2**63, -(2**63) - 1, 10**400])
def test_what_is_no_number_of_json_is_left_out(value: object):
    assert number(value) is None


def test_moments_have_thousandths_and_a_senseless_one_is_left_out():
    assert moment(1_767_225_600.9996) == "2026-01-01T00:00:01.000Z"
    assert moment(-5) is None
    assert moment(1e300) is None


def test_a_span_that_runs_backwards_is_not_known():
    assert (between(10, 12.5), between(12, 10), between(None, 3)) == (2.5, None, None)


def test_texts_are_bounded_and_can_be_encoded():
    assert text("a" * 5_000) == "a" * 1024
    assert text("broken \ud800") == "broken ?"
    assert text("\N{HONEYBEE}" * 600) == "\N{HONEYBEE}" * 512, "Elasticsearch counts UTF-16 units, two for each"
    assert nested({"a.b": 1, "a.c": None}) == {"a": {"b": 1}}


def test_a_hostile_alert_makes_a_small_document_of_one_line(shop: Shop):
    document = {**wazuh("66").document, "id": "6\n6\ud800" + "\u202e" * 300}
    document["rule"] = {**document["rule"], "description": "\n\x1b" + "A" * 1_000_000, "groups": ["g" * 2_000] * 500}
    document["agent"] = {"id": "9", "name": "\x00", "ip": "not an address"}
    hostile = Alert(document)
    shop.arrived(hostile, "")
    found = [
        line for line in lines_of(shop.store) if line.index == "propolis-alerts" and line.document["agent"]["id"] == "9"
    ]
    (line,) = found
    assert len(json.dumps(line.document)) < 10_000
    assert "ip" not in line.document["host"]
    assert line.id == id_of(f"siem01:{hostile.id}")
    assert len(line.id) == 41


HOSTILE: list[object] = [
    None, True, 10**30, -(10**30), 1e308, float("nan"), "", "x" * 1_000_000, "\N{HONEYBEE}" * 2_000, "\ud800",
    "\u202e<script>", "10.0.0.1%eth0", "99999-01-01T00:00:00Z", "-0001-01-01", "1969-12-31T23:59:59.000+0000",
    "9999-12-31T23:59:59.999+1400", [], {}, [[["a"]]], {"a": {"b": {}}}, ["a", {"b": 1}, None, 7] * 200,
    {"id": ["T1110", 7, None, "T" * 5_000], "tactic": "x"},
]  # fmt: skip
PLACES = (
    "timestamp", "id", "rule", "rule.level", "rule.id", "rule.description", "rule.groups", "rule.mitre", "agent",
    "agent.ip", "agent.name", "manager", "manager.name", "location", "decoder", "data", "data.srcip", "full_log",
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_whatever_stands_in_an_alert_its_document_fits_the_index(place: str):
    known, shop = mapping(), Shop()
    for nth, value in enumerate(HOSTILE):
        document = json.loads(json.dumps({**wazuh("1").document, "id": f"1.{nth}"}))
        *path, last = place.split(".")
        node = document
        for part in path:
            node = node[part]
        node[last] = value
        body = {
            "origin": "wazuh", "alert": document, "hive_id": "~h", "suppressed": "", "at": 1.0,
            "observables": [list(entry) for entry in extract(Alert(document))],
        }  # fmt: skip
        with shop.store.transaction() as work:
            work.save(arrival.KIND, f"siem01:{nth}", body, state=arrival.NEW)
    lines = lines_of(shop.store)
    assert len(lines) == len(HOSTILE)
    for line in lines:
        assert len(json.dumps(line.document)) < 200_000
        for name, value in flat(line.document).items():
            assert fits(known[name], value), f"{name} is {known[name]}, not {value!r:.200}"


@pytest.mark.parametrize("key", ["siem01:1794902400.1", "~41210344", "P1877cca13f40ca67f8079603"])
def test_a_usual_key_is_the_id_itself(key: str):
    assert id_of(key) == key

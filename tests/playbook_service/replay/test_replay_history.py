from __future__ import annotations

import io

import pytest

from playbook_service.replay.fault import Faults
from playbook_service.replay.history import FALSE, TRUE, History, Label, origin, read_history, suppressed
from propolis.observables import extract

NOW = 1_794_902_400.0
DAY = 86_400.0


def closed(days_ago, resolution=FALSE, data="203.0.113.17", rule="5760", source="sshd"):
    return Label(NOW - days_ago * DAY, resolution, source, rule, "ip", data)


def why(alert, *labels, **changes):
    made = alert(**changes)
    return suppressed(made, extract(made), History(labels), NOW)


def test_three_closures_within_thirty_days_suppress(alert):
    assert "closed as FalsePositive 3 times" in why(alert, closed(1), closed(10), closed(29))


@pytest.mark.parametrize(
    "labels",
    [
        [],
        [closed(1), closed(2)],
        [closed(1), closed(2), closed(31)],
        [closed(1), closed(2), closed(-1)],  # a closure that was still to come
        [closed(1), closed(2), closed(3, rule="5710")],
        [closed(1), closed(2), closed(3, source="dropbear")],
        [closed(1), closed(2), closed(3, data="203.0.113.18")],
        [closed(3), closed(4), closed(5), closed(1, TRUE)],
    ],
    ids=["none", "two", "one too old", "one later", "other rule", "other source", "other address", "true since then"],
)
def test_less_than_that_does_not(alert, labels):
    assert why(alert, *labels) == ""


def test_a_true_positive_only_takes_back_what_came_before_it(alert):
    assert why(alert, closed(20, TRUE), closed(5), closed(4), closed(3))


def test_from_level_twelve_on_nothing_is_suppressed(alert):
    labels = [closed(1), closed(2), closed(3)]
    assert why(alert, *labels, rule={"level": 11})
    assert why(alert, *labels, rule={"level": 12}) == ""


def test_every_observable_that_could_be_acted_upon_must_be_known(alert):
    labels = [closed(1), closed(2), closed(3)]
    both = {"srcip": "203.0.113.17", "dstip": "203.0.113.99"}
    assert why(alert, *labels, data=both) == ""
    assert why(alert, *labels, *(entry._replace(data="203.0.113.99") for entry in labels), data=both)


def test_an_alert_without_anything_to_act_upon_is_not_suppressed(alert):
    assert why(alert, closed(1), closed(2), closed(3), data={}) == ""


def test_other_spellings_of_an_observable_are_the_same(alert):
    labels = [closed(day, data="2001:DB8:0::5") for day in (1, 2, 3)]
    assert why(alert, *labels, data={"srcip": "2001:db8::5"})


def test_the_source_of_plain_json_is_its_place(alert):
    assert origin(alert()) == "sshd"
    assert (
        origin(alert(decoder={"name": "json"}, location="/var/log/suricata/eve.json")) == "/var/log/suricata/eve.json"
    )


def test_labels_are_read_and_bad_lines_counted():
    faults = Faults("labels.jsonl")
    data = (
        b'{"time":"2026-11-10T09:11:05Z","resolution":"FalsePositive","source":"sshd","rule_id":"5760",'
        b'"dataType":"ip","data":"203.0.113.17"}\n'
        b'{"time":1794000000000,"resolution":"Indeterminate","source":"a","rule_id":1,"dataType":"ip","data":"b"}\n'
        b'{"time":"some day","resolution":"FalsePositive"}\nnot json\n[]\n'
    )
    history = read_history(io.BytesIO(data), faults)
    assert history.count == 1
    assert faults.count == 3
    assert faults.sentences()[0].startswith("labels.jsonl:3: The line is not a label")

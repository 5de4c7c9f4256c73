"""The answer is what Prometheus reads: format, escaping, histograms, and never more series than it should have."""

from __future__ import annotations

import pytest
from scraped import Need, Scraped, promtool, scraped

from playbook_service.metrics.catalogue import ALL
from playbook_service.metrics.family import COUNTER, GAUGE, HISTOGRAM, PROCESS, Family, measured
from playbook_service.metrics.sums import MOST_SERIES, Sums
from playbook_service.metrics.text import exposition

SEEN = Family("seen_total", COUNTER, PROCESS, "What was seen:\nall of it, C:\\ too.", ("what",))
TOOK = Family("took_seconds", HISTOGRAM, PROCESS, "How long.", ("who",), (), (0.1, 1.0, 10.0))
HOSTILE = ('"} 99\nevil_total 1', "back\\slash", "\x00\r\x1b[31m", "\u202elanigiro", "half \ud800 a pair", "")


def test_a_counter_is_written_as_prometheus_wants_it():
    sums = Sums([SEEN])
    sums.add(SEEN, "a")
    sums.add(SEEN, "a", by=2)
    assert exposition(sums.measured()).decode() == (
        '# HELP seen_total What was seen:\\nall of it, C:\\\\ too.\n# TYPE seen_total counter\nseen_total{what="a"} 3\n'
    )


def test_a_histogram_counts_in_every_bucket_that_a_value_fits_into():
    sums = Sums([TOOK])
    for value in (0.05, 0.1, 0.5, 11.0):
        sums.observe(TOOK, value, "x")
    told = scraped(sums.measured())
    buckets = [told.value("took_seconds_bucket", who="x", le=bound) for bound in ("0.1", "1", "10", "+Inf")]
    assert buckets == [2, 3, 3, 4]
    assert told.value("took_seconds_count", who="x") == 4
    assert told.value("took_seconds_sum", who="x") == pytest.approx(11.65)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_label_from_outside_stays_one_label_of_one_line(text: str, need: Need):
    sums = Sums([SEEN])
    sums.add(SEEN, text)
    body = exposition(sums.measured())
    assert len(body.splitlines()) == 3
    assert set(Scraped(body).families) == {"seen"}
    promtool(need, "check", "metrics", text=body.decode())


def test_a_megabyte_of_label_is_cut():
    sums = Sums([SEEN])
    sums.add(SEEN, "x" * 1_000_000)
    sums.add(SEEN, "x" * 1_000_001)
    assert scraped(sums.measured()).grown("seen_total") == {("x" * 80,): 2}


def test_a_label_that_grows_without_end_ends_under_other():
    sums = Sums([SEEN])
    for number in range(MOST_SERIES + 50):
        sums.add(SEEN, f"attacker {number}")
    grown = scraped(sums.measured()).grown("seen_total")
    assert len(grown) == MOST_SERIES + 1
    assert grown["other",] == 50


def test_known_labels_are_there_before_anything_happened():
    known = SEEN._replace(known=(("a",), ("b",)))
    assert scraped(Sums([known]).measured()).value("seen_total", what="b") == 0


def test_a_family_without_a_value_is_left_out():
    assert exposition([measured(SEEN)]) == b""


def test_sums_go_on_where_they_were_kept():
    sums = Sums([SEEN, TOOK])
    sums.add(SEEN, "a")
    sums.observe(TOOK, 5.0, "x")
    later = Sums([SEEN, TOOK])
    later.take(sums.to_dict())
    later.observe(TOOK, 5.0, "x")
    assert scraped(later.measured()).value("took_seconds_sum", who="x") == 10
    assert scraped(later.measured()).value("seen_total", what="a") == 1


def test_every_metric_is_named_as_prometheus_names_metrics():
    """https://prometheus.io/docs/practices/naming/"""
    assert len({family.name for family in ALL}) == len(ALL)
    for family in ALL:
        assert family.name.startswith(("propolis_", "process_")), family.name
        assert family.name.endswith("_total") == (family.kind == COUNTER), family.name
        assert bool(family.buckets) == (family.kind == HISTOGRAM), family.name
        assert list(family.buckets) == sorted(set(family.buckets)), family.name
        assert family.kind in (COUNTER, GAUGE, HISTOGRAM)
        assert family.help.endswith("."), family.name
        assert all(len(labels) == len(family.labels) for labels in family.known), family.name

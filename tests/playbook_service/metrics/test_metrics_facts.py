"""The audit lines hold what the tally needs: since when an alert was there, who failed, what became of an analyzer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))

from test_lease import DAY, FAILED, RELEASED, Shop, contained

from playbook_service.engine import scoring
from playbook_service.engine.enrichment import NO_ANSWER


@pytest.fixture
def shop() -> Shop:
    return Shop()


def line(shop: Shop, action: str) -> dict[str, Any]:
    return next(one for one in shop.journal.lines() if one["action"] == action)


def block(shop: Shop) -> None:
    shop.hive.reports["FirewallBlock"] = [contained(shop.clock.now() + DAY)]
    shop.decide()
    shop.run(30)


def test_a_containment_tells_how_long_ago_the_alert_came_in(shop: Shop):
    with shop.store.transaction() as work:
        work.save("alert", "siem01:1.1", {"at": shop.clock.now() - 12.5})
        work.save("decision", "L1", {"alert": "siem01:1.1"})
    began = shop.clock.now()
    block(shop)
    told = line(shop, "contained")
    assert told["automated"] is True
    assert 12.5 <= told["since_alert"] <= 12.5 + shop.clock.now() - began


@pytest.mark.parametrize("alert", ["", "siem01:forgotten"])
def test_a_containment_that_no_alert_stands_for_tells_nothing_of_one(shop: Shop, alert: str):
    with shop.store.transaction() as work:
        work.save("decision", "L1", {"alert": alert})
    block(shop)
    assert "since_alert" not in line(shop, "contained")


def test_an_undo_that_fails_tells_whose_it_is(shop: Shop):
    shop.hive.reports["FirewallUnblock"] = [FAILED, RELEASED]
    block(shop)
    shop.run(DAY + 120)
    assert line(shop, "release failed")["responder"] == "FirewallBlock"


def test_a_verdict_tells_what_became_of_each_analyzer():
    body = {
        "reports": [
            ["AbuseIPDB_2_0", "Success", "~1"], ["OTXQuery_2_0", "Failure", "~2"], ["Slow_1_0", "InProgress", "~3"]
        ],
        "missing": {"Silent": NO_ANSWER, "Absent": "it is not enabled in Cortex for this data type"},
    }  # fmt: skip
    assert scoring._outcomes(body) == {
        "AbuseIPDB_2_0": "success", "OTXQuery_2_0": "failure", "Slow_1_0": "late", "Silent": "late",
        "Absent": "missing",
    }  # fmt: skip

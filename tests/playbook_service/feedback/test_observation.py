"""How would we have done: right, wrong or unknown by the analysts' closings; 73 of 73 before a promotion."""

from __future__ import annotations

import pytest
from feedback_shop import ANNA, ATTACKER, BEN, SERVICE, Shop, decision, seen

from playbook_service.engine import ruling
from playbook_service.feedback import observation, review
from playbook_service.feedback.label import Closing, Held
from playbook_service.feedback.observation import observed, scores, still_needed, wilson


@pytest.fixture
def shop() -> Shop:
    return Shop()


def closing(number: int, judgement: str = "TruePositive", *, by: str = ANNA, held: int = 1, outcome: str = "act"):
    """A case in which so many addresses would have been blocked."""
    rows = tuple(
        Held(f"P{number}-{n}", "malicious-ip", "f" * 64, outcome, "respond FirewallBlock", f"203.0.113.{n}")
        for n in range(held)
    )
    said = judgement if by else ""
    return Closing(f"~{number}", number, judgement, said, 0.0, by, (), (), rows)


def score(*closings: Closing) -> observation.Score:
    (found,) = scores(entry for one in closings for entry in observed(one))
    return found


def test_a_promotion_needs_seventy_three_of_seventy_three():
    seventy_two = [closing(number) for number in range(72)]
    assert score(*seventy_two).earned is False
    assert score(*seventy_two).advice == "stay: 1 more right cases in a row are needed"
    earned = score(*seventy_two, closing(72))
    assert (earned.earned, earned.advice) == (True, "promotion to enforce is earned")
    assert earned.bound == pytest.approx(0.95, abs=1e-4)


def test_one_wrong_one_takes_it_back():
    found = score(*(closing(number) for number in range(73)), closing(73, "FalsePositive"))
    assert (found.right, found.wrong, found.earned) == (73, 1, False)
    assert found.precision == pytest.approx(73 / 74)
    assert still_needed(73, 1) == next(n for n in range(500) if wilson(73 + n, 74 + n) >= 0.95)


@pytest.mark.parametrize(("right", "judged", "bound"), [(0, 0, 0.0), (10, 10, 0.7225), (73, 73, 0.95), (5, 10, 0.2366)])
def test_wilson(right: int, judged: int, bound: float):
    assert wilson(right, judged) == pytest.approx(bound, abs=1e-4)


def test_ten_addresses_in_one_case_are_one_case():
    found = score(closing(1, held=10), closing(2, "FalsePositive", held=3))
    assert (found.right, found.wrong, found.containments) == (1, 1, 13)


def test_what_nobody_judged_is_unknown():
    found = score(closing(1, "Other"), closing(2, by=""), closing(3, "FalsePositive"))
    assert (found.right, found.wrong, found.unknown, found.precision) == (0, 1, 2, 0.0)


def test_asking_is_scored_apart_and_never_promoted():
    found = [closing(number) for number in range(80)] + [closing(99, "FalsePositive", outcome="ask")]
    act, ask = scores(entry for one in found for entry in observed(one))
    assert (act.outcome, act.earned, act.wrong) == ("act", True, 0)
    assert (ask.outcome, ask.earned, ask.wrong) == ("ask", False, 1)


def all_of(shop: Shop) -> list[tuple[str, str, str]]:
    judgements = shop.judgements
    with shop.store.transaction() as work:
        found = observation.all_observations(work, judgements)
    return [(entry.held.target, entry.held.outcome, entry.result) for entry in found]


def test_decisions_of_the_engine_are_compared_with_how_the_case_was_closed(shop: Shop):
    shop.mode = "observe"
    for number in (1, 2, 3):
        shop.hive.open(f"~{number}", seen(ATTACKER))
        shop.decided(f"~{number}", decision(kind="observe", wanted="act"))
        shop.decided(f"~{number}", decision("203.0.113.80", kind="observe", wanted="observe"))
    shop.close("~1", "TruePositive")
    shop.close("~2", "FalsePositive")
    assert all_of(shop) == [(ATTACKER, "act", "right"), (ATTACKER, "act", "wrong"), (ATTACKER, "act", "unknown")]
    shop.reopen("~1")
    assert sorted(result for _, _, result in all_of(shop)) == ["unknown", "unknown", "wrong"]


def test_a_mode_that_makes_an_act_an_ask_is_scored_too(shop: Shop):
    shop.hive.open("~1", seen(ATTACKER))
    shop.decided("~1", decision(kind="ask", wanted="act"))
    shop.close("~1", "TruePositive")
    assert all_of(shop) == [(ATTACKER, "act", "right")]


def test_what_was_done_is_no_observation(shop: Shop):
    shop.hive.open("~1", seen(ATTACKER))
    shop.decided("~1", decision(kind="act", wanted="act"))
    shop.close("~1", "TruePositive")
    assert all_of(shop) == []


# the sample ---------------------------------------------------------------------------------------------------------


def test_the_sample_is_two_percent_and_always_the_same():
    digests = [decision(number=number).digest() for number in range(20_000)]
    drawn = [digest for digest in digests if review.drawn(digest)]
    assert len(drawn) == pytest.approx(400, rel=0.2)
    assert drawn == [digest for digest in digests if review.drawn(digest)]


NUMBER = next(n for n in range(10_000) if review.drawn(decision(wanted="observe", number=n).digest()))
"""A decision that the sample falls on."""


def reviewed(shop: Shop, case_id: str = "~1", number: int = NUMBER, **more: str) -> bool:
    record = shop.decided(case_id, decision(wanted="observe", number=number), shop.spoke(case_id, AbuseIPDB="none"))
    with shop.store.transaction() as work:
        chosen = review.considered(work, record)
        review.considered(work, record)
    shop.loop.run_due()
    return chosen


def test_a_decision_in_the_sample_becomes_one_task(shop: Shop):
    shop.hive.open("~1", seen(ATTACKER))
    assert reviewed(shop)
    (task,) = shop.hive.board.values()
    assert task.title == f"Review: {ATTACKER} was left alone"
    assert "complete" in task.description
    assert len(shop.said("review asked")) == 1


def test_one_outside_of_it_does_not(shop: Shop):
    other = next(n for n in range(100) if not review.drawn(decision(wanted="observe", number=n).digest()))
    shop.hive.open("~1", seen(ATTACKER))
    assert reviewed(shop, number=other) is False
    assert shop.hive.board == {}


def test_a_task_is_not_made_twice_when_the_step_was_killed_after_making_it(shop: Shop):
    shop.hive.open("~1", seen(ATTACKER))
    record = shop.decided("~1", decision(wanted="observe", number=NUMBER))
    with shop.store.transaction() as work:
        review.considered(work, record)
        (item,) = work.claim("step", "dying", seconds=1)
    shop.feedback.reviews.step(item)  # and killed before the commit
    shop.clock.advance(2)
    shop.loop.run_due()
    assert len(shop.hive.board) == 1


def test_only_what_is_left_alone_in_a_case_is_reviewed(shop: Shop):
    for made in (decision(kind="act", wanted="act"), decision(kind="ask", wanted="ask")):
        record = shop.decided("~1", made)
        digest = "0" * 64
        chosen = record._replace(body={**record.body, "decision": {**record.body["decision"], "digest": digest}})
        assert review.drawn(digest)
        with shop.store.transaction() as work:
            assert review.considered(work, chosen) is False
            assert review.considered(work, chosen._replace(state=ruling.OBSERVE, ref="")) is False
            assert review.considered(work, chosen._replace(state=ruling.OBSERVE)) is True


@pytest.mark.parametrize(
    ("actor", "status", "ioc", "expected"),
    [
        (BEN, "Completed", False, [(ATTACKER, False, 1.0, ("reviewed",))]),
        (BEN, "Completed", True, [(ATTACKER, True, 1.0, ("ioc", "reviewed"))]),
        (BEN, "Cancel", False, []),
        (SERVICE, "Completed", False, []),
        (None, "Completed", False, []),
    ],
    ids=["harmless", "marked", "cannot tell", "by the service", "closed with the case"],
)
def test_what_an_analyst_reviewed_is_labelled(shop: Shop, actor: str | None, status: str, ioc: bool, expected: list):
    shop.hive.open("~1", seen(ATTACKER, ioc=ioc))
    reviewed(shop)
    shop.hive.end_task("~t0", status, actor)
    shop.close("~1", "TruePositive")
    marked = [(ATTACKER, True, 1.0, ("ioc",))] if ioc else []
    assert shop.labels() == (expected or marked)

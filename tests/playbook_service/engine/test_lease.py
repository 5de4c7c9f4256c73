"""A containment happens once, ends when its time is over, and is never forgotten, whatever crashes or gets lost."""

from __future__ import annotations

import pytest
from stub_hive import StubHive

from playbook_service.audit.journal import Journal
from playbook_service.engine import confirmation, lease
from playbook_service.engine.loop import Loop
from playbook_service.engine.step import Done, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Item, Record, Transaction
from playbook_service.store.memory import MemoryStore
from propolis.clock import ManualClock, utc_text
from propolis.guardrails import Policy

DAY = 86400


def contained(until: float, result: str = "contained", mark: str = "propolis lease=L1") -> dict:
    return {"success": True, "full": {"result": result, "until": utc_text(until), "where": "fw1", "mark": mark}}


RELEASED = {"success": True, "full": {"result": "released"}}
FAILED = {"success": False, "errorMessage": "fw1 cannot be reached over SSH: connection refused."}


class Shop:
    """A service's engine with what it stands on, and one lease that was decided."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.hive = StubHive()
        self.journal = Journal(self.store, self.clock)
        self.tools = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: Playbooks(()), lambda: Policy.parse(None),
            lambda: "enforce", "propolis@soc.example",
        )  # fmt: skip
        self.told: list[str] = []
        self.against = ""
        self.loop = self.new_loop()

    def new_loop(self) -> Loop:
        """Another process with the same store."""
        handlers = {
            "contain": lambda item: lease.contain(self.tools, item, lambda grant: self.against),
            "release": lambda item: lease.release(self.tools, item),
            "confirm": lambda item: confirmation.confirm(self.tools, item),
            "tell": self.tell,
        }
        return Loop(self.store, self.clock, handlers, owner="node", buried=self.buried, jitter=lambda: 1.0)

    def tell(self, item: Item) -> Outcome:
        self.told.append(item.body["what"])
        return Done()

    def buried(self, work: Transaction, item: Item, sentence: str) -> None:
        raise AssertionError(sentence)

    def decide(self, seconds: int = DAY) -> None:
        wanted = lease.Grant(
            "L1", "FirewallBlock", "case_artifact", "~41", "~8", "203.0.113.7", seconds, "because", "d" * 64,
            "playbook malicious-ip",
        )  # fmt: skip
        with self.store.transaction() as work:
            lease.grant(work, self.tools, wanted)

    def run(self, seconds: float) -> None:
        """Let so much time pass, a little at a time."""
        end = self.clock.now() + seconds
        self.loop.run_due()
        while self.clock.now() < end:
            self.clock.advance(
                min(5.0, end - self.clock.now()) if seconds < 1000 else min(600.0, end - self.clock.now())
            )
            self.loop.run_due()

    @property
    def record(self) -> Record:
        with self.store.transaction() as work:
            found = work.get(lease.KIND, "L1")
        assert found is not None
        return found

    @property
    def audited(self) -> list[str]:
        return [line["action"] for line in self.journal.lines()]

    @property
    def starts(self) -> list[str]:
        return [name for name, _, _ in self.hive.started]


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    until = shop.clock.now() + DAY
    shop.hive.reports = {"FirewallBlock": [contained(until)], "FirewallUnblock": [RELEASED]}
    return shop


def test_a_containment_becomes_a_lease_and_ends_when_its_time_is_over(shop: Shop):
    shop.decide()
    shop.run(10)
    assert (shop.record.state, shop.told) == (lease.ACTIVE, ["contained"])
    shop.run(DAY - 60)
    assert shop.starts == ["FirewallBlock"]
    shop.run(600)
    assert shop.record.state == lease.ENDED
    assert shop.starts == ["FirewallBlock", "FirewallUnblock"]
    assert shop.hive.started[0][2] == {"lease": "L1", "duration_seconds": DAY}
    assert shop.audited == ["containment wished", "contained", "released"]
    assert shop.journal.verify() == []


def test_deciding_the_same_twice_contains_once(shop: Shop):
    shop.decide()
    shop.decide()
    shop.run(10)
    shop.decide()
    shop.run(10)
    assert shop.starts == ["FirewallBlock"]


def test_a_start_whose_answer_was_lost_is_found_and_not_repeated(shop: Shop):
    shop.hive.lose_answer = True
    shop.decide()
    shop.run(30)
    assert shop.record.state == lease.ACTIVE
    assert shop.starts == ["FirewallBlock"]


def test_a_start_that_never_arrived_is_made_once_it_is_sure_that_it_did_not(shop: Shop):
    shop.hive.lose_request = True
    shop.decide()
    shop.run(30)
    assert shop.starts == []
    shop.run(60)
    assert shop.starts == ["FirewallBlock"]
    assert shop.record.state == lease.ACTIVE


def test_two_starts_where_one_was_asked_for_are_left_to_a_person(shop: Shop):
    shop.hive.lose_answer = True
    shop.decide()
    shop.loop.run_due()
    shop.hive.made.append(shop.hive.made[0]._replace(id="~other", cortex_job_id="job-other"))
    shop.run(30)
    assert shop.record.state == lease.DOUBTFUL
    assert "2 times" in shop.record.body["report"]["message"]
    assert shop.told == ["not contained"]


def test_an_action_that_an_analyst_started_before_is_not_taken_for_ours(shop: Shop):
    shop.hive.reports["FirewallBlock"].insert(0, contained(shop.clock.now() + 60, mark="propolis by=anna"))
    worker = shop.hive.responders("case_artifact", "~41")[0]
    shop.hive.run_responder(worker, "case_artifact", "~41", {})
    shop.hive.lose_request = True
    shop.decide()
    shop.run(90)
    assert len(shop.starts) == 2


def test_what_a_responder_did_not_do_is_no_lease(shop: Shop):
    shop.hive.reports["FirewallBlock"] = [contained(0, "would_contain")]
    shop.decide()
    shop.run(30)
    assert (shop.record.state, shop.told) == (lease.REFUSED, ["not contained"])
    shop.run(2 * DAY)
    assert shop.starts == ["FirewallBlock"]


def test_a_responder_that_failed_may_have_contained_all_the_same_and_is_undone_at_the_end(shop: Shop):
    shop.hive.reports["FirewallBlock"] = [FAILED]
    shop.decide()
    shop.run(30)
    assert (shop.record.state, shop.told) == (lease.DOUBTFUL, ["not contained"])
    assert shop.record.body["report"]["message"] == FAILED["errorMessage"]
    shop.run(DAY + 600)
    assert shop.starts == ["FirewallBlock", "FirewallUnblock"]
    assert shop.record.state == lease.ENDED


def test_a_doubtful_lease_stays_in_doubt_while_its_undo_fails(shop: Shop):
    shop.hive.reports = {"FirewallBlock": [FAILED], "FirewallUnblock": [FAILED] * 9}
    shop.decide()
    while not shop.record.body["undos"]:
        shop.run(10)
    assert shop.record.state == lease.DOUBTFUL
    assert shop.starts == ["FirewallBlock", "FirewallUnblock"]


def test_a_doubtful_lease_whose_undo_cannot_tell_either_is_left_to_a_person_and_not_fought_over(shop: Shop):
    shop.hive.reports = {"FirewallBlock": [FAILED], "FirewallUnblock": [FAILED] * 9}
    shop.decide()
    shop.run(DAY + 7200)
    assert shop.record.state == lease.ENDED
    assert shop.starts == ["FirewallBlock"] + ["FirewallUnblock"] * 3
    assert shop.told == ["not contained", "undo fails"]


@pytest.mark.parametrize("report", [
    {"success": True, "full": {}}, {"success": True, "full": "nonsense"}, {"success": True},
])  # fmt: skip
def test_nonsense_from_a_responder_claims_nothing(shop: Shop, report: dict):
    shop.hive.reports["FirewallBlock"] = [report]
    shop.decide()
    shop.run(30)
    assert (shop.record.state, shop.told) == (lease.DOUBTFUL, ["not contained"])


def test_somebody_elses_block_is_no_lease_of_ours_and_stays(shop: Shop):
    shop.hive.reports["FirewallBlock"] = [contained(0, "already_contained", mark="added by the night shift")]
    shop.decide()
    shop.run(2 * DAY)
    assert shop.record.state == lease.REFUSED
    assert shop.starts == ["FirewallBlock"]


def test_our_own_block_found_again_is_a_lease(shop: Shop):
    shop.hive.reports["FirewallBlock"] = [contained(shop.clock.now() + DAY, "already_contained")]
    shop.decide()
    shop.run(30)
    assert shop.record.state == lease.ACTIVE


def test_an_undo_that_fails_is_retried_until_it_works_and_somebody_is_called(shop: Shop):
    shop.hive.reports["FirewallUnblock"] = [FAILED, FAILED, FAILED, FAILED, RELEASED]
    shop.decide()
    shop.run(DAY + 4 * 3600)
    assert shop.record.state == lease.ENDED
    assert shop.starts == ["FirewallBlock"] + ["FirewallUnblock"] * 5
    assert shop.told == ["contained", "undo fails", "released"]
    assert shop.audited.count("release failed") == 4


def test_a_lease_whose_time_ran_out_while_the_service_was_down_is_ended_at_its_start(shop: Shop):
    shop.decide()
    shop.run(10)
    shop.clock.advance(3 * DAY)
    shop.loop = shop.new_loop()
    shop.run(30)
    assert shop.record.state == lease.ENDED


def test_a_lease_is_ended_early_on_a_persons_word(shop: Shop):
    shop.decide()
    shop.run(10)
    with shop.store.transaction() as work:
        assert lease.end(work, shop.tools, "L1", "analyst@soc.example")
        assert not lease.end(work, shop.tools, "unknown", "analyst@soc.example")
    shop.run(30)
    assert shop.record.state == lease.ENDED
    assert list(shop.journal.lines())[-1]["operator"] == "analyst@soc.example"
    with shop.store.transaction() as work:
        assert not lease.end(work, shop.tools, "L1", "analyst@soc.example")


def test_a_responder_that_hangs_is_left_to_a_person(shop: Shop):
    shop.hive.slow = True
    shop.decide()
    shop.run(1999)
    assert shop.record.state == lease.DOUBTFUL
    assert "has not ended" in shop.record.body["report"]["message"]


def test_a_responder_that_is_not_enabled_is_said_so(shop: Shop):
    shop.hive.reports = {}
    shop.decide()
    shop.run(10)
    assert shop.record.state == lease.DOUBTFUL
    assert "not offered" in shop.record.body["report"]["message"]


def test_a_containment_is_listed_while_it_is_in_force(shop: Shop):
    shop.decide()
    shop.run(10)
    with shop.store.transaction() as work:
        assert [record.key for record in lease.in_force(work, "~8")] == ["L1"]
        assert lease.in_force(work, "~9") == []
    shop.run(DAY + 60)
    with shop.store.transaction() as work:
        assert lease.in_force(work) == []


def test_what_may_no_longer_be_done_when_its_turn_comes_is_not_started(shop: Shop):
    shop.against = "the mode is observe by now"
    shop.decide()
    shop.run(30)
    assert (shop.record.state, shop.told, shop.starts) == (lease.REFUSED, ["not contained"], [])
    assert shop.record.body["report"]["message"] == "it was not started: the mode is observe by now"
    shop.against = ""
    shop.run(2 * DAY)
    assert shop.starts == []


def test_what_was_started_is_followed_to_its_end_whatever_the_mode_becomes(shop: Shop):
    shop.hive.slow = True
    shop.decide()
    shop.run(10)
    shop.against = "the mode is observe by now"
    shop.hive.slow = False
    shop.run(30)
    assert shop.record.state == lease.ACTIVE
    shop.run(DAY + 60)
    assert shop.record.state == lease.ENDED


def looked(result: str, mark: str = "propolis lease=L1", *, marks: bool = True) -> dict:
    full = {"result": result, "mark": mark, "marks": marks, "message": "No containment of web-01."}
    return {"success": True, "full": full}


UNDER_WAY = {"success": True, "full": {"result": "pending", "pending": "action-7", "where": "edr", "mark": ""}}


@pytest.mark.parametrize("mark", ["propolis lease=L1", ""], ids=["marked", "a product that holds no mark"])
def test_what_a_product_finishes_later_is_looked_at_until_it_holds(shop: Shop, mark: str):
    shop.hive.reports["FirewallBlock"] = [UNDER_WAY, UNDER_WAY, looked("already_contained", mark, marks=bool(mark))]
    shop.decide()
    shop.run(30)
    assert (shop.record.state, shop.record.body["pending"]) == (lease.ACTIVE, True)
    shop.run(600)
    assert (shop.record.state, shop.record.body["pending"]) == (lease.ACTIVE, False)
    assert [parameters.get("look_only") for _, _, parameters in shop.hive.started] == [None, True, True]
    assert shop.told == ["contained", "contained"]
    assert shop.audited.count("confirmed") == 1
    shop.run(DAY + 60)
    assert shop.record.state == lease.ENDED


@pytest.mark.parametrize(
    "seen", [looked("would_contain"), looked("already_contained", "propolis lease=L9"), looked("already_contained", "")]
)
def test_what_a_product_did_not_carry_out_is_told_and_still_undone_at_its_end(shop: Shop, seen: dict):
    shop.hive.reports["FirewallBlock"] = [UNDER_WAY, seen]
    shop.decide()
    shop.run(600)
    assert (shop.record.state, shop.told) == (lease.DOUBTFUL, ["contained", "not contained"])
    shop.run(DAY + 60)
    assert shop.record.state == lease.ENDED
    assert shop.starts[-1] == "FirewallUnblock"


def test_a_look_that_fails_is_repeated_and_claims_nothing(shop: Shop):
    shop.hive.reports["FirewallBlock"] = [UNDER_WAY, FAILED, FAILED, looked("already_contained")]
    shop.decide()
    shop.run(900)
    assert (shop.record.body["pending"], shop.told) == (False, ["contained", "contained"])
    assert len(shop.starts) == 4


def test_a_lease_that_ended_meanwhile_is_not_looked_at_any_more(shop: Shop):
    shop.hive.reports["FirewallBlock"] = [UNDER_WAY]
    shop.decide()
    shop.run(30)
    with shop.store.transaction() as work:
        lease.end(work, shop.tools, "L1", "anna")
    shop.run(600)
    assert shop.record.state == lease.ENDED
    assert shop.starts == ["FirewallBlock", "FirewallUnblock"]


def test_an_undo_that_a_product_finishes_later_is_no_failure_and_calls_nobody(shop: Shop):
    shop.hive.reports["FirewallUnblock"] = [UNDER_WAY] * 6 + [RELEASED]
    shop.decide()
    shop.run(DAY)
    shop.run(900)
    assert (shop.record.state, shop.told) == (lease.ENDED, ["contained", "released"])
    assert shop.starts.count("FirewallUnblock") == 7
    assert "release failed" not in shop.audited

"""What records say of a target, on one agent and on several."""

from __future__ import annotations

from propolis.containment.backend import Subject
from propolis.containment.wazuh.answers import Agent
from propolis.containment.wazuh.record import Record
from propolis.containment.wazuh.sight import Sight, Words, is_made, refusal, sight, status

NOW = 1_767_225_600.0
ISOLATION = Words("isolate", "release", "isolating")
BLOCK = Words("block", "unblock")
ONE, TWO = (Agent(number, f"gw{number}", "192.0.2.1", "active") for number in ("001", "002"))
SUBJECT = Subject("x", "x")


def block(until: float, mark: str = "propolis case=1", target: str = "203.0.113.7") -> Record:
    return Record("block", target, int(until), mark)


def seen(*records: Record, agent: Agent = ONE, words: Words = BLOCK, target: str = "203.0.113.7") -> Sight:
    return sight(agent, records, words, target, NOW)


def test_of_two_records_during_a_renewal_the_longer_one_holds() -> None:
    assert seen(block(NOW + 60), block(NOW + 600)).standing == block(NOW + 600)
    assert seen(block(0), block(NOW + 600)).standing == block(0)


def test_what_the_kernel_has_ended_is_over_although_its_record_is_not_swept_yet() -> None:
    over = seen(block(NOW - 1))
    assert over.standing is None
    found = status(SUBJECT, [over])
    assert (found.contained, found.ours, found.remains) == (False, False, False)


def test_other_targets_and_other_verbs_are_not_this_one() -> None:
    others = [block(NOW + 60, target="203.0.113.70"), Record("lock", "203.0.113.7", 0, "propolis")]
    assert seen(*others) == Sight(ONE)


def test_a_trial_is_under_way_until_the_isolation_stands() -> None:
    trial, full = (Record(verb, "host", int(NOW) + 90, "propolis case=1") for verb in ("isolating", "isolate"))
    on_trial = status(SUBJECT, [seen(trial, words=ISOLATION, target="host")])
    assert (on_trial.contained, on_trial.ours) == (False, True)
    assert "001" in on_trial.pending
    standing = seen(trial, full, words=ISOLATION, target="host")  # the new record is there before the old one goes
    both = status(SUBJECT, [standing])
    assert (both.contained, both.pending, standing.under_way) == (True, "", "")


def test_a_trial_that_is_over_is_under_way_until_the_program_has_said_why_or_is_taken_for_dead() -> None:
    for late, pending in ((29, True), (31, False)):
        trial = Record("isolating", "host", int(NOW) - late, "propolis case=1")
        found = status(SUBJECT, [seen(trial, words=ISOLATION, target="host")])
        assert (found.contained, bool(found.pending)) == (False, pending)


def test_contained_is_what_is_contained_everywhere_and_until_the_first_end() -> None:
    here, there = seen(block(NOW + 60)), seen(block(NOW + 600), agent=TWO)
    both = status(SUBJECT, [here, there])
    assert (both.contained, both.until, both.remains) == (True, NOW + 60, False)
    one = status(SUBJECT, [here, seen(agent=TWO)])
    assert (one.contained, one.ours, one.remains) == (False, True, True)
    assert "no record on agent gw002 (002)" in one.detail


def test_our_record_is_shown_before_somebody_elses() -> None:
    mixed = status(SUBJECT, [seen(block(NOW + 60, "ticket 4711")), seen(block(NOW + 90), agent=TWO)])
    assert (mixed.ours, mixed.mark, mixed.until) == (True, "propolis case=1", NOW + 90)


def test_a_refusal_counts_only_when_it_is_new() -> None:
    old = Record("refused", "block.203.0.113.7", 5, "yesterday")
    new = Record("refused", "block.203.0.113.7", 9, "today")
    assert refusal(seen(old), seen(old), "block", "203.0.113.7") == ""
    assert refusal(seen(old), seen(new), "block", "203.0.113.7") == "today"
    assert refusal(seen(), seen(new), "unblock", "203.0.113.7") == ""


def test_made_is_a_new_record_with_our_mark_or_one_that_says_the_same() -> None:
    mark, until = "propolis case=1", NOW + 3600
    assert is_made(seen(), seen(block(NOW + 900)), mark, until)  # the agent's clock is 45 minutes behind
    assert not is_made(seen(), seen(block(until, "propolis case=2")), mark, until)
    assert is_made(seen(block(until - 3)), seen(block(until - 3)), mark, until)  # asked for twice in one minute
    assert not is_made(seen(block(NOW + 900)), seen(block(NOW + 900)), mark, until)  # the extension is not there yet
    assert not is_made(seen(), seen(), mark, until)


def test_windows_has_lower_case_marks() -> None:
    assert is_made(seen(), seen(block(NOW + 3600, "propolis by=analyst")), "propolis by=Analyst", NOW + 3600)

from __future__ import annotations

from collections import Counter

from playbook_service.judgement.memo import Memo
from playbook_service.replay.timeline import Timeline


def test_a_memo_never_holds_more_than_its_size():
    memo: Memo[int, int] = Memo(100)
    for number in range(10_000):
        memo.put(number, number)
        assert len(memo) <= 100


def test_what_is_asked_for_stays_and_what_is_not_goes():
    memo: Memo[int, str] = Memo(10)
    memo.put(-1, "kept")
    memo.put(-2, "forgotten")
    for number in range(100):
        memo.put(number, "x")
        assert memo.get(-1) == "kept"
    assert memo.get(-2) is None


def test_bins_widen_and_lose_nothing():
    timeline, whole = Timeline(most=10), Counter()
    for number in range(5_000):
        kind = "act" if number % 3 else "ask"
        timeline.add(1_794_902_400.0 + number * 977 % 400_000, kind)
        whole[kind] += 1
    found = list(timeline.bins())
    assert len(found) <= 11
    assert timeline.width > 3_600
    assert sum((Counter(counts) for _, counts in found), Counter()) == whole


def test_bins_have_no_gaps_and_start_on_their_width():
    timeline = Timeline()
    timeline.add(1_000_000.0, "act")
    timeline.add(1_000_600.0, "act")
    starts = [start for start, _ in timeline.bins()]
    assert all(start % timeline.width == 0 for start in starts)
    assert starts == [starts[0] + timeline.width * step for step in range(len(starts))]


def test_alerts_far_apart_do_not_make_bins_without_end():
    timeline = Timeline()
    for moment in (0.0, 1.0, 4_000_000_000.0, 60.0):
        timeline.add(moment, "act")
    assert sum(counts.get("act", 0) for _, counts in timeline.bins()) == 4
    assert len(list(timeline.bins())) < 200

"""What lint says of conditions without running them is never wrong: tried on random conditions and contexts."""

from __future__ import annotations

import random
from typing import Any

import pytest

from playbook_service.playbook.condition import Condition, read_condition
from playbook_service.playbook.document import parse
from playbook_service.playbook.logic import covers, impossible

FIELDS: dict[str, list[Any]] = {
    "alert.rule.level": [3, 5, 10, 12, "12"],
    "alert.rule.groups": ["web", "attack", "web_scan"],
    "observable.dataType": ["ip", "url"],
    "verdict.families": [0, 2, 3],
}
TESTS = ["", "in", "gte", "gt", "lte", "lt", "contains", "startswith", "exists"]


def random_line(chance: random.Random) -> str:
    field = chance.choice(list(FIELDS))
    numeric = field in ("alert.rule.level", "verdict.families")
    name = chance.choice([test for test in TESTS if numeric or test not in ("gte", "gt", "lte", "lt")])
    values = [str(value) for value in FIELDS[field]]
    value = chance.choice(values)
    if name == "exists":
        value = chance.choice(["true", "false"])
    elif name in ("", "in", "contains") and chance.random() < 0.5:
        value = f"[{', '.join(chance.sample(values, 2))}]"
    words = [field, *(["not"] if chance.random() < 0.3 else []), *([name] if name else [])]
    return f"{'|'.join(words)}: {value}"


def random_condition(chance: random.Random) -> Condition:
    maps = []
    for _ in range(chance.choice([1, 1, 2])):
        lines = {line.split(":")[0]: line for line in (random_line(chance) for _ in range(chance.choice([1, 2, 3])))}
        maps.append("{" + ", ".join(lines.values()) + "}")
    nodes, faults = parse(f"[{', '.join(maps)}]".encode(), "random.yml")
    assert not faults
    return read_condition(nodes[0])


def random_context(chance: random.Random) -> dict[str, Any]:
    def maybe(values: list[Any]) -> Any:
        return chance.choice([*values, None])

    groups = chance.sample(FIELDS["alert.rule.groups"], chance.randrange(4))
    return {
        "alert": {"rule": {"level": maybe([*FIELDS["alert.rule.level"], 4, 11]), "groups": groups}},
        "observable": {"dataType": maybe(["ip", "url", "hash"])},
        "verdict": {"families": maybe([0, 1, 2, 3, 4])},
    }


@pytest.mark.parametrize("seed", range(5))
def test_covered_clauses_and_impossible_lines_really_are(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    contexts = [random_context(chance) for _ in range(150)]
    conditions = [random_condition(chance) for _ in range(60)]
    said = {"covered": 0, "impossible": 0}
    for later in conditions:
        for tests in later.alternatives:
            if impossible(tests):
                said["impossible"] += 1
                assert not any(all(test.holds(context) for test in tests) for context in contexts), tests
        for earlier in conditions:
            if covers(earlier, later):
                said["covered"] += 1
                assert all(earlier.holds(context) for context in contexts if later.holds(context))

    assert said["covered"] > len(conditions)
    assert said["impossible"] > 0


def test_a_condition_covers_itself() -> None:
    chance = random.Random(9)  # noqa: S311 - seeded on purpose

    assert all(covers(condition, condition) for condition in (random_condition(chance) for _ in range(300)))

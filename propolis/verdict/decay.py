"""How a word loses weight with its age."""

from __future__ import annotations

DAY = 86_400.0
HALF_LIVES: dict[str, float | None] = {  # seconds; None: never ages
    "ip": 7 * DAY,
    "url": 3 * DAY,
    "domain": 30 * DAY,
    "fqdn": 30 * DAY,
    "hostname": 30 * DAY,
    "mail": 14 * DAY,
    "hash": None,
    "file": None,
}
OTHER = 30 * DAY  # a type without evidence of its own ages like a name


def half_life(data_type: str) -> float | None:
    """The half-life of words on such an observable in seconds, or None."""
    return HALF_LIVES.get(data_type, OTHER)


def decayed(weight: float, age: float, half: float | None) -> float:
    """The weight after `age` seconds; a moment in the future is age nought."""
    return weight if half is None or age <= 0.0 else float(weight * 2.0 ** (-age / half))

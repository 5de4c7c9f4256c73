"""Lines that could not be read: all counted, the first ones named."""

from __future__ import annotations

from typing import NamedTuple

SHOWN = 20


class Fault(NamedTuple):
    """One line (or element) that could not be read."""

    number: int
    message: str


class Faults:
    """The faults of one file. Only the first few are kept: a file of rubbish must not fill the memory."""

    def __init__(self, name: str):
        self.name = name
        self.count = 0
        self.first: list[Fault] = []

    def add(self, number: int, message: str) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(Fault(number, message))

    def sentences(self) -> list[str]:
        """`alerts.json:12: The alert is not valid JSON ...`, and how many more there are."""
        told = [f"{self.name}:{fault.number}: {fault.message}" for fault in self.first]
        if self.count > len(told):
            told.append(f"{self.name}: {self.count - len(told)} further lines could not be read.")
        return told

"""A host with a Wazuh agent, execd and `propolis-contain`: what the program does to the host, and what FIM tells of it.

Written from the interface that both sides keep to (docs/wazuh-agent.md and the head of the program itself): arguments
in, records out, never an answer. FIM tells the manager of a file some seconds after it came or went. An isolation is on
trial first, and stays only if the manager was reached.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from propolis.clock import Clock
from propolis.containment.wazuh.record import Record

LINUX, WINDOWS = (
    "/var/ossec/active-response/propolis/",
    "C:\\Program Files (x86)\\ossec-agent\\active-response\\propolis\\",
)
TRIAL = 120
_ARGUMENTS = {
    "block": 3, "unblock": 1, "isolate": 2, "release": 0, "lock": 2, "unlock": 1, "quarantine": 3, "restore": 1,
}  # fmt: skip
_UNDOES = {"unblock": "block", "release": "isolate", "unlock": "lock", "restore": "quarantine"}
_MARK = re.compile(r"propolis( [A-Za-z0-9@._:/+=-]+)*")

Key = tuple[str, str]
"""Verb of the containment, and target."""


@dataclass
class FakeAgent:
    """Change its state by its attributes; `settle` lets happen what is due."""

    clock: Clock
    id: str
    name: str
    ip: str
    status: str = "active"
    platform: str = "ubuntu"
    system: str = "Ubuntu"
    version: str = "Wazuh v4.14.7"
    groups: tuple[str, ...] = ("default",)
    users: list[dict[str, object]] = field(default_factory=list)
    """The inventory of local users."""
    silent: float = 0.0
    """Seconds since its last keep-alive."""
    watches: bool = True
    """FIM watches the records' folder in real time."""
    fim_delay: float = 2.0
    """Seconds until the manager knows of a change; infinite: FIM is deaf."""
    proof: float | None = 0.0
    """Seconds that an isolation's proof takes; None: for ever."""
    proven: bool = True
    """How the proof ends."""
    release_delay: float | None = 0.0
    """Seconds until an undo is done; None: for ever."""
    release_works: bool = True
    """What becomes of an undo then."""
    installed: bool = True
    """The program is there."""
    spared: set[str] = field(default_factory=set)
    """Targets on the host's own never-lists."""
    foreign: set[Key] = field(default_factory=set)
    """What others contained on this host, in the same tables."""
    kernel: dict[Key, Record] = field(default_factory=dict)
    """What the program contains, with its end and mark."""
    trial: Record | None = None
    _due: list[tuple[float, str, str]] = field(default_factory=list)
    """(when, what, target), in the order in which they were asked for."""
    _told: list[tuple[float, str, bool]] = field(default_factory=list)
    """(when, name of a record, whether it came)."""
    calls: list[list[str]] = field(default_factory=list)
    """Every start of the program."""

    def run(self, command: str, arguments: list[str]) -> None:
        """execd starts a program; what is no proper request changes nothing and leaves no record."""
        wanted = "!propolis-contain.cmd" if self.platform == "windows" else "!propolis-contain"
        if not self.installed or command != wanted:
            return
        self.calls.append(arguments)
        self.settle()
        verb, *words = arguments
        if _ARGUMENTS.get(verb) != len(words) or (verb not in _UNDOES and not _MARK.fullmatch(words[-1])):
            return
        self._renew()
        if verb in _UNDOES:
            self._undo(verb, words[0] if words else "host")
        else:
            self._contain(verb, words)

    def _contain(self, verb: str, words: list[str]) -> None:
        target = {"isolate": "host", "quarantine": vault_id(words[0])}.get(verb, words[0])
        if (verb, target) in self.foreign:
            self.refuse(verb, target, f"{words[0]} is contained already, by somebody else")
        elif words[0] in self.spared:
            self.refuse(verb, target, f"{words[0]} is never touched here (never in propolis.conf)")
        elif verb == "isolate":
            self._isolate(int(words[0]), words[1])
        else:
            until = int(self.clock.now()) + int(words[1]) if verb == "block" else 0
            self._stands(Record(verb, target, until, words[-1]))

    def _isolate(self, seconds: int, mark: str) -> None:
        if ("isolate", "host") in self.kernel:
            self._stands(Record("isolate", "host", int(self.clock.now()) + seconds, mark))
            return
        trial = min(TRIAL, seconds) if self.proof is not None else 10_000
        self._forget_trial()
        self.trial = Record("isolating", "host", int(self.clock.now()) + trial, mark)
        self.tell(self.trial.name, True)
        if self.proof is not None:
            what = "prove" if self.proven else "give up"
            self._due.append((self.clock.now() + self.proof, what, str(seconds)))

    def _undo(self, verb: str, target: str) -> None:
        if (_UNDOES[verb], target) in self.foreign:
            self.refuse(verb, target, f"{target} was contained by somebody else and is left alone")
        elif self.release_delay is not None:
            self._due.append((self.clock.now() + self.release_delay, _UNDOES[verb], target))
            self.settle()
        else:
            self._due.append((float("inf"), _UNDOES[verb], target))

    def finish(self) -> None:
        """Whatever is under way is done now."""
        if self.proof is None and self.trial is not None:
            self._due.append((0, "prove", "3600"))
        self._due = [(0, what, target) for _, what, target in self._due]
        self.settle()

    def settle(self) -> None:
        """Let happen what is due; the kernel ends what has ended."""
        now = self.clock.now()
        ready = [event for event in self._due if event[0] <= now]
        self._due = [event for event in self._due if event[0] > now]
        for _, what, target in ready:
            self._happens(what, target)
        self.kernel = {key: record for key, record in self.kernel.items() if record.lives(now)}

    def _happens(self, what: str, target: str) -> None:
        trial = self.trial
        if what == "prove" and trial is not None:
            self._forget_trial()
            self._stands(Record("isolate", "host", int(self.clock.now()) + int(target), trial.mark))
        elif what == "give up" and trial is not None:
            self._forget_trial()
            self.refuse("isolate", "host", "the manager was not reached")
        elif what in _UNDOES.values() and not self.release_works:
            self.refuse(next(undo for undo, verb in _UNDOES.items() if verb == what), target, "nft refused: busy")
        elif what in _UNDOES.values():
            if what == "isolate":
                self._forget_trial()
            self.lift(what, target)

    def _stands(self, record: Record) -> None:
        """The effect was read back: the new record is there before the old one goes."""
        old = self.kernel.get((record.verb, record.target))
        self.kernel[record.verb, record.target] = record
        self.tell(record.name, True)
        if old is not None and old.name != record.name:
            self.tell(old.name, False)

    def lift(self, verb: str, target: str) -> None:
        """A containment of the program ends, by its undo or by root's own hands with a renewal of the records."""
        record = self.kernel.pop((verb, target), None)
        if record is not None:
            self.tell(record.name, False)

    def _forget_trial(self) -> None:
        if self.trial is not None:
            self.tell(self.trial.name, False)
            self.trial = None

    def _renew(self) -> None:
        """Records of what the kernel ended go with the next call."""
        for name in self.seen(float("inf")):
            record = Record(*_parts(name))
            if record.verb in _UNDOES.values() and not record.lives(self.clock.now()):
                self.tell(name, False)

    def refuse(self, verb: str, target: str, why: str) -> None:
        """The newest refusal of a verb and target replaces the older ones."""
        for name in self.seen(float("inf")):
            if name.startswith(Record("refused", f"{verb}.{target}", 0, "").name.removesuffix("0~")):
                self.tell(name, False)
        self.tell(Record("refused", f"{verb}.{target}", int(self.clock.now()), why).name, True)

    def tell(self, name: str, came: bool) -> None:
        """A file of the records' folder came or went."""
        self._told.append((self.clock.now(), name, came))

    def seen(self, delay: float | None = None) -> list[str]:
        """The names of the records that FIM has told the manager of; with infinity, those that are there."""
        self.settle()
        known: dict[str, None] = {}
        for when, name, came in self._told:
            if delay == float("inf") or when + self.fim_delay <= self.clock.now():
                known.pop(name, None)
                if came:
                    known[name] = None
        return list(known)

    def paths(self) -> list[str]:
        """What FIM shows: on Windows in lower case, and besides the records what else is watched."""
        folder = WINDOWS if self.platform == "windows" else LINUX
        shown = [f"{folder}{name}" for name in self.seen()] if self.watches else []
        return [path.lower() if self.platform == "windows" else path for path in shown] + ["/etc/passwd", "/etc/hosts"]


def _parts(name: str) -> tuple[str, str, int, str]:
    from propolis.containment.wazuh.record import parse

    record = parse(name)
    assert record is not None, name
    return record.verb, record.target, record.until, record.mark


def vault_id(path: str) -> str:
    """The program's name for a file in its vault."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]

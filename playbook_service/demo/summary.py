"""The demo's result: for people a table and a few numbers, for programs one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playbook_service.demo.ledger import Ledger, Row, median
from playbook_service.demo.play import Play
from playbook_service.engine import analysis, approval, arrival, lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.placement import CASE

_HEADS = ("case", "target", "evidence", "decision", "by", "contained in", "released")
_KINDS = {"observed": "dim", "asked": "ask", "acted alone": "act", "refused": "stopped", "by hand": "suppressed"}


def count(play: Play) -> None:
    """Fill in the ledger's numbers, from the store."""
    see, rows = play.witness, play.ledger.rows
    asked = [row for row in rows if row.answered_at]
    alone = [row for row in rows if row.decision == "acted alone"]
    play.ledger.numbers = {
        "alerts": see.count(arrival.KIND), "suppressed": see.count(arrival.KIND, arrival.SUPPRESSED),
        "cases": see.count(CASE), "analyzers": see.count(analysis.KIND, analysis.ENDED),
        "verdicts": see.count(VERDICT), "asked": see.count(approval.KIND),
        "granted": see.count(approval.KIND, approval.GRANTED), "contained": sum(bool(row.contained_at) for row in rows),
        "refused": see.count(ruling.KIND, ruling.STOPPED), "released": see.count(lease.KIND, lease.ENDED),
        "audit_lines": sum(1 for _ in play.stage.running.journal.lines()),
        "seconds_alone": median(row.took for row in alone), "seconds_asked": median(row.ours for row in asked),
        "seconds": round(play.voice.elapsed, 1),
    }  # fmt: skip


def document(play: Play) -> dict[str, Any]:
    """Everything, for `--format json`."""
    ledger = play.ledger
    return {
        "version": play.stage.terms.version, "ok": ledger.kept, "numbers": ledger.numbers,
        "promises": [promise._asdict() for promise in ledger.promises],
        "rows": [row.to_dict() for row in ledger.rows], "story": [list(line) for line in play.voice.lines],
    }  # fmt: skip


def show(play: Play, console: str, report: Path | None) -> None:
    """The summary, line by line; `report` is where the report of it was written, if it was."""
    ledger, voice = play.ledger, play.voice
    voice.line()
    voice.line(voice.paper.ink("What happened", "head"))
    rows = [_cells(row) for row in ledger.rows]
    for line in voice.paper.table(_HEADS, rows, [_KINDS.get(row.decision, "") for row in ledger.rows]):
        voice.line(line)
    voice.line()
    for sentence in _sentences(ledger):
        for line in voice.paper.wrapped(sentence, "  "):
            voice.line(line)
    voice.line()
    _promises(play, ledger)
    voice.line()
    voice.line(f"As people see it: the console at {console} (stays up with `propolis demo --serve`).")
    written = f"here {report}" if report else "here not written (`propolis demo --report FILE`)"
    voice.line(f"As management sees it: `propolis report`, {written}.")


def _cells(row: Row) -> Sequence[str]:
    place = row.where.removeprefix("the lab ")
    contained = f"{row.ours:.1f} s, {place}" if row.contained_at else "-"
    return (f"#{row.case}", row.target, row.evidence, row.decision, _who(row), contained, _release(row))


def _who(row: Row) -> str:
    """A login without its domain, a playbook by its name."""
    return row.who.partition("@")[0].removeprefix("playbook ") or "-"


def _release(row: Row) -> str:
    if row.released_at:
        return f"after {row.released_at - row.contained_at:.0f} s"
    return "in force" if row.contained_at else "-"


def _sentences(ledger: Ledger) -> list[str]:
    numbers = ledger.numbers
    return [
        f"{numbers['alerts']} alerts became {numbers['cases']} cases ({numbers['suppressed']} suppressed); "
        f"{numbers['analyzers']} analyzer runs gave {numbers['verdicts']} verdicts.",
        f"{numbers['contained']} containments: {numbers['asked']} asked, {numbers['granted']} granted; "
        f"{numbers['refused']} refused by guardrails; {numbers['released']} released.",
        f"From the alert to the containment: {numbers['seconds_alone']:.1f} s where Propolis acted alone, "
        f"{numbers['seconds_asked']:.1f} s beside the approver's own time (medians).",
    ]


def _promises(play: Play, ledger: Ledger) -> None:
    voice = play.voice
    for promise in ledger.promises:
        mark = voice.paper.ink("seen    ", "suppressed") if promise.kept else voice.paper.ink("NOT SEEN", "act")
        voice.line(f"{mark}  {promise.text}")
    kept = sum(promise.kept for promise in ledger.promises)
    voice.line()
    voice.line(f"{kept} of {len(ledger.promises)} promises seen, in {ledger.numbers['seconds']:.0f} s.")

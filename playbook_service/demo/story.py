"""The story: parts of one Tuesday at Example Corp (`samples/README.md`), each told from what is seen.

A part returns nothing: it notes promises in the play's ledger. One that does not see what it waits for ends there, is
noted as a promise that was not kept, and the story goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from playbook_service.audit.chain import verify
from playbook_service.demo.ledger import Row
from playbook_service.demo.play import Play
from playbook_service.demo.witness import Unseen
from playbook_service.engine import arrival
from playbook_service.feedback.suppression import CLOSURES, FALSE
from playbook_service.hive.model import FINISHED_JOB
from playbook_service.playbook.responder import RESPONDERS
from propolis.duration import duration_text
from propolis.errors import PropolisError

RESPONSES = ("brute-force", "malicious-ip", "web-attack", "compromised-account", "malware-on-host", "malicious-hash")
FAST = ("malicious-ip", "web-attack")
GUESSER = "203.0.113.17"
THIEF = "203.0.113.41"
SHOCKER = "203.0.113.99"
CDN = "198.51.100.80"
SPOTTED = "203.0.113.18"
DEFACED = "web02"
_WEB_SHELL = ("1794889363.67233", "1794889369.68952")
_FIVE_SEVEN_TEN = (
    "1794881647.14228", "1794881652.15815", "1794881657.17404", "1794881662.18989", "1794881667.20572",
    "1794881672.22161", "1794881677.23750",
)  # fmt: skip
_FIVE_SEVEN_TWELVE = "1794881684.25339"
_MINUTE = 60


class Mistake(NamedTuple):
    """An address that is blocked on an analyst's word, and why it should not have been."""

    address: str
    alerts: tuple[str, ...]
    why: str


MISTAKES = {
    5: Mistake("198.51.100.10", ("1794894241.77869",), "A university's internet-wide scan, announced and harmless."),
    4: Mistake(
        "203.0.113.77",
        ("1794907210.120693", "1794907219.122839", "1794907228.124985", "1794907248.127131"),
        "A supplier's nightly job with an old password.",
    ),
}
"""By TheHive's version: 4 looks into the observables of cases only, and the scan alone is worth no case."""


class Part(NamedTuple):
    """One part: its title, and what happens."""

    title: str
    happen: Callable[[Play], None]


def observe(play: Play) -> None:
    """A fresh installation observes."""
    play.probe("FirewallBlock", GUESSER)
    play.send(play.alerts(*_FIVE_SEVEN_TEN, _FIVE_SEVEN_TWELVE))
    decision = play.witness.decision(GUESSER, "FirewallBlock", "observe")
    case = play.show_case(decision)
    evidence = play.show_evidence(decision)
    body = decision.body["decision"]
    held = (
        f"would {'block' if body['wanted'] == 'act' else 'ask about'} {GUESSER}; {decision.body['why']} holds it back"
    )
    play.voice.tell("Propolis", f"{held}; written down to be scored when the case is closed", "ask")
    play.row("brute force, first look", decision, "observed", case, evidence)
    passes = play.probe("FirewallBlock", GUESSER)
    untouched = not any(product.log() for product in play.stage.products.values())
    play.ledger.promise("observe: what would be done is on record, and nothing was done", passes and untouched)


def approve(play: Play) -> None:
    """The same attacker, and an operator who wants to be asked."""
    play.modes("approve", RESPONSES)
    play.send([play.again(_FIVE_SEVEN_TWELVE, _MINUTE)])
    decision = play.witness.decision(GUESSER, "FirewallBlock", "ask")
    row = play.row("brute force", decision, "asked", play.show_case(decision), play.show_evidence(decision))
    play.ledger.promise("approve: nothing is done before somebody said yes", play.probe("FirewallBlock", GUESSER))
    play.ask_and_grant(row, whole=True)
    dropped = not play.probe("FirewallBlock", GUESSER)
    play.ledger.promise("a granted block is in force, verified at the firewall", dropped and row.contained_at)
    play.ledger.promise("the lease names who granted it", row.who == play.people["approver"].login)
    written = play.witness.wait(
        "the note in the case", lambda: any(one.startswith("Contained:") for one in play.notes(decision.ref)) or None
    )
    play.ledger.promise("the case says what was done", written)


def account(play: Play) -> None:
    """Failures, then a success: somebody else has the password."""
    play.send(play.alerts("1794884530.40179", "1794884541.41729", "1794884552.43279", "1794884571.44829"))
    decision = play.witness.decision("backup", "AccountDisable", "ask")
    row = play.row("compromised account", decision, "asked", play.show_case(decision), play.show_evidence(decision))
    address = play.witness.decision(THIEF, "FirewallBlock", "ask")
    other = play.row("compromised account", address, "asked", row.case, play.show_evidence(address))
    before = play.probe("AccountDisable", "backup", "the account backup")
    play.ask_and_grant(row)
    play.ask_and_grant(other)
    after = play.probe("AccountDisable", "backup", "the account backup")
    play.ledger.promise("a compromised account is disabled after a grant", before and not after)
    play.ledger.promise("and the address it was used from is blocked", not play.probe("FirewallBlock", THIEF))


def host(play: Play) -> None:
    """Malware on a workstation."""
    play.send(play.alerts("1794905102.106255", "1794905120.109411"))
    decision = play.witness.decision("FIN-WS07", "IsolateHost", "ask")
    row = play.row("infected host", decision, "asked", play.show_case(decision), play.show_evidence(decision))
    before = play.probe("IsolateHost", "006", "FIN-WS07")
    play.ask_and_grant(row)
    after = play.probe("IsolateHost", "006", "FIN-WS07")
    play.ledger.promise("an infected host is isolated after a grant", before and not after)


def enforce(play: Play) -> None:
    """Strong evidence, and a mode that lets Propolis act."""
    play.modes("enforce", FAST)
    play.probe("FirewallBlock", SHOCKER)
    play.send(play.alerts("1794889215.61964", "1794889267.63575"))
    decision = play.witness.decision(SHOCKER, "FirewallBlock", "act")
    evidence = play.show_evidence(decision, most=8)
    row = play.row("malicious address", decision, "acted alone", play.show_case(decision), evidence)
    play.contained(row)
    dropped = not play.probe("FirewallBlock", SHOCKER)
    play.ledger.promise("strong evidence: blocked without asking, in seconds", dropped and row.took < 30)
    play.ledger.promise(
        "nobody was asked about it", play.witness.now(lambda work: work.get("approval", row.key)) is None
    )


def guardrail(play: Play) -> None:
    """Four families call it malicious, and still it is not blocked."""
    play.send(play.alerts("1794905275.112868"))
    decision = play.witness.decision(CDN, "FirewallBlock", "stopped")
    case, evidence = play.show_case(decision), play.show_evidence(decision)
    play.voice.tell("Propolis", f"not blocked: {decision.body['why']}", "stopped")
    row = play.row("shared infrastructure", decision, "refused", case, evidence)
    row.who = "guardrail"
    play.ledger.promise("a guardrail stops what the evidence would allow", play.probe("FirewallBlock", CDN))
    past_the_service(play, decision.ref)


def past_the_service(play: Play, case_id: str) -> None:
    """An analyst tries it in TheHive's own menu, past the service: the responder has the same guardrails."""
    analyst = play.people["analyst"]
    found = next(one for one in analyst.hive.observables(case_id) if one.data == CDN)
    analyst.start("FirewallBlock", found.id)
    play.voice.tell("analyst", f"{analyst.login} starts FirewallBlock on {CDN} from TheHive's menu")

    def ended() -> Any:
        action = analyst.newest_action(found.id)
        return action if action is not None and action.status in FINISHED_JOB else None

    action = play.witness.wait("the end of the analyst's FirewallBlock", ended)
    said = str((action.report or {}).get("errorMessage") or (action.report or {}).get("message") or "")
    play.voice.tell("Cortex", f"FirewallBlock, {action.status}: {said}", "stopped")
    refused = action.status == "Failure" and "never blocked" in said
    play.ledger.promise("and the responder refuses an analyst too", refused and play.probe("FirewallBlock", CDN))


def by_hand(play: Play) -> None:
    """What an analyst starts in TheHive's own menu is a lease from then on, too."""
    analyst, case_id = play.people["analyst"], play.witness.decision(GUESSER, "FirewallBlock", "ask").ref
    found = analyst.add(case_id, "ip", SPOTTED, "Seen in the log, a minute after the first one")
    began = play.stage.clock.now()
    analyst.start("FirewallBlock", found)
    play.voice.tell("analyst", f"{analyst.login} adds {SPOTTED} to the first case and starts FirewallBlock on it")
    record = play.witness.taken_over(SPOTTED)
    case = analyst.hive.case(case_id)
    row = Row(
        "by hand", case.number if case else 0, SPOTTED, "an analyst's eyes", "by hand", key=record.key, alert_at=began,
        decided_at=began,
    )  # fmt: skip
    play.ledger.rows.append(row)
    play.contained(row)
    dropped = not play.probe("FirewallBlock", SPOTTED)
    play.ledger.promise("what an analyst starts by hand becomes a lease too", dropped and row.who == analyst.login)


def false_positive(play: Play) -> None:
    """Blocked on an analyst's word, and then it was nothing of the kind."""
    mistake, analyst = MISTAKES[play.stage.terms.version], play.people["analyst"]
    play.send(play.alerts(*mistake.alerts))
    decision = play.witness.decision(mistake.address, "FirewallBlock", "ask")
    row = play.row("false positive", decision, "asked", play.show_case(decision), play.show_evidence(decision))
    play.ask_and_grant(row)
    play.probe("FirewallBlock", mistake.address)
    analyst.close(decision.ref, FALSE, mistake.why)
    play.voice.tell("analyst", f"{analyst.login} closes case #{row.case} as FalsePositive: {mistake.why}")
    ended = play.witness.ended(row.key)
    row.released_at, row.released_by = float(ended.body["ended_at"]), str(ended.body["ended_by"])
    play.voice.tell("Propolis", f"lease {row.key} released early: {row.released_by}")
    play.ledger.promise("a false positive is released at once", play.probe("FirewallBlock", mistake.address))
    closing = play.witness.closing(decision.ref)
    told = next(line for line in play.audited("case closed") if line["case"] == decision.ref)
    labels = list(told.get("labels") or ())
    play.voice.tell("Propolis", f"learned: {', '.join(labels)} labelled {closing.body['judgement']}")
    play.ledger.promise("and it leaves a label to learn from", f"ip {mistake.address}" in labels)


def suppression(play: Play) -> None:
    """The vulnerability scanner that the company pays for, three times a false positive: the fourth asks nobody."""
    seen = play.alerts("1794891613.70227", "1794893414.74048", "1794913212.160482")
    for document in seen:
        play.send([document])
        case_id = play.witness.wait(f"the case of alert {document['id']}", partial(_case_of, play, document))
        play.people["analyst"].close(case_id, FALSE, "Our own vulnerability scan, as every day.")
        closing = play.witness.closing(case_id)
        play.voice.tell("analyst", f"closes case #{closing.body['number']} as FalsePositive: our own scanner")
    play.voice.tell("Propolis", "three closings, by an analyst, of the same address under the same rule")
    again = {**seen[-1], "id": "1794920000.999999"}
    play.send([again])
    record = play.witness.wait("the fourth alert", lambda: _suppressed(play, again))
    hive_alert = play.people["analyst"].hive.alert(record.body["hive_id"])
    play.voice.tell("Propolis", f"suppressed, kept in TheHive as read: {record.body['suppressed']}", "suppressed")
    kept = hive_alert is not None and not hive_alert.case_id
    play.ledger.promise(f"after {CLOSURES} false positives the next is suppressed, and not dropped", kept)


def expiry(play: Play) -> None:
    """Every containment is a lease."""
    waiting = [row for row in play.ledger.rows if row.contained_at and not row.released_at]
    names = ", ".join(row.target for row in waiting)
    left = max(0.0, min((row.until for row in waiting), default=0.0) - play.stage.clock.now())
    play.voice.tell("Propolis", f"{len(waiting)} leases run out by themselves, the first in {left:.0f} s: {names}")
    for row in sorted(waiting, key=lambda one: one.until):
        left = max(0.0, row.until - play.stage.clock.now())
        ended = play.witness.ended(row.key, seconds=left + 45)
        row.released_at = float(ended.body["ended_at"])
        row.released_by = str(ended.body["ended_by"]) or "its end"
        undo = RESPONDERS[ended.body["grant"]["responder"]].undo
        report = ended.body["released"]
        own = " (the product ended it by itself)" if report.get("result") == "already_released" else ""
        play.voice.tell("Cortex", f"{undo}: {report.get('message')}{own}")
    free = play.probe("FirewallBlock", SHOCKER) and play.probe("AccountDisable", "backup", "the account backup")
    free = free and play.probe("IsolateHost", "006", "FIN-WS07")
    empty = not any(product.contained() for product in play.stage.products.values())
    play.ledger.promise(
        "every lease ended at its time, and traffic passes again", free and empty and not play.in_force()
    )


def audit(play: Play) -> None:
    """The chain, and what becomes of it when somebody writes in it."""
    lines = list(play.stage.running.journal.lines())
    sound = not verify(lines)
    play.voice.tell("Propolis", f"audit chain of {len(lines)} lines: {'sound' if sound else 'BROKEN'}")
    place = next(number for number, line in enumerate(lines) if line["action"] == "contained")
    forged = [*lines[:place], {**lines[place], "target": "203.0.113.250"}, *lines[place + 1 :]]
    findings = verify(forged)
    play.voice.tell("Propolis", f"one word changed in a copy: line {findings[0].number} {findings[0].problem}")
    play.ledger.promise("the audit chain verifies, and a changed word in it is found", sound and findings)
    changes = play.stage.shelf.changes()
    only = all(change.partition(": ")[2].lstrip("+-").startswith("mode: ") for change in changes)
    play.ledger.promise("the playbooks are those that ship, but for the word after `mode:`", changes and only)
    with play.stage.running.store.transaction() as work:
        stuck = [item.key for queue in ("step", "inbox") for item in work.buried(queue)]
    play.ledger.promise("no step of the service was set aside", not stuck)


PARTS = (
    Part("1. A night of guessing, observed: what would be done", observe),
    Part("2. The same attacker, and the operator wants to be asked", approve),
    Part("3. A stolen password: the account and the address, after a grant", account),
    Part("4. Malware on a workstation: isolated after a grant", host),
    Part("5. Strong evidence, and the operator lets Propolis act: blocked without asking", enforce),
    Part("6. Evidence is not everything: a guardrail, whoever asks", guardrail),
    Part("7. By hand: what an analyst starts in TheHive becomes a lease too", by_hand),
    Part("8. A mistake: closed as FalsePositive, released, remembered", false_positive),
    Part("9. The scanner we pay for: three false positives, and nobody is asked again", suppression),
    Part("10. Nothing is for ever: the leases run out", expiry),
    Part("11. The record", audit),
)


def perform(play: Play, parts: tuple[Part, ...] = PARTS) -> None:
    """Play the parts in order. Raises nothing that a promise can say."""
    for part in parts:
        play.voice.act(part.title)
        try:
            part.happen(play)
        except Unseen as unseen:
            play.voice.tell("demo", f"NOT SEEN: {unseen.message}", "act")
            play.ledger.promise(f"{part.title}: {unseen.message}", False)
        except PropolisError as error:
            play.voice.tell("demo", f"FAILED: {error.message}", "act")
            play.ledger.promise(f"{part.title}: {error.message}", False)


def opening(play: Play) -> None:
    """Say what stands on the stage."""
    stage = play.stage
    version = play.people["analyst"].hive.version()
    workers = len(stage.lab.cortex.workers)
    play.voice.act("The stage: everything on this machine, nothing leaves it")
    play.voice.tell(
        "TheHive", f"{version} of the lab at {stage.lab.thehive_url}; made ready: {', '.join(stage.prepared)}"
    )
    play.voice.tell("Cortex", f"at {stage.lab.cortex_url}, {workers} workers; analyzers answer from recorded reports")
    short = duration_text(stage.terms.lease)
    said = f"at {stage.url}, the playbooks that ship (all observe), the samples' policy with leases cut to {short}"
    play.voice.tell("Propolis", said)


def encore(play: Play) -> str:
    """For those who look around afterwards: one more attack, about which a question is left standing. Returns the host
    that it is about, or nothing where no question came."""
    try:
        play.send(play.alerts(*_WEB_SHELL))
        play.witness.question(play.witness.decision(DEFACED, "IsolateHost", "ask").key)
    except PropolisError as error:
        play.voice.tell("demo", f"no question is left standing: {error.message}", "act")
        return ""
    return DEFACED


def _case_of(play: Play, document: dict[str, Any]) -> str | None:
    record = play.witness.alert(document)
    return record.ref or None if record is not None else None


def _suppressed(play: Play, document: dict[str, Any]) -> Any:
    record = play.witness.alert(document)
    return record if record is not None and record.state == arrival.SUPPRESSED else None

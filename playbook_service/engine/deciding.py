"""From a verdict to what is done about it; and what all events have in common when playbooks decide.

Step `verdict:<verdict>:<alert>` `{"verdict", "alert"}`: playbooks on the verdict, with the alert it was asked for.
Where the alert is in no case and something is to be contained, it gets its case first.

`Deciding.settle` does the bookkeeping outside and returns what is to be committed: the records of `ruling`, the leases
and questions, step `notify:<...>` `{"to", "text", "case", "alert", "facts"}` for notifications, step `case:<...>` where
the case looks different now, and an audit line `books` for what was done in TheHive.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from playbook_service.engine import approval, arrival, budget, lease, ruling
from playbook_service.engine.aim import aimed
from playbook_service.engine.arrival import Known
from playbook_service.engine.books import GROUPS, Books, Kept, Objects, wanted_of
from playbook_service.engine.context import case_fields, ceiling
from playbook_service.engine.crashpoint import reached
from playbook_service.engine.markdown import code
from playbook_service.engine.placement import Place, Placement, joined
from playbook_service.engine.ruling import Asker, Considered, Ruling, Scene
from playbook_service.engine.standing import changed
from playbook_service.engine.step import Commit, Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive import limits
from playbook_service.hive.model import Case, Observable, TaskDraft
from playbook_service.judgement.guard import ACT, ASK, POLICY_KIND, STOPPED, Guard, Judged
from playbook_service.playbook import Decision, Playbooks, Target, decide
from playbook_service.playbook.decision import STEADY
from playbook_service.playbook.model import content_digest
from playbook_service.store.contract import Filter, Item, Record, Transaction
from propolis.alert import Alert
from propolis.guardrails import Policy, PolicyError

VERDICT = "verdict"
"""Kind of the records that `scoring` writes."""


class Situation(NamedTuple):
    """A scene with the things themselves. `by` names the step, the same whenever it is run again."""

    scene: Scene
    alert: Alert
    hive_alert: str
    by: str


class Deciding:
    """Decides on verdicts, and settles what playbooks decided on anything."""

    def __init__(
        self,
        tools: Tools,
        placement: Placement,
        ask: Asker | None = None,
        considered: Considered = lambda _work, _record: None,
    ):
        self._tools = tools
        self._placement = placement
        self._books = Books(tools)
        self._ruling = Ruling(tools, ask or asking(tools), considered)

    def step(self, item: Item) -> Outcome:
        """Step `verdict`."""
        with self._tools.store.transaction() as work:
            verdict = work.get(VERDICT, str(item.body["verdict"]))
            known = arrival.known(work, str(item.body["alert"]))
        if verdict is None or known is None:
            return Done()
        case = self._tools.hive.case(verdict.ref or known.case_id) if verdict.ref or known.case_id else None
        if case is not None and not case.open:
            return Done(partial(self._too_late, verdict=verdict, case=case))
        return self._decide(item, verdict, known, case)

    def _decide(self, item: Item, verdict: Record, known: Known, case: Case | None) -> Outcome:
        playbooks, policy = self._tools.playbooks(), self._tools.policy()
        seen = self._tools.hive.observable(verdict.body["observable"]["id"])
        decisions = self._asked(playbooks, policy, verdict, known, seen, case)
        placed = self._placed(known, case, decisions, policy)
        if isinstance(placed, Later):
            return placed
        if placed is not None:  # playbooks may speak of the case, which is there by now
            case = placed.case
            decisions = self._asked(playbooks, policy, verdict, known, seen, case)
        if case is not None and not case.open:
            return Done(partial(self._too_late, verdict=verdict, case=case))
        scene = self._scene(verdict, known, case, playbooks.digest)
        commit = self.settle(Situation(scene, known.alert, known.hive_id, item.key), decisions, policy)

        def finish(work: Transaction) -> None:
            if placed is not None:
                joined(work, self._tools, known, placed)
            commit(work)

        return Done(finish)

    def _asked(
        self, playbooks: Playbooks, policy: Policy, verdict: Record, known: Known, seen: Observable | None,
        case: Case | None,
    ) -> list[Decision]:  # fmt: skip
        present = self._tools.hive.observables(case.id) if case else []
        context = context_of(known.alert, verdict, seen, case, present)
        return decide(playbooks, VERDICT, context, ceiling_mode=ceiling(self._tools, policy))

    def _scene(self, verdict: Record, known: Known, case: Case | None, digest: str) -> Scene:
        lines = tuple(verdict.body["full"].get("explanation") or ())
        here = self._at_home(verdict, case)
        return Scene(VERDICT, case.id if case else "", known.key, here, verdict.key, lines, digest)

    def _placed(
        self, known: Known, case: Case | None, decisions: Sequence[Decision], policy: Policy
    ) -> Place | Later | None:
        if case is not None or not needs_case(decisions, known.alert, policy):
            return None
        return self._placement.place(known, [entry for entry in decisions if entry.verb == "case"])

    def _at_home(self, verdict: Record, case: Case | None) -> str:
        """The observable in the case: one that was looked into at the alert has another id there."""
        told = verdict.body["observable"]
        if case is None or verdict.ref == case.id:
            return str(told["id"])
        for entry in self._tools.hive.observables(case.id):
            if (entry.data_type, entry.data) == (told["dataType"], told["data"]):
                return entry.id
        return ""

    def _too_late(self, work: Transaction, verdict: Record, case: Case) -> None:
        self._tools.journal.write(
            work, "not decided", case=case.id, target=verdict.body["observable"]["data"], verdict=verdict.key,
            why=f"the case was closed as {case.resolution or 'done'} before the verdict was there",
        )  # fmt: skip

    # what all events share ------------------------------------------------------------------------------------------

    def settle(self, situation: Situation, decisions: Sequence[Decision], policy: Policy) -> Commit:
        """Keep the books, make ready what is to be contained, and return what is to be committed."""
        scene = situation.scene
        guard = Guard(policy)
        judged = [guard.judge(entry, situation.alert) for entry in decisions if entry.responder]
        kept = self._keep_books(situation, decisions, judged)
        reached("books.kept")
        entities = self._aim(scene, judged)
        if any(entities):
            reached("target.aimed")

        def commit(work: Transaction) -> None:
            for entry, entity in zip(judged, entities, strict=True):
                self._ruling.rule(work, policy, entry, scene, entity)
            self._notify(work, scene, decisions)
            self._note_books(work, scene, kept)
            if kept.case is not None:
                changed(work, kept.case, scene.alert_key)

        return commit

    def _keep_books(self, situation: Situation, decisions: Sequence[Decision], judged: Sequence[Judged]) -> Kept:
        scene = situation.scene
        wanted = wanted_of(decisions, self._tools.clock.now())
        questions = tuple(_choice(entry) for entry in judged if entry.today == "ask" and entry.decision.target is None)
        objects = Objects(scene.case_id, situation.hive_alert, scene.observable_id)
        return self._books.keep(wanted._replace(tasks=(*wanted.tasks, *questions)), objects, situation.by)

    def _aim(self, scene: Scene, judged: Sequence[Judged]) -> list[str]:
        """For each decision the observable to start the responder on; empty where nothing will be started."""
        if not scene.case_id or not any(_to_be_started(entry) for entry in judged):
            return ["" for _ in judged]
        present: list[Observable] = self._tools.hive.observables(scene.case_id)
        return [self._entity(scene, entry, present) if _to_be_started(entry) else "" for entry in judged]

    def _entity(self, scene: Scene, judged: Judged, present: Sequence[Observable]) -> str:
        target = judged.decision.target
        if target is None:
            return ""
        return aimed(self._tools.hive, scene.case_id, target, present, f"playbook {judged.decision.playbook}").id

    def _notify(self, work: Transaction, scene: Scene, decisions: Sequence[Decision]) -> None:
        for entry in decisions:
            if entry.verb == "notify":
                settings = dict(entry.settings)
                about = [scene.event, scene.case_id or scene.alert_key, scene.observable_id, list(settings["to"])]
                key = content_digest([*about, settings.get("text"), entry.evidence_digest])[:32]
                follow(
                    work, "notify", key, to=list(settings["to"]), text=settings.get("text") or "", event=scene.event,
                    case=scene.case_id, alert=scene.alert_key, facts=dict(entry.evidence), playbook=entry.playbook,
                )  # fmt: skip

    def _note_books(self, work: Transaction, scene: Scene, kept: Kept) -> None:
        if kept.done or kept.refused:
            self._tools.journal.write(
                work, "books", case=scene.case_id, event=scene.event, alert=scene.alert_key or None,
                done=list(kept.done), refused=list(kept.refused) or None,
            )  # fmt: skip

    # grants ---------------------------------------------------------------------------------------------------------

    def recheck(self, wanted: lease.Grant) -> str:
        """Why a containment that was granted may no longer be made, else empty: then it is taken from the budget."""
        try:
            policy = self._tools.policy()
        except PolicyError as error:
            return error.message
        with self._tools.store.transaction() as work:
            record = work.get(ruling.KIND, wanted.lease)
            if record is None:
                return "there is no record of the decision"
            return self._against(work, policy, record, wanted)

    def may_not_start(self, wanted: lease.Grant) -> str:
        """Why what was decided may not be started any more: mode, kill switch or guardrails; empty: it may."""
        policy = self._tools.policy()
        with self._tools.store.transaction() as work:
            record = work.get(ruling.KIND, wanted.lease)
            return "" if record is None else self._held(work, policy, record)

    def _held(self, work: Transaction, policy: Policy, record: Record) -> str:
        self._tools.switch.look(work)
        if ceiling(self._tools, policy) == "observe":
            return "the mode is observe by now, in which nothing is contained"
        held_back = policy.holds_back()
        return held_back[0] if held_back else self._forbidden(work, policy, record)

    def _against(self, work: Transaction, policy: Policy, record: Record, wanted: lease.Grant) -> str:
        held = self._held(work, policy, record)
        if held:
            return held
        if self._evidence_moved(work, record):
            return "the verdict has changed since it was asked; it is asked again where the playbooks still want it"
        other = ruling.in_force_on(work, wanted)
        if other is not None:
            return f"lease {other.key} contains it already"
        kind = POLICY_KIND[record.body["decision"]["target"]["kind"]]
        expense = budget.Expense(wanted.lease, wanted.responder, kind, wanted.case_id)
        return budget.spend(work, policy, expense, self._tools.clock.now())

    def _forbidden(self, work: Transaction, policy: Policy, record: Record) -> str:
        known = arrival.known(work, record.body["alert"]) if record.body["alert"] else None
        target = Target(**record.body["decision"]["target"])
        return Guard(policy).word(target, known.alert if known else Alert({})).stop

    def _evidence_moved(self, work: Transaction, record: Record) -> bool:
        """Does the newest verdict on the observable say something else than the one that was asked about?"""
        asked = work.get(VERDICT, record.body["verdict"]) if record.body["verdict"] else None
        if asked is None:
            return False
        about = asked.body["observable"]["id"]
        same = [one for one in work.find(VERDICT, Filter(ref=asked.ref)) if one.body["observable"]["id"] == about]
        newest = max(same, key=lambda one: float(one.body["at"]), default=asked)
        return any(newest.body["full"].get(name) != asked.body["full"].get(name) for name in STEADY)


def needs_case(decisions: Sequence[Decision], alert: Alert, policy: Policy) -> bool:
    """Does a playbook open a case, or want something contained, be it only observed? That is scored by the case."""
    guard = Guard(policy)
    return any(
        entry.verb == "case" or (entry.responder and guard.judge(entry, alert).outcome in (ACT, ASK, STOPPED))
        for entry in decisions
    )


def _to_be_started(judged: Judged) -> bool:
    return judged.today in ("act", "ask") and judged.decision.target is not None


def _choice(judged: Judged) -> TaskDraft:
    """The question which of several targets is meant. A person answers by starting the responder on it."""
    decision = judged.decision
    listed = [f"- {code(candidate)}" for candidate in decision.candidates] or ["- none was found"]
    text = "\n".join(
        (
            f"{decision.responder} needs exactly one target here, and there is none that is certain:",
            "",
            *listed,
            "",
            f"Start {decision.responder} on the right observable yourself, or complete this task to leave it.",
        )
    )
    title = limits.task_title(f"Choose a target for {decision.responder}")
    return TaskDraft(title, GROUPS["containment"], limits.description(text), flag=True)


def context_of(
    alert: Alert, verdict: Record, seen: Observable | None, case: Case | None, present: Sequence[Observable] = ()
) -> dict[str, Any]:
    """What playbooks on a verdict see."""
    told = dict(verdict.body["observable"])
    told["tags"] = list(dict.fromkeys((*told["tags"], *(seen.tags if seen else ()))))
    context = {"alert": alert.fields, "observable": told, "verdict": verdict.body["full"]}
    return context | ({"case": case_fields(case, present)} if case else {})


def asking(tools: Tools, approvers: tuple[str, ...] = (), needed: int = 1) -> Asker:
    """The usual way to ask: a task in the case (`approval`), answered by these logins, so many of them."""

    def ask(work: Transaction, record: Record) -> None:
        grant = lease.Grant(**record.body["grant"])
        valid = tools.policy().approval.valid_for
        approval.request(work, tools, approval.Ask(grant, evidence_lines(record), approvers, needed, valid))

    return ask


def evidence_lines(record: Record) -> tuple[str, ...]:
    """What a decision stands on, for people: the key numbers, then the verdict's own sentences."""
    numbers = record.body["decision"]["numbers"] or record.body["decision"]["evidence"]
    said = ", ".join(f"{name} {value}" for name, value in numbers.items())
    return tuple(line for line in (said, *record.body["lines"]) if line)

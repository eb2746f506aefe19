"""One reconcile, told from top to bottom.

resolve → prepare (fetch, render, load, validate) → observe → plan → guard → apply → verify. The result is a
value; recording it is the caller's, once. A revision that cannot be prepared, or whose changes failed, is
held back: the last good state stays, and its drift goes on being repaired.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Collection, Iterator
from typing import Final, TypeVar

from undrift import errors
from undrift.engine import (
    applying,
    briefing,
    choosing,
    describing,
    digesting,
    guarding,
    leaving,
    masking,
    offering,
    owning,
    planning,
    recovering,
    rendering,
    waiting,
)
from undrift.model import application, health, inventory, lock, plan, record, resource, source, target

_T = TypeVar("_T")
_USUAL: Final = 60.0

Subject = briefing.Subject
World = briefing.World
Exclusive = briefing.Exclusive
alone = briefing.alone


async def reconcile(subject: Subject, world: World, name: str) -> record.Reconciliation:
    """Make one application true, or say what stands in the way. Never raises but on cancellation.

    `name` identifies this reconcile in logs and history.
    """
    story = _Story(subject, world, name)
    try:
        told = await story.tell()
    except errors.UndriftError as error:
        told = story.failed(error)
    except Exception as error:  # noqa: BLE001 - a defect in one application must not stop the others
        told = story.failed(applying.defect(error))
    return await offering.offer(told, story.giver())


class _Story:
    """The state of one reconcile while it runs; lives for one call of `reconcile`."""

    def __init__(self, subject: Subject, world: World, name: str) -> None:
        self.subject = subject
        self.world = world
        self.application = subject.application
        self.owner = inventory.Owner(
            world.agent, subject.application.name, frozenset(subject.application.moved_from)
        )
        self.phase = record.Phase.RESOLVE
        self.seconds: dict[record.Phase, float] = {}
        self.noticed: tuple[errors.UndriftError, ...] = ()
        self.lost: tuple[errors.UndriftError, ...] = ()
        self.facts = target.NO_FACTS
        self.told = record.Reconciliation(
            name, subject.application.name, record.Ending.FAILED, subject.surroundings.now
        )

    async def tell(self) -> record.Reconciliation:
        revision, unresolved = await self._resolve()
        facts = await self._facts()
        kitchen = self._kitchen(facts)
        chosen = await self._choose(revision, unresolved, kitchen)
        if chosen is None:
            return self.told
        if self.subject.dry:
            return await self._carry_out(chosen, kitchen)
        shared = {*chosen.prepared.desired.resources, *self.subject.memory.inventory.entries}
        async with self.world.exclusive(shared):
            try:
                return await self._carry_out(chosen, kitchen)
            except errors.UndriftError as error:
                back = await self._refused(error, chosen, kitchen)
                if back is None:
                    raise
                return await self._carry_out(back, kitchen)

    async def _refused(
        self, error: errors.UndriftError, chosen: choosing.Candidate, kitchen: rendering.Kitchen
    ) -> choosing.Candidate | None:
        """A target that refuses a plan to be: the revision is held back, and the last good one stays true."""
        if self.phase is not record.Phase.PREVIEW or chosen.failure is not None:
            return None
        told = error.at(str(chosen.prepared.revision), chosen.prepared.revision.author)
        failure = record.Failure(self.phase, told)
        name = rendering.name_inputs(chosen.prepared.lock)
        held = choosing.hold_back(self.application, chosen.prepared.revision, name, failure)
        if held is None:
            return None
        self._tell(ending=record.Ending.FAILED, failure=failure, held_back=held)
        back = await choosing.Chooser(kitchen, self.subject.memory).fall_back(failure, held)
        same = back is not None and back.prepared.lock.inputs == chosen.prepared.lock.inputs
        return None if same else back

    async def _carry_out(
        self, chosen: choosing.Candidate, kitchen: rendering.Kitchen
    ) -> record.Reconciliation:
        """From what is to be to what is."""
        stops = tuple(
            guarding.forbidden(self.application, self.subject.surroundings, chosen.prepared.desired)
        )
        if stops:
            return self._forbidden(chosen, stops)
        situation, live = await self._situation(chosen.prepared, kitchen)
        found = await self._plan(situation)
        verdict = await self._guard(found, situation, chosen.held_back)
        self._tell(plan=found, verdict=verdict, live=live, inventory=situation.inventory)
        if self.subject.dry or not verdict.go or not found.waves:
            quiet = self._quiet(found, verdict, situation, chosen)
            return quiet if self.subject.dry else await self._keep(quiet, chosen, kitchen)
        return await self._apply(found, situation, chosen, kitchen)

    async def _keep(
        self, quiet: record.Reconciliation, chosen: choosing.Candidate, kitchen: rendering.Kitchen
    ) -> record.Reconciliation:
        """While others have their turn, what was applied last stays true, and is what health is told of."""
        stops = quiet.verdict.stops if quiet.verdict else ()
        if not any(isinstance(stop, errors.RolloutWaiting | errors.RolloutStopped) for stop in stops):
            return quiet
        back = await choosing.Chooser(kitchen, self.subject.memory).fall_back()
        if back is None or back.prepared.lock.inputs == chosen.prepared.lock.inputs:
            return quiet
        story = _Story(self.subject, self.world, f"{self.told.id}-kept")
        kept = await story.repair(back, kitchen)
        self._tell(health=kept.health)
        if kept.results:
            self._tell(results=kept.results, plan=kept.plan, applied_revision=kept.applied_revision)
        return self.told

    def _forbidden(
        self, chosen: choosing.Candidate, stops: tuple[errors.ProjectForbids, ...]
    ) -> record.Reconciliation:
        """The project stands in the way: the target is not even looked at."""
        prepared = chosen.prepared
        self._stop(stops, prepared.lock)
        self._tell(desired=prepared.desired, beside=prepared.beside, warnings=prepared.desired.warnings)
        if chosen.failure is not None:
            self._tell(ending=record.Ending.FAILED)
        return self.told

    def _stop(self, stops: tuple[errors.GuardError, ...], inputs: lock.InputLock) -> None:
        """Something stands in the way before there can be a plan."""
        owned = len(self.subject.memory.inventory.entries)
        empty = plan.Plan(self.application.name, inputs, "", owned=owned)
        verdict, ending = plan.Verdict(stops), record.Ending.WAITING
        self._tell(plan=empty, verdict=verdict, health=health.UNKNOWN, ending=ending)

    def failed(self, error: errors.UndriftError) -> record.Reconciliation:
        """The reconcile as it ended with an error in the present phase."""
        self._tell(ending=record.Ending.FAILED, failure=record.Failure(self.phase, error))
        return self.told

    async def _resolve(self) -> tuple[source.Revision | None, record.Failure | None]:
        if self.application.decommissioned:
            return self.subject.memory.last_good or source.Revision("", "decommissioned"), None
        try:
            with self._in(record.Phase.RESOLVE):
                revision = await self._timed(
                    self.world.source.resolve(), "asking the source for its revision"
                )
        except errors.UndriftError as error:
            return None, record.Failure(self.phase, error)
        self._tell(revision=revision)
        return revision, None

    async def _facts(self) -> target.Facts:
        with self._in(record.Phase.DISCOVER):
            self.facts = await self._timed(self.world.session.discover(), "asking the target for its facts")
            return self.facts

    def giver(self) -> offering.Giver:
        """Where outputs are read from."""
        world = self.world
        marks = world.provider.capabilities(world.target).marks
        return offering.Giver(self.application, self.owner, world.session, self.facts, marks)

    def _kitchen(self, facts: target.Facts) -> rendering.Kitchen:
        return rendering.Kitchen(
            application=self.application,
            config_digest=self.subject.config_digest,
            source=self.world.source,
            renderer=self.world.renderer,
            provider=self.world.provider,
            facts=facts,
            target=self.world.target,
            version=self.world.version,
            cache=self.world.cache,
            known=self.world.known,
            study=self.world.session.study,
            given={name: one.outputs for name, one in self.subject.surroundings.peers.items()},
            key=self.world.key,
        )

    async def _choose(
        self, revision: source.Revision | None, failure: record.Failure | None, kitchen: rendering.Kitchen
    ) -> choosing.Candidate | None:
        with self._in(record.Phase.RENDER):
            chooser = choosing.Chooser(
                kitchen, self.subject.memory, retry=self.subject.retry, timeout=self.world.prepare_timeout
            )
            choice = await chooser.choose(revision, failure)
        self._tell(newest=choice.newest)
        if choice.awaits:
            self._stop(choice.awaits, choice.newest or lock.InputLock())
        if choice.failure is not None:
            self._tell(ending=record.Ending.FAILED, failure=choice.failure, held_back=choice.held_back)
        return choice.candidate

    async def _situation(
        self, prepared: rendering.Prepared, kitchen: rendering.Kitchen
    ) -> tuple[plan.Situation, resource.LiveState]:
        known = self.subject.memory.inventory
        ids = {*prepared.desired.resources, *known.entries}
        ids.update(
            wanted.moved_from
            for wanted in prepared.desired.resources.values()
            if wanted.moved_from is not None
        )
        with self._in(record.Phase.OBSERVE):
            try:
                live = await self._look(ids)
                if recovering.needed(known, live, self.owner):
                    known, self.lost = await recovering.recover(
                        live.marks, self.owner, kitchen, self.world.key
                    )
                    live = await self._look({*ids, *known.entries})
            except errors.TargetError as error:
                _place(error, prepared.desired)
                raise
            live = masking.live(live, prepared.desired)
            prepared = leaving.attend(prepared, live, self.owner, self.application, self.subject.memory)
        situation = plan.Situation(
            application=self.application,
            owner=self.owner,
            lock=prepared.lock,
            desired=prepared.desired,
            live=live,
            inventory=known,
            capabilities=self.world.provider.capabilities(self.world.target),
            claims=self.subject.surroundings.claims,
            takers=self.subject.surroundings.takers,
            key=self.world.key,
            last=self.subject.memory.last_lock,
        )
        self._tell(applied_revision=prepared.revision, desired=prepared.desired, beside=prepared.beside)
        if not self.subject.dry:
            await self.world.lease.check()
            await self._timed(self.world.session.tidy(self.owner), "tidying our traces on the target")
        return await self._settled(situation), live

    async def _look(self, ids: Collection[resource.ResourceId]) -> resource.LiveState:
        look = self.world.session.observe(ids, self.owner)
        return await self._timed(look, "looking at the target", self._patience(self.world.observe_timeout))

    def _patience(self, usual: float) -> float:
        """Seconds for one look or change, longer where such a target needs it."""
        return max(usual, self.world.provider.capabilities(self.world.target).patience)

    async def _settled(self, situation: plan.Situation) -> plan.Situation:
        """The situation with the inventory that the marks on the target amount to, remembered."""
        settled = owning.settle(situation)
        if settled is self.subject.memory.inventory:
            return situation
        if not self.subject.dry:
            await self.world.database.learn(
                self.world.lease, self.application.name, tuple(settled.entries.values())
            )
        return dataclasses.replace(situation, inventory=settled)

    async def _plan(self, situation: plan.Situation) -> plan.Plan:
        with self._in(record.Phase.PREVIEW):
            previews = await self._timed(
                self.world.session.preview(situation),
                "asking the target for a preview",
                self._patience(_USUAL),
            )
        self.noticed = previews.warnings
        with self._in(record.Phase.PLAN):
            found = planning.make_plan(dataclasses.replace(situation, previews=previews))
            return await describing.described(found, self.world.session)

    async def _guard(
        self, found: plan.Plan, situation: plan.Situation, held: record.HeldBack | None
    ) -> plan.Verdict:
        with self._in(record.Phase.GUARD):
            described = self._document(found) if found.waves else {}
            considered = guarding.Considered(
                application=self.application,
                plan=found,
                desired=situation.desired,
                memory=self.subject.memory,
                surroundings=self.subject.surroundings,
                described=described,
                approved=await self._approved(found),
                held_back=held,
            )
            verdict = guarding.guard(considered)
            if found.waves and not verdict.go and not self.subject.dry:
                await self.world.database.remember_plan(found.digest, described)
            return verdict

    def _document(self, found: plan.Plan) -> dict[str, object]:
        return digesting.document(found.lock, self.application.policy, found.waves, self.world.key)

    async def _approved(self, found: plan.Plan) -> dict[str, dict[str, object]]:
        approved: dict[str, dict[str, object]] = {}
        for approval in self.subject.memory.approvals:
            if approval.digest != found.digest and found.waves:
                document = await self.world.database.plan(approval.digest)
                if document is not None:
                    approved[approval.digest] = dict(document)
        return approved

    def _quiet(
        self, found: plan.Plan, verdict: plan.Verdict, situation: plan.Situation, chosen: choosing.Candidate
    ) -> record.Reconciliation:
        """Nothing was changed: all is as declared, or a guard stopped the plan, or this was only a look."""
        judged = waiting.judge(situation.desired.resources, situation.live)
        done = verdict.go and found.empty and not found.awaited
        ending = record.Ending.IN_SYNC if done else record.Ending.WAITING
        if chosen.failure is not None:
            ending = record.Ending.FAILED
        self._tell(ending=ending, health=judged.health, warnings=self._warnings(found, situation))
        if done and chosen.failure is None and self._is_overdue(judged.health):
            late = applying.not_healthy(judged, situation.desired).at(found.lock.revision)
            self._tell(ending=record.Ending.FAILED, failure=record.Failure(record.Phase.VERIFY, late))
        return self.told

    def _is_overdue(self, found: health.Health) -> bool:
        """Whether what was changed some time ago should have become healthy by now."""
        if not self.subject.changed or found.status in (health.Status.HEALTHY, health.Status.SUSPENDED):
            return False
        since = self.subject.surroundings.now - self.subject.changed
        return since > self.application.policy.health_timeout

    def _warnings(self, found: plan.Plan, situation: plan.Situation) -> tuple[errors.UndriftError, ...]:
        kept = planning.protected(found.withheld, self.application.policy)
        awaited = planning.awaited(found.awaited, situation.takers)
        return (*situation.desired.warnings, *self.lost, *self.noticed, *kept, *awaited)

    async def _apply(
        self,
        found: plan.Plan,
        situation: plan.Situation,
        chosen: choosing.Candidate,
        kitchen: rendering.Kitchen,
    ) -> record.Reconciliation:
        with self._in(record.Phase.APPLY):
            applied = await applying.apply_plan(found, self._applier(situation, chosen.prepared))
        self._tell(
            results=applied.results,
            health=applied.health,
            live=applied.live,
            inventory=None,
            warnings=self._warnings(found, situation),
        )
        if applied.error is None:
            failed = chosen.failure is not None
            self._tell(ending=record.Ending.FAILED if failed else record.Ending.APPLIED)
            return self.told
        failure = record.Failure(_phase_of(applied.error), applied.error.at(found.lock.revision))
        held = choosing.hold_back(
            self.application, chosen.prepared.revision, rendering.name_inputs(chosen.prepared.lock), failure
        )
        self._tell(ending=record.Ending.FAILED, failure=failure, held_back=held or chosen.held_back)
        return await self._undo(chosen, kitchen, failure)

    async def _undo(
        self, chosen: choosing.Candidate, kitchen: rendering.Kitchen, failure: record.Failure
    ) -> record.Reconciliation:
        """`onFailure: rollback`: a plan of its own, with its own digest and guards, back to the last good."""
        last = self.subject.memory.last_good
        wanted = self.application.policy.on_failure is application.OnFailure.ROLLBACK
        if (
            not wanted
            or last is None
            or chosen.failure is not None
            or str(last) == str(chosen.prepared.revision)
        ):
            return self.told
        name = rendering.name_inputs(chosen.prepared.lock)
        held = choosing.blame(self.application, chosen.prepared.revision, name, failure)
        self._tell(held_back=held)
        back = await choosing.Chooser(kitchen, self.subject.memory).fall_back()
        if back is None:
            return self.told
        story = _Story(
            dataclasses.replace(self.subject, memory=await self.world.database.recall(self.application.name)),
            self.world,
            f"{self.told.id}-rollback",
        )
        undone = await story.roll_back(back, kitchen)
        ending = record.Ending.ROLLED_BACK if undone.ending is record.Ending.APPLIED else record.Ending.FAILED
        self._tell(rollback=undone, ending=ending, health=undone.health, applied_revision=last)
        return self.told

    async def repair(self, back: choosing.Candidate, kitchen: rendering.Kitchen) -> record.Reconciliation:
        """Undo drift from an earlier revision; what else there may be to do is left alone."""
        try:
            situation, live = await self._situation(back.prepared, kitchen)
            found = await self._plan(situation)
            verdict = await self._guard(found, situation, None)
        except errors.UndriftError as error:
            return self.failed(error)
        self._tell(plan=found, verdict=verdict, live=live, inventory=situation.inventory)
        if (
            not verdict.go
            or not found.waves
            or any(one.reason is not plan.Reason.DRIFT for one in found.changes)
        ):
            return self._quiet(found, verdict, situation, back)
        return await self._apply(found, situation, dataclasses.replace(back, failure=None), kitchen)

    async def roll_back(self, back: choosing.Candidate, kitchen: rendering.Kitchen) -> record.Reconciliation:
        """Reconcile to an earlier revision, once, with no rollback of its own."""
        try:
            situation, live = await self._situation(back.prepared, kitchen)
            found = await self._plan(situation)
            verdict = await self._guard(found, situation, None)
            self._tell(plan=found, verdict=verdict, live=live, inventory=situation.inventory)
            if not verdict.go:
                return self._quiet(found, verdict, situation, back)
            with self._in(record.Phase.APPLY):
                applied = await applying.apply_plan(found, self._applier(situation, back.prepared))
        except errors.UndriftError as error:
            return self.failed(error)
        self._tell(results=applied.results, health=applied.health, inventory=None)
        if applied.error is not None:
            return self.failed(applied.error)
        self._tell(ending=record.Ending.APPLIED)
        return self.told

    def _applier(self, situation: plan.Situation, prepared: rendering.Prepared) -> applying.Applier:
        return applying.Applier(
            application=self.application,
            session=self.world.session,
            ledger=self.world.database.ledger(self.application.name),
            lease=self.world.lease,
            owner=self.owner,
            desired=situation.desired,
            live=situation.live,
            revision=str(prepared.revision),
            concurrency=situation.capabilities.concurrency,
            change_timeout=self._patience(applying.CHANGE_TIMEOUT),
            observe_timeout=self._patience(self.world.observe_timeout),
            wait=not situation.capabilities.tells_health or self._may_undo(prepared),
        )

    def _may_undo(self, prepared: rendering.Prepared) -> bool:
        """Whether a change that does not become healthy would be undone: that has to be known before it is over."""
        last = self.subject.memory.last_good
        rollback = self.application.policy.on_failure is application.OnFailure.ROLLBACK
        return rollback and last is not None and str(last) != str(prepared.revision)

    async def _timed(self, work: Awaitable[_T], doing: str, seconds: float = _USUAL) -> _T:
        return await applying.within(seconds, work, doing)

    @contextlib.contextmanager
    def _in(self, phase: record.Phase) -> Iterator[None]:
        """Be in a phase, and remember how long it took."""
        clock = asyncio.get_running_loop().time
        self.phase = phase
        begun = clock()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + clock() - begun

    def _tell(self, **parts: object) -> None:
        self.told = dataclasses.replace(self.told, seconds=dict(self.seconds), **parts)  # type: ignore[arg-type]  # named fields of one class


def _place(error: errors.TargetError, desired: resource.DesiredState) -> None:
    """Tell where in Git the resource stands that an error is about."""
    declared = next((one for rid, one in desired.resources.items() if str(rid) == error.about), None)
    error.origin = error.origin or (declared.origin if declared else None)


def _phase_of(error: errors.UndriftError) -> record.Phase:
    late = isinstance(error.parts[0], (errors.VerifyFailed, errors.Unhealthy))
    return record.Phase.VERIFY if late else record.Phase.APPLY

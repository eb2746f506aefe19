"""Take a name, reconcile it, decide what next."""

from __future__ import annotations

import dataclasses
import functools
import random
import secrets

import structlog

from undrift import errors, interfaces
from undrift.agent import (
    fleet,
    handing,
    joining,
    peering,
    queue,
    recorder,
    schedule,
    scoping,
    sessions,
    tenant,
    world,
)
from undrift.engine import reconciling, settling
from undrift.model import application, record, view

_log = structlog.get_logger("undrift")
_SPARE = 100


class Worker:
    """Any number of its `run` may be under way; the queue sees to it that each application has one at most."""

    def __init__(self, shared: world.Shared, owner: fleet.Fleet) -> None:
        self._shared = shared
        self._fleet = owner
        self._handing = handing.Handing(shared)
        self._peering = peering.Peering(shared)
        self.stopping = False

    async def run(self) -> None:
        """For ever, or until `stopping` is set: then the present reconcile is finished and no other begun."""
        while not self.stopping:
            name, _ = await self._shared.queue.take()
            try:
                known = self._shared.tenants.get(name)
                if known is not None and known.lease is not None and known.memory is not None:
                    await self._work(known, known.lease, known.memory)
            finally:
                self._shared.queue.done(name)

    async def _work(self, known: tenant.Tenant, lease: interfaces.Lease, memory: record.Memory) -> None:
        self._shared.queue.reset(known.name)
        name = secrets.token_hex(4)
        with structlog.contextvars.bound_contextvars(reconcile=name):
            told = await self.reconcile(known, lease, memory, name)
            await self._settle(known, lease, memory, told)
        self._shared.heard(known, told)
        await self._next(known, told)

    async def reconcile(
        self,
        known: tenant.Tenant,
        lease: interfaces.Lease,
        memory: record.Memory,
        name: str,
        *,
        dry: bool = False,
    ) -> record.Reconciliation:
        """One reconcile of a tenant; never raises but on cancellation."""
        subject = reconciling.Subject(
            application=known.application,
            config_digest=known.digest,
            memory=memory,
            surroundings=await self._surroundings(known),
            retry=known.retry,
            dry=dry,
            changed=known.changed,
        )
        try:
            place = self._place(known.application)
            async with place.session(known.application.account) as session:
                told = await reconciling.reconcile(subject, self._world(known, place, session, lease), name)
                _unless_broken(told)
                return told
        except errors.UndriftError as error:
            return record.Reconciliation(
                name,
                known.name,
                record.Ending.FAILED,
                self._shared.clock.now(),
                failure=record.Failure(record.Phase.DISCOVER, error),
            )
        except _BrokenSession as broken:
            return broken.told

    def _place(self, subject: application.Application) -> sessions.Place:
        place = self._shared.places.get(subject.target)
        if place is None:
            raise errors.ReferenceUnknown(
                f"target {subject.target} is not served",
                origin=subject.origin,
                hint="see the errors of the configuration in `undrift doctor`",
            )
        return place

    def _world(
        self,
        known: tenant.Tenant,
        place: sessions.Place,
        session: interfaces.Session,
        lease: interfaces.Lease,
    ) -> reconciling.World:
        shared = self._shared
        poll = shared.polls.get(known.application.source.name)
        if poll is None and known.application.decommissioned:
            # Nothing of what left Git is read any more; its source may have left with it.
            poll = shared.polls.get(fleet.CONFIG)
        if poll is None:
            raise errors.ReferenceUnknown(f"source {known.application.source.name} is not open")
        while len(shared.cache) > 2 * len(shared.tenants) + _SPARE:
            shared.cache.pop(next(iter(shared.cache)))
        while len(shared.known) > 4 * len(shared.tenants) + _SPARE:
            shared.known.pop(next(iter(shared.known)))
        return reconciling.World(
            agent=shared.agent,
            source=joining.of(known, poll, shared.polls),
            renderer=shared.registry.renderer(known.application.renderer.kind),
            provider=place.provider,
            target=place.declared,
            session=session,
            database=shared.database,
            lease=lease,
            cache=shared.cache,
            known=shared.known,
            key=shared.key,
            version=shared.version,
            exclusive=functools.partial(scoping.exclusive, shared, place),
        )

    async def _surroundings(self, known: tenant.Tenant) -> view.Surroundings:
        shared, subject = self._shared, known.application
        found = shared.configuration
        projects = found.projects if found else {}
        poll = shared.polls.get(subject.source.name)
        return view.Surroundings(
            project=projects.get(subject.project, application.DEFAULT_PROJECT),
            peers=await self._peering.peers(known),
            claims=await self._handing.claims(known),
            takers=await self._handing.undecided(known),
            source_url=poll.declared.url if poll else "",
            now=shared.clock.now(),
            contested=known.heals.contested(shared.clock.now()),
            members=await self._peering.members(known),
            dependents=await self._peering.dependents(known),
        )

    async def _settle(
        self,
        known: tenant.Tenant,
        lease: interfaces.Lease,
        memory: record.Memory,
        told: record.Reconciliation,
    ) -> None:
        """Remember what the reconcile came to, in the database only where it says something new."""
        shared = self._shared
        before, known.told = known.told, told
        known.looked = shared.clock.now()
        known.retry = False
        if told.results:
            known.changed = known.looked
            known.heals.note(told, known.looked)
        known.first = before is None
        known.news = (
            before is None
            or before.ending is not told.ending
            or before.health.status is not told.health.status
            or bool(told.results)
        )
        known.flows = told.outputs is not None and told.outputs != known.outputs
        known.outputs = told.outputs or known.outputs
        told = known.told = dataclasses.replace(told, outputs=known.outputs)
        self._claim(known, told)
        if schedule.waits_for_others(told):
            shared.waiting.add(known.name)
        else:
            shared.waiting.discard(known.name)
        shared.recorder.record(known.summary, told, known.looked)
        known.summary = recorder.summarize(told)
        try:
            decide = functools.partial(settling.settle, told)
            after = decide(memory)
            changed = dataclasses.replace(after, inventory=memory.inventory) != memory
            if told.results or changed or known.memory is not memory:
                after = await shared.database.settle(lease, known.name, decide)
            known.memory = after
            await self._handing.note(known, told)
            await self._fleet.note_farewells(known, told)
        except errors.LeaseLost:
            known.lease, known.memory = None, None
        except errors.DatabaseError as error:
            _log.warning(
                "what a reconcile came to cannot be remembered", application=known.name, code=error.code
            )
            known.failures += 1
            shared.queue.put(known.name, queue.Urgency.TIMER, 5.0)

    def _claim(self, known: tenant.Tenant, told: record.Reconciliation) -> None:
        if told.desired is None:
            return
        known.beside = told.beside
        ids = frozenset(told.desired.resources)
        known.let_go = bool(known.ids - ids)
        if ids != known.ids:
            self._shared.claims.replace(known.application.target, known.name, known.ids, ids)
            known.ids = ids

    async def _next(self, known: tenant.Tenant, told: record.Reconciliation) -> None:
        """The one switch: gone, again, or later; and who waited for this one."""
        shared = self._shared
        known.failures = known.failures + 1 if told.failure is not None else 0
        async with known.finished:
            known.generation += 1
            known.finished.notify_all()
        if _gone(known, told):
            await self._fleet.forget(known.name)
            return
        if known.news or known.let_go or known.application.takes_from:
            self._wake_others(known)
        if known.flows:
            self._wake_users(known)
        for name in await self._waiting_for_turn(known):
            shared.queue.put(name, queue.Urgency.CHANGE)
        tells = self._tells_health(known.application.target)
        leaves = known.application.decommissioned
        unheard = not tells or leaves or known.heals.contested(known.looked)
        soon = told.results and told.failure is None and unheard
        chance = random.random()  # noqa: S311 - spreads load
        moment = schedule.Moment(
            known.looked,
            chance,
            tells,
            known.looked - known.changed,
        )
        pause = 1.0 if soon else schedule.next_look(known.application, told, known.failures, moment)
        shared.queue.put(known.name, queue.Urgency.TIMER, pause)

    def _tells_health(self, name: str) -> bool:
        place = self._shared.places.get(name)
        return place is not None and place.provider.capabilities(place.declared).tells_health

    def _wake_others(self, known: tenant.Tenant) -> None:
        """Those that wait for this one to be well, to let go of what they declare, or to say what it takes."""
        changed = known.let_go or (known.told is not None and bool(known.told.results))
        for other in self._waiting():
            depends = known.name in other.application.depends_on and not other.in_sync
            beside = changed and other.application.target == known.application.target
            gives = other.name in known.application.takes_from and schedule.waits_for_taker(other.told)
            if depends or gives or (beside and schedule.waits_for_owner(other.told)):
                self._shared.queue.put(other.name, queue.Urgency.CHANGE)

    def _wake_users(self, known: tenant.Tenant) -> None:
        """Those that may be rendered with what this one publishes."""
        for other in self._shared.tenants.values():
            if known.name in other.application.depends_on:
                self._shared.queue.put(other.name, queue.Urgency.CHANGE)

    async def _waiting_for_turn(self, known: tenant.Tenant) -> list[str]:
        """Those of its rollout that can go on now; asked where it may have got further."""
        told = known.told
        waits = told is not None and told.ending is record.Ending.WAITING and not known.first
        try:
            return [] if waits or not known.news else await self._peering.waiting(known)
        except errors.DatabaseError:
            return []

    def _waiting(self) -> list[tenant.Tenant]:
        """Those that wait for others, and those that are being looked at: they may be about to find out."""
        shared = self._shared
        names = shared.waiting | shared.queue.at_work
        return [one for name in names if (one := shared.tenants.get(name)) is not None]


class _BrokenSession(Exception):
    """A reconcile that ended because its session is of no use any more."""

    def __init__(self, told: record.Reconciliation) -> None:
        super().__init__()
        self.told = told


def _unless_broken(told: record.Reconciliation) -> None:
    """A target that went away leaves a session that nobody should use again."""
    if told.failure is not None and isinstance(told.failure.error, errors.TargetUnavailable):
        raise _BrokenSession(told)


def _gone(known: tenant.Tenant, told: record.Reconciliation) -> bool:
    if not known.application.decommissioned or told.plan is None or told.failure is not None:
        return False
    attended = told.desired is not None and bool(told.desired.resources)
    return told.ending is record.Ending.IN_SYNC and not told.plan.withheld and not attended

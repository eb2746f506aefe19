"""What an application is told of others: those that it depends on, and those that take a change with it.

Of one that another replica works on it is what that one wrote down last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from undrift import errors
from undrift.agent import fleet, joining, shapes, tenant, world
from undrift.engine import rendering, rolling
from undrift.model import health, lock, record, target, view


class Peering:
    """Lives as long as a worker; keeps what applications are made from until something of it changes."""

    def __init__(self, shared: world.Shared) -> None:
        self._shared = shared
        self._wanted: dict[str, tuple[object, lock.InputLock]] = {}

    async def peers(self, known: tenant.Tenant) -> dict[str, view.Peer]:
        """Those that an application depends on."""
        tenants = self._shared.tenants
        return {
            name: await self._peer(tenants[name]) for name in known.application.depends_on if name in tenants
        }

    async def _peer(self, known: tenant.Tenant) -> view.Peer:
        if known.lease is None:
            last = await self._shared.database.reconciles(known.name, 1)
            if last:
                return shapes.peer(last[0], known.application.outputs)
        return known.peer()

    async def dependents(self, known: tenant.Tenant) -> frozenset[str]:
        """Those that depend on an application that leaves: it is there until they are gone."""
        if not known.application.decommissioned:
            return frozenset()
        found = {
            name: one
            for name, one in self._shared.tenants.items()
            if known.name in one.application.depends_on
        }
        if all(one.lease is not None for one in found.values()):
            return frozenset(found)
        # Of one that another replica has seen off nothing is kept any more.
        kept = await self._shared.database.tombstones()
        return frozenset(name for name, one in found.items() if one.lease is not None or name in kept)

    async def members(self, known: tenant.Tenant) -> Mapping[str, view.Member]:
        """All applications of the same rollout, itself among them."""
        rollout = known.application.rollout
        if rollout is None or known.application.decommissioned:
            return {}
        found: dict[str, view.Member] = {}
        for name, one in sorted(self._shared.tenants.items()):
            subject = one.application
            same = subject.rollout is not None and subject.rollout.group == rollout.group
            if same and not subject.decommissioned:
                found[name] = await self._member(one)
        return found

    async def _member(self, known: tenant.Tenant) -> view.Member:
        try:
            wanted = await self._inputs(known)
        except errors.UndriftError as error:
            return view.Member(view.Standing.UNSEEN, error.what)
        return rolling.standing(await self._seen(known), wanted)

    async def _inputs(self, known: tenant.Tenant) -> lock.InputLock:
        """What an application would be made from now, but for the facts of its target."""
        shared, subject = self._shared, known.application
        poll, place = shared.polls.get(subject.source.name), shared.places.get(subject.target)
        if poll is None or place is None:
            raise errors.ReferenceUnknown(f"the source or the target of {known.name} is not open")
        revision = await poll.resolve()
        given = {name: peer.outputs for name, peer in (await self.peers(known)).items()}
        sources = sorted(fleet.sources(subject) & shared.polls.keys())
        state = (
            [str(shared.polls[name].revision) for name in sources],
            known.digest,
            given,
        )
        kept = self._wanted.get(known.name)
        if kept is None or kept[0] != state:
            kitchen = rendering.Kitchen(
                application=subject,
                config_digest=known.digest,
                source=joining.of(known, poll, shared.polls),
                renderer=shared.registry.renderer(subject.renderer.kind),
                provider=place.provider,
                facts=target.NO_FACTS,
                target=place.declared,
                version=shared.version,
                cache=shared.cache,
                known=shared.known,
                given=given,
                key=shared.key,
            )
            kept = self._wanted[known.name] = state, await rendering.inputs(revision, kitchen)
        return kept[1]

    async def _seen(self, known: tenant.Tenant) -> rolling.Seen | None:
        """What the last reconcile of an application came to."""
        if known.lease is not None:
            memory = known.memory
            return seen(known.told, memory.last_lock if memory is not None else None)
        database = self._shared.database
        last = await database.reconciles(known.name, 1)
        return remembered(last[0], (await database.recall(known.name)).last_lock) if last else None

    async def waiting(self, known: tenant.Tenant) -> list[str]:
        """Those that waited for their turn, and have it now that one of them got further."""
        rollout = known.application.rollout
        if rollout is None:
            return []
        members = await self.members(known)
        found: list[str] = []
        for name in members.keys() & self._shared.waiting:
            one = self._shared.tenants.get(name)
            stops = one.told.verdict.stops if one and one.told and one.told.verdict else ()
            waits = [
                stop for stop in stops if isinstance(stop, errors.RolloutWaiting | errors.RolloutStopped)
            ]
            if one is None or not waits:
                continue
            turn = rolling.turn(one.application, members)
            if turn is None or type(turn) is not type(waits[0]):
                found.append(name)
        return found


def seen(told: record.Reconciliation | None, good: lock.InputLock | None) -> rolling.Seen | None:
    """What a reconcile of this process came to, for others; `good` is what was applied last."""
    if told is None:
        return None
    failure = told.failure
    return rolling.Seen(
        told.newest,
        good,
        told.health,
        failure.phase if failure else None,
        failure.error.parts[0].code if failure else "",
        failure.error.what if failure else "",
        tuple(stop.code for stop in told.verdict.stops) if told.verdict else (),
    )


def remembered(document: Mapping[str, Any], good: lock.InputLock | None) -> rolling.Seen:
    """The same from what `shapes.reconciliation` made."""
    failure, how = document["failure"], document["health"]
    newest = document.get("newest")
    return rolling.Seen(
        lock.InputLock(newest) if newest is not None else None,
        good,
        health.Health(health.Status(how["status"]), how["reason"]),
        record.Phase(failure["phase"]) if failure else None,
        failure["code"] if failure else "",
        failure["what"] if failure else "",
        tuple(stop["code"] for stop in document["stops"]),
    )

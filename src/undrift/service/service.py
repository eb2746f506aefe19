"""Questions and orders. Each order is in the audit log before it takes effect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from undrift import errors, interfaces
from undrift.agent import queue, schedule, sessions, shapes, tenant, worker, world
from undrift.lib import words
from undrift.model import event, record

_LISTENER = 1000
_MOST_EVENTS = 10_000
_LONGEST_WAIT = 3600.0


class Service:
    """One agent, as people see it. `by` is who asks, as the operating system vouches for it."""

    def __init__(self, shared: world.Shared, working: worker.Worker) -> None:
        self._shared = shared
        self._worker = working

    async def agent(self) -> dict[str, Any]:
        """Who this is and what is wrong with its configuration."""
        shared = self._shared
        config = shared.polls.get("config")
        found = shared.configuration
        return {
            "name": shared.agent,
            "version": shared.version,
            "holder": shared.holder,
            "repository": shared.settings.repository,
            "path": shared.settings.path,
            "revision": shapes.revision(config.revision if config else None),
            "started": shared.started,
            "now": shared.clock.now(),
            "applications": len(shared.tenants),
            "in_sync": sum(one.in_sync for one in shared.tenants.values()),
            "errors": [shapes.error(error) for error in (found.errors if found else ())],
            "sources": [
                {
                    "name": name,
                    "url": poll.declared.url,
                    "revision": shapes.revision(poll.revision),
                    "error": shapes.error(poll.error) if poll.error else None,
                }
                for name, poll in sorted(shared.polls.items())
            ],
            "targets": [
                {"name": name, "provider": place.declared.provider, "requests": _requests(place)}
                for name, place in sorted(shared.places.items())
            ],
        }

    async def status(self) -> list[dict[str, Any]]:
        """Every application at a glance, by name; those that are declared but broken too."""
        tenants = list(self._shared.tenants.values())
        elsewhere = await self._elsewhere([one for one in tenants if one.lease is None])
        found = [{**self._glance(one), **elsewhere.get(one.name, {})} for one in tenants]
        return sorted([*found, *self._broken()], key=lambda one: str(one["name"]))

    async def _elsewhere(self, tenants: Sequence[tenant.Tenant]) -> dict[str, dict[str, Any]]:
        """Of those that another replica works on: who it is, and what it wrote down last."""
        names = [one.name for one in tenants]
        if not names:
            return {}
        holders = await self._shared.database.holders(names)
        latest = await self._shared.database.latest(sorted(holders))
        return {
            name: {"holder": holder, **(_remembered(latest[name]) if name in latest else {})}
            for name, holder in holders.items()
        }

    def _broken(self) -> list[dict[str, Any]]:
        found = self._shared.configuration
        faults = found.faults if found else {}
        return [
            {
                **_NOTHING,
                "name": name,
                "state": "failing",
                "ending": record.Ending.FAILED.value,
                "failure": {"phase": "load", **shapes.error(errors.gather(list(wrong)))},
            }
            for name, wrong in faults.items()
            if wrong and name not in self._shared.tenants
        ]

    def _glance(self, known: tenant.Tenant) -> dict[str, Any]:
        told = known.told
        memory = known.memory
        subject = known.application
        trouble = errors.gather(list(known.trouble)) if known.trouble else None
        failure = shapes.failure(told.failure) if told else None
        if failure is None and trouble is not None:
            failure = {"phase": "load", **shapes.error(trouble)}
        drifting = [change for change in _changes(told) if change.reason.value == "drift"]
        return {
            **_NOTHING,
            "name": known.name,
            "target": subject.target,
            "project": subject.project,
            "mode": subject.policy.mode.value,
            "labels": dict(subject.labels),
            "suspended": subject.suspended,
            "decommissioned": subject.decommissioned,
            "ending": told.ending.value if told else "",
            "state": _state(known, failure is not None, len(drifting), self._shared.queue.busy(known.name)),
            "in_sync": known.in_sync,
            "health": {"status": known.health.status.value, "reason": known.health.reason},
            "revision": shapes.revision(told.revision) if told else None,
            "applied_revision": shapes.revision(told.applied_revision) if told else None,
            "drift": [str(change.id) for change in drifting],
            "pending": len(told.plan.changes) if told and told.plan and not told.results else 0,
            "digest": told.plan.digest if told and told.plan and told.plan.waves else "",
            "stops": [shapes.error(stop) for stop in told.verdict.stops] if told and told.verdict else [],
            "failure": failure,
            "warnings": [shapes.error(one) for one in told.warnings] if told else [],
            "held_back": [one.revision for one in memory.held_back] if memory else [],
            "hold": _hold(memory.hold, self._shared.clock.now()) if memory else None,
            "changed": known.changed,
            "looked": known.looked,
            "owned": told.plan.owned if told and told.plan else 0,
        }

    async def application(self, name: str) -> dict[str, Any]:
        """One application: the glance, its plan as last made, its results, and recent history."""
        known = self._tenant(name)
        told = known.told
        elsewhere = await self._elsewhere([known] if known.lease is None else [])
        return {
            **self._glance(known),
            **elsewhere.get(name, {}),
            "depends_on": list(known.application.depends_on),
            "source": {
                "name": known.application.source.name,
                "path": known.application.source.path,
                "url": self._url(known),
            },
            "origin": str(known.application.origin or ""),
            "plan": shapes.planned(told.plan, told.verdict, told.warnings) if told and told.plan else None,
            "resources": _resources(told),
            "history": await self._shared.database.reconciles(name, 10),
        }

    def _url(self, known: tenant.Tenant) -> str:
        poll = self._shared.polls.get(known.application.source.name)
        return poll.declared.url if poll else ""

    async def plan(self, name: str) -> dict[str, Any]:
        """A plan made now by a fresh look; nothing is changed."""
        known = self._tenant(name)
        told = await self._look(known)
        if told.plan is None:
            raise told.failure.error if told.failure else errors.OrderError(f"{name} cannot be planned now")
        planned = shapes.planned(told.plan, told.verdict, told.warnings)
        place = self._shared.places.get(known.application.target)
        where = shapes.situated(known.application, place.declared) if place else {}
        return planned | where | {"failure": shapes.failure(told.failure)}

    async def _look(self, known: tenant.Tenant) -> record.Reconciliation:
        lease, memory = await self._held(known)
        return await self._worker.reconcile(known, lease, memory, "look", dry=True)

    async def _held(self, known: tenant.Tenant) -> tuple[interfaces.Lease, record.Memory]:
        """What one must have to work on an application. Raises `OrderError` that says who has it."""
        if known.lease is not None and known.memory is not None:
            return known.lease, known.memory
        holder = (await self._shared.database.holders([known.name])).get(known.name, "")
        raise errors.OrderError(
            f"{known.name} is not worked on by this agent now",
            why=f"{holder} works on it" if holder else "nobody does yet",
            hint="ask that agent, by its own socket" if holder else "ask again in a moment",
        )

    async def approve(self, name: str, digest: str, by: str) -> dict[str, Any]:
        """Approve a plan by its digest (or its first 8 digits and more): the present one, or one that an open pull
        request shows, which then holds once it is merged. Raises `PlanMoved`.
        """
        known = self._tenant(name)
        told = await self._look(known)
        present = told.plan.digest if told.plan is not None and told.plan.waves else ""
        given = digest.removeprefix("sha256:")
        enough = len(given) >= 8  # noqa: PLR2004 - as with Git's short names
        shown = [present, *sorted(self._shared.proposed.get(name, ()))]
        found = [one for one in shown if one and enough and one.removeprefix("sha256:").startswith(given)]
        if not found:
            raise errors.PlanMoved(
                f"{digest} is not the digest of the present plan of {name}",
                why=f"it is {present}" if present else "there is nothing to approve",
                hint=f"look at `undrift plan {name}` again" if present else "",
            )
        approved = found[0]
        now = self._shared.clock.now()
        await self._shared.audit.write("approve", by, now, {"application": name, "digest": approved})
        await self._shared.database.approve(record.Approval(name, approved, by, now))
        await self._ordered(known, "approve", by, approved)
        return {"application": name, "digest": approved, "by": by}

    async def reconcile(self, name: str, by: str, wait: float = 0.0) -> dict[str, Any]:
        """Look now; a held-back revision is tried once more. With `wait`, until it is done or time is up."""
        known = self._tenant(name)
        await self._held(known)
        poll = self._shared.polls.get(known.application.source.name)
        if poll is not None:
            poll.expect()
            await poll.ask()
        known.retry = True
        before = known.generation + (1 if self._shared.queue.busy(name) else 0)
        self._shared.recorder.tell(event.OrderGiven(name, self._shared.clock.now(), "reconcile", by, ""))
        self._shared.queue.put(name, queue.Urgency.ORDER)
        if wait:
            await self._wait(known, before, min(wait, _LONGEST_WAIT))
        return self._glance(known)

    async def _wait(self, known: tenant.Tenant, generation: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds), known.finished:
                await known.finished.wait_for(lambda: known.generation > generation)
        except TimeoutError as late:
            raise errors.OrderError(
                f"{known.name} is not done after {seconds:g} s", hint=f"see `undrift status {known.name}`"
            ) from late

    async def hold(self, name: str, seconds: float, by: str, reason: str = "") -> dict[str, Any]:
        """Suspend for `seconds`; it ends by itself."""
        if seconds <= 0:
            raise errors.UsageInvalid("a hold needs an end in the future", hint="for example --for 2h")
        known = self._tenant(name)
        now = self._shared.clock.now()
        held = record.Hold(name, now + seconds, by, reason)
        await self._shared.audit.write(
            "hold", by, now, {"application": name, "until": held.until, "reason": reason}
        )
        await self._shared.database.hold(held, name)
        await self._ordered(known, "hold", by, reason)
        self._shared.queue.put(name, queue.Urgency.TIMER, seconds)
        return {"application": name, "until": held.until, "by": by}

    async def resume(self, name: str, by: str) -> dict[str, Any]:
        """End a hold; or let an application go on after the database was lost."""
        known = self._tenant(name)
        await self._shared.audit.write("resume", by, self._shared.clock.now(), {"application": name})
        await self._shared.database.resume(name)
        await self._ordered(known, "resume", by, "")
        if known.application.suspended:
            raise errors.Suspended(
                f"{name} is suspended in Git",
                origin=known.application.origin,
                why="a hold was lifted, if there was one, but Git still says suspend",
                hint="remove `suspend: true` from the application and commit",
            )
        return {"application": name, "by": by}

    async def _ordered(self, known: tenant.Tenant, order: str, by: str, text: str) -> None:
        if known.lease is not None:
            known.memory = await self._shared.database.recall(known.name)
        now = self._shared.clock.now()
        self._shared.recorder.tell(event.OrderGiven(known.name, now, order, by, text))
        self._shared.queue.put(known.name, queue.Urgency.ORDER)

    async def history(self, name: str | None, limit: int, before: int | None) -> list[dict[str, Any]]:
        """Reconciles that did or found something, newest first."""
        if name is not None and name not in self._shared.tenants:
            found = await self._shared.database.reconciles(name, 1)
            if not found:
                self._tenant(name)
        await self._shared.recorder.flush()
        return await self._shared.database.reconciles(name, max(1, min(limit, 500)), before)

    async def events(self, name: str | None, limit: int, *, follow: bool) -> AsyncIterator[dict[str, Any]]:
        """Events in order; with `follow` those to come as well."""
        listener: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_LISTENER)
        recorder = self._shared.recorder
        if follow:
            recorder.listeners.add(listener)
        try:
            if not follow:
                await recorder.flush()
            for one in await self._shared.database.events(name, min(limit, _MOST_EVENTS)):
                yield one
            while follow:
                one = await listener.get()
                if name in (None, one["application"]):
                    yield one
        finally:
            recorder.listeners.discard(listener)

    def _tenant(self, name: str) -> tenant.Tenant:
        known = self._shared.tenants.get(name)
        if known is None:
            hint = words.suggestion(name, self._shared.tenants) or "see `undrift status`"
            raise errors.ApplicationUnknown(f"there is no application {name}", hint=hint)
        return known


def _remembered(document: Mapping[str, Any]) -> dict[str, Any]:
    """The glance at an application, as far as its newest reconcile tells."""
    failure, stops = document["failure"], document["stops"]
    in_sync = document["ending"] in (record.Ending.IN_SYNC.value, record.Ending.APPLIED.value)
    return {
        "state": "failing" if failure else "waiting" if stops else "in sync" if in_sync else "unknown",
        "in_sync": in_sync,
        **{name: document[name] for name in _KEPT},
    }


_KEPT = ("ending", "health", "revision", "applied_revision", "digest", "stops", "failure", "warnings")
_NOTHING: dict[str, Any] = {
    "name": "",
    "holder": "",
    "target": "",
    "project": "",
    "mode": "",
    "labels": {},
    "suspended": False,
    "decommissioned": False,
    "ending": "",
    "state": "unknown",
    "in_sync": False,
    "health": {"status": "Unknown", "reason": ""},
    "revision": None,
    "applied_revision": None,
    "drift": [],
    "pending": 0,
    "digest": "",
    "stops": [],
    "failure": None,
    "warnings": [],
    "held_back": [],
    "hold": None,
    "changed": 0.0,
    "looked": 0.0,
    "owned": 0,
}


def _state(known: tenant.Tenant, failing: bool, drifting: int, busy: bool) -> str:  # noqa: FBT001 - a table
    if known.told is None:
        return "reconciling" if busy else "unknown"
    if failing:
        return "failing"
    if schedule.waits_for_taker(known.told) or (known.told.verdict is not None and known.told.verdict.stops):
        return "waiting"
    if drifting and not known.told.results:
        return "drifting"
    return "in sync" if known.in_sync else "unknown"


def _changes(told: record.Reconciliation | None) -> tuple[Any, ...]:
    if told is None or told.plan is None:
        return ()
    return (*(told.plan.changes if not told.results else ()), *told.plan.withheld)


def _requests(place: sessions.Place) -> dict[str, int]:
    provider = place.provider
    return dict(provider.requests(place.declared)) if isinstance(provider, interfaces.Counter) else {}


def _hold(held: record.Hold | None, now: float) -> dict[str, Any] | None:
    if held is None or held.until <= now:
        return None
    return {"until": held.until, "by": held.by, "reason": held.reason}


def _resources(told: record.Reconciliation | None) -> list[dict[str, Any]]:
    if told is None or told.desired is None or told.live is None:
        return []
    live = told.live.resources
    return [
        {
            "id": str(rid),
            "kind": rid.kind,
            "origin": str(wanted.origin or ""),
            "health": live[rid].health.status.value if rid in live else "Missing",
            "reason": live[rid].health.reason if rid in live else "does not exist",
        }
        for rid, wanted in told.desired.resources.items()
    ]

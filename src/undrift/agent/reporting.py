"""Telling CI how applications do, where it can read it without reaching any target: on a ref of the agent's own in the
repository that they come from, with one file an application (`model.report`).

What a reconcile came to is noted at once and costs nothing; writing is done aside (`desk`), only when it is news for
CI, and now and then as a sign of life. Whatever fails here is told once, and disturbs nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from undrift import errors
from undrift.agent import desk, shapes, tenant, world
from undrift.engine import settling
from undrift.model import agent, health, record, source
from undrift.sources import connecting

_log = structlog.get_logger("undrift")
_TURN: Final = 1.0
_LONGEST: Final = 1000
_TARGET: Final = frozenset({record.Phase.DISCOVER, record.Phase.OBSERVE, record.Phase.PREVIEW})
_GIT: Final = frozenset({record.Phase.RESOLVE, record.Phase.FETCH})


def look(known: tenant.Tenant, told: record.Reconciliation) -> desk.Look:
    """What a reconcile says to CI."""
    good = told.failure is None and told.ending in (record.Ending.IN_SYNC, record.Ending.APPLIED)
    last = known.memory.last_good if known.memory is not None else None
    return desk.Look(
        known.application.source.name,
        known.application.source.path,
        told.applied_revision if good else last,
        told.revision,
        _health(told),
        told.ending.value,
        _reason(told),
        known.looked,
        known.application.interval,
        known.lease.epoch if known.lease is not None else 0,
    )


def _health(told: record.Reconciliation) -> health.Status | None:
    """That Git is away says nothing of the target; that the target cannot be looked at does."""
    if told.live is None:
        unseen = told.failure is not None and told.failure.phase in _TARGET
        return health.Status.UNKNOWN if unseen else None
    if told.failure is not None and told.failure.phase in _GIT:
        return told.health.status
    return settling.health_of(told).status


def _reason(told: record.Reconciliation) -> str:
    """What is wrong, and what next."""
    found: list[errors.UndriftError] = [told.failure.error] if told.failure is not None else []
    if not found and told.verdict is not None:
        found = list(told.verdict.stops)
    said = [f"{one}; {one.hint}" if one.hint else str(one) for one in found]
    if not said and told.health.status is not health.Status.HEALTHY:
        said = [told.health.reason]
    return "\n".join(said)[:_LONGEST]


class Reporting:
    """Writes reports where the agent's document says so."""

    def __init__(self, shared: world.Shared) -> None:
        self._shared = shared
        self._web = connecting.Web()
        self._desks: dict[str, desk.Desk] = {}
        self._unknown: set[str] = set()

    def note(self, known: tenant.Tenant, told: record.Reconciliation) -> None:
        """A reconcile has ended. Never raises and never waits."""
        poll = self._shared.polls.get(known.application.source.name)
        if poll is None or known.application.decommissioned:
            return
        for one in self._desks.values():
            if one.takes(poll):
                one.note(known.name, look(known, told))

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                await asyncio.sleep(_TURN)
                await self._furnish()
                for one in list(self._desks.values()):
                    await one.turn()
                    await one.mark()
        finally:
            await self._close(self._desks)
            await self._web.close()

    async def _furnish(self) -> None:
        """A desk for each repository that is declared to get reports; one whose declaration changed is made anew."""
        found = self._shared.configuration
        declared = found.agents.get(self._shared.agent) if found else None
        wanted: dict[str, desk.Desk] = {}
        for one in declared.reports if declared else ():
            made = self._desk(one)
            if made is not None:
                wanted.setdefault(desk.repository(made.declared), made)
        gone = {name: one for name, one in self._desks.items() if wanted.get(name) is not one}
        self._desks = wanted
        await self._close(gone)

    def _desk(self, declared: agent.Reporting) -> desk.Desk | None:
        poll = self._shared.polls.get(declared.name)
        if poll is None or poll.declared.kind is not source.SourceKind.GIT:
            if declared.name not in self._unknown:
                self._unknown.add(declared.name)
                self._tell_unknown(declared)
            return None
        self._unknown.discard(declared.name)
        kept = self._desks.get(desk.repository(poll.declared))
        if kept is not None and (kept.row, kept.declared) == (declared, poll.declared):
            return kept
        made = desk.Desk(self._shared, declared, poll.declared, self._web)
        for known in self._shared.tenants.values():
            other = self._shared.polls.get(known.application.source.name)
            if known.told is not None and known.lease is not None and other is not None and made.takes(other):
                made.note(known.name, look(known, known.told))
        return made

    def _tell_unknown(self, declared: agent.Reporting) -> None:
        error = errors.ReferenceUnknown(
            f"reports cannot go to the repository of {declared.name}",
            origin=declared.origin,
            why="no application that this agent serves has a Git source of that name",
            hint="correct spec.reports of the Agent",
        )
        _log.warning("reports", **shapes.error(error))

    async def _close(self, desks: Mapping[str, desk.Desk]) -> None:
        for one in desks.values():
            await one.close()

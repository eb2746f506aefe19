"""Keeping the right to work: leases are taken for our share of the applications, renewed, and given back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from undrift import errors
from undrift.agent import queue, recorder, sharing, world
from undrift.model import inventory, record

_log = structlog.get_logger("undrift")
SECONDS = 30.0


class Leasing:
    """Renews at a third of the time; whoever cannot renew stops working before the lease runs out."""

    def __init__(self, shared: world.Shared, seconds: float = SECONDS) -> None:
        self._shared = shared
        self._seconds = seconds
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There are new applications: do not wait for the next turn."""
        self._wake.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.turn()
            except errors.DatabaseError as error:
                _log.warning("leases cannot be renewed", code=error.code, error=str(error))
            try:
                async with asyncio.timeout(self._seconds / 3):
                    await self._wake.wait()
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    async def turn(self) -> None:
        """Renew what we hold, give back what is another's share, take what is ours and free."""
        shared = self._shared
        held = await shared.database.renew(shared.holder, self._seconds)
        for name, known in shared.tenants.items():
            if known.lease is not None and name not in held:
                _log.warning("lease lost", application=name)
                known.lease, known.memory = None, None
        holders = await shared.database.live_holders()
        shared.alone = holders <= {shared.holder}
        mine = sharing.share(shared.tenants, shared.holder, holders)
        await self._give_back(frozenset(name for name in held - mine if not name.startswith(world.SCOPE)))
        await self._take({name for name in mine if shared.tenants[name].lease is None})

    async def _give_back(self, names: frozenset[str]) -> None:
        idle = [name for name in names if not self._shared.queue.busy(name)]
        if not idle:
            return
        for name in idle:
            known = self._shared.tenants.get(name)
            if known is not None:
                known.lease, known.memory = None, None
        await self._shared.database.release(self._shared.holder, idle)

    async def _take(self, names: set[str]) -> None:
        shared = self._shared
        if not names:
            return
        leases = await shared.database.acquire(names, shared.holder, self._seconds)
        await self._rename(names & leases.keys())
        for name, lease in leases.items():
            if name in shared.tenants:
                shared.tenants[name].lease = lease
        many = await shared.database.recall_all() if len(leases) > 1 else None
        latest = await shared.database.latest(sorted(leases))
        for name in leases:
            known = shared.tenants.get(name)
            if known is not None:
                known.summary = recorder.remembered(latest[name]) if name in latest else None
                known.memory = await shared.database.recall(name) if many is None else _of(many, name)
                shared.queue.put(name, queue.Urgency.CHANGE)

    async def _rename(self, names: set[str]) -> None:
        """Memory of applications that say `movedFrom` comes along."""
        shared = self._shared
        for name in names:
            for old in shared.tenants[name].application.moved_from:
                if old in shared.tenants:
                    continue
                lease = (await shared.database.acquire([name], shared.holder, self._seconds)).get(name)
                if lease is not None and await shared.database.rename(lease, old, name):
                    _log.info("application moved", application=name, moved_from=old)


def _of(memories: Mapping[str, record.Memory], name: str) -> record.Memory:
    """One that was never seen is not resumed: it may have lost its database."""
    return memories.get(name) or record.Memory(inventory.Inventory(name), resumed=False)

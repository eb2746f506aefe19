"""Hearing of values that another replica's applications publish: who uses them is looked at when they change."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Final

import structlog

from undrift import errors
from undrift.agent import queue, shapes, world
from undrift.lib import canonical

_log = structlog.get_logger("undrift")
_PAUSE: Final = 5.0


class Hearing:
    """Asks the database now and then, where more than one agent works on it."""

    def __init__(self, shared: world.Shared) -> None:
        self._shared = shared
        self._known: dict[str, str] = {}

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(_PAUSE)
            if self._shared.alone:
                self._known.clear()
                continue
            try:
                await self.turn()
            except errors.DatabaseError as error:
                _log.warning("outputs of other replicas cannot be read", code=error.code, error=str(error))

    async def turn(self) -> None:
        """Look once; what is seen for the first time is no news."""
        for giver, users in self._givers().items():
            last = await self._shared.database.reconciles(giver, 1)
            if not last:
                continue
            peer = shapes.peer(last[0], self._shared.tenants[giver].application.outputs)
            found = canonical.digest(dict(peer.outputs.values))
            if self._known.setdefault(giver, found) != found:
                self._known[giver] = found
                for name in users:
                    self._shared.queue.put(name, queue.Urgency.CHANGE)

    def _givers(self) -> dict[str, list[str]]:
        """Applications of other replicas that publish something, and ours that depend on them."""
        found: dict[str, list[str]] = defaultdict(list)
        tenants = self._shared.tenants
        for name, known in tenants.items():
            for below in known.application.depends_on if known.lease is not None else ():
                giver = tenants.get(below)
                if giver is not None and giver.lease is None and giver.application.outputs:
                    found[below].append(name)
        return found

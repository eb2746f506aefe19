"""Handing over: what an application no longer declares stays until it is known whether another takes it.

Whoever says `takesFrom` is asked first. An application whose present files were not rendered yet (it has its turn
later, it is broken, or another replica works on it) may want anything that the giver lets go of.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from undrift.agent import tenant, world
from undrift.lib import canonical
from undrift.model import inventory, record


class Handing:
    """Knows what takers declare: those of this replica by their last reconcile, others by the database."""

    def __init__(self, shared: world.Shared) -> None:
        self._shared = shared

    async def undecided(self, giver: tenant.Tenant) -> frozenset[str]:
        """Applications that take from `giver`, and of which nobody knows yet what they declare now."""
        return frozenset([one.name for one in self._takers(giver) if not await self._is_decided(one)])

    async def claims(self, giver: tenant.Tenant) -> inventory.Claims:
        """What all others declare on the target of `giver`."""
        target, name = giver.application.target, giver.name
        here = self._shared.claims.others(target, name)
        if all(one.lease is not None for one in self._takers(giver)):
            return here
        elsewhere = await self._shared.database.claims(name, target)
        return collections.ChainMap(dict(elsewhere), dict(here))

    async def note(self, taker: tenant.Tenant, told: record.Reconciliation) -> None:
        """Write down for other replicas what a taker declares, and from what that was rendered."""
        if not taker.application.takes_from or told.plan is None:
            return
        inputs = told.plan.lock.inputs
        rendered = _name(inputs.get("config", ""), inputs.get("source", ""))
        if rendered != taker.rendered:
            await self._shared.database.claim(taker.name, taker.application.target, taker.ids)
            await self._shared.database.see(_key(taker), rendered)
            taker.rendered = rendered

    def _takers(self, giver: tenant.Tenant) -> Iterator[tenant.Tenant]:
        for name in self._shared.takers.get(giver.name, ()):
            one = self._shared.tenants.get(name)
            if one is not None and one.application.target == giver.application.target:
                yield one

    async def _is_decided(self, taker: tenant.Tenant) -> bool:
        present = await self._present(taker)
        if taker.lease is None:
            return await self._shared.database.seen(_key(taker)) == present
        return taker.rendered == present

    async def _present(self, taker: tenant.Tenant) -> str:
        """A name for what `taker` would be rendered from now."""
        poll = self._shared.polls.get(taker.application.source.name)
        if poll is None or poll.revision is None:
            return ""
        path = taker.application.source.path
        return _name(taker.digest, (await poll.digests(poll.revision, [path])).get(path, ""))


def _key(taker: tenant.Tenant) -> str:
    return f"rendered/{taker.name}"


def _name(config: str, files: str) -> str:
    return canonical.digest([config, files]) if files else "nothing"

"""What on a target only one application may work on at a time: a zone, a package database, a file of many blocks.

A provider names such scopes. In this process they are locks; where other agents share the database they are
leases beside, which run out like those of applications when their holder dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Collection

from undrift import errors
from undrift.agent import leasing, sessions, world
from undrift.model import resource

_PATIENCE = 120.0
_PAUSE = (0.1, 0.4)


@contextlib.asynccontextmanager
async def exclusive(
    shared: world.Shared, place: sessions.Place, ids: Collection[resource.ResourceId]
) -> AsyncIterator[None]:
    """Nobody else is at work in the scopes of `ids` for the time of a block. Raises `TargetBusy`."""
    scopes = place.provider.scopes(place.declared, ids)
    async with place.scopes(scopes), _leased(shared, place.declared.name, scopes):
        yield


@contextlib.asynccontextmanager
async def _leased(shared: world.Shared, target: str, scopes: Collection[str]) -> AsyncIterator[None]:
    if shared.alone or not scopes:
        yield
        return
    names = {f"{world.SCOPE}{target}:{scope}" for scope in scopes}
    await _take(shared, names, target)
    try:
        yield
    finally:
        # What cannot be given back runs out.
        with contextlib.suppress(errors.DatabaseError):
            await shared.database.release(shared.holder, names)


async def _take(shared: world.Shared, names: Collection[str], target: str) -> None:
    """All of them or none: who waits holds nothing that another one waits for."""
    clock = asyncio.get_running_loop().time
    end = clock() + _PATIENCE
    while True:
        found = await shared.database.acquire(names, shared.holder, leasing.SECONDS)
        if len(found) == len(names):
            return
        await shared.database.release(shared.holder, found.keys())
        if clock() >= end:
            raise errors.TargetBusy(
                f"another application is at work on {target}",
                why=f"what both share was not free for {_PATIENCE:g} s",
                hint="nothing to do: it is tried again",
            )
        await asyncio.sleep(random.uniform(*_PAUSE))  # noqa: S311 - spreads load

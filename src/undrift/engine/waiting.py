"""Looking again until healthy or out of time. Durations come from the event loop, so tests turn the clock."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from undrift.model import health, resource

WELL: Final = (health.Status.HEALTHY, health.Status.SUSPENDED)
"""Nobody waits for what is suspended: that is how it should be."""
_Observe = Callable[[Collection[resource.ResourceId]], Awaitable[resource.LiveState]]
_Wanted = Mapping[resource.ResourceId, resource.Resource]


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and how often to look, in seconds: quickly at first, then less and less often."""

    timeout: float
    first: float = 0.1
    cap: float = 5.0
    factor: float = 1.6


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """The last look, the health of the whole and which resource is the worst."""

    live: resource.LiveState
    health: health.Health
    worst: resource.ResourceId | None = None
    timed_out: bool = False


async def until_healthy(
    wanted: _Wanted, seen: resource.LiveState, observe: _Observe, patience: Patience
) -> Settled:
    """Look until all of `wanted` are Healthy or Suspended, or the time is up. Raises what `observe` raises.

    `seen` is a look that was just made; when it says that all is well there is no other.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + patience.timeout
    pause = patience.first
    settled = judge(wanted, seen)
    while settled.health.status not in WELL:
        if loop.time() + pause >= end:
            return dataclasses.replace(settled, timed_out=True)
        await asyncio.sleep(pause)
        pause = min(pause * patience.factor, patience.cap)
        settled = judge(wanted, await observe(wanted))
    return settled


def judge(wanted: _Wanted, live: resource.LiveState) -> Settled:
    """The health of what is wanted in one look: that of the worst, and where in Git its cause is said to be."""
    single = {rid: _of(one, live) for rid, one in wanted.items()}
    status = health.worst(single.values()).status
    worst = next((rid for rid, one in single.items() if one.status is status), None)
    whole = single[worst] if worst is not None else health.HEALTHY
    if worst is not None and whole.field:
        whole = dataclasses.replace(whole, reason=f"{whole.reason} ({wanted[worst].place(whole.field)})")
    return Settled(live, whole, worst)


def _of(one: resource.Resource, live: resource.LiveState) -> health.Health:
    found = live.resources.get(one.id)
    if found is not None:
        return found.health
    return health.HEALTHY if one.vanishes else health.MISSING

"""Hints that a zone changed: its serial is asked for again and again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

from undrift.model import resource
from undrift.providers.dns import opening

_JITTER: Final = 0.1


async def watch(place: opening.Opened) -> AsyncIterator[frozenset[resource.ResourceId]]:
    """See `interfaces.Session`. Raises what asking raises."""
    while True:
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load
        await asyncio.sleep(place.settings.interval * spread)
        for zone in place.watched():
            known = place.seen(zone)
            serial = await asyncio.to_thread(place.server.serial, zone)
            if known is not None and known.serial != serial:
                yield frozenset()
                break

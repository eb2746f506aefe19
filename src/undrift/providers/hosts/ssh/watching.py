"""Hints that something changed on a host: told at once by `inotifywait` where there is one, else found by looking now and then.

A look is one command that digests everything that bears a mark; its digest alone comes back while nothing moved.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

from undrift.model import resource
from undrift.providers.hosts import kinds, shaping, transport
from undrift.providers.hosts.ssh import keeping
from undrift.providers.hosts.ssh import transport as ssh_transport

_INTERVAL: Final = 60.0
_JITTER: Final = 0.2
Hint = frozenset[resource.ResourceId]


async def watch(host: ssh_transport.SshTransport, marked: keeping.FarShelf) -> AsyncIterator[Hint]:
    """Hints, for ever. Raises `TargetError`s where the host is away."""
    before: dict[resource.ResourceId, transport.Seen | None] = {}
    while True:
        await asyncio.sleep(_INTERVAL * (1 - _JITTER + 2 * _JITTER * random.random()))  # noqa: S311 - spreads looks
        ids = [rid for rid in marked.every() if kinds.path_of(rid)]
        needs: dict[str, transport.Need] = {}
        for rid in ids:
            path = kinds.path_of(rid)
            needs[path] = needs.get(path, transport.Need.NOTHING) | shaping.need(rid)
        seen = await host.look(needs)
        now = {rid: seen.get(kinds.path_of(rid)) for rid in ids}
        moved = frozenset(rid for rid in ids if rid in before and before[rid] != now[rid])
        before = now
        if moved:
            yield moved

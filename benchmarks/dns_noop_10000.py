"""A look at a zone of 10,000 records that nobody touched: observe and preview, beside one query for the serial."""

from __future__ import annotations

import asyncio
import time

import dns.message
import dns.query

from benchmarks import zones
from tests.integration.dns.world import World


async def noop(world: World) -> None:
    """Observe and preview, beside one serial asked for by itself."""
    situation = await zones.seen(world)
    session = await world.session()

    async def look() -> None:
        live = await session.observe(situation.desired.resources, zones.OWNER)
        found = await session.preview(situation if live.resources is situation.live.resources else None)  # type: ignore[arg-type]  # never None
        assert found.native == ()

    query = dns.message.make_query(zones.ZONE, "SOA")

    async def serial() -> None:
        dns.query.udp(query, "127.0.0.1", 5, world.server.port)

    ours, floor = await zones.median(look, 50), await zones.median(serial, 50)
    begun = time.perf_counter()
    await world.reconcile()
    print(f"observe and preview {ours * 1000:.2f} ms, one serial {floor * 1000:.2f} ms")
    print(f"a whole reconcile that changes nothing {(time.perf_counter() - begun) * 1000:.0f} ms")
    zones.tell("dns-noop-10000", ours * 1000, "ms", floor * 1000)


async def main() -> None:
    async with zones.applied() as world:
        await noop(world)


if __name__ == "__main__":
    asyncio.run(main())

"""Two records of 10,000 changed: sent, looked at again, and asked for; all that comes after the plan.

The floor is one update message sent by hand.
"""

from __future__ import annotations

import asyncio
import statistics
import time

from benchmarks import zones
from tests.integration.dns.world import World
from undrift.model import record


async def change(world: World) -> None:
    """Two records of 10,000: from the plan to having looked again and asked the name server."""
    took: list[float] = []
    for index in range(5):
        world.commit({"big.test.yaml": zones.text(f"10.7.7.{index}").replace("h6:", f"g{index}:")})
        told = await world.reconcile()
        assert told.ending is record.Ending.APPLIED, told.failure
        took.append(told.seconds[record.Phase.APPLY])
        world.commit({"big.test.yaml": zones.text()})
        await world.reconcile()
    floor: list[float] = []
    for index in range(5):
        begun = time.perf_counter()
        await asyncio.to_thread(
            world.server.update,
            zones.ZONE,
            ("replace", "h7", "300", "A", f"10.8.8.{index}"),
            ("delete", "h8", "A"),
        )
        floor.append(time.perf_counter() - begun)
    print("apply, look again, ask the name server: " + ", ".join(f"{one * 1000:.0f} ms" for one in took))
    zones.tell("dns-change-2", statistics.median(took) * 1000, "ms", statistics.median(floor) * 1000)


async def main() -> None:
    async with zones.applied() as world:
        await change(world)


if __name__ == "__main__":
    asyncio.run(main())

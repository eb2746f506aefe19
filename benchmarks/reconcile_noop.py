"""reconcile-noop: what a reconcile that finds nothing to do costs beyond its provider's own look.

The floor is that look alone. Everything else is the real engine: resolve, inputs, facts, cache, observe,
ownership, plan, guard and the returned value.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks import figures
from undrift import interfaces
from undrift.engine import reconciling, rendering
from undrift.model import application, inventory, resource, target, view
from undrift.testing import fakes, memory

ROUNDS = 2000
RESOURCES = 10


def _world(
    place: fakes.FakeTarget,
    origin: fakes.FakeSource,
    lease: interfaces.Lease,
    database: memory.MemoryDatabase,
) -> reconciling.World:
    cache: rendering.Cache = {}
    return reconciling.World(
        agent="agent",
        source=origin,
        renderer=fakes.FakeRenderer(origin),
        provider=fakes.FakeProvider(place),
        target=target.Target("place", "fake"),
        session=fakes.FakeSession(place),
        database=database,
        lease=lease,
        cache=cache,
        key=b"k" * 32,
        version="1",
    )


async def measure() -> tuple[float, float]:
    """Milliseconds of one look and of one reconcile."""
    place, origin, database = fakes.FakeTarget(), fakes.FakeSource(), memory.MemoryDatabase()
    wanted = [
        resource.Resource(resource.ResourceId.of("File", str(n)), {"digest": n}) for n in range(RESOURCES)
    ]
    origin.commit(*wanted)
    lease = (await database.acquire(["site"], "agent", 60))["site"]
    world = _world(place, origin, lease, database)
    declared = application.Application("site", application.SourceReference("config"), "place")

    async def once() -> None:
        subject = reconciling.Subject(
            application=declared,
            config_digest="1",
            memory=await database.recall("site"),
            surroundings=view.Surroundings(),
        )
        told = await reconciling.reconcile(subject, world, "r")
        if told.failure is not None:
            raise SystemExit(told.failure)

    await once()
    await once()
    ids, owner = [one.id for one in wanted], inventory.Owner("agent", "site")
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        await world.session.observe(ids, owner)
    look = time.perf_counter() - begun
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        await once()
    return look / ROUNDS * 1000, (time.perf_counter() - begun) / ROUNDS * 1000


def main() -> None:
    """Print the reconcile beside the look."""
    look, whole = asyncio.run(measure())
    print(f"one look {look:.3f} ms, one reconcile {whole:.3f} ms, beyond the look {whole - look:.3f} ms")
    figures.tell("reconcile-noop", whole - look, "ms", look)


if __name__ == "__main__":
    main()

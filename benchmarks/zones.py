"""A zone of 10,000 records on BIND, started here, and how its benchmarks measure: medians, in turns with a peer."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import pathlib
import statistics
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests import nameservers
from tests.integration.dns.world import World
from undrift.engine import planning
from undrift.model import inventory, plan, record, resource

COUNT = 10_000
ZONE = "big.test."
OWNER = inventory.Owner("agent", "web")


def text(second: str = "10.0.0.5") -> str:
    """The zone as octoDNS' YAML."""
    rows = [
        f"h{index}: {{type: A, ttl: 300, value: 10.0.{index >> 8}.{index & 255}}}" for index in range(COUNT)
    ]
    rows[5] = f"h5: {{type: A, ttl: 300, value: {second}}}"
    return "\n".join(rows) + "\n"


@contextlib.asynccontextmanager
async def applied() -> AsyncIterator[World]:
    """BIND, and a zone of 10,000 records that an application applied."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore", DeprecationWarning)
    with (
        tempfile.TemporaryDirectory() as folder,
        nameservers.bind(pathlib.Path(folder), "big.test") as server,
    ):
        world = World(server)
        world.commit({"big.test.yaml": text()})
        told = await world.reconcile()
        assert told.ending is record.Ending.APPLIED, told.failure
        yield world


async def seen(world: World) -> plan.Situation:
    """The situation of a reconcile in which nothing is to be done."""
    session = await world.session()
    kept: list[plan.Situation] = []
    real = session.preview

    async def preview(situation: plan.Situation) -> plan.Previews:
        kept.append(situation)
        return await real(situation)

    session.preview = preview  # type: ignore[method-assign]  # to listen in
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC
    session.preview = real  # type: ignore[method-assign]  # to listen in
    live = await session.observe(kept[0].desired.resources, OWNER)
    found = within(kept[0], live)
    assert not planning.make_plan(within(found, live)).waves
    await session.preview(found)
    return found


def within(situation: plan.Situation, live: resource.LiveState) -> plan.Situation:
    return dataclasses.replace(situation, live=live, previews=plan.Previews(native=()))


async def median(work: Callable[[], Awaitable[None]], count: int) -> float:
    """Seconds."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        await work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def alternately(
    one: Callable[[], Awaitable[None]], other: Callable[[], Awaitable[None]], count: int
) -> tuple[float, float]:
    """Medians of both, run in turns: load on the machine meets both."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        for into, work in zip(took, (one, other), strict=True):
            into.append(await median(work, 1))
    return statistics.median(took[0]), statistics.median(took[1])


def tell(name: str, value: float, unit: str, floor: float) -> None:
    """The last line."""
    found: dict[str, Any] = {"name": name, "value": round(value, 3), "unit": unit}
    print(json.dumps({**found, "floor": round(floor, 3), "ratio": round(value / floor, 2)}))

"""Parts of a control plane that go away: nothing is taken for gone, nothing is forgotten, and all goes on after."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import record
from undrift.testing import control_plane


@pytest.fixture(autouse=True)
async def whole(world: worlds.World) -> AsyncIterator[None]:
    """Who comes after finds controllers that are back, too: they wait longer and longer before they try again."""
    yield
    await asyncio.to_thread(world.plane.wait_ready)
    await asyncio.to_thread(world.plane.wait_working)


def hang(piece: control_plane.Piece) -> None:
    piece.signal(signal.SIGSTOP)


def go_on(piece: control_plane.Piece) -> None:
    piece.signal(signal.SIGCONT)


@pytest.mark.parametrize(
    "down, up",
    [(hang, go_on), (control_plane.Piece.stop, control_plane.Piece.start)],
    ids=["hangs", "is killed"],
)
async def test_etcd_is_away(
    world: worlds.World,
    down: Callable[[control_plane.Piece], None],
    up: Callable[[control_plane.Piece], None],
) -> None:
    """A look is refused, never taken for absence; afterwards all goes on."""
    world.commit(world.config_map(x="1"))
    await world.reconcile()
    down(world.plane.pieces["etcd"])
    try:
        world.commit(world.config_map(x="2"), world.config_map("b", x="1"))
        told = await world.reconcile()
    finally:
        up(world.plane.pieces["etcd"])
    assert told.failure is not None
    assert errors.waiting_helps(told.failure.error)

    async with asyncio.timeout(60):
        while (await asyncio.to_thread(there, world, "configmaps/b") or {}).get("data") != {"x": "1"}:
            await world.close()
            with contextlib.suppress(errors.TargetUnavailable):
                await world.reconcile()
            await asyncio.sleep(0.5)
    assert world.get("configmaps/a")["data"] == {"x": "2"}


def there(world: worlds.World, path: str) -> Any:
    """What is at a path; None while nobody can say."""
    with contextlib.suppress(OSError):
        return world.get(path)
    return None


async def test_an_api_server_that_is_killed_between_two_applies(world: worlds.World) -> None:
    """Nothing that was made is forgotten, nothing of others is touched, and the rest follows."""
    names = [f"m{number}" for number in range(400)]
    theirs = {"metadata": {"name": "theirs"}, "data": {"x": "theirs"}}
    world.plane.request("POST", f"/api/v1/namespaces/{world.namespace}/configmaps", theirs)
    world.commit(*(world.config_map(name, x="1") for name in names))
    await world.connect()
    running = asyncio.create_task(world.reconcile())
    async with asyncio.timeout(20):
        while True:
            if len((await asyncio.to_thread(world.get, "configmaps"))["items"]) > 40:
                break
            await asyncio.sleep(0.01)
    await asyncio.to_thread(world.plane.api_server.stop)
    cut = await running
    await asyncio.to_thread(world.plane.api_server.start)
    await asyncio.to_thread(world.plane.wait_ready)
    made = {one["metadata"]["name"] for one in world.get("configmaps")["items"]} & set(names)
    known = {rid.name for rid in (await world.database.recall("app")).inventory.entries}

    await world.close()
    told = await world.reconcile()

    assert cut.failure is not None
    assert errors.waiting_helps(cut.failure.error)
    assert len(made) < len(names)
    assert made <= known
    assert told.ending is record.Ending.APPLIED, told.failure
    after = {one["metadata"]["name"]: one["data"] for one in world.get("configmaps")["items"]}
    assert {name for name in after if name in set(names)} == set(names)
    assert after["theirs"] == {"x": "theirs"}
    assert len((await world.database.recall("app")).inventory.entries) == len(names)

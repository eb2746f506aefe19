"""Watches that cannot go on where they stood, and servers that do not stream the first list."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import secrets
from collections.abc import AsyncIterator

import orjson
import pytest

from tests import peers
from tests.integration.kubernetes import world as worlds
from undrift.model import record, resource
from undrift.providers.kubernetes import cluster, mirror, watching
from undrift.testing import control_plane


def cluster_of(world: worlds.World) -> cluster.Cluster:
    [shared] = world.provider._clusters.values()
    assert shared._opened is not None
    return shared._opened.cluster


def restart(plane: control_plane.ControlPlane) -> None:
    plane.api_server.stop()
    plane.api_server.start()
    plane.wait_ready()
    plane.wait_working()


async def test_a_watch_that_is_too_old_begins_anew(world: worlds.World) -> None:
    """The server, started again, answers 410; what is there now is seen, and what went away meanwhile is not."""
    world.commit(world.config_map(x="1"))
    await world.reconcile()
    await world.close()
    await asyncio.to_thread(restart, world.plane)
    await world.connect()
    shared = cluster_of(world)
    into = mirror.Mirror()
    gone = resource.ResourceId("ConfigMap", world.namespace, "gone")
    into.take(gone, {"metadata": {"name": "gone", "uid": "u", "resourceVersion": "1"}})
    kind = (await shared.served()).find(gone)
    async with contextlib.aclosing(shared.api.watch(kind.path(), {"resourceVersion": "1"})) as lines:
        said = [orjson.loads(line) async for line in lines if line]
    assert [(one["type"], one["object"]["code"]) for one in said] == [("ERROR", 410)]

    watch = watching.Watch(shared.api, kind, into)
    watch._version = "1"
    try:
        await watch.ready()

        assert into.get(resource.ResourceId("ConfigMap", world.namespace, "a")) is not None
        assert into.get(gone) is None
    finally:
        await watch.close()


@pytest.fixture
async def old(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[worlds.World]:
    """A cluster whose API server streams no lists; pages hold two."""
    monkeypatch.setattr(watching, "_PAGE", "2")
    plane = control_plane.ControlPlane(tmp_path / "plane", peers.require_control_plane())
    plane.options = ["--feature-gates=WatchList=false"]
    with contextlib.ExitStack() as stack:
        stack.callback(plane.stop)
        plane.start(controllers=False)
        name = f"test-{secrets.token_hex(4)}"
        plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        world = worlds.World(plane, name, agent=name)
        try:
            yield world
        finally:
            await world.close()


async def test_a_server_that_streams_no_lists(old: worlds.World) -> None:
    """Its lists are read page by page; then it is watched like any other."""
    old.commit(*(old.config_map(f"m{number}", x="1") for number in range(5)))
    await old.reconcile()
    await old.restart()

    again = await old.reconcile()
    drifted = asyncio.create_task(old.drifted("ConfigMap/m3"))
    await asyncio.sleep(0.1)
    old.plane.request("DELETE", f"/api/v1/namespaces/{old.namespace}/configmaps/m3")
    await drifted
    healed = await old.reconcile()

    assert again.ending is record.Ending.IN_SYNC, again.failure
    assert worlds.changes(healed) == ["create ConfigMap/m3"]

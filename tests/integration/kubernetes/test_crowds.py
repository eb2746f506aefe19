"""Too much of everything: thousands of resources in one application, and a server that has too much to do."""

from __future__ import annotations

import asyncio
import collections
import pathlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from tests import peers
from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import record
from undrift.providers.kubernetes import client
from undrift.testing import control_plane

MANY = 5_000


@pytest.mark.timeout(180)
async def test_five_thousand_resources_of_one_application(world: worlds.World) -> None:
    """Made, then known; what one of them is changed to is healed by one request, and one that leaves Git is pruned."""
    manifests = [world.config_map(f"many-{number}", a=str(number)) for number in range(MANY)]
    world.commit(*manifests)

    made = await world.reconcile()
    asked = world.requests()
    still = await world.reconcile()
    since = world.requests() - asked
    hinted = asyncio.create_task(world.drifted("ConfigMap/many-7"))
    await asyncio.sleep(0.2)
    path = f"/api/v1/namespaces/{world.namespace}/configmaps/many-7"
    world.plane.request("PATCH", path, {"data": {"a": "x"}}, "application/merge-patch+json")
    await hinted
    healed = await world.reconcile()
    world.commit(*manifests[1:])
    pruned = await world.reconcile()

    assert made.ending is record.Ending.APPLIED, made.failure
    assert (still.ending, since) == (record.Ending.IN_SYNC, 0)
    assert worlds.fields(healed) == {"data.a": ("x", "7")}
    assert worlds.changes(pruned) == ["delete ConfigMap/many-0"]
    assert len(world.get("configmaps?labelSelector=undrift.dev/application%3Dapp")["items"]) == MANY - 1


@pytest.fixture(scope="module")
def narrow() -> Iterator[control_plane.ControlPlane]:
    """An API server that does one thing at a time and refuses the rest (429)."""
    programs = peers.require_control_plane()
    with tempfile.TemporaryDirectory(prefix="undrift-cp-") as folder:
        made = control_plane.ControlPlane(pathlib.Path(folder), programs, ["crowd"])
        made.options = [
            "--enable-priority-and-fairness=false", "--max-requests-inflight=3",
            "--max-mutating-requests-inflight=1",
        ]  # fmt: skip
        try:
            made.start(controllers=False)
            binding = {
                "metadata": {"name": "crowd"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"kind": "User", "name": "crowd", "apiGroup": "rbac.authorization.k8s.io"}],
            }  # fmt: skip
            made.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
            yield made
        finally:
            made.stop()


@pytest.fixture
async def crowded(narrow: control_plane.ControlPlane) -> AsyncIterator[worlds.World]:
    """The administrator would not be refused."""
    settings = {"kubeconfig": str(narrow.kubeconfig("crowd"))}
    made = worlds.World(narrow, "default", settings, agent="crowded")
    yield made
    await made.close()


async def test_a_storm_of_refusals_is_weathered(
    crowded: worlds.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is made in the end, and nobody was told of a failure."""
    codes: collections.Counter[int] = collections.Counter()
    send = client.Client._once

    async def once(self: client.Client, asked: client.Request) -> tuple[int, Mapping[str, str], Any]:
        told = await send(self, asked)
        codes[told[0]] += 1
        return told

    monkeypatch.setattr(client.Client, "_once", once)
    names = [f"app-{number}" for number in range(4)]
    for name in names:
        crowded.commit(*(crowded.config_map(f"{name}-{number}", a="1") for number in range(15)), name=name)
    await crowded.connect()

    told = await asyncio.gather(*(crowded.reconcile(name) for name in names))

    assert [one.ending for one in told] == [record.Ending.APPLIED] * 4, [one.failure for one in told]
    assert codes[429] > 0, codes


async def test_two_applications_that_declare_one_resource(world: worlds.World) -> None:
    """The first keeps it, the second is told whose it is; neither writes what the other declares."""
    world.commit(world.config_map(x="one"), name="one")
    world.commit(world.config_map(x="two"), name="two")

    first = await world.reconcile("one")
    second = await world.reconcile("two")
    version = world.get("configmaps/a")["metadata"]["resourceVersion"]
    again = await world.reconcile("one")

    assert first.ending is record.Ending.APPLIED, first.failure
    assert second.verdict is not None, second.failure
    assert [type(one) for one in second.verdict.stops] == [errors.AdoptionRequired]
    assert "application one" in second.verdict.stops[0].why
    assert again.ending is record.Ending.IN_SYNC, (again.failure, worlds.fields(again))
    found = world.get("configmaps/a")
    assert (found["data"], found["metadata"]["resourceVersion"]) == ({"x": "one"}, version)


async def test_what_came_to_be_since_the_last_list_is_not_touched(world: worlds.World) -> None:
    """Names of a kind are listed when many are new, and hold for a while: the API server refuses, and then we know."""
    world.commit(*(world.config_map(f"many-{number}", a="1") for number in range(20)), name="many")
    world.commit(world.config_map("theirs", a="ours"), name="late")
    await world.reconcile("many")
    world.plane.kubectl("-n", world.namespace, "create", "configmap", "theirs", "--from-literal=a=theirs")

    refused = await world.reconcile("late")
    told = await world.reconcile("late")

    assert refused.failure is not None
    assert isinstance(refused.failure.error.parts[0], errors.ChangeConflict)
    assert told.verdict is not None, told.failure
    assert [type(one) for one in told.verdict.stops] == [errors.AdoptionRequired]
    assert world.get("configmaps/theirs")["data"] == {"a": "theirs"}

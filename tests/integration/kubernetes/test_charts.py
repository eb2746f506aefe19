"""A Helm chart on a real cluster: hooks first, once for each change of the chart."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests import peers
from tests.integration.kubernetes import world as worlds
from undrift.model import application, record
from undrift.renderers import helm

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "values.yaml": "greeting: hello\n",
    "templates/settings.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {greeting: {{ .Values.greeting }}}\n"
    ),
    "templates/migrate.yaml": (
        'apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {"helm.sh/hook": pre-upgrade}}\n'
        "spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: migrate}]}}}\n"
    ),
}


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {str(peers.require_tool(name).parent) for name in ("kubectl", "helm")}
    monkeypatch.setenv("PATH", os.pathsep.join([*sorted(folders), os.environ["PATH"]]))


async def until_in_sync(world: worlds.World, **settings: object) -> record.Reconciliation:
    """Reconcile until nothing is left to do; a Job takes its time."""
    renderer = application.RendererSettings("helm", {"values": settings})
    async with asyncio.timeout(60):
        while True:
            told = await world.reconcile(renderer=helm.HelmRenderer(), renderer_settings=renderer)
            if told.ending is record.Ending.IN_SYNC:
                return told
            await asyncio.sleep(0.2)


async def test_a_hook_runs_first_and_again_when_the_chart_changed(tools: None, world: worlds.World) -> None:
    world.commit_files(CHART)
    await until_in_sync(world)
    first = world.get("batch/v1/jobs/migrate")
    assert first["status"]["succeeded"] == 1
    assert (
        world.get("configmaps/settings")["metadata"]["creationTimestamp"] >= first["status"]["completionTime"]
    )

    await until_in_sync(world)
    assert world.get("batch/v1/jobs/migrate")["metadata"]["uid"] == first["metadata"]["uid"]

    await until_in_sync(world, greeting="good-morning")
    second = world.get("batch/v1/jobs/migrate")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert second["status"]["succeeded"] == 1
    assert world.get("configmaps/settings")["data"] == {"greeting": "good-morning"}

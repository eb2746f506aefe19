"""Tenants: what their project does not allow is not even asked for, and what their account may not do is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import application, record, view
from undrift.providers.kubernetes import client

ROLE = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: tenant, namespace: {space}}}
rules: [{{apiGroups: [""], resources: [configmaps], verbs: [get, create, update, patch, delete]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: tenant, namespace: {space}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: tenant}}
subjects: [{{kind: ServiceAccount, name: tenant, namespace: {space}}}]
"""


async def test_outside_of_its_namespaces_and_kinds_nothing_is_asked(
    world: worlds.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither about what is there nor by a dry run; the resource and its line are named."""
    elsewhere = world.config_map(x="1").replace("{name: a}", "{name: a, namespace: kube-system}")
    world.commit(world.config_map("fine", x="1"), elsewhere, worlds.deployment())
    project = application.Project("team", namespaces=(world.namespace,), kinds=("ConfigMap",))
    await world.connect()
    asked: list[str] = []
    send = client.Client._once

    async def once(self: client.Client, request: client.Request) -> Any:
        asked.append(request.path)
        return await send(self, request)

    monkeypatch.setattr(client.Client, "_once", once)

    told = await world.reconcile(seen=view.Surroundings(project=project))

    assert told.ending is record.Ending.WAITING
    assert told.verdict is not None
    assert [(type(one), str(one.origin)) for one in told.verdict.stops] == [
        (errors.ProjectForbids, "app/all.yaml:8:1"),
        (errors.ProjectForbids, "app/all.yaml:15:1"),
    ]
    assert any("openapi" in path for path in asked)
    assert not [path for path in asked if "configmaps" in path or "deployments" in path]
    assert world.get("configmaps/fine") is None


async def test_an_account_can_do_what_it_may_and_no_more(world: worlds.World) -> None:
    """Changes and dry runs are made as the application's own account; that what it may not do is told, with who."""
    world.plane.kubectl("apply", "-f", "-", given=ROLE.format(space=world.namespace))
    world.account = f"system:serviceaccount:{world.namespace}:tenant"
    world.commit(world.config_map(x="1"))

    made = await world.reconcile()
    world.commit(world.config_map(x="2"), worlds.deployment())
    refused = await world.reconcile()
    world.commit(world.config_map("b", x="1"))
    pruned = await world.reconcile()

    assert made.ending is record.Ending.APPLIED, made.failure
    assert refused.failure is not None
    denied = refused.failure.error.parts[0]
    assert isinstance(denied, errors.TargetDenied)
    assert f'"{world.account}" cannot patch resource "deployments"' in denied.why
    assert worlds.changes(pruned) == ["create ConfigMap/b", "delete ConfigMap/a"]
    assert pruned.ending is record.Ending.APPLIED, pruned.failure

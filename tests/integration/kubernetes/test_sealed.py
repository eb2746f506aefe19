"""Secrets that others open: SealedSecrets and ExternalSecrets pass through as they are, and have health."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.integration.kubernetes import world as worlds
from undrift.model import health, record

DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.{group}}}
spec:
  group: {group}
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}}}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {{status: {{}}}}
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
SEALED = """\
apiVersion: bitnami.com/v1
kind: SealedSecret
metadata: {name: web}
spec: {encryptedData: {password: AgBy3i4OJSWK}}
"""
EXTERNAL = """\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: web}
spec: {secretStoreRef: {name: vault}, target: {name: web}, data: [{secretKey: password, remoteRef: {key: web}}]}
"""


def said(world: worlds.World, path: str, kind: str, status: str, message: str) -> None:
    """As the controller of that kind says how it went."""
    condition = {"type": kind, "status": status, "reason": "Said", "message": message}
    world.plane.request(
        "PATCH", path, {"status": {"conditions": [condition]}}, "application/merge-patch+json"
    )


@pytest.mark.parametrize(
    "manifest, plural, condition",
    [(SEALED, "sealedsecrets", "Synced"), (EXTERNAL, "externalsecrets", "Ready")],
    ids=["SealedSecret", "ExternalSecret"],
)
async def test_a_secret_that_somebody_else_opens(
    manifest: str, plural: str, condition: str, world: worlds.World
) -> None:
    """Healthy when its controller could open it, Degraded with its words when it could not; never changed by that."""
    version, kind = (line.split(": ")[1] for line in manifest.splitlines()[:2])
    group = version.partition("/")[0]
    definition = DEFINITION.format(plural=plural, group=group, kind=kind)
    needs = worlds.deployment(replicas=0, more=", envFrom: [{secretRef: {name: web}}]")
    world.commit(definition, manifest, needs)
    path = f"/apis/{version}/namespaces/{world.namespace}/{plural}/web"
    try:
        made = await world.reconcile()
        declared: Any = world.plane.get(path)["spec"]
        said(world, f"{path}/status", condition, "False", "no key could decrypt it")
        ill = await told(world, health.Status.DEGRADED)
        said(world, f"{path}/status", condition, "True", "")
        well = await told(world, health.Status.HEALTHY)

        assert made.ending is record.Ending.APPLIED, made.failure
        assert not made.warnings
        assert "no key could decrypt it" in ill.health.reason
        assert (ill.ending, well.ending) == (record.Ending.IN_SYNC, record.Ending.IN_SYNC)
        assert world.plane.get(path)["spec"] == declared
    finally:
        root = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        world.plane.request("DELETE", f"{root}/{plural}.{group}")


async def told(world: worlds.World, status: health.Status) -> record.Reconciliation:
    """Look until the health is so."""
    async with asyncio.timeout(20):
        while True:
            found = await world.reconcile()
            if found.health.status is status:
                return found
            await asyncio.sleep(0.1)

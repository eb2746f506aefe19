"""Kubernetes: a thing is a ConfigMap with one value, in a namespace of the law's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import secrets
import urllib.error
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tests.conformance.providers import credentials, relay
from undrift import interfaces
from undrift.model import resource, target
from undrift.providers.kubernetes import provider
from undrift.testing import control_plane
from undrift.testing.conformance import stand

_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


class KubernetesStand(stand.Stand):
    """A namespace of a real cluster, which is asked through a relay."""

    field = "data.value"

    def __init__(self, folder: pathlib.Path, plane: control_plane.ControlPlane, before: relay.Relay) -> None:
        self.namespace = self.agent = f"law-{secrets.token_hex(4)}"
        self._plane = plane
        self._relay = before
        plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        config = json.loads(plane.kubeconfig().read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{before.port}"
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        self.place = target.Target("cluster", "kubernetes", settings={"kubeconfig": str(path)})
        self.secrets = credentials.Credentials()
        self.planted = tuple(plane.tokens.values())

    def close(self) -> None:
        """The namespace goes."""
        self._plane.request("DELETE", f"/api/v1/namespaces/{self.namespace}")

    @property
    def _maps(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    def provider(self) -> interfaces.Provider:
        return provider.KubernetesProvider()

    def files(self, things: Mapping[str, str], application: str) -> Mapping[str, str]:
        return {
            f"{name}.yaml": f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value}}}\n"
            for name, value in things.items()
        }

    def id(self, thing: str, application: str) -> resource.ResourceId:
        return resource.ResourceId("ConfigMap", self.namespace, thing)

    async def read(self, application: str) -> Mapping[str, str]:
        items = (await asyncio.to_thread(self._plane.get, self._maps))["items"]
        return {
            one["metadata"]["name"]: one["data"]["value"]
            for one in items
            if one["metadata"]["name"] != "kube-root-ca.crt"
        }

    async def put(self, thing: str, value: str, application: str) -> None:
        await asyncio.to_thread(self._put, thing, value)

    def _put(self, thing: str, value: str) -> None:
        data = {"data": {"value": value}}
        if self._plane.get(f"{self._maps}/{thing}") is None:
            self._plane.request("POST", self._maps, {"metadata": {"name": thing}, **data})
            return
        self._plane.request("PATCH", f"{self._maps}/{thing}", data, "application/merge-patch+json")

    async def remove(self, thing: str, application: str) -> None:
        await asyncio.to_thread(self._plane.request, "DELETE", f"{self._maps}/{thing}")

    def away(self) -> contextlib.AbstractAsyncContextManager[None]:
        return self._relay.away()

    @contextlib.asynccontextmanager
    async def refusing(self, thing: str, application: str) -> AsyncIterator[None]:
        names = {"kubernetes.io/metadata.name": self.namespace}
        match = {
            "namespaceSelector": {"matchLabels": names},
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["configmaps"],
                }
            ],
        }
        rule = {"expression": f"object.metadata.name != '{thing}'", "message": "not this one"}
        await self._make(
            _POLICIES, {"matchConstraints": match, "validations": [rule], "failurePolicy": "Fail"}
        )
        bound = {"policyName": self.namespace, "validationActions": ["Deny"]}
        await self._make(f"{_POLICIES}bindings".replace("policiesbindings", "policybindings"), bound)
        await self._until(thing, refused=True)
        try:
            yield
        finally:
            for kind in ("policybindings", "policies"):
                path = _POLICIES.replace("policies", kind)
                await asyncio.to_thread(self._plane.request, "DELETE", f"{path}/{self.namespace}")
            await self._until(thing, refused=False)

    async def _make(self, path: str, spec: Mapping[str, Any]) -> None:
        body = {"metadata": {"name": self.namespace}, "spec": spec}
        await asyncio.to_thread(self._plane.request, "POST", path, body)

    async def _until(self, thing: str, *, refused: bool) -> None:
        """The API server takes a moment to know of a policy."""
        body = {"metadata": {"name": thing}}
        async with asyncio.timeout(30):
            while True:
                try:
                    await asyncio.to_thread(self._plane.request, "POST", f"{self._maps}?dryRun=All", body)
                    denied = False
                except urllib.error.HTTPError as error:
                    denied = error.code in {403, 422}
                if denied is refused:
                    return
                await asyncio.sleep(0.1)

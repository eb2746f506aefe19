"""Admission webhooks that deny, hang or mutate, on a real API server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import pathlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from tests import certificates
from tests.integration.kubernetes import world as worlds
from undrift import errors
from undrift.model import record
from undrift.testing import control_plane

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
Serve = Callable[[str, Answer], contextlib.AbstractAsyncContextManager[None]]
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture
def serve(world: worlds.World, tmp_path: pathlib.Path) -> Serve:
    """A webhook for the ConfigMaps of our namespace, served with TLS; `kind` is validating or mutating."""

    @contextlib.asynccontextmanager
    async def serving(kind: str, answer: Answer) -> AsyncIterator[None]:
        authority = certificates.Authority()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.server().write(tmp_path, "webhook"))

        async def review(request: web.Request) -> web.Response:
            asked = (await request.json())["request"]
            response = {"uid": asked["uid"], **await answer(asked)}
            return web.json_response(
                {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
            )

        application = web.Application()
        application.router.add_post("/", review)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", control_plane.free_port(), ssl_context=context)
        await site.start()
        plural = f"{kind}webhookconfigurations"
        body = configuration(kind, site.name.rstrip("/") + "/", authority.pem, world.namespace)
        await asyncio.to_thread(world.plane.request, "POST", f"{ADMISSION}/{plural}", body)
        # The API server takes a moment to learn of it.
        await asyncio.sleep(1.0)
        try:
            yield
        finally:
            await asyncio.to_thread(world.plane.request, "DELETE", f"{ADMISSION}/{plural}/{world.namespace}")
            await runner.cleanup()
            # Connections with TLS say goodbye in their own time.
            await asyncio.sleep(0.2)

    return serving


def configuration(kind: str, url: str, ca: bytes, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind.title()}WebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "guard.example.com",
                "clientConfig": {"url": url, "caBundle": base64.b64encode(ca).decode()},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "timeoutSeconds": 1,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }  # fmt: skip


async def test_one_that_denies_says_so_before_anything_is_changed(world: worlds.World, serve: Serve) -> None:
    """The resource, its line and what the webhook said; the last good revision stays."""
    world.commit(world.config_map(x="1"), world.config_map("b", x="1"))
    await world.reconcile()

    async def deny(asked: dict[str, Any]) -> dict[str, Any]:
        bad = (asked.get("object") or {}).get("data", {}).get("x") == "bad"
        return {"allowed": not bad, "status": {"message": "x may not be bad"}}

    async with serve("validating", deny):
        world.commit(world.config_map(x="2"), world.config_map("b", x="bad"))
        told = await world.reconcile()

    assert told.failure is not None
    refused = told.failure.error.parts[0]
    assert 'guard.example.com" denied the request: x may not be bad' in refused.why
    assert str(refused.origin).startswith("app/all.yaml:")
    assert told.held_back is not None
    assert world.get("configmaps/a")["data"] == {"x": "1"}


async def test_one_that_hangs_holds_up_what_it_guards_and_nothing_else(
    world: worlds.World, serve: Serve
) -> None:
    """Waiting may help, and is told; when it answers again what waited goes through."""
    hangs = True

    async def hang(_: dict[str, Any]) -> dict[str, Any]:
        if hangs:
            await asyncio.sleep(5)
        return {"allowed": True}

    await world.connect()
    async with serve("validating", hang):
        world.commit(world.config_map(x="1"))
        world.commit(worlds.deployment(replicas=0), name="other")
        stuck, other = await asyncio.gather(world.reconcile(), world.reconcile("other"))
        hangs = False
        again = await world.reconcile()

    assert stuck.failure is not None
    error = stuck.failure.error.parts[0]
    assert "guard.example.com" in error.why, error
    assert errors.waiting_helps(error)
    assert stuck.held_back is None
    assert other.ending is record.Ending.APPLIED, other.failure
    assert again.ending is record.Ending.APPLIED, again.failure
    assert world.get("configmaps/a")["data"] == {"x": "1"}


async def test_what_one_mutates_is_no_difference(world: worlds.World, serve: Serve) -> None:
    """Neither what it adds nor a declared value that it changes; and no request is made about it twice."""

    async def mutate(asked: dict[str, Any]) -> dict[str, Any]:
        if asked["operation"] == "DELETE":
            return {"allowed": True}
        steps = [
            {"op": "add", "path": "/data/injected", "value": "by the webhook"},
            {"op": "replace", "path": "/data/x", "value": "normalised"},
        ]
        patch = base64.b64encode(json.dumps(steps).encode()).decode()
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}

    async with serve("mutating", mutate):
        world.commit(world.config_map(x="raw"))
        first = await world.reconcile()
        second = await world.reconcile()
        version = world.get("configmaps/a")["metadata"]["resourceVersion"]
        asked = world.requests()
        third = await world.reconcile()
        since = world.requests() - asked
        await world.restart()
        restarted = await world.reconcile()

    assert first.ending is record.Ending.APPLIED, first.failure
    assert [one.ending for one in (second, third, restarted)] == [record.Ending.IN_SYNC] * 3, [
        worlds.fields(one) for one in (second, third, restarted)
    ]
    assert since == 0
    found = world.get("configmaps/a")
    assert found["data"] == {"x": "normalised", "injected": "by the webhook"}
    assert found["metadata"]["resourceVersion"] == version

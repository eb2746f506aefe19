"""Each test has a namespace of its own on the cluster of its worker."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from tests import planes
from tests.integration.kubernetes import world as worlds
from undrift.testing import control_plane


@pytest.fixture(scope="session")
def plane() -> Iterator[control_plane.ControlPlane]:
    """One for all of these tests that a worker runs."""
    with planes.started() as made:
        yield made


@pytest.fixture
async def world(plane: control_plane.ControlPlane) -> AsyncIterator[worlds.World]:
    """Applications on that cluster, of an agent of the test's own."""
    namespace = f"test-{secrets.token_hex(4)}"
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    made = worlds.World(plane, namespace, agent=namespace)
    try:
        yield made
    finally:
        await made.close()
        plane.request("DELETE", f"/api/v1/namespaces/{namespace}")

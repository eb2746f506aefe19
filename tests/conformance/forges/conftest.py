"""A stand of each kind of forge. Gitea is a real one; the others are servers after their published contracts."""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests import peers
from tests.conformance.forges import stand as stands
from undrift.testing import gitea_server

STANDS = sorted(path.stem for path in (pathlib.Path(__file__).parent / "stands").glob("*.py"))
"""Modules in `stands/`, each with `opened(server)`, an async context manager; only Gitea's is given a server."""


@pytest.fixture(scope="session")
def gitea() -> Iterator[gitea_server.GiteaServer]:
    """A real Gitea for all tests of this folder."""
    with gitea_server.GiteaServer(peers.require_gitea()) as server:
        yield server


@pytest.fixture(params=STANDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kinds of forges."""
    return str(request.param)


@pytest.fixture
async def stand(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[stands.Stand]:
    """A repository on a forge of that kind."""
    module: Any = importlib.import_module(f"tests.conformance.forges.stands.{kind}")
    server = request.getfixturevalue("gitea") if kind == "gitea" else None
    async with module.opened(server) as made:
        yield made
        await made.forge.close_session()

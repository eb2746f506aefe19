"""A real Gitea for all tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests import peers
from tests.conformance.forges.stands import gitea as stands
from undrift.testing import gitea_server


@pytest.fixture(scope="session")
def gitea() -> Iterator[gitea_server.GiteaServer]:
    """The server, its people and their tokens; each test makes its own repository."""
    with gitea_server.GiteaServer(peers.require_gitea()) as server:
        yield server


@pytest.fixture
async def stand(gitea: gitea_server.GiteaServer) -> AsyncIterator[stands.GiteaStand]:
    """A repository with a bot and a reviewer."""
    async with stands.opened(gitea) as made:
        yield made
        await made.forge.close_session()

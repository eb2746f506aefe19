"""A real Gitea for the tests of this folder that want one."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests import peers
from tests.integration.publishing import gitea_world
from undrift.testing import gitea_server


@pytest.fixture(scope="session")
def gitea() -> Iterator[gitea_server.GiteaServer]:
    """The server and its people; each test makes its own repository."""
    with gitea_server.GiteaServer(peers.require_gitea()) as server:
        yield server


@pytest.fixture
def forge_world(gitea: gitea_server.GiteaServer, tmp_path: pathlib.Path) -> gitea_world.World:
    """A GitOps repository on it, and room for applications."""
    return gitea_world.World(gitea, tmp_path)

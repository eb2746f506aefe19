"""A host in a temporary folder."""

import pathlib
from collections.abc import AsyncIterator

import pytest

from tests.integration.providers import world
from undrift.providers.hosts import supervision


@pytest.fixture
async def here(tmp_path: pathlib.Path) -> AsyncIterator[world.World]:
    """A world whose target's root is empty."""
    root = tmp_path / "root"
    root.mkdir()
    made = world.World(root)
    yield made
    await made.close()
    await supervision.shut_down(str(root / ".undrift"))

"""A host in a temporary folder, reached as a file system or over SSH, and machines of their own."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests import machines as hosts
from tests import peers
from tests.integration.providers import world
from undrift.providers.hosts import supervision
from undrift.testing import machines


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In a module that says `WAYS` every test with `here` is run for each of them, but those with `on_disk`."""
    ways = getattr(metafunc.module, "WAYS", ())
    if ways and "way" in metafunc.fixturenames and "on_disk" not in metafunc.fixturenames:
        metafunc.parametrize("way", ways)


@pytest.fixture
def way() -> str:
    """How `here` is reached: "local" or "ssh"."""
    return "local"


@pytest.fixture
def on_disk() -> None:
    """For tests that look into the transport to the machine that the agent itself runs on."""


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[machines.Sshd]:
    """An sshd on loopback: its host is this machine, and its user is us."""
    peers.require_peer("sshd")
    peers.require_peer("ssh-keygen")
    with machines.Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
async def here(
    tmp_path: pathlib.Path, way: str, request: pytest.FixtureRequest
) -> AsyncIterator[world.World]:
    """A world whose target's root is empty."""
    root = tmp_path / "root"
    root.mkdir()
    settings: dict[str, Any] = {}
    if way == "ssh":
        server: machines.Sshd = request.getfixturevalue("sshd")
        settings = hosts.settings(server, server.user)
    made = world.World(root, settings)
    yield made
    await made.close()
    await supervision.shut_down(str(root / ".undrift"))

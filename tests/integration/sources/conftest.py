"""A Git server and a pool of sources for each test; how a test declares a source."""

import dataclasses
import pathlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from undrift.model import source
from undrift.sources import credentials, opening
from undrift.testing import git_http, git_server

FAST = opening.Limits(freshness=0.0)


def declare(url: str, **parts: Any) -> source.Source:
    """A source that follows main, with whatever a test wants to be different."""
    return dataclasses.replace(source.Source("apps", source.SourceKind.GIT, url, timeout=10.0), **parts)


@dataclasses.dataclass(frozen=True)
class Desk:
    """What a test works with: a server, its behaviour, a repository on it, and where sources keep their stores."""

    server: git_server.GitServer
    repository: git_server.GitRepository
    cache: pathlib.Path

    @property
    def behaviour(self) -> git_http.Behaviour:
        return self.server.behaviour


@pytest.fixture
def desk(tmp_path: pathlib.Path) -> Iterator[Desk]:
    with git_server.GitServer(tmp_path / "served") as server:
        yield Desk(server, server.repository("apps.git"), tmp_path / "cache")


class Listening(git_http.Behaviour):
    """Remembers who visitors say they are, and asks everybody who they are: whoever would tell it, does."""

    shown: list[str]

    def admits(self, authorization: str) -> bool:
        self.shown.append(authorization)
        return False


@pytest.fixture
def elsewhere(tmp_path: pathlib.Path) -> Iterator[tuple[git_server.GitServer, list[str]]]:
    """Another server, on another port, and what it is told by whoever is sent to it."""
    (tmp_path / "elsewhere").mkdir()
    listening = Listening()
    listening.shown = []
    with git_server.GitServer(tmp_path / "elsewhere", listening) as server:
        server.repository("apps.git").commit({"x": "evil"}, "Begin")
        yield server, listening.shown


NewPool = Callable[..., opening.SourcePool]


@pytest.fixture
async def new_pool(tmp_path: pathlib.Path) -> AsyncIterator[NewPool]:
    """Pools as agents start them one after another, on the same folder unless told otherwise."""
    made: list[opening.SourcePool] = []

    def start(limits: opening.Limits = FAST, cache: pathlib.Path = tmp_path / "cache") -> opening.SourcePool:
        made.append(opening.SourcePool(cache, credentials.EnvironmentSecrets(), limits))
        return made[-1]

    yield start
    for pool in made:
        await pool.close()


@pytest.fixture
def pool(new_pool: NewPool) -> opening.SourcePool:
    return new_pool()

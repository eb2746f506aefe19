"""One at a time in a conflict scope: in one process, and between agents that share a database."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import types
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from undrift import errors
from undrift.agent import scoping, sessions, world
from undrift.db import database
from undrift.model import resource, target
from undrift.providers.hosts import provider

HOST = target.Target("host", "hosts")
ONE = resource.ResourceId.of("Block", "/etc/hosts#one")
TWO = resource.ResourceId.of("Block", "/etc/hosts#two")
ELSEWHERE = resource.ResourceId.of("Block", "/etc/motd#one")
FILE = resource.ResourceId.of("File", "/etc/motd")


class Agent:
    """As much of an agent as scopes need."""

    def __init__(self, db: database.SqlDatabase, holder: str, *, alone: bool) -> None:
        self.shared = cast("world.Shared", types.SimpleNamespace(database=db, holder=holder, alone=alone))
        self.place = sessions.Place(HOST, provider.HostsProvider(), cast("Any", None))

    def at_work(self, *ids: resource.ResourceId) -> contextlib.AbstractAsyncContextManager[None]:
        return scoping.exclusive(self.shared, self.place, ids)


@pytest.fixture
async def db(tmp_path: pathlib.Path) -> AsyncIterator[database.SqlDatabase]:
    async with database.opened(f"sqlite:///{tmp_path}/shared.db") as opened:
        yield opened


async def waits(agent: Agent, *ids: resource.ResourceId) -> bool:
    """Whether it has to wait now."""
    try:
        async with asyncio.timeout(0.3), agent.at_work(*ids):
            return False
    except TimeoutError:
        return True


async def test_in_one_agent(db: database.SqlDatabase) -> None:
    """Two blocks of one file wait for one another; other files and other kinds do not."""
    agent = Agent(db, "one", alone=True)
    async with agent.at_work(ONE):
        assert await waits(agent, TWO)
        assert not await waits(agent, ELSEWHERE)
        assert not await waits(agent, FILE)
    assert not await waits(agent, TWO)


async def test_between_two_agents(db: database.SqlDatabase) -> None:
    """The same, by leases that nothing is left of afterwards."""
    one, two = Agent(db, "one", alone=False), Agent(db, "two", alone=False)
    async with one.at_work(ONE, FILE):
        assert await waits(two, TWO)
        assert not await waits(two, ELSEWHERE)
    assert not await waits(two, TWO)
    assert await db.holders([f"{world.SCOPE}host:/etc/hosts"]) == {}


async def test_those_that_want_each_other_s_do_not_wait_for_ever(db: database.SqlDatabase) -> None:
    """All or none: whoever waits holds nothing."""
    one, two = Agent(db, "one", alone=False), Agent(db, "two", alone=False)
    done: list[str] = []

    async def work(agent: Agent, *ids: resource.ResourceId) -> None:
        for _ in range(3):
            async with agent.at_work(*ids):
                await asyncio.sleep(0.01)
        done.append(agent.shared.holder)

    async with asyncio.timeout(20):
        await asyncio.gather(work(one, ONE, ELSEWHERE), work(two, ELSEWHERE, TWO))
    assert sorted(done) == ["one", "two"]


async def test_who_waits_for_too_long_says_so(
    db: database.SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a failure that waiting helps."""
    monkeypatch.setattr(scoping, "_PATIENCE", 0.2)
    one, two = Agent(db, "one", alone=False), Agent(db, "two", alone=False)
    async with one.at_work(ONE):
        with pytest.raises(errors.TargetBusy) as told:
            async with two.at_work(TWO):
                pass
    assert told.value.waiting_helps

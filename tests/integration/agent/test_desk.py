"""Agents that share a database share a ref: each writes of what it works on, and vouches for what it saw itself."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import pathlib
import types
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from undrift.agent import desk, polling, queue, tenant, world
from undrift.forges import connecting as connecting_forges
from undrift.model import agent, application, health, report, source
from undrift.sources import connecting, credentials, opening
from undrift.testing import fakes, forge, git_server

NOW = 1_800_000_000.0
EPOCHS = itertools.count(1)
ROW = agent.Reporting("config", interval=0.0, heartbeat=600.0)


class Replica:
    """As much of an agent as a desk needs; it works on the applications named in `works_on`."""

    def __init__(self, declared: source.Source, folder: pathlib.Path, web: connecting.Web) -> None:
        pool = opening.SourcePool(folder, credentials.EnvironmentSecrets(), opening.Limits(freshness=0.0))
        self.pool = pool
        self.poll = polling.Poll(declared, pool.open(declared))
        self.events: list[Any] = []
        self.shared = cast(
            "world.Shared",
            types.SimpleNamespace(
                agent="main",
                secrets=credentials.EnvironmentSecrets(),
                clock=fakes.FakeClock(NOW),
                recorder=types.SimpleNamespace(tell=self.events.append),
                queue=queue.Queue(),
                polls={"config": self.poll},
                tenants={
                    name: tenant.Tenant(
                        application.Application(name, application.SourceReference("config", name), "host"), ""
                    )
                    for name in ("web", "db")
                },
            ),
        )
        self.desk = desk.Desk(self.shared, ROW, declared, web)

    def work_on(self, *names: str) -> None:
        """Have the leases of these and no others; each has an epoch of its own."""
        for name, one in self.shared.tenants.items():
            one.lease = cast("Any", types.SimpleNamespace(epoch=next(EPOCHS))) if name in names else None

    def look(
        self, name: str, revision: source.Revision, status: health.Status | None, at: float
    ) -> desk.Look:
        """What a reconcile says."""
        lease = self.shared.tenants[name].lease
        assert lease is not None
        return desk.Look("config", name, revision, revision, status, "in sync", "", at, 60.0, lease.epoch)

    async def see(self, name: str, status: health.Status, at: float) -> None:
        """A reconcile has ended, and its turn comes."""
        revision = await self.poll.inner.resolve()
        self.desk.note(name, self.look(name, revision, status, at))
        await self.turn()

    async def turn(self) -> None:
        """What the agent does each second, until nothing is left to write."""
        for _ in range(3):
            await self.desk.turn()
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Let go."""
        await self.desk.close()
        await self.pool.close()


class Place:
    """A repository and two replicas."""

    def __init__(self, repository: git_server.GitRepository, one: Replica, two: Replica) -> None:
        self.repository = repository
        self.one = one
        self.two = two

    def told(self) -> dict[str, report.Report]:
        """What the ref says."""
        ref = f"{report.REFS}main"
        names = self.repository.git("ls-tree", "--name-only", ref).split()
        found = [report.decode(self.repository.git("show", f"{ref}:{name}").encode()) for name in names]
        return {one.application: one for one in found}


@pytest.fixture
async def place(tmp_path: pathlib.Path) -> AsyncIterator[Place]:
    repository = git_server.GitRepository(tmp_path / "ops.git")
    repository.commit({"web/a": "1", "db/a": "1"})
    declared = source.Source("config", source.SourceKind.GIT, repository.file_url)
    web = connecting.Web()
    one, two = (Replica(declared, tmp_path / name, web) for name in ("one", "two"))
    yield Place(repository, one, two)
    for each in (one, two):
        await each.close()
    await web.close()


async def test_each_leaves_the_other_s_files_alone(place: Place) -> None:
    place.one.work_on("web")
    place.two.work_on("db")
    await place.one.see("web", health.Status.HEALTHY, NOW)
    await place.two.see("db", health.Status.HEALTHY, NOW)
    await place.one.see("web", health.Status.DEGRADED, NOW + 1)
    await place.two.see("db", health.Status.PROGRESSING, NOW + 2)

    assert {name: (one.health, one.since) for name, one in place.told().items()} == {
        "web": (health.Status.DEGRADED, NOW + 1),
        "db": (health.Status.PROGRESSING, NOW + 2),
    }
    assert place.one.events == place.two.events == []


async def test_whoever_takes_over_goes_on_from_what_the_other_said_last(place: Place) -> None:
    """`since` passes from one to the other; what broke meanwhile is not forgotten."""
    place.one.work_on("web")
    place.two.work_on("db")
    await place.one.see("web", health.Status.HEALTHY, NOW)
    await place.two.see("db", health.Status.HEALTHY, NOW)
    await place.one.see("web", health.Status.DEGRADED, NOW + 10)
    await place.one.see("web", health.Status.HEALTHY, NOW + 20)
    place.one.work_on()
    place.two.work_on("web", "db")
    await place.two.see("web", health.Status.HEALTHY, NOW + 30)
    await place.two.see("web", health.Status.PROGRESSING, NOW + 40)
    await place.two.see("web", health.Status.HEALTHY, NOW + 50)

    assert place.told()["web"].since == NOW + 50

    place.two.work_on("db")
    place.one.work_on("web")
    await place.one.see("web", health.Status.HEALTHY, NOW + 60)
    assert place.told()["web"].since == NOW + 50


async def test_a_break_between_two_writes_is_a_break(place: Place) -> None:
    """All looks count, not only the last one before it is written."""
    place.one.work_on("web")
    await place.one.see("web", health.Status.HEALTHY, NOW)
    revision = await place.one.poll.inner.resolve()
    for second, status in ((10, health.Status.DEGRADED), (20, health.Status.HEALTHY)):
        place.one.desk.note("web", place.one.look("web", revision, status, NOW + second))
    await place.one.turn()

    assert place.told()["web"].since == NOW + 20


async def test_a_look_that_was_none_ends_nothing_and_ages(place: Place) -> None:
    """Git was away: what is said stays, and with it the time at which it was true."""
    place.one.work_on("web")
    await place.one.see("web", health.Status.HEALTHY, NOW)
    revision = await place.one.poll.inner.resolve()
    none = dataclasses.replace(
        place.one.look("web", revision, None, NOW + 60), seen=None, ending="failed", reason="Git is away"
    )
    place.one.desk.note("web", none)
    await place.one.turn()
    found = place.told()["web"]

    assert (found.health, found.since, found.observed) == (health.Status.HEALTHY, NOW, NOW)
    assert (found.ending, found.reason, found.seen) == ("failed", "Git is away", found.revision)


async def test_what_is_no_news_is_not_written(place: Place) -> None:
    place.one.work_on("web")
    await place.one.see("web", health.Status.HEALTHY, NOW)
    ref = place.repository.revision(f"{report.REFS}main")
    for second in range(1, 200):
        await place.one.see("web", health.Status.HEALTHY, NOW + second)
    place.repository.commit({"elsewhere": "x"})
    await place.one.see("web", health.Status.HEALTHY, NOW + 200)

    assert place.repository.revision(f"{report.REFS}main") == ref


async def test_statuses_say_the_same_on_the_commits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The applied commit, or the one that was not; and a forge that is away holds up no report."""
    host = forge.FakeForge(place.repository)
    monkeypatch.setattr(connecting_forges, "connect", lambda *_: host)
    place.one.work_on("web")
    place.one.desk.row = dataclasses.replace(ROW, statuses=True)
    host.broken.add("set_status")
    await place.one.see("web", health.Status.HEALTHY, NOW)
    await place.one.desk.mark()
    await place.one.desk.mark()

    assert place.told()["web"].health is health.Status.HEALTHY
    [event] = place.one.events
    assert (event.application, event.code) == ("reports/config/statuses", "UD914")

    host.broken.clear()
    place.one.desk._next_mark = 0.0
    await place.one.desk.mark()
    applied = place.repository.revision("main")
    [status] = await host.statuses(applied)
    assert (status.context, status.state, status.description) == (
        "undrift/web",
        "success",
        "applied, Healthy",
    )
    assert type(place.one.events[-1]).__name__ == "Recovered"

    refused = place.repository.commit({"web/a": "2"})
    revision = await place.one.poll.inner.resolve()
    before = place.one.look("web", revision, health.Status.DEGRADED, NOW + 1)
    was = source.Revision("main", f"sha1:{applied}")
    place.one.desk.note(
        "web", dataclasses.replace(before, applied=was, ending="failed", reason="no\nsuch field")
    )
    await place.one.turn()
    await place.one.desk.mark()
    [status] = await host.statuses(refused)
    assert (status.state, status.description) == ("failure", "failed: no such field")

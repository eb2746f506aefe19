"""The one `git cat-file` of a repository: started when needed, gone when idle, replaced when it dies."""

import asyncio
import os
import pathlib
import signal

import psutil
import pytest

from tests.integration.sources import conftest
from undrift import errors
from undrift.sources import opening
from undrift.sources.git import reading


def readers(cache: pathlib.Path) -> list[psutil.Process]:
    """The processes of ours that read a store below `cache`."""
    found = []
    for one in psutil.Process().children():
        if one.status() != psutil.STATUS_ZOMBIE and "cat-file" in one.cmdline():
            found += [one] if str(cache) in one.environ().get("GIT_DIR", "") else []
    return found


async def test_it_is_one_for_all_and_ends_when_nobody_asks(
    desk: conftest.Desk, pool: opening.SourcePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_IDLE", 0.1)
    desk.repository.commit({f"{number}/x": str(number) for number in range(20)})
    opened = [pool.open(conftest.declare(desk.repository.file_url, name=f"s{number}")) for number in range(5)]
    revision = await opened[0].resolve()
    await asyncio.gather(*(one.fetch(revision, str(number)) for number, one in enumerate(opened)))
    assert len(readers(desk.cache)) == 1
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not readers(desk.cache):
            break
    assert readers(desk.cache) == []
    assert (await opened[0].fetch(revision, "7")).files["x"].content == b"7"


async def test_one_that_was_killed_is_replaced(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    """The first to ask may hear of it, as something that waiting mends; the store is not thrown away for it."""
    desk.repository.commit({"a/x": "1", "b/x": "2"})
    opened = pool.open(conftest.declare(desk.repository.url))
    revision = await opened.resolve()
    await opened.fetch(revision, "a")
    before = desk.server.count()
    os.kill(readers(desk.cache)[0].pid, signal.SIGKILL)
    [first] = await asyncio.gather(opened.fetch(revision, "a"), return_exceptions=True)
    assert not isinstance(first, BaseException) or (
        isinstance(first, errors.StoreBroken) and errors.waiting_helps(first)
    )
    assert (await opened.fetch(revision, "a")).files["x"].content == b"1"
    assert desk.server.count() == before


async def test_one_that_hangs_is_given_up(desk: conftest.Desk, pool: opening.SourcePool) -> None:
    desk.repository.commit({"a/x": "1"})
    opened = pool.open_git(conftest.declare(desk.repository.file_url))
    revision = await opened.resolve()
    await opened.fetch(revision, "a")
    opened.repository.reader.timeout = 0.3
    os.kill(readers(desk.cache)[0].pid, signal.SIGSTOP)
    with pytest.raises(errors.StoreBroken, match="does not answer"):
        await opened.fetch(revision, "a")
    opened.repository.reader.timeout = 60
    assert (await opened.fetch(revision, "a")).files["x"].content == b"1"


async def test_who_is_cancelled_in_the_middle_leaves_no_half_answer(
    desk: conftest.Desk, pool: opening.SourcePool
) -> None:
    """The next one must not read the rest of an answer as the beginning of his own."""
    desk.repository.commit({f"a/{number}": str(number) * 5000 for number in range(200)} | {"b/x": "1"})
    opened = pool.open(conftest.declare(desk.repository.file_url))
    revision = await opened.resolve()
    await opened.fetch(revision, "b")
    for turns in range(0, 60, 3):
        task = asyncio.ensure_future(opened.fetch(revision, "a"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        assert (await opened.fetch(revision, "b")).files["x"].content == b"1"
        await asyncio.gather(task, return_exceptions=True)
    assert len((await opened.fetch(revision, "a")).files) == 200

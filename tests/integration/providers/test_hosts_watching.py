"""Drift is noticed at once."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.providers import world
from undrift.model import record, resource

TREE = world.manifest("""
  directories:
    - {path: /srv, mode: "0755"}
  files:
    - {path: /srv/one, content: one}
    - {path: /deep/er/two, content: two}
  links:
    - {path: /srv/three, to: one}
""")


@contextlib.asynccontextmanager
async def hints(here: world.World) -> AsyncIterator[Callable[[str], "asyncio.Future[float]"]]:
    """A function that waits until a resource is hinted at, and tells how long that took."""
    seen: asyncio.Queue[frozenset[resource.ResourceId]] = asyncio.Queue()
    session = await here.connect()

    async def listen() -> None:
        async for hint in session.watch():
            seen.put_nowait(hint)

    async def until(text: str) -> float:
        begun = time.monotonic()
        async with asyncio.timeout(5):
            while world.rid(text) not in await seen.get():
                pass
        return time.monotonic() - begun

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.3)
    while not seen.empty():
        seen.get_nowait()
    try:
        yield lambda text: asyncio.ensure_future(until(text))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "srv/one").write_text("hacked"),
        lambda root: (root / "srv/one").unlink(),
        lambda root: (root / "srv/one").chmod(0o600),
        lambda root: os.replace(root / "deep/er/two", root / "srv/one"),  # noqa: PTH105 - the call that editors make
        lambda root: (root / "srv").rename(root / "gone"),
    ],
    ids=["write", "unlink", "chmod", "replace", "move the folder away"],
)
async def test_a_change_by_hand_is_hinted_at_within_a_second(
    here: world.World, change: Callable[[object], object]
) -> None:
    here.commit({"host.yaml": TREE})
    await here.reconcile()

    async with hints(here) as until:
        change(here.root)
        assert await until("File//srv/one") < 1.0

    told = await here.reconcile()
    assert told.ending is record.Ending.APPLIED, told.failure
    assert (here.root / "srv/three").read_text() == "one"


async def test_what_is_applied_later_is_watched_too(here: world.World) -> None:
    here.commit({"host.yaml": TREE})
    await here.reconcile()
    async with hints(here) as until:
        here.commit({"host.yaml": TREE.replace("/srv/one, content", "/new/one, content")})
        await here.reconcile(policy={"deletion_limit": world.UNLIMITED})
        await asyncio.sleep(0.5)
        (here.root / "new/one").write_text("hacked")
        assert await until("File//new/one") < 1.0


async def test_a_missing_folder_that_comes_back_is_noticed(here: world.World) -> None:
    here.commit({"host.yaml": TREE})
    await here.reconcile()
    (here.root / "deep").rename(here.root / "away")
    async with hints(here) as until:
        (here.root / "away").rename(here.root / "deep")
        assert await until("File//deep/er/two") < 1.0
        await asyncio.sleep(0.3)
        (here.root / "deep/er/two").write_text("hacked")
        assert await until("File//deep/er/two") < 1.0

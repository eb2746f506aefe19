"""Several things at once: results in order, and nothing that runs on after a failure."""

from __future__ import annotations

import asyncio

import pytest

from undrift.lib import tasks


async def test_results_come_in_the_order_that_was_asked() -> None:
    async def after(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return turns

    assert await tasks.together(after(turns) for turns in (3, 1, 2)) == [3, 1, 2]
    assert await tasks.together([]) == []


async def test_a_failure_ends_the_others_first() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await tasks.together([endless(), failing()])
    assert ended == ["endless"]


async def test_being_cancelled_ends_all() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    whole = asyncio.create_task(tasks.together([endless(), endless()]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert ended == ["endless", "endless"]

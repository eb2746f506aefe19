"""One piece of work for everybody who asks for it at the same time."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from undrift import errors

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """Work by name. Who asks for what is under way waits for it; it goes on when all who asked have given up.

    So a caller's deadline does not throw away a long first fetch: the next caller finds it further on.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[_T]] = {}

    async def do(self, name: Hashable, work: Callable[[], Awaitable[_T]]) -> _T:
        """The result of the work of that name, started unless it is under way. Raises what it raises."""
        task = self._tasks.get(name)
        if task is None:
            task = asyncio.ensure_future(_run(work))
            self._tasks[name] = task
            task.add_done_callback(lambda done: self._forget(name, done))
        try:
            return await asyncio.shield(task)
        except errors.UndriftError as error:
            # Everybody gets an error of his own, for it learns more on its way up.
            raise copy.copy(error) from error.__cause__

    def _forget(self, name: Hashable, task: asyncio.Task[_T]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]
        if not task.cancelled():
            task.exception()

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(work: Callable[[], Awaitable[_T]]) -> _T:
    return await work()

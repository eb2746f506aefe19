"""An event loop whose clock is turned: where it would wait for a timer, the time has come.

Work in threads is real and waited for; nothing else moves meanwhile.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

_SHORT = 0.01
_Events = list[tuple[selectors.SelectorKey, int]]


class TurningLoop(asyncio.SelectorEventLoop):
    """`turning` may be switched: while it is off, time passes as it does for everybody."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.turning = True
        self.jobs = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Seconds, ahead of the real clock by what was turned."""
        return super().time() + self.ahead

    def run_in_executor(  # type: ignore[override]  # the same, said in fewer words
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """See the base class."""
        future = super().run_in_executor(executor, func, *args)
        self.jobs += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _: asyncio.Future[Any]) -> None:
        self.jobs -= 1


class _Selector(selectors.DefaultSelector):
    """Turns the clock of its loop instead of waiting."""

    def __init__(self, loop: TurningLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> _Events:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if timeout is None or not self._loop.turning:
            return super().select(timeout)
        if self._loop.jobs:
            return super().select(_SHORT)
        self._loop.ahead += max(timeout, 0.0)
        return []

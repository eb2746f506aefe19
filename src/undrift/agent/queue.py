"""Names of applications to look at. Level-based: the queue says *look*, never *why*.

A name is in the queue once, given to one worker at a time, and waits again if it was put while it was worked
on. The urgent go first; among equals it is first come, first served, so that nobody starves.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools


class Urgency(enum.IntEnum):
    """Who asks: a person, a commit, a hint that something drifted, or the clock."""

    ORDER = 0
    CHANGE = 1
    DRIFT = 2
    TIMER = 3


class Queue:
    """Lives on one event loop."""

    def __init__(self) -> None:
        self._ready: list[tuple[int, int, str]] = []
        self._waiting: dict[str, Urgency] = {}
        self._busy: set[str] = set()
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._numbers = itertools.count()
        self._some = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, name: str, urgency: Urgency, delay: float = 0.0) -> None:
        """Look at `name`, now or in `delay` seconds; a later timer never postpones an earlier one."""
        if delay > 0:
            self._put_later(name, urgency, delay)
            return
        known = self._waiting.get(name)
        if known is not None and known <= urgency:
            return
        self._waiting[name] = urgency
        heapq.heappush(self._ready, (urgency, next(self._numbers), name))
        self._some.set()

    def _put_later(self, name: str, urgency: Urgency, delay: float) -> None:
        loop = asyncio.get_running_loop()
        known = self._later.get(name)
        if known is not None:
            if known.when() <= loop.time() + delay:
                return
            known.cancel()
        self._later[name] = loop.call_later(delay, self._ring, name, urgency)

    def _ring(self, name: str, urgency: Urgency) -> None:
        self._later.pop(name, None)
        self.put(name, urgency)

    def reset(self, name: str) -> None:
        """Forget the timer of `name`: whoever has just looked at it sets a new one."""
        timer = self._later.pop(name, None)
        if timer is not None:
            timer.cancel()

    def drop(self, name: str) -> None:
        """Never give out `name` again until it is put anew."""
        self.reset(name)
        self._waiting.pop(name, None)

    async def take(self) -> tuple[str, Urgency]:
        """The next name, which is the caller's alone until it says `done`."""
        while True:
            found = self._pop()
            if found is not None:
                return found
            self._some.clear()
            await self._some.wait()

    def _pop(self) -> tuple[str, Urgency] | None:
        blocked: list[tuple[int, int, str]] = []
        found: tuple[str, Urgency] | None = None
        while self._ready and found is None:
            entry = heapq.heappop(self._ready)
            urgency, _, name = entry
            if self._waiting.get(name) != urgency:
                continue
            if name in self._busy:
                blocked.append(entry)
                continue
            del self._waiting[name]
            self._busy.add(name)
            self._quiet.clear()
            found = (name, Urgency(urgency))
        for entry in blocked:
            heapq.heappush(self._ready, entry)
        return found

    def done(self, name: str) -> None:
        """The caller of `take` has finished with `name`."""
        self._busy.discard(name)
        if not self._busy:
            self._quiet.set()
        if self._waiting:
            self._some.set()

    async def idle(self) -> None:
        """Until no worker has anything."""
        await self._quiet.wait()

    def busy(self, name: str) -> bool:
        """Whether a worker has `name` now."""
        return name in self._busy

    @property
    def at_work(self) -> frozenset[str]:
        """All names that workers have now."""
        return frozenset(self._busy)

    def close(self) -> None:
        """Cancel every timer."""
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()

"""Trying again until a push is through: who lost a race begins anew from what is there then, until a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from undrift import errors
from undrift.lib import backoff
from undrift.publishing import queueing
from undrift.sources.git import grafting

_T = TypeVar("_T")
_BACKOFF: Final = backoff.Backoff(first=0.2, cap=10.0, factor=1.7)
_SPREAD: Final = 6.0
"""So many attempts long is the span of time that those who lost spread over."""
_FIRST_TRIES: Final = 3
"""So often a server is tried that never answered: a wrong address is told soon."""
UNNEEDED: Final = grafting.Pushed(done=True)
"""Nothing had to be pushed."""


@dataclasses.dataclass(slots=True)
class Race:
    """The attempt that runs, counted from 1; `reached` is set by it once the server has answered."""

    attempt: int = 0
    reached: bool = False


async def run(
    trying: Callable[[Race], Awaitable[tuple[_T, grafting.Pushed]]],
    deadline: float,
    turns: queueing.Turns | None = None,
) -> _T:
    """What the attempt gave whose push went through; `deadline` is seconds, `turns` those of this machine's jobs.

    Raises `PushDeadline`, `SourceUnavailable` where the server never answered, and whatever else an attempt raises.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    until, race = begun + deadline, Race()
    while True:
        race.attempt += 1
        try:
            async with turns.one() if turns is not None else contextlib.nullcontext():
                begun = loop.time()
                made, pushed = await trying(race)
            if pushed.done:
                return made
            lost = pushed.lost
        except errors.SourceUnavailable as error:
            if not race.reached and race.attempt >= _FIRST_TRIES:
                raise
            lost = error.why or error.what
        now = loop.time()
        if now >= until:
            raise errors.PushDeadline(
                f"gave up after {deadline:g} s and {race.attempt} attempts",
                why=f"{lost or 'others push to it all the time'}; nothing was changed",
                hint="run it again, or raise --deadline",
            )
        await asyncio.sleep(min(_pause(race.attempt, now - begun), until - now))


def _pause(attempt: int, took: float) -> float:
    """Seconds to wait after a lost race: the longer, the more often it was lost, and the longer an attempt takes.

    An attempt takes long where many others are at it, on this machine or on the server: then a short pause makes it
    worse for all of them.
    """
    chance = random.random()  # noqa: S311 - spreads retries, hides nothing
    return max(_BACKOFF.delay(attempt, chance), chance * took * _SPREAD)

"""The queue: each name once, to one worker at a time, the urgent first, and nobody starves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import looptime

from undrift.agent import queue

_T = TypeVar("_T")
ORDER, CHANGE, DRIFT, TIMER = queue.Urgency


def turn(work: Coroutine[Any, Any, _T]) -> _T:
    """Run on a clock that is turned."""
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def drained(found: queue.Queue) -> list[str]:
    """Everything that can be taken now, each done at once."""
    names = []
    while len(found):
        name, _ = await found.take()
        names.append(name)
        found.done(name)
    return names


def test_a_name_that_is_put_often_is_given_out_once() -> None:
    async def story() -> list[str]:
        found = queue.Queue()
        for _ in range(5):
            found.put("a", CHANGE)
            found.put("b", CHANGE)
        return await drained(found)

    assert turn(story()) == ["a", "b"]


def test_the_urgent_come_first_and_the_patient_in_their_order() -> None:
    async def story() -> list[str]:
        found = queue.Queue()
        for name, urgency in (("timer", TIMER), ("drift", DRIFT), ("first", CHANGE), ("second", CHANGE)):
            found.put(name, urgency)
        found.put("order", ORDER)
        return await drained(found)

    assert turn(story()) == ["order", "first", "second", "drift", "timer"]


def test_whoever_becomes_urgent_moves_up_and_never_down() -> None:
    async def story() -> list[str]:
        found = queue.Queue()
        found.put("a", TIMER)
        found.put("b", DRIFT)
        found.put("a", ORDER)
        found.put("a", TIMER)
        return await drained(found)

    assert turn(story()) == ["a", "b"]


def test_a_name_is_with_one_worker_at_a_time() -> None:
    """Put again meanwhile, it waits for the worker to be done, and others do not wait for it."""

    async def story() -> list[str]:
        found, seen = queue.Queue(), []
        found.put("a", CHANGE)
        name, _ = await found.take()
        found.put("a", ORDER)
        found.put("b", TIMER)
        seen.append((await found.take())[0])
        waiting = asyncio.ensure_future(found.take())
        await asyncio.sleep(100)
        assert not waiting.done()
        assert found.busy("a")
        found.done(name)
        seen.append((await waiting)[0])
        return seen

    assert turn(story()) == ["b", "a"]


def test_a_timer_rings_in_time_and_is_never_put_off() -> None:
    async def story() -> list[tuple[str, int]]:
        found, loop, seen = queue.Queue(), asyncio.get_running_loop(), []
        begun = loop.time()
        found.put("a", TIMER, 60)
        found.put("a", TIMER, 300)
        found.put("b", TIMER, 300)
        found.put("b", TIMER, 90)
        for _ in range(2):
            name, _ = await found.take()
            seen.append((name, round(loop.time() - begun)))
            found.done(name)
        found.close()
        return seen

    assert turn(story()) == [("a", 60), ("b", 90)]


def test_what_is_dropped_or_reset_does_not_ring() -> None:
    async def story() -> int:
        found = queue.Queue()
        found.put("dropped", TIMER, 10)
        found.put("dropped", CHANGE)
        found.drop("dropped")
        found.put("reset", TIMER, 10)
        found.reset("reset")
        await asyncio.sleep(100)
        return len(found)

    assert turn(story()) == 0


def test_idle_waits_for_those_that_are_busy_only() -> None:
    async def story() -> bool:
        found = queue.Queue()
        found.put("a", CHANGE)
        found.put("waiting", CHANGE)
        await found.idle()
        name, _ = await found.take()
        idle = asyncio.ensure_future(found.idle())
        await asyncio.sleep(1)
        assert not idle.done()
        found.done(name)
        await asyncio.sleep(1)
        return idle.done()

    assert turn(story())


def test_a_busy_one_that_is_put_all_the_time_starves_nobody() -> None:
    """Equal urgency is first come, first served."""

    async def story() -> list[str]:
        found, seen = queue.Queue(), []
        found.put("noisy", CHANGE)
        for number in range(3):
            found.put(f"quiet-{number}", CHANGE)
        for _ in range(6):
            name, _ = await found.take()
            seen.append(name)
            if name == "noisy":
                found.put("noisy", CHANGE)
            found.done(name)
        return seen

    assert turn(story()) == ["noisy", "quiet-0", "quiet-1", "quiet-2", "noisy", "noisy"]

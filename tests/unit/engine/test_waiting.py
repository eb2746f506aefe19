"""Waiting for health: no look too many, no wait too long, on a clock that is turned."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Sequence
from typing import Any

import looptime
import pytest

from undrift import errors
from undrift.engine import waiting
from undrift.model import health, resource

ONE = resource.ResourceId.of("Thing", "one")
TWO = resource.ResourceId.of("Thing", "two")
GOOD = health.Health(health.Status.HEALTHY)
COMING = health.Health(health.Status.PROGRESSING, "starting")
HELD = health.Health(health.Status.SUSPENDED, "suspended")
FIRST = {ONE: resource.Resource(ONE, {}, errors.Origin("one.yaml", 1), lines={"a.b": (7, 3)})}
BOTH = {**FIRST, TWO: resource.Resource(TWO, {})}


def look(**found: health.Health) -> resource.LiveState:
    """What a target shows."""
    ids = {"one": ONE, "two": TWO}
    return resource.LiveState(
        {ids[name]: resource.LiveResource(ids[name], {}, health=how) for name, how in found.items()}
    )


class Target:
    """Shows one state after another, the last one for ever."""

    def __init__(self, states: Sequence[resource.LiveState]) -> None:
        self.states = list(states)
        self.asked: list[float] = []

    async def observe(self, ids: Collection[resource.ResourceId]) -> resource.LiveState:
        self.asked.append(asyncio.get_running_loop().time())
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def turn(work: Coroutine[Any, Any, waiting.Settled]) -> waiting.Settled:
    """Run on a clock that is turned."""
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.mark.parametrize("well", [GOOD, HELD])
def test_what_was_seen_to_be_well_is_not_looked_at_again(well: health.Health) -> None:
    target = Target([look()])
    settled = turn(waiting.until_healthy(FIRST, look(one=well), target.observe, waiting.Patience(10)))
    assert (settled.health.status, target.asked) == (well.status, [])


def test_what_is_not_yet_well_is_looked_at_less_and_less_often_until_it_is() -> None:
    target = Target([look(one=COMING)] * 3 + [look(one=GOOD)])
    settled = turn(waiting.until_healthy(FIRST, look(one=COMING), target.observe, waiting.Patience(60)))
    pauses = [after - before for before, after in zip(target.asked, target.asked[1:], strict=False)]
    assert settled.health.status is health.Status.HEALTHY
    assert not settled.timed_out
    assert len(target.asked) == 4
    assert pauses == sorted(pauses)


def test_the_worst_is_named_when_the_time_is_up() -> None:
    state = look(one=GOOD, two=COMING)
    target = Target([state])
    settled = turn(waiting.until_healthy(BOTH, state, target.observe, waiting.Patience(7)))
    assert settled.timed_out
    assert (settled.worst, settled.health) == (TWO, COMING)
    assert target.asked[-1] <= 7


def test_what_a_look_does_not_show_is_missing() -> None:
    assert waiting.judge(BOTH, look(one=GOOD)).worst == TWO


def test_the_reason_says_where_its_cause_is_declared() -> None:
    ill = health.Health(health.Status.DEGRADED, "too small", "a.b.c")
    judged = waiting.judge(BOTH, look(one=ill, two=GOOD))
    assert judged.health == health.Health(health.Status.DEGRADED, "too small (one.yaml:7:3)", "a.b.c")


def test_nothing_to_wait_for_is_well() -> None:
    assert waiting.judge({}, look()).health == GOOD

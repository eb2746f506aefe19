"""Carrying out plans: immutable fields, native plans, defects, slow targets, concurrency, lost leases."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Collection

import pytest

from tests.unit.engine.telling import A, B, C, codes, file, story, told
from undrift import errors
from undrift.model import health, plan, record, resource
from undrift.testing import fakes


@pytest.mark.parametrize("allowed", [True, False])
def test_recreate_only_where_policy_allows(allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An immutable field is an error or a deletion, never by surprise."""
    world, tenant = story(recreate=("File/a",) if allowed else ())
    tenant.source.commit(file(A))
    told(world)
    uid = world.place.things[A].uid
    tenant.source.commit(file(A, 2))
    provider = fakes.FakeProvider

    def immutable(place: fakes.FakeTarget, **more: object) -> fakes.FakeProvider:
        return provider(place, immutable={"File": ("x",)}, **more)

    monkeypatch.setattr(fakes, "FakeProvider", immutable)
    found = told(world)

    assert codes(found) == ([] if allowed else ["UD611"])
    assert (world.place.things[A].uid != uid) is allowed


def test_a_target_that_says_so_is_believed_about_immutability(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its preview is read-only input to planning."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    tenant.source.commit(file(A, 2))

    async def preview(self: fakes.FakeSession, situation: plan.Situation) -> plan.Previews:
        return plan.Previews(immutable={A: "selector cannot change"})

    monkeypatch.setattr(fakes.FakeSession, "preview", preview)
    found = told(world)

    assert "selector" in str(found.verdict and found.verdict.stops[0].why)


def test_a_native_plan_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guarded, digested and applied like any other."""
    world, tenant = story()
    tenant.source.commit(file(A))
    change = plan.Change(plan.Action.CREATE, A, plan.Reason.DECLARED, file(A), text="+ a")

    async def preview(self: fakes.FakeSession, situation: plan.Situation) -> plan.Previews:
        native = () if A in situation.live.resources else (change,)
        return plan.Previews(native=native)

    monkeypatch.setattr(fakes.FakeSession, "preview", preview)

    assert told(world).ending is record.Ending.APPLIED
    assert told(world).ending is record.Ending.IN_SYNC


@pytest.mark.parametrize("edge", ["wave", "depends_on"])
def test_what_a_wave_follows_has_to_be_well_though_it_did_not_change(edge: str) -> None:
    """A Job that failed stops what follows it the second time, too; a repair is not held up by it."""
    after = {"wave": 1} if edge == "wave" else {"depends_on": (A,)}
    world, tenant = story()
    tenant.source.commit(file(A), file(B, **after))
    told(world)
    world.place.things[A].health = health.Health(health.Status.DEGRADED, "it failed")
    world.place.things[B].fields["x"] = 7
    healed = told(world)
    tenant.source.commit(file(A), file(B, 2, **after))

    stopped = told(world)
    before = world.place.things[B].fields
    world.place.things[A].health = health.Health(health.Status.SUSPENDED)
    gone_on = told(world)

    assert healed.ending is record.Ending.APPLIED
    assert stopped.failure is not None
    assert isinstance(stopped.failure.error, errors.Unhealthy)
    assert (stopped.health.status, stopped.health.reason) == (health.Status.DEGRADED, "it failed")
    assert before == {"x": 1}
    assert gone_on.ending is record.Ending.APPLIED
    assert world.place.things[B].fields == {"x": 2}


@pytest.mark.parametrize("late", [True, False])
def test_a_defect_in_a_provider_is_a_failure_of_this_application_alone(
    late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text is not told: it may hold anything."""
    world, tenant = story()
    tenant.source.commit(file(A))

    async def broken(*_: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(fakes.FakeSession, "apply" if late else "observe", broken)
    with pytest.raises(errors.InternalError, match="RuntimeError") as caught:
        told(world)

    assert "hunter2" not in str(caught.value)
    if late:
        assert world.database.journal["site"][0].outcome is plan.Outcome.FAILED


def test_a_look_that_takes_too_long_is_a_target_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every outside call has its time; the clock is turned."""
    world, tenant = story()
    tenant.source.commit(file(A))

    async def slow(*_: object) -> None:
        await asyncio.sleep(10_000)

    monkeypatch.setattr(fakes.FakeSession, "observe", slow)
    found = told(world)

    assert found.failure is not None
    assert isinstance(found.failure.error, errors.TargetUnavailable)


def test_side_by_side_where_the_provider_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """And once one fails no further one is begun."""
    world, tenant = story()
    tenant.source.commit(*(file(resource.ResourceId.of("File", str(number))) for number in range(10)))
    provider = fakes.FakeProvider

    def wide(place: fakes.FakeTarget, **more: object) -> fakes.FakeProvider:
        return provider(place, concurrency=2, **more)

    monkeypatch.setattr(fakes, "FakeProvider", wide)
    moves = itertools.chain(
        [fakes.Mischief.DELAY, fakes.Mischief.FAIL], itertools.repeat(fakes.Mischief.NONE)
    )
    world.place.misbehave = lambda _: next(moves)
    found = told(world)
    outcomes = [result.outcome for result in found.results]

    assert outcomes.count(plan.Outcome.APPLIED) == 1
    assert outcomes.count(plan.Outcome.FAILED) == 1
    assert outcomes.count(plan.Outcome.SKIPPED) == 8


def test_nobody_else_is_at_work_from_the_first_look_to_the_last_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is declared and what was applied before are kept for us, already when both are new."""
    world, tenant = story()
    held: list[frozenset[resource.ResourceId]] = []
    seen: list[bool] = []

    @contextlib.asynccontextmanager
    async def exclusive(ids: Collection[resource.ResourceId]) -> AsyncIterator[None]:
        held.append(frozenset(ids))
        yield
        held.append(frozenset())

    def noted(name: str) -> None:
        real = getattr(fakes.FakeSession, name)

        async def call(self: fakes.FakeSession, *given: object) -> object:
            seen.append(bool(held and held[-1]))
            return await real(self, *given)

        monkeypatch.setattr(fakes.FakeSession, name, call)

    noted("observe")
    noted("apply")
    world.exclusive = exclusive
    tenant.source.commit(file(A), file(B))
    told(world)
    tenant.source.commit(file(B), file(C))
    told(world)
    told(world, dry=True)

    assert held == [{A, B}, frozenset(), {A, B, C}, frozenset()]
    assert all(seen[:-1])


def test_a_lost_lease_stops_before_the_next_change() -> None:
    """At most one late change."""
    world, tenant = story()
    tenant.source.commit(file(A), file(B), file(C))

    def taken_over(change: plan.Change) -> fakes.Mischief:
        world.database.epochs["site"] += 1
        return fakes.Mischief.NONE

    world.place.misbehave = taken_over
    with pytest.raises(errors.LeaseLost):
        told(world)

    assert len(world.place.things) == 1

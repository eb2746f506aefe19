"""The end of an application: what is made before its resources go, and after; whatever happens in between."""

from __future__ import annotations

import dataclasses

import pytest

from tests.properties.engine import history
from tests.unit.engine.telling import A, B, approve, codes, file, story, told
from undrift import errors
from undrift.model import application, health, plan, record, resource
from undrift.testing import fakes

BYE, GONE = (resource.ResourceId.of("File", name) for name in ("bye", "gone"))
COMMIT = (
    file(A),
    file(B),
    file(BYE, wave=-10, farewell=resource.Farewell.BEFORE),
    file(GONE, wave=10, farewell=resource.Farewell.AFTER),
)
DELETE = application.DeletionPolicy.DELETE
CREATED, DELETED = plan.Action.CREATE, plan.Action.DELETE
FAILED = health.Health(health.Status.DEGRADED, "it failed")


def applied(*commit: resource.Resource) -> tuple[history.History, history.Tenant]:
    """An application that was applied, and whose document is still there."""
    world, tenant = story(health_timeout=5.0)
    tenant.source.commit(*(commit or COMMIT))
    assert told(world).ending is record.Ending.APPLIED
    world.place.log.clear()
    return world, tenant


def leave(tenant: history.Tenant, policy: application.DeletionPolicy = DELETE) -> None:
    """Its document leaves Git; the agent knew of its farewells."""
    tenant.declared = dataclasses.replace(
        tenant.declared, decommissioned=True, deletion_policy=policy, farewells=True
    )


def is_gone(found: record.Reconciliation) -> bool:
    """Whether an agent would forget it now."""
    return found.ending is record.Ending.IN_SYNC and not (found.desired and found.desired.resources)


def test_farewells_are_made_at_the_end_and_only_then() -> None:
    """Not with the others, not when something is pruned; afterwards they go as well."""
    world, tenant = applied()
    assert set(world.place.things) == {A, B}
    tenant.source.commit(file(A), *COMMIT[2:])
    assert told(world).ending is record.Ending.APPLIED
    assert set(world.place.things) == {A}
    world.place.log.clear()

    leave(tenant)
    first, second, third = told(world), told(world), told(world)

    assert world.place.log[:3] == [(CREATED, BYE), (DELETED, A), (CREATED, GONE)]
    assert set(world.place.log[3:]) == {(DELETED, BYE), (DELETED, GONE)}
    assert [one.ending for one in (first, second)] == [record.Ending.APPLIED] * 2
    assert not is_gone(first)
    assert is_gone(third)
    assert not world.place.things


def test_nothing_is_deleted_before_the_first_farewell_is_well() -> None:
    """And what failed is not passed over the next time."""
    world, tenant = applied()
    leave(tenant)
    make = world.place.make

    def fails(change: plan.Change, mark: object) -> None:
        make(change, mark)  # type: ignore[arg-type]  # handed on as it is
        if change.id == BYE:
            world.place.things[BYE].health = FAILED

    world.place.make = fails  # type: ignore[method-assign]  # a program that fails when it runs
    found, again = told(world), told(world)

    for one in (found, again):
        assert one.failure is not None
        assert isinstance(one.failure.error.parts[0], errors.Unhealthy)
    assert world.place.log == [(CREATED, BYE)]
    world.place.things[BYE].health = health.HEALTHY
    assert told(world).ending is record.Ending.APPLIED
    assert set(world.place.things) == {BYE, GONE}


def test_what_comes_after_is_waited_for() -> None:
    """While it fails the application stays, and says so."""
    world, tenant = applied()
    leave(tenant)
    told(world)
    world.place.things[GONE].health = FAILED

    failing = told(world)
    kept = set(world.place.things)
    world.place.things[GONE].health = health.HEALTHY
    told(world)

    assert not is_gone(failing)
    assert failing.health.status is health.Status.DEGRADED
    assert GONE in kept
    assert is_gone(told(world))


@pytest.mark.parametrize(
    "mischief", [fakes.Mischief.DIE_BEFORE, fakes.Mischief.DIE_AFTER, fakes.Mischief.FAIL]
)
@pytest.mark.parametrize("rid", [BYE, A, B, GONE])
def test_it_goes_on_wherever_it_was_interrupted(rid: resource.ResourceId, mischief: fakes.Mischief) -> None:
    """What comes after is made, even where everything was gone already; what comes before is not made again."""
    world, tenant = applied()
    leave(tenant)
    left = [mischief]
    world.place.misbehave = lambda change: left.pop() if left and change.id == rid else fakes.Mischief.NONE

    for _ in range(6):
        found = world.reconcile("site")

    assert found is not None
    assert is_gone(found)
    assert not world.place.things
    made = [one for action, one in world.place.log if action is CREATED]
    assert made in ([BYE, GONE], [GONE]) if rid == BYE else made == [BYE, GONE]


def test_one_approval_is_for_all_of_it() -> None:
    """The plan that is approved shows them; that they go afterwards needs no other."""
    world, tenant = applied()
    leave(tenant, application.DeletionPolicy.APPROVE)
    found = told(world)
    assert codes(found) == ["UD606"]
    assert found.plan is not None
    shown = [change.id for change in found.plan.changes]
    assert (shown[0], shown[-1]) == (BYE, GONE)

    approve(world, found.plan.digest)
    told(world)
    told(world)

    assert is_gone(told(world))
    assert not world.place.things


def test_an_orphan_says_no_farewell() -> None:
    world, tenant = applied()
    leave(tenant, application.DeletionPolicy.ORPHAN)
    told(world)

    assert is_gone(told(world))
    assert set(world.place.things) == {A, B}


def test_who_cannot_be_rendered_any_more_keeps_everything() -> None:
    """Its source lost the commit: nothing is deleted without what has to run before."""
    world, tenant = applied()
    leave(tenant)
    commits, tenant.source.commits = tenant.source.commits, []
    world.restart()

    found = told(world)

    assert found.failure is not None
    assert "source" in found.failure.error.hint
    assert set(world.place.things) == {A, B}
    tenant.source.commits = commits
    assert told(world).ending is record.Ending.APPLIED

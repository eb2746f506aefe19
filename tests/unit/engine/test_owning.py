"""Whose a resource is: adoption, hand-over, renames, moves, leaving Git, a lost database."""

from __future__ import annotations

import dataclasses

import pytest

from tests.properties.engine import history
from tests.unit.engine.telling import SITE, A, B, approve, codes, file, story, told
from undrift.model import application, inventory, plan, record


@pytest.mark.parametrize("adopt", ["policy", "resource", "no"])
def test_adoption_is_asked_for(adopt: str) -> None:
    """By the policy or on the resource; otherwise the plan stops."""
    world, tenant = story(adopt=("File/*",) if adopt == "policy" else ())
    world.place.touch(A, {"x": 5})
    tenant.source.commit(file(A, adopt=adopt == "resource"))
    found = told(world)

    if adopt == "no":
        assert codes(found) == ["UD609"]
        assert world.place.things[A].fields == {"x": 5}
    else:
        assert found.ending is record.Ending.APPLIED
        mark = world.place.things[A].mark
        assert mark is not None
        assert mark.application == "site"


def two(takes: tuple[str, ...] = ()) -> history.History:
    """Two applications on one target."""
    shop = dataclasses.replace(SITE, name="shop", takes_from=takes)
    open_site = dataclasses.replace(SITE, policy=application.Policy(allow_empty=True))
    return history.History(history.Tenant(open_site), history.Tenant(shop))


def test_two_applications_cannot_declare_one_resource() -> None:
    """The owner goes on, the other one is told who it is."""
    world = two()
    world.tenants["site"].source.commit(file(A))
    world.tenants["shop"].source.commit()
    told(world)
    world.tenants["shop"].source.commit(file(A))

    assert codes(told(world, "shop")) == ["UD610"]
    assert told(world).ending is record.Ending.IN_SYNC


def test_handing_over_is_one_step() -> None:
    """Never deleted, never made anew."""
    world = two(takes=("site",))
    world.tenants["site"].source.commit(file(A), file(B))
    world.tenants["shop"].source.commit()
    told(world)
    uid = world.place.things[A].uid
    world.tenants["site"].source.commit(file(B))
    world.tenants["shop"].source.commit(file(A))
    told(world)
    taken = told(world, "shop")
    told(world)

    assert taken.ending is record.Ending.APPLIED
    assert world.place.things[A].uid == uid
    mark = world.place.things[A].mark
    assert mark is not None
    assert mark.application == "shop"
    assert set(world.database.memory("site").inventory.entries) == {B}


def test_another_agents_resource_is_not_ours() -> None:
    """Its owner is named."""
    world, tenant = story()
    world.place.touch(A, {"x": 1}, inventory.Mark("other-agent", "theirs", A))
    tenant.source.commit(file(A))
    found = told(world)

    assert codes(found) == ["UD609"]
    assert "other-agent" in str(found.verdict and found.verdict.stops[0].why)


def test_a_copied_mark_is_not_ours() -> None:
    """Controllers copy marks to their children: one that names something else proves nothing."""
    world, tenant = story(allow_empty=True)
    world.place.touch(B, {"x": 1}, inventory.Mark(history.AGENT, "site", A))
    tenant.source.commit()
    told(world)

    assert B in world.place.things


def test_a_renamed_application_keeps_its_resources() -> None:
    """Marks are rewritten, nothing is deleted or made."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    uid = world.place.things[A].uid
    renamed = dataclasses.replace(tenant.declared, name="portal", moved_from=("site",))
    world.tenants["portal"] = history.Tenant(renamed, tenant.source)
    world.database.memories["portal"] = world.database.memories.pop("site")
    found = told(world, "portal")

    assert [result.change.action for result in found.results] == [plan.Action.MARK]
    assert world.place.things[A].uid == uid


def test_a_moved_resource_is_moved() -> None:
    """Not deleted and made."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    uid = world.place.things[A].uid
    tenant.source.commit(file(B, moved_from=A))
    found = told(world)

    assert [result.change.action for result in found.results] == [plan.Action.MOVE]
    assert {rid: thing.uid for rid, thing in world.place.things.items()} == {B: uid}
    assert set(world.database.memory("site").inventory.entries) == {B}


def decommissioned(policy: application.DeletionPolicy) -> history.History:
    """An application that owned two files and left Git."""
    world, tenant = story()
    tenant.source.commit(file(A), file(B))
    told(world)
    tenant.declared = dataclasses.replace(tenant.declared, decommissioned=True, deletion_policy=policy)
    return world


def test_leaving_git_is_a_plan_that_waits_for_approval() -> None:
    """Unless it said otherwise while it stood there."""
    world = decommissioned(application.DeletionPolicy.APPROVE)
    waiting = told(world)
    assert waiting.plan is not None
    assert codes(waiting) == ["UD606"]
    approve(world, waiting.plan.digest)
    told(world)

    assert not world.place.things


def test_leaving_git_with_deletion_policy_delete() -> None:
    """Previews have it."""
    world = decommissioned(application.DeletionPolicy.DELETE)
    told(world)

    assert not world.place.things


def test_leaving_git_as_an_orphan_releases() -> None:
    """Everything stays, and is nobody's."""
    world = decommissioned(application.DeletionPolicy.ORPHAN)
    told(world)

    assert [thing.mark for thing in world.place.things.values()] == [None, None]
    assert world.database.memory("site").inventory.entries == {}


def test_a_lost_database_is_learnt_again_and_touches_nothing_by_itself() -> None:
    """Applications whose plan is empty go on, the others wait to be resumed."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    world.database.memories.clear()
    world.place.touch(A, {"x": 9})
    waiting = told(world)

    assert codes(waiting) == ["UD612"]
    assert world.place.things[A].fields == {"x": 9}
    assert set(world.database.memory("site").inventory.entries) == {A}

    history.turn(world.database.resume("site"))
    assert told(world).ending is record.Ending.APPLIED
    world.database.memories.clear()
    assert told(world).ending is record.Ending.IN_SYNC
    assert world.database.memory("site").resumed

"""Layers whose own tool plans, and whose marks stand for a whole part of the target."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from tests.properties.engine import history
from tests.unit.engine.telling import SITE, A, B, C, codes, file, told
from undrift.engine import ordering, planning
from undrift.model import application, inventory, lock, plan, record, resource, target

OWNER = inventory.Owner("agent", "site")
ABLE = target.Capabilities(marks=target.Marks.TARGET, native_plan=True, atomic=True)
PART = resource.ResourceId.of("Part", "all")


def live(*ids: resource.ResourceId, marks: tuple[inventory.Mark, ...] = ()) -> resource.LiveState:
    return resource.LiveState({rid: resource.LiveResource(rid, {"x": 0}) for rid in ids}, marks=marks)


def owned(*ids: resource.ResourceId) -> inventory.Inventory:
    confirmed = inventory.EntryState.CONFIRMED
    return inventory.Inventory("site", {rid: inventory.Entry(rid, confirmed) for rid in ids})


def native(action: plan.Action, rid: resource.ResourceId, after: int | None = 1) -> plan.Change:
    fields = (plan.FieldChange("x", 0, after),)
    return plan.Change(action, rid, plan.Reason.DECLARED, fields=fields)


def planned(
    changes: tuple[plan.Change, ...],
    wanted: Collection[resource.Resource],
    seen: resource.LiveState,
    known: inventory.Inventory,
    **more: object,
) -> plan.Plan:
    situation = plan.Situation(
        application=SITE,
        owner=OWNER,
        lock=lock.InputLock({}, "main@sha1:1"),
        desired=resource.DesiredState({one.id: one for one in wanted}),
        live=seen,
        inventory=known,
        capabilities=ABLE,
        previews=plan.Previews(native=changes),
    )
    return planning.make_plan(dataclasses.replace(situation, **more))  # type: ignore[arg-type]  # fields by name


def test_what_differs_is_what_the_tool_says_and_nothing_else() -> None:
    found = planned((native(plan.Action.UPDATE, A, 7),), [file(A), file(B)], live(A, B), owned(A, B))

    assert [(one.id, one.action, one.fields[0].after) for one in found.changes] == [
        (A, plan.Action.UPDATE, 7)
    ]
    assert found.unchanged == 1


def test_a_stranger_is_not_touched_although_the_tool_would() -> None:
    found = planned((native(plan.Action.UPDATE, A),), [file(A)], live(A), owned())

    assert [block.error.code for block in found.blocks] == ["UD609"]


def test_only_what_is_owned_and_what_the_tool_would_delete_is_deleted() -> None:
    changes = (native(plan.Action.DELETE, A, None), native(plan.Action.DELETE, C, None))
    found = planned(changes, [], live(A, B, C), owned(A, B))

    assert [(one.id, one.action) for one in found.changes] == [(A, plan.Action.DELETE)]


def test_what_is_neither_declared_nor_seen_is_taken_as_it_is() -> None:
    extra = native(plan.Action.CREATE, C)

    assert planned((extra,), [file(A)], live(A), owned(A)).changes == (extra,)


def test_without_a_mark_of_its_own_a_resource_of_another_application_is_not_adopted() -> None:
    greedy = dataclasses.replace(SITE, policy=application.Policy(adopt=("*",)))
    found = planned((), [file(A)], live(A), owned(), claims={A: ("shop",)}, application=greedy)

    assert [block.error.code for block in found.blocks] == ["UD610"]


def test_what_is_taken_from_another_application_is_told_by_the_mark_of_the_whole() -> None:
    heir = dataclasses.replace(SITE, takes_from=("shop",))
    marks = (inventory.Mark("agent", "shop", PART),)
    found = planned((), [file(A)], live(A, marks=marks), owned(), application=heir)

    assert [(one.action, one.from_owner) for one in found.changes] == [(plan.Action.ADOPT, "shop")]


def test_an_atomic_target_takes_a_plan_as_one_wave() -> None:
    above = file(B, depends_on=(A,), wave=3)
    changes = [
        plan.Change(plan.Action.CREATE, one.id, plan.Reason.DECLARED, one) for one in (file(A), above)
    ] + [plan.Change(plan.Action.DELETE, C, plan.Reason.PRUNE, live=live(C).resources[C])]

    (wave,) = ordering.order(changes, ABLE)

    assert [change.id for change in wave.changes] == [A, B, C]


def lost(world: history.History) -> history.History:
    """The same target, and a database that knows nothing."""
    site = world.tenants["site"]
    again = history.History(site, marks=target.Marks.TARGET)
    again.place = world.place
    return again


def test_what_a_lost_database_knew_is_rendered_again_at_the_revision_of_the_mark() -> None:
    """What vanished from Git since is still ours; what a stranger made is not."""
    world = history.History(history.Tenant(SITE), marks=target.Marks.TARGET)
    site = world.tenants["site"]
    site.source.commit(file(A), file(B))
    assert told(world).ending is record.Ending.APPLIED
    world.place.touch(C, {"x": 9})
    site.source.commit(file(A))
    after = lost(world)

    found = told(after)

    assert codes(found) == ["UD612"]
    assert found.plan is not None
    assert [(one.action, one.id) for one in found.plan.changes] == [(plan.Action.DELETE, B)]
    history.turn(after.database.resume("site"))
    assert told(after).ending is record.Ending.APPLIED
    assert world.place.things.keys() == {A, C}
    assert told(after).ending is record.Ending.IN_SYNC


def test_a_mark_whose_revision_is_gone_proves_nothing() -> None:
    world = history.History(history.Tenant(SITE), marks=target.Marks.TARGET)
    world.tenants["site"].source.commit(file(A))
    told(world)
    key = ("agent", "site")
    world.place.whole[key] = dataclasses.replace(world.place.whole[key], revision=f"main@sha1:{99:040x}")

    found = told(lost(world))

    assert codes(found) == ["UD609"]
    assert [warning.what for warning in found.warnings] == [
        f"what was applied at main@sha1:{99:040x} cannot be told any more"
    ]

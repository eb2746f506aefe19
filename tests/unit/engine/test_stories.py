"""Whole reconciles on fakes: guards, approvals, held-back commits, rollback, adoption, hand-over, decommission."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools

import pytest

from tests.properties.engine import history
from undrift import errors, interfaces
from undrift.engine import reconciling
from undrift.model import application, health, inventory, plan, record, resource
from undrift.testing import fakes

A, B, C = (resource.ResourceId.of("File", name) for name in "abc")
SITE = application.Application("site", application.SourceReference("config"), "place")


def file(rid: resource.ResourceId = A, value: int = 1, **more: object) -> resource.Resource:
    """A declared file."""
    return dataclasses.replace(resource.Resource(rid, {"x": value}), **more)  # type: ignore[arg-type]


def story(**policy: object) -> tuple[history.History, history.Tenant]:
    """One application with a policy."""
    declared = dataclasses.replace(SITE, policy=dataclasses.replace(application.Policy(), **policy))  # type: ignore[arg-type]
    tenant = history.Tenant(declared)
    return history.History(tenant), tenant


def told(world: history.History, name: str = "site", **how: bool) -> record.Reconciliation:
    """Reconcile, and be sure that the agent lived."""
    found = world.reconcile(name, **how)
    assert found is not None
    return found


def codes(found: record.Reconciliation) -> list[str]:
    """The codes of what stopped a plan."""
    assert found.verdict is not None
    return [stop.code for stop in found.verdict.stops]


def test_the_first_apply_and_then_nothing() -> None:
    """What is declared is made; a second look finds it so."""
    world, tenant = story()
    tenant.source.commit(file(A), file(B))

    first, second = told(world), told(world)

    assert first.ending is record.Ending.APPLIED
    assert [result.outcome for result in first.results] == [plan.Outcome.APPLIED] * 2
    assert second.ending is record.Ending.IN_SYNC
    assert second.health == health.HEALTHY
    assert second.plan is not None
    assert second.plan.unchanged == 2
    assert world.database.memory("site").last_good == first.revision


def test_a_dry_reconcile_changes_and_remembers_nothing() -> None:
    """It is the same plan, and no more."""
    world, tenant = story()
    tenant.source.commit(file(A))

    found = told(world, dry=True)

    assert found.plan is not None
    assert len(found.plan.changes) == 1
    assert not world.place.things
    assert world.database.memories == {}


def test_drift_is_told_and_repaired() -> None:
    """A hand edit is drift; a new declaration is not."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    world.place.touch(A, {"x": 9})

    healed = told(world)
    tenant.source.commit(file(A, 2))
    declared = told(world)

    assert healed.drifted
    assert not declared.drifted
    assert world.place.things[A].fields == {"x": 2}


def test_a_deleted_resource_is_drift() -> None:
    """It was there, it is declared, somebody took it away."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    world.place.touch(A, None)

    assert told(world).drifted
    assert A in world.place.things


def test_without_self_heal_drift_is_shown_and_left() -> None:
    """New declarations go on being applied."""
    world, tenant = story(self_heal=False)
    tenant.source.commit(file(A), file(B))
    told(world)
    world.place.touch(A, {"x": 9})
    left = told(world)
    tenant.source.commit(file(A), file(B, 2))
    told(world)

    assert left.drifted
    assert world.place.things[A].fields == {"x": 9}
    assert world.place.things[B].fields == {"x": 2}


def test_without_prune_what_left_git_stays() -> None:
    """It is withheld, and shown."""
    world, tenant = story(prune=False, allow_empty=True)
    tenant.source.commit(file(A))
    told(world)
    tenant.source.commit()
    found = told(world)

    assert found.plan is not None
    assert [change.id for change in found.plan.withheld] == [A]
    assert A in world.place.things
    assert found.warnings == ()


def test_protected_resources_stay_until_git_says_so() -> None:
    """With a warning that says how."""
    world, tenant = story(allow_empty=True)
    tenant.source.commit(file(A, protected=True))
    told(world)
    tenant.source.commit()
    kept = told(world)

    assert A in world.place.things
    assert [warning.code for warning in kept.warnings] == ["UD604"]
    assert "deleteProtected" in kept.warnings[0].hint

    policy = dataclasses.replace(tenant.declared.policy, delete_protected=("File/a",))
    tenant.declared = dataclasses.replace(tenant.declared, policy=policy)
    told(world)

    assert A not in world.place.things


def test_an_empty_render_is_refused() -> None:
    """Unless Git says that it is meant."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    tenant.source.commit()

    assert codes(told(world)) == ["UD602"]
    assert A in world.place.things


@pytest.mark.parametrize(
    "owned,deleted,limit,stopped",
    [
        (12, 3, application.DeletionLimit(), False),
        (12, 4, application.DeletionLimit(), True),
        (9, 8, application.DeletionLimit(), False),
        (60, 11, application.DeletionLimit(), True),
        (60, 10, application.DeletionLimit(), False),
        (4, 2, application.DeletionLimit(count=1, percent=100), True),
    ],
)
def test_the_deletion_limit(
    owned: int, deleted: int, limit: application.DeletionLimit, stopped: bool
) -> None:
    """More than 10, or more than 30 % of at least 10 owned."""
    world, tenant = story(deletion_limit=limit)
    every = [file(resource.ResourceId.of("File", f"f{number}")) for number in range(owned)]
    tenant.source.commit(*every)
    told(world)
    tenant.source.commit(*every[deleted:])
    found = told(world)

    assert codes(found) == (["UD601"] if stopped else [])
    assert len(world.place.things) == (owned if stopped else owned - deleted)


def approve(world: history.History, digest: str) -> None:
    """A person says yes."""
    history.turn(world.database.approve(record.Approval("site", digest, "ada", 1.0)))


def test_an_approval_names_a_digest_and_nothing_else() -> None:
    """What moved since is planned anew; what was approved is applied, once."""
    world, tenant = story(mode=application.Mode.APPROVAL)
    tenant.source.commit(file(A))
    first = told(world)
    assert first.plan is not None
    assert codes(first) == ["UD606"]
    approve(world, first.plan.digest)
    tenant.source.commit(file(A, 2))

    moved = told(world)
    assert moved.plan is not None
    assert codes(moved) == ["UD606"]
    assert "moved" in str(moved.verdict and moved.verdict.stops[0].why)

    approve(world, moved.plan.digest)
    applied = told(world)
    assert applied.ending is record.Ending.APPLIED
    assert applied.verdict is not None
    assert applied.verdict.approved_by == "ada"
    world.place.touch(A, {"x": 9})
    assert codes(told(world)) == ["UD606"]


def test_an_approval_passes_the_deletion_limit() -> None:
    """It exists so that a person looks."""
    world, tenant = story(deletion_limit=application.DeletionLimit(1, 100))
    tenant.source.commit(file(A), file(B), file(C))
    told(world)
    tenant.source.commit(file(A))
    stopped = told(world)
    assert stopped.plan is not None
    approve(world, stopped.plan.digest)

    assert told(world).ending is record.Ending.APPLIED
    assert set(world.place.things) == {A}


def test_an_approval_covers_what_was_not_known() -> None:
    """A value that an earlier change makes known is no move."""
    world, tenant = story(mode=application.Mode.APPROVAL)
    tenant.source.commit(dataclasses.replace(file(A), fields={"x": resource.Unknown("File/b")}))
    first = told(world)
    assert first.plan is not None
    approve(world, first.plan.digest)
    world.cache.clear()
    tenant.source.commits[0] = (file(A, 7),)

    assert told(world).ending is record.Ending.APPLIED


def test_observe_looks_and_does_not_touch() -> None:
    """And says so."""
    world, tenant = story(mode=application.Mode.OBSERVE)
    tenant.source.commit(file(A))

    assert codes(told(world)) == ["UD613"]
    assert not world.place.things


def test_a_bad_commit_is_held_back_and_drift_goes_on_being_repaired() -> None:
    """The last good state stays; the bad commit is not tried again; the next one is."""
    world, tenant = story()
    good = tenant.source.commit(file(A))
    told(world)
    tenant.source.commit(errors.ResourceInvalid("nonsense", origin=errors.Origin("a.yaml", 3, 1)))
    world.place.touch(A, {"x": 9})

    held = told(world)
    assert held.failure is not None
    assert held.failure.error.author == "A Person <a@example.org>"
    assert held.applied_revision == good
    assert world.place.things[A].fields == {"x": 1}
    assert world.database.memory("site").held_back[0].code == "UD401"

    again = told(world)
    assert again.failure is not None
    assert isinstance(again.failure.error, errors.RevisionHeldBack)
    tenant.source.commit(file(A, 3))
    assert told(world).failure is None
    assert world.place.things[A].fields == {"x": 3}


def test_a_first_commit_that_is_bad_leaves_nothing_to_fall_back_to() -> None:
    """Then the failure is all there is."""
    world, tenant = story()
    tenant.source.commit(errors.RenderFailed("boom"))
    found = told(world)

    assert found.ending is record.Ending.FAILED
    assert found.failure is not None
    assert found.failure.phase is record.Phase.RENDER
    assert found.plan is None


def test_a_source_that_is_away_does_not_stop_repairs() -> None:
    """And is not the commit's fault."""
    world, tenant = story()
    tenant.source.commit(file(A))
    told(world)
    world.place.touch(A, None)
    tenant.source.unavailable = errors.SourceUnavailable("away")
    found = told(world)

    assert found.ending is record.Ending.FAILED
    assert A in world.place.things
    assert world.database.memory("site").held_back == ()


def misbehave(world: history.History, rid: resource.ResourceId, mischief: fakes.Mischief) -> None:
    """One resource is trouble, once the target has something."""
    world.place.misbehave = lambda change: mischief if change.id == rid else fakes.Mischief.NONE


def test_a_failing_change_stops_and_is_not_tried_again_by_itself() -> None:
    """What was done before it stays; a person may order one more try."""
    world, tenant = story()
    tenant.source.commit(file(A), file(B, wave=1), file(C, wave=2))
    misbehave(world, B, fakes.Mischief.REFUSE)

    first = told(world)
    outcomes = [result.outcome for result in first.results]
    assert outcomes == [plan.Outcome.APPLIED, plan.Outcome.FAILED, plan.Outcome.SKIPPED]
    assert first.held_back is not None
    assert codes(told(world)) == ["UD614"]

    world.place.misbehave = lambda _: fakes.Mischief.NONE
    assert told(world, retry=True).ending is record.Ending.APPLIED
    assert world.database.memory("site").held_back == ()


def test_rollback_is_a_plan_of_its_own() -> None:
    """Back to the last good revision, and the bad one is held back."""
    world, tenant = story(on_failure=application.OnFailure.ROLLBACK)
    good = tenant.source.commit(file(A))
    told(world)
    tenant.source.commit(file(A, 2), file(B, wave=1))
    misbehave(world, B, fakes.Mischief.FAIL)
    found = told(world)

    assert found.ending is record.Ending.ROLLED_BACK
    assert found.rollback is not None
    assert found.rollback.plan is not None
    assert found.plan is not None
    assert found.rollback.plan.digest != found.plan.digest
    assert found.applied_revision == good
    assert world.place.things[A].fields == {"x": 1}

    world.place.misbehave = lambda _: fakes.Mischief.NONE
    after = told(world)
    assert after.failure is not None
    assert set(world.place.things) == {A}
    tenant.source.commit(file(A, 3))
    assert told(world).ending is record.Ending.APPLIED


def test_a_rollback_that_fails_says_so() -> None:
    """Nothing is hidden."""
    world, tenant = story(on_failure=application.OnFailure.ROLLBACK)
    tenant.source.commit(file(A))
    told(world)
    tenant.source.commit(file(A, 2), file(B, wave=1))
    world.place.misbehave = lambda change: (
        fakes.Mischief.FAIL if change.id == B or change.fields[0].after == 1 else fakes.Mischief.NONE
    )
    found = told(world)

    assert found.ending is record.Ending.FAILED
    assert found.rollback is not None
    assert found.rollback.failure is not None


def test_a_lie_is_noticed() -> None:
    """Acknowledged and not done is failed, and tried again."""
    world, tenant = story()
    tenant.source.commit(file(A))
    misbehave(world, A, fakes.Mischief.LIE)
    found = told(world)

    assert found.failure is not None
    assert found.failure.phase is record.Phase.VERIFY
    assert found.results[0].outcome is plan.Outcome.FAILED
    assert found.held_back is None


def test_a_lost_answer_is_cleared_up_by_the_next_look() -> None:
    """Done is done."""
    world, tenant = story()
    tenant.source.commit(file(A))
    misbehave(world, A, fakes.Mischief.LOSE)

    assert told(world).results[0].outcome is plan.Outcome.APPLIED


def test_what_does_not_become_healthy_is_a_failure_in_time() -> None:
    """The clock is turned, not waited for."""
    world, tenant = story(health_timeout=600)
    tenant.source.commit(file(A))
    make = world.place.make

    def sick(change: plan.Change, mark: inventory.Mark) -> None:
        make(change, mark)
        world.place.things[change.id].health = health.Health(health.Status.DEGRADED, "it is ill")

    world.place.make = sick  # type: ignore[method-assign]
    found = told(world)

    assert found.failure is not None
    assert isinstance(found.failure.error, errors.Unhealthy)
    assert found.failure.error.why == "it is ill"
    assert reconciling.health_of(found).status is health.Status.DEGRADED


def test_later_waves_wait_for_health() -> None:
    """A wave that does not become healthy stops the next."""
    world, tenant = story(health_timeout=1)
    tenant.source.commit(file(A), file(B, wave=1))
    make = world.place.make

    def sick(change: plan.Change, mark: inventory.Mark) -> None:
        make(change, mark)
        world.place.things[change.id].health = health.Health(health.Status.PROGRESSING)

    world.place.make = sick  # type: ignore[method-assign]
    found = told(world)

    assert [result.outcome for result in found.results] == [plan.Outcome.APPLIED, plan.Outcome.SKIPPED]
    assert set(world.place.things) == {A}


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


@pytest.mark.parametrize(
    "project,code",
    [
        (application.Project("p"), []),
        (application.Project("p", sources=("elsewhere",)), ["UD603"]),
        (application.Project("p", targets=()), ["UD603"]),
        (application.Project("p", kinds=("Service",)), ["UD603"]),
        (application.Project("p", namespaces=("web-*",)), ["UD603"]),
    ],
)
def test_projects_are_enforced(
    project: application.Project, code: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which sources, targets, kinds and namespaces an application may use."""
    world, tenant = story()
    tenant.source.commit(dataclasses.replace(file(resource.ResourceId("File", "shop", "a"))))
    around = interfaces.Surroundings(project=project, source_url="https://example.org/x", now=history.NOW)
    monkeypatch.setattr(history, "AROUND", around)

    assert codes(told(world)) == code


@pytest.mark.parametrize(
    "peer,code",
    [
        (None, ["UD608"]),
        (interfaces.Peer("db", health.HEALTHY, in_sync=True), []),
        (interfaces.Peer("db", health.HEALTHY, in_sync=False), ["UD608"]),
        (interfaces.Peer("db", health.Health(health.Status.DEGRADED, "ill"), in_sync=True), ["UD608"]),
    ],
)
def test_dependencies_have_to_be_healthy(
    peer: interfaces.Peer | None, code: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And in sync; why not is told."""
    world, tenant = story()
    tenant.declared = dataclasses.replace(tenant.declared, depends_on=("db",))
    tenant.source.commit(file(A))
    peers = {} if peer is None else {"db": peer}
    monkeypatch.setattr(history, "AROUND", interfaces.Surroundings(peers=peers, now=history.NOW))

    assert codes(told(world)) == code


def test_suspension_in_git_and_for_a_while() -> None:
    """A hold ends by itself."""
    world, tenant = story()
    tenant.source.commit(file(A))
    tenant.declared = dataclasses.replace(tenant.declared, suspended=True)
    assert codes(told(world)) == ["UD605"]

    tenant.declared = dataclasses.replace(tenant.declared, suspended=False)
    history.turn(world.database.hold(record.Hold("site", history.NOW + 60, "ada", "lunch"), "site"))
    held = told(world)
    assert codes(held) == ["UD605"]
    assert "lunch" in str(held.verdict and held.verdict.stops[0].why)

    history.turn(world.database.hold(record.Hold("site", history.NOW - 1, "ada"), "site"))
    assert told(world).ending is record.Ending.APPLIED


@pytest.mark.parametrize("opens", [True, False])
def test_windows_stop_and_say_when(opens: bool) -> None:
    """NOW is a Friday at 08:00 UTC."""
    days = frozenset({6}) if opens else frozenset({1, 2, 3, 4, 5, 6, 7})
    kind = application.WindowKind.ALLOW if opens else application.WindowKind.DENY
    world, tenant = story(windows=(application.Window(kind, days, 0, 0),))
    tenant.source.commit(file(A))
    found = told(world)

    assert codes(found) == ["UD607"]
    assert ("2027-01-16" if opens else "never") in str(found.verdict and found.verdict.stops[0].why)


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

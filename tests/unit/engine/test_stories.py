"""Whole reconciles on fakes: drift, deletion, approvals, held-back commits, rollback, failures."""

from __future__ import annotations

import dataclasses

import pytest

from tests.properties.engine import history
from tests.unit.engine.telling import A, B, C, approve, codes, file, story, told
from undrift import errors, interfaces
from undrift.engine import settling
from undrift.model import application, health, inventory, plan, record, resource, source
from undrift.testing import fakes


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


def test_a_tool_that_renders_otherwise_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """No commit declared it; and what a commit declares is not the tool's doing."""
    world, tenant = story()
    tenant.source.commit(file(A), file(B))
    first = told(world)

    async def render(
        self: fakes.FakeRenderer, artifact: source.Artifact, *more: object
    ) -> interfaces.Rendered:
        declared = tenant.source.declared(artifact.revision)
        found = [
            file(A, 2) if isinstance(one, resource.Resource) and one.id == A else one for one in declared
        ]
        return interfaces.Rendered(tuple(interfaces.Document(one, "fake.yaml") for one in found))

    monkeypatch.setattr(fakes.FakeRenderer, "render", render)
    same = told(world)
    monkeypatch.setattr(fakes.FakeRenderer, "version", lambda _: "fake 2")
    upgraded = told(world)
    tenant.source.commit(file(A), file(B, 3))
    committed = told(world)

    found = [one.plan for one in (first, same, upgraded, committed) if one.plan is not None]
    assert [(one.news, [change.reason.value for change in one.changes]) for one in found] == [
        ((), ["declared", "declared"]),
        ((), []),
        (("tool:plain",), ["input"]),
        (("source",), ["declared"]),
    ]


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
    assert again.failure.error.code == "UD401"
    assert str(again.failure.error.origin) == "a.yaml:3:1"
    assert again.failure.error.author == "A Person <a@example.org>"
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


def test_a_lost_answer_does_not_keep_the_others_waiting() -> None:
    """Once the look shows that it was done, what was not begun for its sake is done too, in its order."""
    world, tenant = story()
    tenant.source.commit(file(A), file(B), file(C))
    misbehave(world, A, fakes.Mischief.LOSE)

    found = told(world)

    assert found.ending is record.Ending.APPLIED, found.failure
    assert [(result.change.id, result.outcome) for result in found.results] == [
        (rid, plan.Outcome.APPLIED) for rid in (A, B, C)
    ]
    assert [rid for _, rid in world.place.log] == [A, B, C]


def test_what_does_not_become_healthy_is_a_failure_in_time() -> None:
    """The clock is turned, not waited for."""
    world, tenant = story(health_timeout=600)
    tenant.source.commit(file(A))
    make = world.place.make

    def sick(change: plan.Change, mark: inventory.Mark) -> None:
        make(change, mark)
        world.place.things[change.id].health = health.Health(health.Status.DEGRADED, "it is ill")

    world.place.make = sick  # type: ignore[method-assign]  # a fake may be changed
    found = told(world)

    assert found.failure is not None
    assert isinstance(found.failure.error, errors.Unhealthy)
    assert found.failure.error.why == "it is ill"
    assert settling.health_of(found).status is health.Status.DEGRADED


def test_later_waves_wait_for_health() -> None:
    """A wave that does not become healthy stops the next."""
    world, tenant = story(health_timeout=1)
    tenant.source.commit(file(A), file(B, wave=1))
    make = world.place.make

    def sick(change: plan.Change, mark: inventory.Mark) -> None:
        make(change, mark)
        world.place.things[change.id].health = health.Health(health.Status.PROGRESSING)

    world.place.make = sick  # type: ignore[method-assign]  # a fake may be changed
    found = told(world)

    assert [result.outcome for result in found.results] == [plan.Outcome.APPLIED, plan.Outcome.SKIPPED]
    assert set(world.place.things) == {A}

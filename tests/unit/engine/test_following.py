"""Whole reconciles on fakes of one that waits: for a value of another, or for its turn in a rollout."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from tests.properties.engine import history
from tests.unit.engine.telling import A, B, codes, file, story, told
from undrift import errors, interfaces
from undrift.model import application, health, output, record, secret, source, target, view
from undrift.testing import fakes

S = view.Standing


@pytest.fixture
def rendered_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is declared has the output `address` of `gate` in it."""
    plain = fakes.FakeRenderer.render

    async def render(
        self: fakes.FakeRenderer, artifact: source.Artifact, recipe: interfaces.Recipe, facts: target.Facts
    ) -> interfaces.Rendered:
        found = await plain(self, artifact, recipe, facts)
        given: Mapping[str, Any] = facts.values["outputs"]
        value = given["gate"]["address"]
        documents = [dataclasses.replace(one, data=file(one.data.id, value)) for one in found.documents]
        return dataclasses.replace(found, documents=tuple(documents))

    monkeypatch.setattr(fakes.FakeRenderer, "render", render)


def _give(world: history.History, value: Any = None, why: str = "") -> None:
    values, lacking = ({"address": value}, {}) if not why else ({}, {"address": why})
    peer = view.Peer("gate", health.HEALTHY, in_sync=True, outputs=output.Told(values, lacking))
    world.around = dataclasses.replace(world.around, peers={"gate": peer})


@pytest.mark.usefixtures("rendered_with")
def test_a_value_is_waited_for_and_followed() -> None:
    """Waiting changes nothing and holds nothing back; another value is another input."""
    world, tenant = story()
    tenant.declared = dataclasses.replace(tenant.declared, depends_on=("gate",))
    tenant.source.commit(file(A))
    _give(world, why="Service/gate does not exist yet")
    waits = told(world)
    _give(world, "one")
    first = told(world)
    _give(world, "two")
    second = told(world)
    _give(world, why="it went away")
    away = told(world)

    assert (waits.ending, waits.failure, codes(waits)) == (record.Ending.WAITING, None, ["UD618"])
    assert waits.verdict is not None
    assert waits.verdict.stops[0].why == "Service/gate does not exist yet"
    assert first.ending is record.Ending.APPLIED
    assert second.plan is not None
    assert (second.plan.news, [one.reason.value for one in second.plan.changes]) == (
        ("output:gate/address",),
        ["input"],
    )
    assert (away.ending, codes(away)) == (record.Ending.WAITING, ["UD618"])
    assert world.place.things[A].fields == {"x": "two"}
    assert world.database.memory("site").held_back == ()


@pytest.mark.usefixtures("rendered_with")
def test_a_secret_value_in_clear_is_refused_before_anything_is_touched() -> None:
    world, tenant = story()
    tenant.declared = dataclasses.replace(tenant.declared, depends_on=("gate",))
    tenant.source.commit(file(A))
    _give(world, secret.Secret("hush-hush"))
    found = told(world)

    assert found.failure is not None
    assert found.failure.error.code == "UD408"
    assert "hush" not in f"{found.failure.error} {found.failure.error.why}"
    assert not world.place.things


def test_outputs_are_read_after_each_look() -> None:
    """What was there stays known while nobody can look."""
    world, tenant = story()
    outputs = (output.Output("x", "File/a", "x"), output.Output("y", "File/a", "y"))
    tenant.declared = dataclasses.replace(tenant.declared, outputs=outputs)
    tenant.source.commit(file(A, 7))

    first = told(world)
    world.place.unreachable = True
    away = told(world)

    assert first.outputs == output.Told({"x": 7}, {"y": "File/a has no y yet"})
    assert away.outputs is None


def _rolling(world: history.History, tenant: history.Tenant, **others: view.Standing) -> None:
    rollout = application.Rollout("web", (application.Share(1),), application.Share(1))
    tenant.declared = dataclasses.replace(tenant.declared, rollout=rollout)
    members = {name: view.Member(one, "it is down") for name, one in others.items()}
    world.around = dataclasses.replace(world.around, members={"site": view.Member(S.BEHIND), **members})


def test_who_waits_for_its_turn_keeps_what_it_has() -> None:
    """Drift from the last good revision is repaired and its health is told; the change comes with the turn."""
    world, tenant = story()
    _rolling(world, tenant, a=S.WELL)
    tenant.source.commit(file(A))
    told(world)
    tenant.source.commit(file(A, 2), file(B))
    _rolling(world, tenant, a=S.MOVING)
    waits = told(world)
    world.place.touch(A, {"x": 9})
    heals = told(world)
    after = told(world)

    assert [codes(one) for one in (waits, heals, after)] == [["UD619"]] * 3
    assert [one.ending for one in (waits, heals, after)] == [record.Ending.WAITING] * 3
    assert [len(one.results) for one in (waits, heals, after)] == [0, 1, 0]
    assert waits.health == health.HEALTHY
    assert heals.applied_revision is not None
    assert heals.revision is not None
    assert heals.applied_revision.digest != heals.revision.digest
    assert {rid.name: thing.fields for rid, thing in world.place.things.items()} == {"a": {"x": 1}}

    _rolling(world, tenant, a=S.WELL)
    assert told(world).ending is record.Ending.APPLIED
    assert {rid.name: thing.fields for rid, thing in world.place.things.items()} == {
        "a": {"x": 2},
        "b": {"x": 1},
    }


def test_a_stopped_rollout_is_told_with_its_cause_and_a_plan_shows_it() -> None:
    world, tenant = story()
    tenant.source.commit(file(A))
    _rolling(world, tenant, a=S.FAILED)
    stopped = told(world)
    shown = told(world, dry=True)

    assert codes(stopped) == codes(shown) == ["UD620"]
    assert stopped.verdict is not None
    assert stopped.verdict.stops[0].why == "a did not take it well (a: it is down)"
    assert not world.place.things


def test_what_left_git_waits_for_nobodys_turn() -> None:
    world, tenant = story()
    _rolling(world, tenant, a=S.WELL)
    tenant.source.commit(file(A))
    told(world)
    _rolling(world, tenant, a=S.FAILED)
    tenant.declared = dataclasses.replace(
        tenant.declared, decommissioned=True, deletion_policy=application.DeletionPolicy.DELETE
    )
    told(world)
    assert not world.place.things


def test_the_newest_inputs_are_told_whatever_became_of_them() -> None:
    """By these others see that a look was about the present revision."""
    world, tenant = story()
    tenant.source.commit(file(A))
    first = told(world)
    tenant.source.commit(errors.ResourceInvalid("no"))
    broken = told(world)

    assert first.newest is not None
    assert broken.newest is not None
    assert broken.plan is not None
    assert broken.newest.inputs["source"] != first.newest.inputs["source"]
    assert broken.plan.lock.inputs == first.newest.inputs

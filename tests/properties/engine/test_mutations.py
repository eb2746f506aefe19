"""The properties can fail: each is broken once on purpose in the engine, and has to be noticed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.engine import test_convergence
from undrift.engine import applying, comparing, digesting, ordering, owning, planning
from undrift.model import inventory, plan, resource
from undrift.testing import memory

SEARCH = settings(
    max_examples=4000,
    stateful_step_count=25,
    deadline=None,
    database=None,
    print_blob=False,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

Patch = Callable[[pytest.MonkeyPatch], None]


def strangers_are_adopted(patch: pytest.MonkeyPatch) -> None:
    """What exists is taken for ours."""
    patch.setattr(owning, "standing", lambda found, situation: owning.Standing.OURS)


def acknowledgement_is_believed(patch: pytest.MonkeyPatch) -> None:
    """What the target acknowledged is not looked at again, and neither is anything else."""

    async def believe(results: Any, applier: applying.Applier) -> Any:
        return results, resource.NOTHING_LIVE

    patch.setattr(applying, "_verify", believe)
    patch.setattr(comparing, "differences", lambda *_: ())


def pruning_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What is no longer declared stays."""
    patch.setattr(planning._Draft, "_unwanted", lambda self, found: None)


def pending_proves_ownership(patch: pytest.MonkeyPatch) -> None:
    """A resource we only meant to create counts as ours, whoever made it."""

    def remembered(found: resource.LiveResource, situation: plan.Situation) -> owning.Standing:
        known = found.id in situation.inventory.entries
        return owning.Standing.OURS if known else owning.Standing.STRANGER

    patch.setattr(owning, "_remembered", remembered)
    patch.setattr(memory, "apply_result", keep_pending)


def keep_pending(
    entries: dict[resource.ResourceId, inventory.Entry], result: plan.ChangeResult, revision: str
) -> None:
    """Outcomes are not written down."""


def edges_are_ignored(patch: pytest.MonkeyPatch) -> None:
    """Changes go by wave and kind alone, backwards."""
    key = ordering._key

    def backwards(change: plan.Change, ranks: Any, last: int) -> tuple[int, int, int]:
        phase, wave, rank = key(change, ranks, last)
        return (phase, -wave, -rank)

    patch.setattr(ordering, "_key", backwards)
    patch.setattr(ordering, "_edges", lambda by_id: {rid: set() for rid in by_id})


def deletes_come_first(patch: pytest.MonkeyPatch) -> None:
    """Deletes are not held until the end."""
    key = ordering._key

    def first(change: plan.Change, ranks: Any, last: int) -> tuple[int, int, int]:
        phase, wave, rank = key(change, ranks, last)
        return (1 - phase, wave, rank)

    patch.setattr(ordering, "_key", first)


def secrets_are_spelled_out(patch: pytest.MonkeyPatch) -> None:
    """Plan documents hold secrets as they are."""
    plain = digesting.plain

    def spelled(value: Any, key: bytes) -> Any:
        return value.reveal() if hasattr(value, "reveal") else plain(value, key)

    patch.setattr(digesting, "plain", spelled)


def every_look_finds_work(patch: pytest.MonkeyPatch) -> None:
    """A settled target is marked again and again."""
    desired = planning._Draft._desired

    def again(self: planning._Draft) -> int:
        unchanged = desired(self)
        for rid, wanted in self.situation.desired.resources.items():
            found = self.situation.live.resources.get(rid)
            if unchanged and found is not None and found.fields == wanted.fields:
                mark = plan.Change(plan.Action.MARK, rid, plan.Reason.OWNERSHIP, wanted, found)
                self.changes.append(mark)
                return unchanged - 1
        return unchanged

    patch.setattr(planning._Draft, "_desired", again)


def partial_work_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """When one change fails, the others of its wave are not reported."""
    apply = applying.apply_plan

    async def forget(found: plan.Plan, applier: applying.Applier) -> applying.Applied:
        applied = await apply(found, applier)
        if applied.error is None:
            return applied
        return dataclasses.replace(applied, results=applied.results[:1])

    patch.setattr(applying, "apply_plan", forget)


def marks_are_not_believed(patch: pytest.MonkeyPatch) -> None:
    """The inventory is not mended from the marks after a crash."""
    patch.setattr(owning, "settle", lambda situation: situation.inventory)


BROKEN: tuple[Patch, ...] = (
    strangers_are_adopted,
    acknowledgement_is_believed,
    pruning_is_forgotten,
    pending_proves_ownership,
    edges_are_ignored,
    deletes_come_first,
    secrets_are_spelled_out,
    every_look_finds_work,
    partial_work_is_forgotten,
    marks_are_not_believed,
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_engine_is_noticed(broken: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis finds a history in which the broken rule shows."""
    broken(monkeypatch)

    with pytest.raises(Exception, match=r".") as caught:
        run_state_machine_as_test(test_convergence.Histories, settings=SEARCH)

    assert not isinstance(caught.value, (NameError, AttributeError, ImportError))

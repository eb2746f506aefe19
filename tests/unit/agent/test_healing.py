"""Who is changed back again and again is fighting: counted by the wall clock, forgotten with time."""

from __future__ import annotations

from undrift.agent import healing
from undrift.engine import guarding
from undrift.model import plan, record, resource

A = resource.ResourceId.of("ConfigMap", "a")


def healed(
    reason: plan.Reason = plan.Reason.DRIFT, outcome: plan.Outcome = plan.Outcome.APPLIED
) -> record.Reconciliation:
    change = plan.Change(plan.Action.UPDATE, A, reason)
    result = plan.ChangeResult(change, outcome)
    return record.Reconciliation("r", "app", record.Ending.APPLIED, 0.0, results=(result,))


def test_many_repairs_within_minutes_are_a_fight() -> None:
    heals = healing.Heals()
    for second in range(guarding.HEALS - 1):
        heals.note(healed(), second)
    assert not heals.contested(20.0)

    heals.note(healed(), 20.0)

    assert heals.contested(21.0) == {A}
    assert not heals.contested(guarding.HEALED_WITHIN + 1.0)


def test_what_a_commit_declares_is_no_repair() -> None:
    heals = healing.Heals()
    for second in range(20):
        heals.note(healed(plan.Reason.DECLARED), second)
        heals.note(healed(outcome=plan.Outcome.FAILED), second)

    assert not heals.contested(20.0)

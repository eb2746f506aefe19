"""What a reconcile comes to, for those who remember and show it. Pure."""

from __future__ import annotations

import dataclasses

from undrift.engine import rendering
from undrift.model import health, record


def settle(told: record.Reconciliation, memory: record.Memory) -> record.Memory:
    """What is remembered after a reconcile: last good, held back, and approvals that are spent."""
    held = memory.held_back
    if told.held_back is not None:
        held = (*(one for one in held if one.inputs != told.held_back.inputs), told.held_back)[-10:]
    good = told.failure is None and told.ending in (record.Ending.IN_SYNC, record.Ending.APPLIED)
    if good and told.plan is not None:
        name = rendering.name_inputs(told.plan.lock)
        held = tuple(one for one in held if one.inputs != name)
    applied = told.plan.lock if good and told.plan is not None else memory.last_lock
    spent = good and told.ending is record.Ending.APPLIED
    return dataclasses.replace(
        memory,
        last_good=told.applied_revision if good else memory.last_good,
        last_lock=applied,
        held_back=held,
        approvals=() if spent else memory.approvals,
        resumed=memory.resumed or good,
        inventory=told.inventory or memory.inventory,
    )


def health_of(told: record.Reconciliation) -> health.Health:
    """The health to show: Degraded while a failure stands, whatever the resources say."""
    if told.failure is not None and told.health.status is health.Status.HEALTHY:
        return health.Health(health.Status.DEGRADED, told.failure.error.what)
    return told.health

"""What an application that is decommissioned makes at its end: some of it before its resources go, some after. Pure.

What is due is told from what is there, as everything else, so a crash at any point is gone on from. One thing is
remembered: that a plan of the decommission was carried out whole (its lock is the last one, and names no files).
Without it, farewells that come after may run twice, never not at all.
"""

from __future__ import annotations

import dataclasses

from undrift.engine import rendering, waiting
from undrift.model import application, inventory, record, resource


def attend(
    prepared: rendering.Prepared,
    live: resource.LiveState,
    owner: inventory.Owner,
    subject: application.Application,
    memory: record.Memory,
) -> rendering.Prepared:
    """What was prepared, with the farewells that are due where the application is decommissioned."""
    if not subject.decommissioned:
        return prepared
    return dataclasses.replace(prepared, desired=due(prepared.desired, live, owner, memory))


def due(
    desired: resource.DesiredState, live: resource.LiveState, owner: inventory.Owner, memory: record.Memory
) -> resource.DesiredState:
    """The desired state of a decommissioned application at this moment: none, or farewells.

    All of them while it owns anything else, the later ones until they ran, and those that are not well yet.
    """
    farewells = desired.farewells
    if not farewells:
        return desired
    if over(memory):
        there = {rid: one for rid, one in farewells.items() if rid in live.resources}
        well = all(live.resources[rid].health.status in waiting.WELL for rid in there)
        return dataclasses.replace(desired, resources={} if well else there)
    if any(rid not in farewells and _owned(one, owner) for rid, one in live.resources.items()):
        return dataclasses.replace(desired, resources=farewells)
    after = {rid: one for rid, one in farewells.items() if one.farewell is resource.Farewell.AFTER}
    return dataclasses.replace(desired, resources=after)


def over(memory: record.Memory) -> bool:
    """Whether a plan of the decommission was carried out whole."""
    return memory.last_lock is not None and "source" not in memory.last_lock.inputs


def _owned(found: resource.LiveResource, owner: inventory.Owner) -> bool:
    mark = found.mark
    return mark is not None and mark.names == found.id and owner.owns(mark)

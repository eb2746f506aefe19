"""Reading what an application publishes, once it was looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from undrift import errors, interfaces
from undrift.engine import applying, passing
from undrift.model import application, inventory, record, resource, target

_PATIENCE = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Giver:
    """Whose outputs are read, and from where."""

    application: application.Application
    owner: inventory.Owner
    session: interfaces.Session
    facts: target.Facts
    marks: target.Marks


async def offer(told: record.Reconciliation, giver: Giver) -> record.Reconciliation:
    """The same reconcile with the outputs as they are after it; unchanged where nobody could look."""
    subject = giver.application
    if not subject.outputs or subject.decommissioned or told.desired is None or told.live is None:
        return told
    try:
        whole = await _whole(told.desired, giver)
        marked = giver.marks is target.Marks.RESOURCE
        seen = passing.Sight(told.desired, told.live, whole, giver.facts, giver.owner, marked)
        return dataclasses.replace(told, outputs=passing.publish(subject, seen))
    except errors.UndriftError:
        return told


async def _whole(
    desired: resource.DesiredState, giver: Giver
) -> Mapping[resource.ResourceId, resource.Fields]:
    """The resources as the target shows them, where it shows more than what could be declared."""
    wanted = passing.wanted(giver.application, desired)
    if not wanted or not isinstance(giver.session, interfaces.Teller):
        return {}
    return await applying.within(_PATIENCE, giver.session.tell(wanted), "reading outputs")

"""Whose is it? Pure rules that decide ownership from marks, inventory and declarations.

The mark on the target is the authority. Where a resource bears none of its own (`Marks.NONE`, or `TARGET`: one for
all) the inventory is; a PENDING entry alone never proves ownership, because the create it announces may have been
refused.
"""

from __future__ import annotations

import enum

from undrift.model import inventory, plan, resource, target


class Standing(enum.Enum):
    """Whose a live resource is, seen from one application."""

    OURS = "ours"
    FORMER = "ours under a former name"
    UNMARKED = "ours as we remember, but its mark is gone"
    OTHER = "another owner's"
    STRANGER = "nobody's we know"


def standing(found: resource.LiveResource, situation: plan.Situation) -> Standing:
    """Whose `found` is."""
    mark = found.mark
    if mark is not None and mark.names == found.id:
        if not situation.owner.owns(mark):
            return Standing.OTHER
        return Standing.OURS if mark.application == situation.owner.application else Standing.FORMER
    return _remembered(found, situation)


def _remembered(found: resource.LiveResource, situation: plan.Situation) -> Standing:
    entry = situation.inventory.entries.get(found.id)
    if entry is None or (entry.uid and found.uid and entry.uid != found.uid):
        return Standing.STRANGER
    if situation.capabilities.marks is not target.Marks.RESOURCE:
        return _by_entry(entry, found, situation)
    return Standing.UNMARKED if entry.state is inventory.EntryState.CONFIRMED else Standing.STRANGER


def _by_entry(entry: inventory.Entry, found: resource.LiveResource, situation: plan.Situation) -> Standing:
    """Without marks, an unfinished change was ours if what we find is exactly what it intended."""
    if entry.state is inventory.EntryState.CONFIRMED:
        return Standing.OURS
    wanted = situation.desired.resources.get(entry.id)
    made = wanted is not None and wanted.fields == found.fields
    return Standing.OURS if made else Standing.STRANGER


def settle(situation: plan.Situation) -> inventory.Inventory:
    """The inventory as the marks on the target and the earlier entries amount to.

    What is ours and there is CONFIRMED; what is gone stays only while it is declared (so that its absence
    is known for drift); what another owner took is forgotten.
    """
    owned = (Standing.OURS, Standing.FORMER, Standing.UNMARKED)
    known = situation.inventory.entries
    entries: dict[resource.ResourceId, inventory.Entry] = {}
    for rid, found in situation.live.resources.items():
        whose = standing(found, situation)
        if whose in owned:
            entries[rid] = _entry(found, known.get(rid))
    for rid, entry in known.items():
        gone = rid not in situation.live.resources and entry.state is inventory.EntryState.CONFIRMED
        if gone and rid in situation.desired.resources:
            entries[rid] = entry
    if entries == dict(known):
        return situation.inventory
    return inventory.Inventory(situation.inventory.application, entries)


def _entry(found: resource.LiveResource, known: inventory.Entry | None) -> inventory.Entry:
    mark = found.mark
    if known is not None and (mark is None or mark.names != found.id or not mark.fingerprint):
        return inventory.Entry(
            known.id,
            inventory.EntryState.CONFIRMED,
            known.fingerprint,
            known.revision,
            found.uid,
            known.protected,
        )
    if mark is None:
        return inventory.Entry(found.id, inventory.EntryState.CONFIRMED, uid=found.uid)
    return inventory.Entry(
        found.id, inventory.EntryState.CONFIRMED, mark.fingerprint, mark.revision, found.uid, mark.protected
    )

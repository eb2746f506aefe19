"""What an application owns where one mark stands for all of it: rendered again at the revision that the mark names.

Needed when nothing is remembered: the database is new, the target bears our mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from undrift import errors
from undrift.engine import digesting, rendering
from undrift.model import inventory, resource, source


def needed(known: inventory.Inventory, live: resource.LiveState, owner: inventory.Owner) -> bool:
    """Whether marks on the target speak of what is not remembered."""
    return bool(live.marks) and not known.entries and any(owner.owns(mark) for mark in live.marks)


async def recover(
    marks: Sequence[inventory.Mark], owner: inventory.Owner, kitchen: rendering.Kitchen, key: bytes
) -> tuple[inventory.Inventory, tuple[errors.UndriftError, ...]]:
    """The inventory that the marks amount to, and a warning for each revision that is there no more.

    A pending mark names a revision whose apply nobody saw the end of: what only that one declares proves nothing
    until it is found exactly as declared.
    """
    found: dict[resource.ResourceId, inventory.Entry] = {}
    lost: list[errors.UndriftError] = []
    ours = {(mark.revision, mark.pending) for mark in marks if owner.owns(mark)}
    for revision, pending in sorted(ours, key=lambda one: (not one[1], one[0])):
        state = inventory.EntryState.PENDING if pending else inventory.EntryState.CONFIRMED
        try:
            desired = await _desired(revision, kitchen)
        except errors.UndriftError as error:
            lost.append(_lost(revision, error))
            continue
        for rid, wanted in desired.resources.items():
            found[rid] = inventory.Entry(rid, state, digesting.fingerprint(wanted.fields, key), revision)
    return inventory.Inventory(owner.application, found), tuple(lost)


async def _desired(revision: str, kitchen: rendering.Kitchen) -> resource.DesiredState:
    reference, _, digest = revision.rpartition("@")
    named = source.Revision(reference, digest)
    prepared = await rendering.prepare(named, await rendering.inputs(named, kitchen), kitchen)
    return prepared.desired


def _lost(revision: str, error: errors.UndriftError) -> errors.UndriftError:
    return errors.TargetError(
        f"what was applied at {revision} cannot be told any more",
        why=f"the mark on the target names it, and it cannot be rendered: {error.what}",
        hint="what is on the target counts as a stranger's: adopt what is yours (policy.adopt)",
    )

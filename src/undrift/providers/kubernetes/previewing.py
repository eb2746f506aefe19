"""What applying would come to, asked of the server only where it cannot be known without.

What is as it was applied, with the same declaration, is in order. What the server says we own with just the
declared values is, too. Everything else is tried by a dry run: its answer against what is there is the difference,
with defaults, admission and the server's ways of writing already in it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from undrift import errors
from undrift.engine import comparing, digesting, owning
from undrift.lib import tasks, words
from undrift.model import application, inventory, plan, resource
from undrift.providers.kubernetes import (
    cluster,
    failing,
    hiding,
    kinds,
    mirror,
    owned,
    referring,
    shaping,
    writing,
)

_AT_ONCE: Final = 8
_OWNED: Final = (owning.Standing.OURS, owning.Standing.FORMER, owning.Standing.UNMARKED)
_REVISION: Final = "preview"
_MOST_ASKED: Final = 100
_TRIES: Final = 3
"""A controller may write between a look and a dry run; then the two are of different versions."""


class Previewer:
    """Asks for one session, as `account`: what that may not do is refused here already."""

    def __init__(self, shared: cluster.Cluster, account: str = "") -> None:
        self._cluster = shared
        self._account = account

    async def preview(self, situation: plan.Situation) -> plan.Previews:
        """See `interfaces.Session`. Raises what the server refuses, all at once."""
        differences: dict[resource.ResourceId, tuple[plan.Difference, ...]] = {}
        doubtful: list[tuple[resource.Resource, resource.LiveResource | None]] = []
        changed: list[resource.Resource] = []
        for rid, wanted in situation.desired.resources.items():
            found = situation.live.resources.get(rid)
            if found is None:
                if _is_done(wanted, situation):
                    continue
                changed.append(wanted)
                if _tries_new(situation) and self._can_try(wanted, situation):
                    doubtful.append((wanted, None))
            elif found.fields != wanted.fields and _is_asked_for(wanted, found, situation):
                if self._agrees(wanted, found, situation):
                    differences[rid] = ()
                else:
                    changed.append(wanted)
                    doubtful.append((wanted, found))
        warnings = await self._missing(changed, situation) if changed else ()
        if not doubtful and not warnings:
            return plan.Previews(differences=differences) if differences else plan.NO_PREVIEWS
        tried = await self._try(doubtful, situation, differences)
        return dataclasses.replace(tried, warnings=warnings)

    async def _missing(
        self, changed: list[resource.Resource], situation: plan.Situation
    ) -> tuple[errors.UndriftError, ...]:
        """What new and changed workloads refer to and nobody provides. What we may not look at is not missed."""
        found = list(referring.unsatisfied(changed, situation.desired.resources))
        wanted = {reference.id for _, reference in found}
        asked = await tasks.together(self._exists(rid) for rid in sorted(wanted, key=str)[:_MOST_ASKED])
        absent = {rid for rid, there in zip(sorted(wanted, key=str), asked, strict=False) if not there}
        return tuple(
            errors.ReferenceUnsatisfied(
                f"{one.id} needs {reference.id}, which does not exist",
                origin=one.place(referring.written(one.fields, reference.steps)),
                why="nothing here declares it",
                hint=words.suggestion(
                    reference.id.name,
                    [rid.name for rid in situation.desired.resources if rid.kind == reference.id.kind],
                )
                or "declare it, or see that whoever makes it does",
            )
            for one, reference in found
            if reference.id in absent
        )

    async def _exists(self, rid: resource.ResourceId) -> bool:
        if self._cluster.mirror.get(rid) is not None:
            return True
        try:
            return await self._cluster.exists(rid)
        except errors.TargetError:
            return True

    def _agrees(
        self, wanted: resource.Resource, found: resource.LiveResource, situation: plan.Situation
    ) -> bool:
        """Whether it is in order without asking; then it is remembered."""
        fields = _without_ignored(wanted, found, situation)
        if found.fields == fields:
            return True
        seen = self._cluster.mirror.get(wanted.id)
        if seen is None or seen.mark is None or (data := seen.data) is None:
            return False
        if seen.mark.fingerprint != digesting.fingerprint(fields, situation.key):
            return False
        if not owned.agrees(data, hiding.reveal(fields)):
            return False
        self._learn(wanted, found, seen, fields)
        return True

    def _learn(
        self,
        wanted: resource.Resource,
        found: resource.LiveResource,
        seen: mirror.Seen,
        fields: resource.Fields,
    ) -> None:
        whole = fields == wanted.fields
        self._cluster.mirror.learn(
            wanted.id, seen, wanted.fields if whole else fields, None if whole else found.writers
        )

    async def _try(
        self,
        doubtful: list[tuple[resource.Resource, resource.LiveResource | None]],
        situation: plan.Situation,
        differences: dict[resource.ResourceId, tuple[plan.Difference, ...]],
    ) -> plan.Previews:
        gate = asyncio.Semaphore(_AT_ONCE)
        immutable: dict[resource.ResourceId, str] = {}
        wrong: list[errors.UndriftError] = []

        async def one(wanted: resource.Resource, found: resource.LiveResource | None) -> None:
            async with gate:
                try:
                    told = await self._dry_run(wanted, found, situation)
                except errors.TargetError as error:
                    if failing.is_immutable(error) and found is not None:
                        immutable[wanted.id] = error.why
                    elif not failing.knows_no_dry_run(error):
                        error.origin, error.about = error.origin or wanted.origin, str(wanted.id)
                        wrong.append(error)
                else:
                    if found is not None:
                        differences[wanted.id] = told

        await tasks.together(one(wanted, found) for wanted, found in doubtful)
        if wrong:
            raise errors.gather(sorted(wrong, key=str))
        return plan.Previews(differences=differences, immutable=immutable)

    async def _dry_run(
        self,
        wanted: resource.Resource,
        found: resource.LiveResource | None,
        situation: plan.Situation,
    ) -> tuple[plan.Difference, ...]:
        """What an apply would change of a resource that is there."""
        kind = (await self._cluster.served()).find(wanted.id)
        by = writing.mark(wanted, situation.owner, _REVISION, "")
        if found is None:
            given = writing.body(wanted, by, None)
            await writing.apply(self._cluster.api, kind, wanted.id, given, dry=True, account=self._account)
            return ()
        fields = _without_ignored(wanted, found, situation)
        declared = dataclasses.replace(wanted, fields=fields, left=_ignored(found, situation))
        live = self._cluster.mirror.get(wanted.id)
        if declared.left and (live is None or live.packed is None):
            live = await self._look(wanted.id)
        given = writing.body(declared, by, found.uid, live.data if live is not None else None)
        for _ in range(_TRIES):
            answer = await writing.apply(
                self._cluster.api, kind, wanted.id, given, dry=True, account=self._account
            )
            if live is None or live.packed is None or live.version != _version(answer):
                live = await self._look(wanted.id)
            if live is not None and live.packed is not None and live.version == _version(answer):
                break
        if live is None or (data := live.data) is None:
            return tuple(shaping.differences(found.fields, shaping.fields(wanted.id, answer)))
        before = shaping.fields(wanted.id, data)
        told = tuple(shaping.differences(before, shaping.fields(wanted.id, answer)))
        if not told and found.mark is not None and found.mark.names == wanted.id:
            self._learn(wanted, found, live, fields)
        return told

    async def _look(self, rid: resource.ResourceId) -> mirror.Seen | None:
        """The whole of what is there now."""
        data = await self._cluster.find(rid)
        if data is None:
            return None
        looked = self._cluster.mirror.look_at(rid, data)
        looked.keep(data)
        return looked

    def _can_try(self, wanted: resource.Resource, situation: plan.Situation) -> bool:
        """What this very plan makes room for cannot be tried before: its namespace, its kind."""
        declared, live = situation.desired.resources, situation.live.resources
        space = resource.ResourceId(kinds.NAMESPACE, "", wanted.id.namespace)
        if wanted.id.namespace and space in declared and space not in live:
            return False
        return not any(need.kind == kinds.DEFINITION and need not in live for need in wanted.depends_on)


def _tries_new(situation: plan.Situation) -> bool:
    """Whether new resources are tried, too: not where everything is new and nobody waits to see the plan."""
    automatic = situation.application.policy.mode is application.Mode.AUTOMATIC
    confirmed = inventory.EntryState.CONFIRMED
    return not automatic or any(entry.state is confirmed for entry in situation.inventory.entries.values())


def _is_done(wanted: resource.Resource, situation: plan.Situation) -> bool:
    """Whether something that goes away by itself did: it is not going to be made again."""
    entry = situation.inventory.entries.get(wanted.id)
    return (
        wanted.vanishes
        and entry is not None
        and entry.state is inventory.EntryState.CONFIRMED
        and entry.fingerprint == digesting.fingerprint(wanted.fields, situation.key)
    )


def _is_asked_for(wanted: resource.Resource, found: resource.LiveResource, situation: plan.Situation) -> bool:
    """Whether a plan could touch it: it is ours, or is to be taken over."""
    if owning.standing(found, situation) in _OWNED or wanted.adopt:
        return True
    subject = situation.application
    taken = found.mark is not None and found.mark.application in subject.takes_from
    return taken or comparing.matches(subject.policy.adopt, wanted.id)


def _ignored(found: resource.LiveResource, situation: plan.Situation) -> tuple[tuple[str, ...], ...]:
    subject, can = situation.application, situation.capabilities
    return comparing.left_alone(subject.policy.ignore, can.yields_to, found)


def _without_ignored(
    wanted: resource.Resource, found: resource.LiveResource, situation: plan.Situation
) -> resource.Fields:
    return comparing.without(wanted.fields, _ignored(found, situation))


def _version(answer: Mapping[str, Any]) -> int:
    return int(answer["metadata"].get("resourceVersion") or 0)

"""The order in which changes are made. Pure.

Edges come first, then declared waves, then kinds. Deletes come last and in reverse, unless an edge says
otherwise: what cannot exist beside a new resource goes before it. A wave is what is written down, made and
looked at in one go. What is made only for the end of an application may come after the deletes.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from undrift import errors
from undrift.model import plan, resource, target

_Key = tuple[int, int, int]
_Edges = dict[resource.ResourceId, set[resource.ResourceId]]


def order(changes: Sequence[plan.Change], able: target.Capabilities) -> tuple[plan.Wave, ...]:
    """Changes grouped into waves; raises `OrderCycle` when edges run in a circle.

    What follows changes of instant kinds shares their wave although it needs them: it is a later step of it. An
    atomic target takes everything as one wave, of which nothing is ever half there.
    Kahn's algorithm with a heap, so that among those that may go next the lowest key goes first.
    """
    if not changes:
        return ()
    by_id = {change.id: change for change in changes}
    others = len(able.kind_order)
    ranks = {kind: rank for rank, kind in enumerate(able.kind_order)}
    ranks |= {kind: rank for rank, kind in enumerate(able.kind_last, others + 1)}
    keys = {change.id: _key(change, ranks, others) for change in changes}
    before = _edges(by_id)
    _promote(keys, before, by_id)
    done = [by_id[rid] for rid in _sorted(keys, before, by_id)]
    if able.atomic:
        return (plan.Wave(0, tuple(done)),)
    return _waves(done, keys, before, able.instant)


def _key(change: plan.Change, ranks: Mapping[str, int], last: int) -> _Key:
    rank = ranks.get(change.id.kind, last)
    if change.action in (plan.Action.DELETE, plan.Action.RELEASE):
        return (1, 0, -rank)
    if change.desired is not None and change.desired.farewell is resource.Farewell.AFTER:
        return (2, change.wave, rank)
    return (0, change.wave, rank)


def _edges(by_id: Mapping[resource.ResourceId, plan.Change]) -> _Edges:
    """What has to be done before each change."""
    before: _Edges = defaultdict(set)
    for rid, change in by_id.items():
        if change.desired is not None:
            before[rid].update(need for need in change.desired.depends_on if _upserts(by_id.get(need)))
            before[rid].update(rival for rival in change.desired.excludes if _deletes(by_id.get(rival)))
        elif change.live is not None:
            for need in change.live.depends_on:
                if _deletes(by_id.get(need)):
                    before[need].add(rid)
    return before


def _promote(
    keys: dict[resource.ResourceId, _Key], before: _Edges, by_id: Mapping[resource.ResourceId, plan.Change]
) -> None:
    """A delete that makes room is as early as what it makes room for, and so is all that has to go before it."""
    stack = [(need, keys[rid]) for rid, needs in before.items() if _upserts(by_id[rid]) for need in needs]
    while stack:
        rid, key = stack.pop()
        if _deletes(by_id[rid]) and key < keys[rid]:
            keys[rid] = key
            stack.extend((need, key) for need in before[rid])


def _deletes(change: plan.Change | None) -> bool:
    return change is not None and change.desired is None


def _upserts(change: plan.Change | None) -> bool:
    return change is not None and change.desired is not None


def _sorted(
    keys: Mapping[resource.ResourceId, _Key],
    before: _Edges,
    by_id: Mapping[resource.ResourceId, plan.Change],
) -> list[resource.ResourceId]:
    waiting = {rid: len(before[rid]) for rid in keys}
    after: dict[resource.ResourceId, list[resource.ResourceId]] = defaultdict(list)
    for rid, needs in before.items():
        for need in needs:
            after[need].append(rid)
    ready = [(keys[rid], rid) for rid, count in waiting.items() if not count]
    heapq.heapify(ready)
    done: list[resource.ResourceId] = []
    while ready:
        _, rid = heapq.heappop(ready)
        done.append(rid)
        for follower in after[rid]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, (keys[follower], follower))
    if len(done) < len(keys):
        raise _cycle(keys.keys() - set(done), before, by_id)
    return done


def _cycle(
    stuck: Iterable[resource.ResourceId],
    before: _Edges,
    by_id: Mapping[resource.ResourceId, plan.Change],
) -> errors.OrderCycle:
    """The error that spells out one circle among `stuck`."""
    left = set(stuck)
    step = min(left)
    trail: list[resource.ResourceId] = []
    while step not in trail:
        trail.append(step)
        step = min(need for need in before[step] if need in left)
    circle = [*trail[trail.index(step) :], step]
    declared = [change.desired for rid in circle if (change := by_id[rid]).desired is not None]
    return errors.OrderCycle(
        "resources depend on one another in a circle",
        origin=next((one.origin for one in declared if one.origin), None),
        why=" needs ".join(str(rid) for rid in circle),
        hint="remove one of the dependsOn edges",
    )


def _waves(
    done: Sequence[plan.Change],
    keys: Mapping[resource.ResourceId, _Key],
    before: _Edges,
    instant: frozenset[str],
) -> tuple[plan.Wave, ...]:
    groups: list[_Group] = []
    step: set[resource.ResourceId] = set()
    for change in done:
        last = groups[-1].changes[-1] if groups else None
        beside = last is not None and keys[last.id] == keys[change.id] and not before[change.id] & step
        if last is None or not (beside or _follows(change, groups[-1], keys)):
            groups.append(_Group())
        elif not beside:
            groups[-1].breaks.append(len(groups[-1].changes))
        if not beside:
            step = set()
        groups[-1].changes.append(change)
        groups[-1].waits |= change.id.kind not in instant
        step.add(change.id)
    return tuple(
        plan.Wave(number, tuple(group.changes), tuple(group.breaks)) for number, group in enumerate(groups)
    )


@dataclasses.dataclass(slots=True)
class _Group:
    """A wave in the making; it `waits` once something in it is not there as soon as it is made."""

    changes: list[plan.Change] = dataclasses.field(default_factory=list)
    waits: bool = False
    breaks: list[int] = dataclasses.field(default_factory=list)


def _follows(change: plan.Change, group: _Group, keys: Mapping[resource.ResourceId, _Key]) -> bool:
    """Whether a change may be a later step of a wave: everything in it so far is there as soon as it is made."""
    last = group.changes[-1]
    same = keys[change.id][:2] == keys[last.id][:2] and _deletes(change) == _deletes(last)
    return same and not group.waits

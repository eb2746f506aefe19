"""Whose turn is it? Pure: which of many applications that are alike may take a change now.

All that is looked at is how far each of them has got, so that any number of agents come to the same answer, and a
restart or a new commit needs no memory of the rollout. Members go in batches: so many have the change in all, then it
is waited until each of these is well. What is unwell anyway goes first: it has the least to lose, and may be what the
change is to mend.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

from undrift import errors
from undrift.model import application, health, lock, record, view

_LOOKING: Final = frozenset({record.Phase.DISCOVER, record.Phase.OBSERVE, record.Phase.PREVIEW})
_CHANGING: Final = frozenset({record.Phase.APPLY, record.Phase.VERIFY})
_LEFT_ALONE: Final = frozenset({errors.Suspended.code, errors.ObserveOnly.code})
_FEW: Final = 5

Members = Mapping[str, view.Member]


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What the last reconcile of a member came to.

    `newest` is what its newest revision was made from, `good` what was applied last; `phase`, `code` and `what` are of
    its failure, `stops` the codes of the guards that stopped it.
    """

    newest: lock.InputLock | None
    good: lock.InputLock | None
    health: health.Health
    phase: record.Phase | None = None
    code: str = ""
    what: str = ""
    stops: tuple[str, ...] = ()


def standing(seen: Seen | None, wanted: lock.InputLock | None) -> view.Member:
    """How far a member is with the change after which it is made from `wanted`.

    Facts are its own matter: they do not count.
    """
    if seen is None or wanted is None:
        return view.Member(view.Standing.UNSEEN, "it was not looked at yet")
    if seen.phase in _LOOKING:
        return view.Member(view.Standing.AWAY, seen.what)
    tried, has = _same(seen.newest, wanted), _same(seen.good, wanted)
    if tried and seen.phase in _CHANGING and seen.code == errors.TargetUnavailable.code:
        return view.Member(view.Standing.MOVING, seen.what)
    if tried and seen.phase in _CHANGING | record.PREPARING:
        return view.Member(view.Standing.FAILED, seen.what)
    if tried and errors.RevisionHeldBack.code in seen.stops:
        return view.Member(view.Standing.FAILED, "it failed there and is held back")
    if has:
        return _having(seen.health)
    if _LEFT_ALONE & set(seen.stops):
        return view.Member(view.Standing.ASIDE, "it is suspended, or only observed")
    unwell = seen.health.status is health.Status.DEGRADED
    return view.Member(view.Standing.BEHIND, seen.health.reason if unwell else "", unwell)


def _same(one: lock.InputLock | None, wanted: lock.InputLock) -> bool:
    return one is not None and not set(one.differs(wanted)) - {"facts"}


def _having(found: health.Health) -> view.Member:
    if found.status in (health.Status.HEALTHY, health.Status.SUSPENDED):
        return view.Member(view.Standing.WELL)
    bad = found.status is health.Status.DEGRADED
    return view.Member(view.Standing.FAILED if bad else view.Standing.MOVING, found.reason)


def turn(subject: application.Application, members: Members) -> errors.GuardError | None:
    """What keeps an application from taking a change now; None when it is its turn.

    One that has begun is let go on.
    """
    rollout, name = subject.rollout, subject.name
    own = members.get(name, view.Member(view.Standing.BEHIND))
    if rollout is None or own.standing in (view.Standing.WELL, view.Standing.MOVING, view.Standing.FAILED):
        return None
    others = {each: one for each, one in members.items() if each != name}
    return _trouble(subject, rollout, own, others) or _queue(subject, rollout, own, others)


def _trouble(
    subject: application.Application, rollout: application.Rollout, own: view.Member, others: Members
) -> errors.GuardError | None:
    """What keeps everybody back: one that failed, one that nobody looked at, too many that are away."""
    failed = _of(others, view.Standing.FAILED)
    if failed:
        return _stopped(subject, f"{failed[0]} did not take it well", others, failed)
    unseen = _of(others, view.Standing.UNSEEN)
    if unseen:
        return _waiting(subject, f"{_names(unseen)} was not looked at yet")
    away = _of(others, view.Standing.AWAY)
    unwell = [name for name, one in others.items() if one.standing is view.Standing.BEHIND and one.unwell]
    most = rollout.unavailable.of(_size(others) + 1)
    if own.unwell or len(away) + len(unwell) <= most:
        return None
    if unwell and len(away) <= most:
        return _waiting(subject, f"{_names(unwell)} is unwell and goes first: {others[min(unwell)].why}")
    return _stopped(subject, f"{len(away) + len(unwell)} are away or unwell, {most} may be", others, away)


def _queue(
    subject: application.Application, rollout: application.Rollout, own: view.Member, others: Members
) -> errors.GuardError | None:
    """The next batch goes once all of those before are well."""
    moving = len(_of(others, view.Standing.MOVING))
    have = len(_of(others, view.Standing.WELL)) + moving
    limit = allowed(rollout, _size(others) + 1, have, moving)
    behind = {name: one for name, one in others.items() if one.standing is view.Standing.BEHIND}
    behind[subject.name] = own
    order = sorted(behind, key=lambda name: (not behind[name].unwell, name))
    before = order[: order.index(subject.name)]
    if len(before) < limit - have:
        return None
    first = _of(others, view.Standing.MOVING) or before
    return _waiting(subject, f"{have} of {_size(others) + 1} have it; {_names(first)} first")


def allowed(rollout: application.Rollout, whole: int, have: int, moving: int) -> int:
    """How many may have the change in all, when `have` of the `whole` have it and `moving` of these are not well yet."""
    limits = sorted({*(one.of(whole) for one in rollout.batches), whole} - {0})
    if moving:
        return next((limit for limit in limits if limit >= have), whole)
    return next((limit for limit in limits if limit > have), whole)


def _size(members: Members) -> int:
    return sum(1 for one in members.values() if one.standing is not view.Standing.ASIDE)


def _of(members: Members, wanted: view.Standing) -> list[str]:
    return sorted(name for name, one in members.items() if one.standing is wanted)


def _names(names: Iterable[str]) -> str:
    every = sorted(names)
    return ", ".join(every[:_FEW]) + (f" and {len(every) - _FEW} more" if len(every) > _FEW else "")


def _waiting(subject: application.Application, why: str) -> errors.RolloutWaiting:
    return errors.RolloutWaiting(
        f"{subject.name} waits for its turn",
        origin=subject.origin,
        why=why,
        hint="nothing to do: it goes on with what it has until then",
    )


def _stopped(
    subject: application.Application, why: str, members: Members, guilty: list[str]
) -> errors.RolloutStopped:
    group = subject.rollout.group if subject.rollout else ""
    reasons = "; ".join(f"{name}: {members[name].why}" for name in guilty[:_FEW] if members[name].why)
    first = guilty[0] if guilty else subject.name
    return errors.RolloutStopped(
        f"the rollout of {group} stopped before {subject.name}",
        origin=subject.origin,
        why=f"{why} ({reasons})" if reasons else why,
        hint=f"see `undrift status {first}`; a commit that mends it starts the rollout anew",
    )

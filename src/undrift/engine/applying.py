"""A plan and a session → one result per change, whatever happens.

Ownership is written down before a wave and confirmed after; the lease is checked before each change; the
target is looked at again after each wave, because targets acknowledge what they did not do. A failed change
is a value: nothing that was done is ever forgotten.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar

from undrift import errors, interfaces
from undrift.engine import masking, planning, waiting
from undrift.model import application, health, inventory, plan, resource

_T = TypeVar("_T")
CHANGE_TIMEOUT: Final = 300.0
"""Seconds that one change may take, where the target does not need longer."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Applier:
    """What carrying out a plan needs. `change_timeout` is seconds for one change.

    `live` is the look that the plan was made from. Who does not `wait` leaves it to later looks whether what was
    made last becomes healthy.
    """

    application: application.Application
    session: interfaces.Session
    ledger: interfaces.Ledger
    lease: interfaces.Lease
    owner: inventory.Owner
    desired: resource.DesiredState
    revision: str
    live: resource.LiveState = resource.NOTHING_LIVE
    concurrency: int = 1
    change_timeout: float = CHANGE_TIMEOUT
    observe_timeout: float = 120.0
    wait: bool = True

    async def observe(self, ids: Collection[resource.ResourceId]) -> resource.LiveState:
        """Look again, with a deadline."""
        look = self.session.observe(ids, self.owner)
        return masking.live(await within(self.observe_timeout, look, "looking at the target"), self.desired)


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """What became of a plan: a result for every change, the last look, and what stopped it (if anything)."""

    results: tuple[plan.ChangeResult, ...]
    live: resource.LiveState
    health: health.Health
    error: errors.UndriftError | None = None


async def apply_plan(found: plan.Plan, applier: Applier) -> Applied:
    """Carry out every wave in order; after the first wave that fails the rest is SKIPPED."""
    results: list[plan.ChangeResult] = []
    live = resource.NOTHING_LIVE
    error: errors.UndriftError | None = None
    last = len(found.waves) - 1
    for wave in found.waves:
        try:
            error = await _held_up(found, wave, applier)
            if error is not None:
                raise error
            before = [result.change.id for result in results]
            done, live = await _apply_wave(wave, found.digest, before, applier)
        except errors.UndriftError as refused:
            done, error = _skipped(wave.changes, refused), refused
        results.extend(done)
        error = error or _first_error(done)
        if error is None and wave.number < last:
            error = await _unhealthy(found, wave, live, applier)
        if error is not None:
            rest = [change for later in found.waves[wave.number + 1 :] for change in later.changes]
            results.extend(_skipped(rest, None))
            reason = error.why if isinstance(error, errors.Unhealthy) else error.what
            return Applied(tuple(results), live, health.Health(health.Status.DEGRADED, reason), error)
    wanted = _declared(found.changes)
    if not applier.wait:
        return Applied(tuple(results), live, waiting.judge(wanted, live).health)
    settled = await waiting.until_healthy(wanted, live, applier.observe, _patience(applier))
    if settled.health.status is not health.Status.HEALTHY and settled.timed_out:
        error = not_healthy(settled, applier.desired)
    return Applied(tuple(results), settled.live, settled.health, error)


async def _apply_wave(
    wave: plan.Wave, digest: str, before: Collection[resource.ResourceId], applier: Applier
) -> tuple[tuple[plan.ChangeResult, ...], resource.LiveState]:
    await applier.lease.check()
    await applier.ledger.begin(applier.lease, wave, digest, applier.revision)
    await applier.session.intend(wave.changes, applier.owner, applier.revision)
    results: dict[resource.ResourceId, plan.ChangeResult] = {}
    rest: plan.Wave | None = wave
    while rest is not None:
        tried = await _apply_changes(rest, applier)
        seen, live = await _verify(tried, [*before, *results], applier)
        results |= {result.change.id: result for result in seen}
        rest = _left(wave, results)
    told = tuple(results.values())
    await applier.ledger.finish(applier.lease, told, applier.revision)
    return told, live


def _left(wave: plan.Wave, results: Mapping[resource.ResourceId, plan.ChangeResult]) -> plan.Wave | None:
    """What was not begun because an answer was lost, when the look then showed that all went well."""
    by_outcome = {result.outcome for result in results.values()}
    if by_outcome != {plan.Outcome.APPLIED, plan.Outcome.SKIPPED}:
        return None
    steps = [
        [change for change in step if results[change.id].outcome is plan.Outcome.SKIPPED]
        for step in wave.steps
    ]
    breaks = itertools.accumulate(len(step) for step in steps if step)
    changes = tuple(change for step in steps for change in step)
    return plan.Wave(wave.number, changes, tuple(breaks)[:-1])


async def _apply_changes(wave: plan.Wave, applier: Applier) -> tuple[plan.ChangeResult, ...]:
    """Step after step, each side by side up to the provider's concurrency; once one fails no other is started."""
    gate = asyncio.Semaphore(max(1, applier.concurrency))
    failed = asyncio.Event()

    async def one(change: plan.Change) -> plan.ChangeResult:
        async with gate:
            if failed.is_set():
                return plan.ChangeResult(change, plan.Outcome.SKIPPED)
            result = await _apply_change(change, applier)
            if result.outcome is not plan.Outcome.APPLIED:
                failed.set()
            return result

    results: list[plan.ChangeResult] = []
    for step in wave.steps:
        if applier.concurrency <= 1 or len(step) == 1:
            results += [await one(change) for change in step]
            continue
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(change)) for change in step]
        results += [task.result() for task in tasks]
    return tuple(results)


async def _apply_change(change: plan.Change, applier: Applier) -> plan.ChangeResult:
    clock = asyncio.get_running_loop().time
    begun = clock()
    try:
        await applier.lease.check()
        await within(
            applier.change_timeout,
            applier.session.apply(change, applier.owner, applier.revision),
            f"changing {change.id}",
            errors.OutcomeUnknown,
        )
    except errors.UndriftError as error:
        told = masking.error(error, applier.desired)
        told.origin = told.origin or (change.desired.origin if change.desired else None)
        if isinstance(told, errors.TargetError):
            told.about = told.about or str(change.id)
        unknown = isinstance(error, errors.OutcomeUnknown)
        outcome = plan.Outcome.UNKNOWN if unknown else plan.Outcome.FAILED
        return plan.ChangeResult(change, outcome, told, clock() - begun)
    except Exception as error:  # noqa: BLE001 - a defect of a provider must not take the others down
        return plan.ChangeResult(change, plan.Outcome.UNKNOWN, defect(error), clock() - begun)
    return plan.ChangeResult(change, plan.Outcome.APPLIED, None, clock() - begun)


async def _verify(
    results: tuple[plan.ChangeResult, ...], before: Collection[resource.ResourceId], applier: Applier
) -> tuple[tuple[plan.ChangeResult, ...], resource.LiveState]:
    """Look again: what was acknowledged but not done has FAILED, what nobody knew may turn out APPLIED.

    The look covers what was changed `before` too, so that its health is known without another one.
    """
    try:
        live = await applier.observe([*before, *(result.change.id for result in results)])
    except errors.UndriftError as error:
        return tuple(_unverified(result, error) for result in results), resource.NOTHING_LIVE
    ignore = applier.application.policy.ignore
    return tuple(_verified(result, live, ignore) for result in results), live


def _verified(
    result: plan.ChangeResult, live: resource.LiveState, ignore: tuple[application.Ignore, ...]
) -> plan.ChangeResult:
    if result.outcome not in (plan.Outcome.APPLIED, plan.Outcome.UNKNOWN):
        return result
    wrong = planning.unfit(live.resources.get(result.change.id), result.change, ignore)
    if not wrong:
        return dataclasses.replace(result, outcome=plan.Outcome.APPLIED, error=None)
    if result.outcome is plan.Outcome.UNKNOWN:
        return dataclasses.replace(result, outcome=plan.Outcome.FAILED)
    desired = result.change.desired
    error = errors.VerifyFailed(
        f"{result.change.id} is not as it was applied",
        origin=desired.origin if desired else None,
        why=f"the target acknowledged the change, but {wrong}",
        hint="something else writes there, or the target did not do it; it is tried again",
    )
    return dataclasses.replace(result, outcome=plan.Outcome.FAILED, error=error)


def _unverified(result: plan.ChangeResult, error: errors.UndriftError) -> plan.ChangeResult:
    if result.outcome is not plan.Outcome.APPLIED:
        return result
    return dataclasses.replace(result, outcome=plan.Outcome.UNKNOWN, error=error)


async def _held_up(found: plan.Plan, wave: plan.Wave, applier: Applier) -> errors.UndriftError | None:
    """What a wave follows, and this plan does not touch, has to be well: a Job that failed stops it the next time, too.

    Repairs are not held up: they bring back what was there. What an application owns is not deleted before its
    farewells are well that come before.
    """
    news = [change for change in wave.changes if change.reason is not plan.Reason.DRIFT]
    wanted = [change.desired for change in news if change.desired is not None]
    if not wanted and not applier.application.decommissioned:
        return None
    number = max((one.wave for one in wanted), default=0)
    needs = {need for one in wanted for need in one.depends_on}
    changed = {change.id for change in found.changes}
    earlier = {
        rid: one
        for rid, one in applier.desired.resources.items()
        if rid not in changed and (one.wave < number or rid in needs)
    }
    settled = waiting.judge(earlier, applier.live)
    if settled.health.status is health.Status.PROGRESSING:
        settled = await waiting.until_healthy(earlier, applier.live, applier.observe, _patience(applier))
    return None if settled.health.status in waiting.WELL else not_healthy(settled, applier.desired)


async def _unhealthy(
    found: plan.Plan, wave: plan.Wave, live: resource.LiveState, applier: Applier
) -> errors.UndriftError | None:
    """Between declared waves, before what depends on this one, and after a farewell: wait until it is healthy."""
    following = found.waves[wave.number + 1].changes
    wanted = _declared(wave.changes)
    needed = any(
        change.desired is not None
        and (wanted.keys() & set(change.desired.depends_on) or change.wave != wave.changes[0].wave)
        for change in following
    )
    attended = any(one.farewell is not None for one in wanted.values())
    if not (needed or attended) or not wanted:
        return None
    settled = await waiting.until_healthy(wanted, live, applier.observe, _patience(applier))
    return None if settled.health.status in waiting.WELL else not_healthy(settled, applier.desired)


def not_healthy(settled: waiting.Settled, desired: resource.DesiredState) -> errors.Unhealthy:
    """The error for what did not become healthy in time."""
    declared = desired.resources.get(settled.worst) if settled.worst else None
    return errors.Unhealthy(
        f"{settled.worst} is {settled.health.status.value} after it was applied",
        origin=declared.place(settled.health.field) if declared else None,
        why=settled.health.reason,
        hint="see its logs; the next reconcile looks again",
    )


def _patience(applier: Applier) -> waiting.Patience:
    return waiting.Patience(applier.application.policy.health_timeout)


def _declared(changes: Sequence[plan.Change]) -> dict[resource.ResourceId, resource.Resource]:
    return {change.id: change.desired for change in changes if change.desired is not None}


def _skipped(
    changes: Sequence[plan.Change], error: errors.UndriftError | None
) -> tuple[plan.ChangeResult, ...]:
    return tuple(plan.ChangeResult(change, plan.Outcome.SKIPPED, error) for change in changes)


def _first_error(results: Sequence[plan.ChangeResult]) -> errors.UndriftError | None:
    """What went wrong, all of it; what was refused comes before what merely did not last because of that."""
    found = [
        result.error or errors.TargetError(f"{result.change.id} was not applied")
        for result in results
        if result.outcome in (plan.Outcome.FAILED, plan.Outcome.UNKNOWN)
    ]
    found.sort(key=lambda error: isinstance(error, errors.VerifyFailed))
    return errors.gather(found) if found else None


def defect(error: Exception) -> errors.InternalError:
    """A defect as a value. Only the exception's type is told: its text may hold anything."""
    wrapped = errors.InternalError(
        f"a defect: {type(error).__name__}",
        why="this should not happen",
        hint="see the agent's log for the traceback and report it",
    )
    wrapped.__cause__ = error
    return wrapped


async def within(
    seconds: float,
    work: Awaitable[_T],
    doing: str,
    kind: Callable[..., errors.UndriftError] = errors.TargetUnavailable,
) -> _T:
    """Await `work` for at most `seconds`, then raise `kind`."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as late:
        raise kind(f"{doing} took longer than {seconds:g} s", hint="it is looked at again") from late

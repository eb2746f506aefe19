"""May this plan run? Pure: limits, projects, windows, approvals, suspensions, dependencies.

Every guard says all it has to say; a plan that three guards stop shows three reasons. A person's approval of
the digest overrules the limits that exist so that a person looks, never what Git forbids.
"""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from undrift import errors
from undrift.engine import digesting, rolling, windows
from undrift.model import application, elsewhere, health, plan, record, resource, view

HEALS = 10
"""So often is one resource repaired"""
HEALED_WITHIN = 300
"""within so many seconds before it counts as contested."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """All that guards look at. `described` is the plan's document, `approved` those of approved digests."""

    application: application.Application
    plan: plan.Plan
    desired: resource.DesiredState
    memory: record.Memory
    surroundings: view.Surroundings
    described: Mapping[str, Any]
    approved: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    held_back: record.HeldBack | None = None


def guard(considered: Considered) -> plan.Verdict:
    """Whether the plan may run, and everything that stops it."""
    if considered.plan.empty:
        return plan.Verdict()
    by = approved_by(considered)
    guards = (*_ALWAYS, *(() if by else _UNTIL_APPROVED))
    stops = tuple(error for check in guards for error in check(considered))
    return plan.Verdict(stops, by)


def approved_by(considered: Considered) -> str:
    """Who approved this plan: by its digest, or by that of a plan whose unknown values became known."""
    for approval in considered.memory.approvals:
        if approval.digest == considered.plan.digest:
            return approval.by
        earlier = considered.approved.get(approval.digest)
        if earlier is not None and digesting.covers(earlier, considered.described):
            return approval.by
    return ""


def _blocks(considered: Considered) -> Iterator[errors.GuardError]:
    for block in considered.plan.blocks:
        yield block.error


def _suspended(considered: Considered) -> Iterator[errors.GuardError]:
    name = considered.application.name
    hold = considered.memory.hold
    if considered.application.suspended:
        yield errors.Suspended(
            f"{name} is suspended in Git",
            origin=considered.application.origin,
            hint="remove `suspend: true` from the application, or `undrift resume` it",
        )
    if hold is not None and hold.until > considered.surroundings.now:
        until = datetime.datetime.fromtimestamp(hold.until, datetime.UTC).isoformat(timespec="seconds")
        yield errors.Suspended(
            f"{name} is held until {until}",
            why=f"ordered by {hold.by}" + (f": {hold.reason}" if hold.reason else ""),
            hint=f"it goes on by itself then, or now with `undrift resume {name}`",
        )


def _observe_only(considered: Considered) -> Iterator[errors.GuardError]:
    if considered.application.policy.mode is application.Mode.OBSERVE:
        yield errors.ObserveOnly(
            f"{considered.application.name} is only observed",
            origin=considered.application.origin,
            hint="set policy.mode to automatic or approval in Git to have differences applied",
        )


def _held_back(considered: Considered) -> Iterator[errors.GuardError]:
    held = considered.held_back
    if held is not None and held.phase in (record.Phase.APPLY, record.Phase.VERIFY):
        yield errors.RevisionHeldBack(
            f"{held.revision} failed and is not tried again by itself",
            why=f"{held.code} {held.message}",
            hint=f"commit a fix, or try once more with `undrift reconcile {considered.application.name}`",
        )


def _contested(considered: Considered) -> Iterator[errors.GuardError]:
    """Drift that comes back however often it is repaired; a commit goes through all the same."""
    contested, changes = considered.surroundings.contested, considered.plan.changes
    if not contested or any(change.reason is not plan.Reason.DRIFT for change in changes):
        return
    for change in changes:
        if change.id in contested:
            writers = ", ".join(change.live.managers) if change.live is not None else ""
            yield errors.Contested(
                f"{change.id} was changed back {HEALS} times within {HEALED_WITHIN // 60} minutes",
                origin=change.desired.origin if change.desired is not None else None,
                why=f"somebody else writes there, too: {writers}"
                if writers
                else "somebody else writes there, too",
                hint="stop the other writer, or leave the field to it with policy.ignore in Git",
            )


def _empty(considered: Considered) -> Iterator[errors.GuardError]:
    subject = considered.application
    if considered.desired.resources or subject.decommissioned or subject.policy.allow_empty:
        return
    if considered.plan.owned:
        yield errors.RenderEmpty(
            f"{subject.name} renders to nothing but owns {considered.plan.owned} resources",
            origin=subject.origin,
            hint="if that is meant, set policy.allowEmpty in Git or remove the application",
        )


def forbidden(
    subject: application.Application, around: view.Surroundings, desired: resource.DesiredState
) -> Iterator[errors.ProjectForbids]:
    """What its project does not allow an application: known before anything is asked of the target."""
    project = around.project
    named = {subject.source.name, around.source_url} - {""}
    if named and not any(_any(project.sources, name) for name in named):
        yield _forbidden(subject, f"source {subject.source.name or around.source_url}")
    for name in sorted(elsewhere.sources(subject.renderer.settings)):
        if not _any(project.sources, name):
            yield _forbidden(subject, f"source {name}")
    if not _any(project.targets, subject.target):
        yield _forbidden(subject, f"target {subject.target}")
    if not _any(project.accounts, subject.account):
        yield _forbidden(subject, f"account {subject.account or 'of the target itself'}")
    for rid, wanted in {**desired.resources, **desired.farewells}.items():
        if not _any(project.kinds, rid.kind):
            yield _forbidden(subject, f"kind {rid.kind}", wanted)
        if rid.namespace and not _any(project.namespaces, rid.namespace):
            yield _forbidden(subject, f"namespace {rid.namespace}", wanted)


def _forbidden(
    subject: application.Application, what: str, wanted: resource.Resource | None = None
) -> errors.ProjectForbids:
    return errors.ProjectForbids(
        f"project {subject.project} does not allow {what}",
        origin=wanted.origin if wanted else subject.origin,
        why=f"{subject.name} declares {wanted.id}" if wanted else f"{subject.name} uses it",
        hint=f"allow it in kind: Project {subject.project}, or change the application",
    )


def _windows(considered: Considered) -> Iterator[errors.GuardError]:
    spans, now = considered.application.policy.windows, considered.surroundings.now
    if not spans or windows.allowed(spans, now):
        return
    opens = windows.opens_at(spans, now)
    when = (
        datetime.datetime.fromtimestamp(opens, datetime.UTC).isoformat(timespec="minutes")
        if opens
        else "never"
    )
    yield errors.WindowClosed(
        f"no time window of {considered.application.name} allows changes now",
        origin=considered.application.origin,
        why=f"changes are allowed next: {when}",
        hint="wait, or change policy.windows in Git",
    )


def _dependencies(considered: Considered) -> Iterator[errors.GuardError]:
    subject = considered.application
    if subject.decommissioned:
        return
    for name in subject.depends_on:
        peer = considered.surroundings.peers.get(name)
        if peer is not None and peer.in_sync and peer.health.status is health.Status.HEALTHY:
            continue
        state = "unknown" if peer is None else peer.health.status.value
        why = f"it is {state}" + ("" if peer is None or peer.in_sync else " and not in sync")
        if peer is not None and peer.health.reason:
            why += f": {peer.health.reason}"
        yield errors.DependencyNotReady(
            f"{subject.name} waits for {name}",
            origin=subject.origin,
            why=why,
            hint=f"see `undrift status {name}`",
        )


def _dependents(considered: Considered) -> Iterator[errors.GuardError]:
    """What came first leaves last."""
    subject = considered.application
    for name in sorted(considered.surroundings.dependents):
        yield errors.DependentsRemain(
            f"{subject.name} stays until {name} is gone",
            origin=subject.origin,
            why=f"{name} depends on it",
            hint=f"see `undrift status {name}`",
        )


def _rollout(considered: Considered) -> Iterator[errors.GuardError]:
    """Drift is repaired at any time; what all of its like are to take, one takes when it is its turn."""
    subject, changes = considered.application, considered.plan.changes
    if subject.decommissioned or all(change.reason is plan.Reason.DRIFT for change in changes):
        return
    stop = rolling.turn(subject, considered.surroundings.members)
    if stop is not None:
        yield stop


def _memory_lost(considered: Considered) -> Iterator[errors.GuardError]:
    name = considered.application.name
    if not considered.memory.resumed and considered.plan.owned:
        yield errors.MemoryLost(
            f"{name} has our marks on its target but nothing is remembered of it",
            why="the database is new; what would change may have been decided by somebody already",
            hint=f"look at `undrift plan {name}`, then `undrift resume {name}`",
        )


def _deletions(considered: Considered) -> Iterator[errors.GuardError]:
    found, limit = considered.plan, considered.application.policy.deletion_limit
    if considered.application.decommissioned:
        return
    count = sum(1 for change in found.changes if change.action.deletes)
    share = count * 100 / found.owned if found.owned else 0.0
    over_share = found.owned >= limit.count and share > limit.percent
    if count > limit.count or over_share:
        measure = f"{count} of {found.owned} resources ({share:.0f} %)"
        yield errors.DeletionLimitExceeded(
            f"{considered.application.name} would delete {measure}",
            origin=considered.application.origin,
            why=f"the limit is {limit.count} resources, or {limit.percent} % of at least {limit.count}",
            hint=_how_to_approve(considered),
        )


def _doubts(considered: Considered) -> Iterator[errors.GuardError]:
    for doubt in considered.plan.doubts if considered.plan.waves else ():
        doubt.hint = doubt.hint or _how_to_approve(considered)
        yield doubt


def _approval(considered: Considered) -> Iterator[errors.GuardError]:
    subject = considered.application
    leaving = subject.decommissioned and subject.deletion_policy is application.DeletionPolicy.APPROVE
    farewells = considered.desired.farewells
    if leaving and farewells and all(change.id in farewells for change in considered.plan.changes):
        # They came with the plan that was approved; there is nothing else left.
        return
    if subject.policy.mode is not application.Mode.APPROVAL and not leaving:
        return
    moved = any(approval.digest != considered.plan.digest for approval in considered.memory.approvals)
    what = (
        "its document left Git: deleting what it owns"
        if leaving
        else f"a plan of {len(considered.plan.changes)} changes"
    )
    yield errors.ApprovalRequired(
        f"{subject.name} waits for approval",
        origin=subject.origin,
        why=what + (" (it moved since it was approved)" if moved else ""),
        hint=_how_to_approve(considered),
    )


def _how_to_approve(considered: Considered) -> str:
    return f"look at `undrift plan {considered.application.name}`, then `undrift approve {considered.application.name} {considered.plan.digest}`"


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


_Guard = Callable[[Considered], Iterator[errors.GuardError]]
_ALWAYS: tuple[_Guard, ...] = (
    _blocks,
    _suspended,
    _observe_only,
    _held_back,
    _empty,
    _contested,
    _windows,
    _dependencies,
    _dependents,
    _rollout,
)
_UNTIL_APPROVED: tuple[_Guard, ...] = (_memory_lost, _deletions, _doubts, _approval)

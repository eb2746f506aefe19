"""What is to be done with a stage, given what is in the GitOps repository now. Pure.

Three questions, in this order: may automation touch the stage at all (a person took it back, a gate is closed); is the
revision newer than the one that is there (an older one never overtakes a newer); and is there anything to do.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Final

from undrift import errors
from undrift.model import delivery, publication
from undrift.sources.git import checkout


class Step(enum.StrEnum):
    """What is done in Git."""

    COMMIT = "commit"
    PROPOSE = "propose"
    WITHDRAW = "withdraw"
    LEAVE = "leave"


_MOST_NAMED: Final = 5


class Order(enum.StrEnum):
    """How a revision stands to the one that is there."""

    NEWER = "newer"
    SAME = "same"
    OLDER = "older"


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """A stage's folder somewhere. `tree` is Git's id of our part of it ("": none), without what is `keep` and
    without the provenance; `reason` says why there is no provenance though there are files.
    """

    tree: str = ""
    provenance: publication.Provenance | None = None
    reason: str = ""

    @property
    def edited(self) -> bool:
        """Whether it is not what was published there."""
        return self.tree != (self.provenance.tree if self.provenance is not None else "")


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    """The branch of a pull request as it is. `base` is the folder in the commit that it was made on.

    `ours` is whether its only commit is ours and nobody changed it; `other` names whose commit is there otherwise.
    """

    commit: str
    seen: Seen
    base: Seen
    ours: bool = True
    other: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What a person allows beyond the usual.

    `overwrite` hand edits; `resume` a stage that was rolled back; `rewritten` history of the application; `hotfix` is
    the reason for going past the gates; `deletions` of more files than the delivery's limit.
    """

    overwrite: bool = False
    resume: bool = False
    rewritten: bool = False
    hotfix: str = ""
    deletions: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Situation:
    """All that is known about a stage. `spans` are how the new revision stands to others, by their ids; `gate` is why
    it may not be published yet ("": it may); `closed` are trees whose pull request a person closed, with its address.
    """

    stage: delivery.Stage
    wanted: publication.Provenance
    main: Seen
    proposal: Proposal | None
    spans: Mapping[str, checkout.Span]
    gate: str = ""
    closed: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What is done, what that comes to, and why in a sentence for people ("": it goes without saying)."""

    step: Step
    outcome: publication.Outcome
    reason: str = ""


def decide(found: Situation, options: Options) -> Decision:
    """What to do with a stage. Raises `OrderUnknown`, `HandEdited`, `BranchTaken`."""
    held = _held(found, options)
    if held:
        return Decision(Step.LEAVE, publication.Outcome.HELD, held)
    known = found.main.provenance
    back = found.wanted.rollback is not None
    if known is not None and not back and order(known, found.wanted, found.spans, options) is Order.OLDER:
        return _superseded(known)
    if found.stage.way is delivery.Way.DIRECT:
        return _direct(found, options)
    return _proposed(found, options)


def order(
    old: publication.Provenance,
    new: publication.Provenance,
    spans: Mapping[str, checkout.Span],
    options: Options,
) -> Order:
    """Whether `new` is newer: by ancestry, else by the sequence of builds, else nobody can tell (`OrderUnknown`)."""
    span = spans.get(old.revision.sha, checkout.Span(checkout.Relation.UNKNOWN))
    before, after = old.revision.sequence, new.revision.sequence
    both = bool(before and after)
    if span.relation is checkout.Relation.SAME:
        return Order.OLDER if both and after < before else Order.SAME
    if span.relation is checkout.Relation.AHEAD:
        return Order.NEWER
    if span.relation is checkout.Relation.BEHIND:
        return Order.OLDER
    if both and before != after:
        return Order.NEWER if after > before else Order.OLDER
    if options.rewritten and span.relation is checkout.Relation.APART:
        return Order.NEWER
    raise _unknown(old, new, span)


def is_same(old: publication.Provenance | None, new: publication.Provenance) -> bool:
    """Whether two say that the same was published from the same: another build of one commit is no other revision."""
    return (
        old is not None
        and old.revision.sha == new.revision.sha
        and (old.tree, old.variables, old.images, old.values)
        == (new.tree, new.variables, new.images, new.values)
        and (old.rollback, old.hotfix) == (new.rollback, new.hotfix)
    )


def _held(found: Situation, options: Options) -> str:
    """Why automation leaves the stage alone; "" where it does not."""
    if options.resume or found.wanted.rollback is not None:
        return ""
    places = (found.main, found.proposal.seen if found.proposal is not None else None)
    for seen in places:
        back = seen.provenance.rollback if seen is not None and seen.provenance is not None else None
        if back is not None:
            by = f" by {back.by}" if back.by else ""
            why = f": {back.reason}" if back.reason else ""
            return f"it was rolled back from {back.of[:8]}{by}{why}; let it go on with --resume"
    return ""


def _superseded(by: publication.Provenance) -> Decision:
    return Decision(
        Step.LEAVE,
        publication.Outcome.SUPERSEDED,
        f"{by.revision.short} is published already and is newer",
    )


def _direct(found: Situation, options: Options) -> Decision:
    if found.main.tree == found.wanted.tree and is_same(found.main.provenance, found.wanted):
        return Decision(Step.LEAVE, publication.Outcome.UNCHANGED)
    if found.gate and not options.hotfix:
        return Decision(Step.LEAVE, publication.Outcome.WAITING, found.gate)
    if found.main.edited and found.main.tree != found.wanted.tree and not options.overwrite:
        raise edited(found)
    return Decision(Step.COMMIT, publication.Outcome.PUBLISHED)


def _proposed(found: Situation, options: Options) -> Decision:
    proposal = found.proposal
    if proposal is not None and not proposal.ours:
        raise errors.BranchTaken(
            f"stage {found.stage.name}: the branch of our pull request has commits of somebody else",
            why=proposal.other,
            hint="merge or close that pull request, or delete the branch; what it holds belongs into the application",
        )
    if found.main.tree == found.wanted.tree and not _changes_rollback(found):
        step = Step.WITHDRAW if proposal is not None else Step.LEAVE
        return Decision(step, publication.Outcome.UNCHANGED)
    if found.stage.manual and found.gate and not options.hotfix:
        return Decision(Step.LEAVE, publication.Outcome.WAITING, found.gate)
    if proposal is not None and proposal.seen.provenance is not None and found.wanted.rollback is None:
        known = proposal.seen.provenance
        if order(known, found.wanted, found.spans, options) is Order.OLDER:
            return _superseded(known)
    if found.wanted.tree in found.closed:
        where = found.closed[found.wanted.tree]
        return Decision(
            Step.LEAVE,
            publication.Outcome.HELD,
            f"a person closed {where}, which has the same content; another revision opens another",
        )
    if (
        proposal is not None
        and is_same(proposal.seen.provenance, found.wanted)
        and proposal.seen.tree == found.wanted.tree
        and proposal.base == found.main
    ):
        return Decision(Step.LEAVE, publication.Outcome.PUBLISHED)
    return Decision(Step.PROPOSE, publication.Outcome.PUBLISHED)


def _changes_rollback(found: Situation) -> bool:
    """A rollback to what is there already is still one, and so is its end: automation stays away as the note says."""
    known = found.main.provenance
    was = known is not None and known.rollback is not None
    return was != (found.wanted.rollback is not None)


def edited(found: Situation, files: tuple[str, ...] = ()) -> errors.HandEdited:
    """That somebody changed a published folder; `files` say which, by whom and when where that is known."""
    folder = found.stage.folder
    if found.main.provenance is None:
        return errors.HandEdited(
            f"{folder} holds files that nobody published",
            why=found.main.reason or "there is no record of where they come from",
            hint="move them, name them in gitopsRepository.keep, or take the folder over with --overwrite",
        )
    return errors.HandEdited(
        f"{folder} was edited by hand",
        why="\n".join(files) or f"it is not what was published from {found.main.provenance.revision.short}",
        hint="move the edit into the application, name the files in gitopsRepository.keep, or pass --overwrite",
    )


def too_many(
    stage: delivery.Stage, gone: Sequence[str], there: int, limit: delivery.DeletionLimit
) -> errors.DeletionLimitExceeded:
    """That more files of a stage would be deleted than may be unasked; `there` is how many were published."""
    shown = ", ".join(gone[:_MOST_NAMED])
    return errors.DeletionLimitExceeded(
        f"{stage.folder} would lose {len(gone)} of {there} files",
        origin=stage.origin,
        why=f"the limit is {limit.count} files and {limit.percent} %; {shown}{' …' if len(gone) > _MOST_NAMED else ''}",
        hint="correct the source (path, include, exclude); if it is meant, pass --allow-deletions",
    )


def _unknown(
    old: publication.Provenance, new: publication.Provenance, span: checkout.Span
) -> errors.OrderUnknown:
    what = f"nobody can tell if {new.revision.short} is newer than {old.revision.short}, which is published"
    if span.relation is checkout.Relation.APART:
        return errors.OrderUnknown(
            what,
            why="neither is in the history of the other: history was rewritten, or these are two branches",
            hint="publish from one branch; if this one is right, pass --accept-rewritten-history or --sequence",
        )
    return errors.OrderUnknown(
        what,
        why=span.why or "this clone does not have both",
        hint="clone with the whole history (fetch-depth: 0), or pass --sequence with the number of the build",
    )

"""Which revision goes to which stage next: the moves along a graph of stages, hotfixes and trains. Pure.

A revision goes on once the gate of the next stage is open for it (`promoting`). It never goes to an older one, and
never into a stage that a person took back, until somebody lets it go on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from undrift.engine import promoting
from undrift.model import delivery, publication

Newer = Callable[[publication.AppRevision, publication.AppRevision], bool | None]
"""Whether the first revision comes after the second one; None when nobody can tell."""


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a stage: `revision` goes there where the verdict is open; else the verdict says why not.

    `revision` is None where nothing newer waits. `source` is the provenance that it is taken from: what CI brought
    with it is in there.
    """

    stage: str
    verdict: promoting.Verdict
    revision: publication.AppRevision | None = None
    source: publication.Provenance | None = None

    @property
    def moves(self) -> bool:
        """Whether the revision goes in now."""
        return self.verdict.open and self.revision is not None


def candidates(
    stages: Sequence[delivery.Stage], stands: Mapping[str, promoting.Stand], newer: Newer
) -> dict[str, publication.AppRevision]:
    """The revision that waits before each stage and may go there if the gate is open: whose facts to gather."""
    found = {}
    for stage in stages:
        source, blocked = _candidate(stage, stands, newer)
        if source is not None and blocked is None:
            found[stage.name] = source.revision
    return found


def choose(
    stages: Sequence[delivery.Stage],
    stands: Mapping[str, promoting.Stand],
    facts: Mapping[str, promoting.Facts],
    newer: Newer,
    now: float,
) -> tuple[Choice, ...]:
    """What becomes of every stage that requires others, in their order; several may move at once.

    Only the newest revision that is in all required stages moves, older ones are skipped; never to an older one, and
    never into a stage that a person took back (`Provenance.rollback`), until it is let go on. `facts` are by stage,
    about its candidate; where there are none (or about another revision), nothing is known but `stands`.
    """
    return tuple(_choose(stage, stands, facts, newer, now) for stage in stages if stage.gate.requires)


def _choose(
    stage: delivery.Stage,
    stands: Mapping[str, promoting.Stand],
    facts: Mapping[str, promoting.Facts],
    newer: Newer,
    now: float,
) -> Choice:
    source, blocked = _candidate(stage, stands, newer)
    if source is None:
        return Choice(stage.name, blocked or promoting.Verdict(promoting.State.OPEN))
    if blocked is not None:
        return Choice(stage.name, blocked, source.revision, source)
    known = facts.get(stage.name)
    if known is None or known.revision.sha != source.revision.sha:
        known = promoting.Facts(source.revision, stands)
    known = dataclasses.replace(known, stands=stands, hotfix="")
    return Choice(stage.name, promoting.judge(promoting.entry(stage), known, now), source.revision, source)


def _candidate(
    stage: delivery.Stage, stands: Mapping[str, promoting.Stand], newer: Newer
) -> tuple[publication.Provenance | None, promoting.Verdict | None]:
    """The revision that waits before a stage, and what forbids it to go there whatever its gate says."""
    stand = stands.get(stage.name, promoting.Stand())
    before = {one.stage: stands.get(one.stage, promoting.Stand()).provenance for one in stage.gate.requires}
    there = {name: found for name, found in before.items() if found is not None}
    empty = [name for name, found in before.items() if found is None]
    if empty:
        return None, _closed(f"nothing is published in {empty[0]} yet")
    if not there:
        return None, None
    if len({one.revision.sha for one in there.values()}) > 1:
        have = " and ".join(f"{name} has {one.revision.short}" for name, one in there.items())
        return None, _closed(f"the stages that {stage.name} requires are not at one revision: {have}")
    source = next(iter(there.values()))
    if _is_at(stand, source) and (source.rollback or not _brings_images(stage, stand, source)):
        return None, None
    return source, _forbidden(stage.name, stand, source, newer)


def _is_at(stand: promoting.Stand, source: publication.Provenance) -> bool:
    return stand.revision is not None and stand.revision.sha == source.revision.sha


def _brings_images(stage: delivery.Stage, stand: promoting.Stand, source: publication.Provenance) -> bool:
    """Whether one revision has images with it that the stage has not: those of a registry, of another build of CI.

    What the stage watches itself it does not take from others.
    """
    known = stand.provenance.images if stand.provenance is not None else {}
    return any(
        known.get(name) != reference
        for name, reference in source.images.items()
        if not any(_is_of(reference, image) for image in stage.watched)
    )


def _is_of(reference: str, image: str) -> bool:
    """Whether a reference is to an image, whatever its tag and digest."""
    rest = reference.removeprefix(image)
    return rest != reference and (not rest or rest[0] in ":@") and "/" not in rest


def _forbidden(
    stage: str, stand: promoting.Stand, source: publication.Provenance, newer: Newer
) -> promoting.Verdict | None:
    """Held after a rollback, or not forward."""
    known = stand.provenance
    if known is None:
        return None
    if known.rollback is not None:
        by = f" by {known.rollback.by}" if known.rollback.by else ""
        why = f" ({known.rollback.reason})" if known.rollback.reason else ""
        return _failed(
            f"{stage} was rolled back{by}{why}; it stays at {known.revision.short} until somebody resumes it"
        )
    if _is_at(stand, source):
        return None
    later = newer(source.revision, known.revision)
    if later is None:
        return _failed(
            f"nobody can tell whether {source.revision.short} is newer than {known.revision.short} in {stage}"
        )
    if not later:
        return _closed(
            f"{stage} has {known.revision.short} already, which is newer than {source.revision.short}"
        )
    return None


def jump(
    stage: delivery.Stage, source: publication.Provenance, facts: promoting.Facts, newer: Newer, now: float
) -> Choice:
    """A hotfix: straight to a stage, for the reason in `facts.hotfix`, whatever the stages before it say.

    Windows, approvals and programs still count, and so do rollbacks and the order of revisions. What was skipped is
    in the verdict, to be recorded. Raises `ValueError` without a reason.
    """
    if not facts.hotfix.strip():
        msg = "a hotfix needs a reason"
        raise ValueError(msg)
    stand = facts.stands.get(stage.name, promoting.Stand())
    if _is_at(stand, source):
        return Choice(stage.name, promoting.Verdict(promoting.State.OPEN))
    blocked = _forbidden(stage.name, stand, source, newer)
    return Choice(
        stage.name, blocked or promoting.judge(promoting.entry(stage), facts, now), source.revision, source
    )


def judge_train(members: Mapping[str, promoting.Verdict]) -> promoting.Verdict:
    """Several applications go together, or none does: open when every member's gate is. An empty train stays."""
    shut = {name: one for name, one in members.items() if not one.open}
    skipped = tuple(f"{name}: {text}" for name, one in members.items() for text in one.skipped)
    if not shut:
        return promoting.Verdict(
            promoting.State.OPEN if members else promoting.State.CLOSED,
            () if members else ("nobody is on the train",),
            None,
            skipped,
        )
    failed = any(one.state is promoting.State.FAILED for one in shut.values())
    times = [one.next_at for one in shut.values() if one.next_at is not None]
    return promoting.Verdict(
        promoting.State.FAILED if failed else promoting.State.CLOSED,
        tuple(f"{name}: {text}" for name, one in shut.items() for text in one.reasons),
        max(times) if len(times) == len(shut) else None,
        skipped,
    )


def _closed(text: str) -> promoting.Verdict:
    return promoting.Verdict(promoting.State.CLOSED, (text,))


def _failed(text: str) -> promoting.Verdict:
    return promoting.Verdict(promoting.State.FAILED, (text,))

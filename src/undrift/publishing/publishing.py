"""Rendered stages into the GitOps repository, by compare-and-swap on what is there.

```
look ─▶ decide every stage ─▶ one commit a stage, made of tree objects ─▶ one atomic push
  ▲                                                                           │ lost: others were faster
  └──────────────────────── wait, with jitter, until the deadline ◀───────────┘
```

Direct stages are commits on the main branch, one after the other, also those of several deliveries (`together`); each
pull request's branch is the new main branch and exactly one commit. Nothing is merged or rebased: who lost a race begins anew from what is there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from undrift import errors
from undrift.lib import globs
from undrift.model import delivery, publication, source
from undrift.publishing import deciding, looking, messages, queueing, racing
from undrift.sources.git import checkout, grafting, planting

_EDITS: Final = 10
_MOST_NAMED: Final = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A stage as it should be: its files, and what they say of where they come from.

    `gate` is why it may not be published yet ("": it may), `closed` are trees that a person closed a pull request of.
    """

    stage: delivery.Stage
    files: Mapping[str, source.File] = dataclasses.field(repr=False)
    provenance: publication.Provenance
    gate: str = ""
    closed: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What became of all stages, and the folders as they were on the main branch before (for what is shown)."""

    results: tuple[publication.StageResult, ...]
    sight: looking.Sight


class Publisher:
    """Publishes the stages of one delivery through a workbench. `history` tells how revisions follow on one another."""

    def __init__(
        self,
        bench: grafting.Workbench,
        history: checkout.Checkout | None,
        declared: delivery.Delivery,
        options: deciding.Options | None = None,
    ) -> None:
        self._bench = bench
        self._history = history
        self._declared = declared
        self._options = options or deciding.Options()
        self._spans: dict[tuple[str, str], checkout.Span] = {}

    async def publish(
        self,
        wanted: Sequence[Wanted],
        *,
        deadline: float = 120.0,
        dry: bool = False,
        turns: queueing.Turns | None = None,
    ) -> Published:
        """Bring all stages in, or none of them; `deadline` is seconds, `dry` shows what would be done.

        `turns` are those of this machine's jobs at the main branch; stages with pull requests need none.

        Raises `PushDeadline`, `BranchProtected`, `HandEdited`, `OrderUnknown`, `BranchTaken` and `SourceError`s, all
        before anything was changed.
        """
        part = Part(self, wanted)
        return (await together([part], deadline=deadline, dry=dry, turns=turns))[0]

    def looker(self, wanted: Sequence[Wanted]) -> looking.Looker:
        """What looks at the folders of these stages."""
        return looking.Looker(self._bench, self._declared, [one.stage for one in wanted])

    def check_kept(self, wanted: Sequence[Wanted]) -> None:
        """What is somebody else's is not rendered, too: nobody could tell any more whose it is."""
        keep = self._declared.destination.keep
        wrong: list[errors.UndriftError] = [
            errors.ArtifactRefused(
                f"{path} is rendered for stage {one.stage.name}, and gitopsRepository.keep says it is somebody else's",
                hint="leave it out, or take it out of keep",
            )
            for one in wanted
            for path in one.files
            if globs.matches(path, keep)
        ]
        if wrong:
            raise errors.gather(wrong)

    @property
    def bench(self) -> grafting.Workbench:
        """What it publishes through."""
        return self._bench

    @property
    def main(self) -> str:
        """The main branch."""
        return self._declared.destination.branch

    # --- one attempt -----------------------------------------------------------------------------------

    async def draft(self, wanted: Sequence[Wanted], sight: looking.Sight, attempt: int) -> _Draft:
        """Decide every stage. Raises what stands in the way of any, all at once."""
        decided: list[tuple[Wanted, deciding.Decision]] = []
        wrong: list[errors.UndriftError] = []
        nursery = sight.forest.nursery
        for one in wanted:
            tree = nursery.plant(one.files)
            known = dataclasses.replace(one, provenance=dataclasses.replace(one.provenance, tree=tree))
            try:
                decision = deciding.decide(await self._situation(known, sight), self._options)
                if decision.step is deciding.Step.COMMIT:
                    await self._check_deletions(known, sight)
                decided.append((known, decision))
            except errors.HandEdited as error:
                wrong.append(await self._told_by_whom(error, one.stage, sight))
            except errors.UndriftError as error:
                wrong += error.parts
        if wrong:
            # What stands in the way of several stages is told once.
            raise errors.gather(list({(one.code, str(one)): one for one in wrong}.values()))
        return _Draft(self._bench, self._declared, sight, attempt, decided)

    async def _check_deletions(self, one: Wanted, sight: looking.Sight) -> None:
        """Nobody reviews what goes to the main branch: an accident in the source must not take most of a stage away.

        Going back is an order of its own, and says to what. Raises `DeletionLimitExceeded`.
        """
        folder = sight.folders[one.stage.name]
        if self._options.deletions or folder.seen.provenance is None or one.provenance.rollback is not None:
            return
        there = await self._bench.leaves(folder.ours)
        gone = sorted(there.keys() - one.files.keys())
        limit = self._declared.deletion_limit
        if not limit.holds(len(gone), len(there)):
            raise deciding.too_many(one.stage, gone, len(there), limit)

    async def _situation(self, one: Wanted, sight: looking.Sight) -> deciding.Situation:
        main = sight.folders[one.stage.name].seen
        proposal = sight.proposals.get(one.stage.name)
        seen = [main, *([proposal.seen] if proposal is not None else [])]
        olds = {each.provenance.revision.sha for each in seen if each.provenance is not None}
        new = one.provenance.revision.sha
        return deciding.Situation(
            stage=one.stage,
            wanted=one.provenance,
            main=main,
            proposal=proposal,
            spans={old: await self.span(old, new) for old in olds},
            gate=one.gate,
            closed=one.closed,
        )

    async def span(self, old: str, new: str) -> checkout.Span:
        """How two revisions of the application stand to one another; asked once."""
        if (old, new) not in self._spans:
            if old == new:
                found = checkout.Span(checkout.Relation.SAME)
            elif self._history is None:
                found = checkout.Span(
                    checkout.Relation.UNKNOWN, why="there is no checkout of the application here"
                )
            else:
                found = await self._history.relation(old, new)
            self._spans[old, new] = found
        return self._spans[old, new]

    async def _told_by_whom(
        self, error: errors.HandEdited, stage: delivery.Stage, sight: looking.Sight
    ) -> errors.HandEdited:
        """The same, naming the commits that did it, where the server tells."""
        if not sight.folders[stage.name].seen.provenance:
            return error
        edits = await self.edits(stage, sight)
        if edits:
            error.why = "\n".join([*await self._edited_files(stage, sight), *edits])
        return error

    async def _edited_files(self, stage: delivery.Stage, sight: looking.Sight) -> list[str]:
        """What differs from what we published last, as a line for people; nothing where nobody knows."""
        try:
            known = await self._bench.history(sight.tip, stage.folder, _EDITS + 1)
            last = next((name for name, one in known if self._is_ours(one.message, stage)), "")
            if not last:
                return []
            before = await self._bench.forest(last, [stage.folder])
            old = await self._bench.leaves(before.entries(stage.folder))
            new = await self._bench.leaves(sight.folders[stage.name].ours)
        except errors.UndriftError:
            return []
        keep = [*self._declared.destination.keep, publication.PROVENANCE]
        old = {path: one for path, one in old.items() if not globs.matches(path, keep)}
        files = {
            "changed": [path for path in old.keys() & new.keys() if old[path] != new[path]],
            "new": [*(new.keys() - old.keys())],
            "gone": [*(old.keys() - new.keys())],
        }
        told = [f"{what}: {_named(paths)}" for what, paths in files.items() if paths]
        return ["; ".join(told)] if told else []

    def _is_ours(self, message: str, stage: delivery.Stage) -> bool:
        return looking.is_ours(message, self._declared.application, stage.name)

    async def edits(self, stage: delivery.Stage, sight: looking.Sight) -> tuple[str, ...]:
        """The newest commits on a stage's folder that are not ours, as lines for people; none where nobody knows."""
        try:
            known = await self._bench.history(sight.tip, stage.folder, _EDITS)
        except errors.UndriftError:
            return ()
        found: list[str] = []
        for name, commit in known:
            if looking.is_ours(commit.message, self._declared.application, stage.name):
                break
            found.append(f"{name[:8]} {commit.subject} ({commit.author})")
        return tuple(found)


def _named(paths: Sequence[str]) -> str:
    listed = sorted(paths)
    return ", ".join(listed[:_MOST_NAMED]) + (" …" if len(listed) > _MOST_NAMED else "")


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """Stages of one delivery that are published together with those of others."""

    publisher: Publisher
    wanted: Sequence[Wanted]


async def together(
    parts: Sequence[Part], *, deadline: float = 120.0, dry: bool = False, turns: queueing.Turns | None = None
) -> list[Published]:
    """Bring in all stages of several deliveries that share a workbench and a main branch, or none of them.

    All of it is one atomic push: a commit a direct stage, one on the other, and each pull request's branch on the last of
    them. Arguments and what is raised are those of `Publisher.publish`; one answer a part.
    """
    for one in parts:
        one.publisher.check_kept(one.wanted)
    bench = parts[0].publisher.bench
    await bench.identity()
    lookers = [one.publisher.looker(one.wanted) for one in parts]

    async def once(race: racing.Race) -> tuple[list[Published], grafting.Pushed]:
        sights = [await one.look() for one in lookers]
        race.reached = True
        if len({one.tip for one in sights}) > 1:
            return [], grafting.Pushed(done=False, lost="others pushed while all was looked at")
        drafts = await _drafts(parts, sights, race.attempt)
        moves = await _made(drafts, f"refs/heads/{parts[0].publisher.main}")
        pushed = racing.UNNEEDED if dry or not moves else await bench.push(moves)
        return [Published(tuple(draft.results), draft.sight) for draft in drafts], pushed

    pushes = not dry and any(one.stage.way is delivery.Way.DIRECT for part in parts for one in part.wanted)
    return await racing.run(once, deadline, turns if pushes else None)


async def _drafts(parts: Sequence[Part], sights: Sequence[looking.Sight], attempt: int) -> list[_Draft]:
    """What is decided for every part. Raises what stands in the way of any, all at once."""
    drafts: list[_Draft] = []
    wrong: list[errors.UndriftError] = []
    for part, sight in zip(parts, sights, strict=True):
        try:
            drafts.append(await part.publisher.draft(part.wanted, sight, attempt))
        except errors.UndriftError as error:
            wrong += error.parts
    if wrong:
        raise errors.gather(list({(one.code, str(one)): one for one in wrong}.values()))
    return drafts


async def _made(drafts: Sequence[_Draft], main: str) -> list[grafting.Move]:
    """Make the commits of all drafts: those of direct stages first, one on the other. What has to be pushed."""
    tip = head = drafts[0].sight.tip
    for draft in drafts:
        await draft.stand_on(head)
        await draft.commit_all()
        head = draft.head
    moves = [grafting.Move(main, tip, head)] if head != tip else []
    for draft in drafts:
        await draft.stand_on(head)
        await draft.propose_all()
        moves += draft.moves
    return moves


@dataclasses.dataclass(slots=True)
class _Draft:
    """The stages of a delivery in the making: `head` is the main branch as it will be, `moves` the other refs that are
    pushed.
    """

    bench: grafting.Workbench
    declared: delivery.Delivery
    sight: looking.Sight
    attempt: int
    decided: Sequence[tuple[Wanted, deciding.Decision]]
    head: str = ""
    moves: list[grafting.Move] = dataclasses.field(default_factory=list)
    results: list[publication.StageResult] = dataclasses.field(default_factory=list)
    forest: planting.Forest = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.head = self.sight.tip
        self.forest = self.sight.forest.copy()

    async def stand_on(self, head: str) -> None:
        """Go on from another commit on the main branch: one that was made of it for somebody else."""
        if head != self.head:
            self.head = head
            self.forest = await self.bench.forest(head, [one.stage.folder for one, _ in self.decided])

    async def commit_all(self) -> None:
        """Direct stages: a commit on the main branch each."""
        for one, decision in self.decided:
            if decision.step is deciding.Step.COMMIT:
                await self.commit(one, decision)

    async def propose_all(self) -> None:
        """The branches of pull requests, on what the main branch will be. Results are in the order of the stages."""
        for one, decision in self.decided:
            await self.propose(one, decision)
        names = [one.stage.name for one, _ in self.decided]
        self.results.sort(key=lambda result: names.index(result.stage))

    async def commit(self, one: Wanted, decision: deciding.Decision) -> None:
        """A direct stage: a commit on the main branch."""
        self.head = await self._made(self.forest, one)
        self._note(one, decision, self.head)

    async def propose(self, one: Wanted, decision: deciding.Decision) -> None:
        """A stage with a pull request, or one that is left alone."""
        proposal = self.sight.proposals.get(one.stage.name)
        before = proposal.commit if proposal is not None else ""
        ref = f"refs/heads/{looking.branch(self.declared.application, one.stage.name)}"
        if decision.step is deciding.Step.PROPOSE:
            made = await self._made(self.forest.copy(), one)
            self.moves.append(grafting.Move(ref, before, made))
            self._note(one, decision, made)
        elif decision.step is not deciding.Step.COMMIT:
            self._note(one, decision, before)

    async def _made(self, forest: planting.Forest, one: Wanted) -> str:
        nursery = forest.nursery
        noted = {publication.PROVENANCE: source.File(messages.provenance(one.provenance))}
        leaves = {**self.sight.folders[one.stage.name].kept, **nursery.sow({**one.files, **noted})}
        met = planting.meeting(leaves)
        if met:
            raise errors.gather(met)
        forest.graft(one.stage.folder, nursery.arrange(leaves))
        revision = one.provenance.revision
        by_author = self.declared.commit.author == "app" and revision.author
        author = grafting.Signature(revision.author, revision.time) if by_author else None
        known = one.provenance
        message = messages.commit(
            messages.Commit(
                application=known.application,
                stage=known.stage,
                revision=revision,
                settings=self.declared.commit,
                rollback=known.rollback,
                hotfix=known.hotfix,
            )
        )
        return await self.bench.commit(forest, [self.head] if self.head else [], message, author)

    def _note(self, one: Wanted, decision: deciding.Decision, commit: str) -> None:
        seen = self.sight.folders[one.stage.name].seen
        self.results.append(
            publication.StageResult(
                stage=one.stage.name,
                outcome=decision.outcome,
                way=one.stage.way,
                commit=commit,
                tree=one.provenance.tree,
                before=seen.provenance,
                reason=decision.reason,
                attempts=self.attempt,
            )
        )

"""Folders out of the GitOps repository: of previews that are over, and of applications that are given up.

Only what was published goes: files that are `keep` stay, and a folder that somebody edited is left to a person.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from undrift import errors, interfaces
from undrift.forges import escaping
from undrift.model import delivery, forge, publication
from undrift.publishing import looking, messages, racing, running
from undrift.sources.git import grafting, planting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """Why folders go, and how: `overwrite` takes hand edits along, `review` asks with pull requests where a stage has
    them, `dry` changes nothing; `deadline` is seconds.
    """

    reason: str
    overwrite: bool = False
    review: bool = False
    dry: bool = False
    deadline: float = 120.0


@dataclasses.dataclass(frozen=True, slots=True)
class Withdrawn:
    """What became of every stage, and what kept a pull request from being opened."""

    results: tuple[publication.StageResult, ...]
    trouble: tuple[errors.UndriftError, ...] = ()


async def give_up(
    declared: delivery.Delivery, stages: Sequence[delivery.Stage], manner: Manner, how: running.How
) -> Withdrawn:
    """Remove an application from its stages: those with pull requests get one that does it. Raises as `withdraw`."""
    reviewed = any(stage.way is delivery.Way.PULL_REQUEST for stage in stages)
    async with (
        running.workbench(declared.destination, how.environ) as bench,
        running.forge_of(declared.destination, how, needed=reviewed) as host,
    ):
        manner = dataclasses.replace(manner, review=host is not None)
        results = await withdraw(bench, declared, stages, manner)
        if host is None or manner.dry:
            return Withdrawn(results)
        made, trouble = [], list[errors.UndriftError]()
        for stage, result in zip(stages, results, strict=True):
            found = result
            try:
                if stage.way is delivery.Way.PULL_REQUEST:
                    found = await _reviewed(host, declared, stage, result, manner.reason)
            except errors.UndriftError as error:
                trouble += error.parts
            made.append(found)
        return Withdrawn(tuple(made), tuple(trouble))


async def withdraw(
    bench: grafting.Workbench, declared: delivery.Delivery, stages: Sequence[delivery.Stage], manner: Manner
) -> tuple[publication.StageResult, ...]:
    """Remove the folders of these stages, one commit each, all in one push; branches of pull requests go with them.

    Raises `HandEdited`, `PushDeadline`, `BranchProtected`, and `SourceError`s; then nothing was removed.
    """
    await bench.identity()
    looker = looking.Looker(bench, declared, stages)

    async def once(race: racing.Race) -> tuple[_Draft, grafting.Pushed]:
        draft = _Draft(bench, declared, await looker.look(), manner)
        race.reached = True
        await draft.make(stages)
        idle = manner.dry or not draft.moves
        return draft, racing.UNNEEDED if idle else await bench.push(draft.moves)

    draft = await racing.run(once, manner.deadline)
    return tuple(draft.results[stage.name] for stage in stages)


class _Draft:
    """Removals in the making: direct ones on the main branch, one after the other, then those that are asked for."""

    def __init__(
        self,
        bench: grafting.Workbench,
        declared: delivery.Delivery,
        sight: looking.Sight,
        manner: Manner,
    ) -> None:
        self._bench = bench
        self._declared = declared
        self._sight = sight
        self._manner = manner
        self._head, self._forest = sight.tip, sight.forest.copy()
        self.moves: list[grafting.Move] = []
        self.results: dict[str, publication.StageResult] = {}

    async def make(self, stages: Sequence[delivery.Stage]) -> None:
        """Decide on all stages. Raises `HandEdited`, `BranchTaken`."""
        asked = [one for one in stages if self._manner.review and one.way is delivery.Way.PULL_REQUEST]
        for stage in stages:
            if stage not in asked:
                await self._remove(stage)
        for stage in asked:
            await self._ask(stage)
        if self._head != self._sight.tip:
            main = f"refs/heads/{self._declared.destination.branch}"
            self.moves.insert(0, grafting.Move(main, self._sight.tip, self._head))

    async def _remove(self, stage: delivery.Stage) -> None:
        self._drop_branch(stage)
        if self._is_gone(stage):
            return
        self._head = await self._removed(self._forest, stage)
        self._note(stage, self._head)

    async def _ask(self, stage: delivery.Stage) -> None:
        """The branch of the pull request: the main branch, and one commit that removes the folder."""
        proposal, there = self._sight.proposals.get(stage.name), self._sight.folders[stage.name].seen
        if proposal is not None and not proposal.ours and not self._manner.overwrite:
            raise errors.BranchTaken(
                f"stage {stage.name}: the branch of our pull request has commits of somebody else",
                why=proposal.other,
                hint="merge or close that pull request, or delete the branch",
            )
        if not there.tree and there.provenance is None:
            self._drop_branch(stage)
        if self._is_gone(stage):
            return
        empty = proposal is not None and not proposal.seen.tree and proposal.seen.provenance is None
        if proposal is not None and empty and proposal.base == there:
            self._note(stage, proposal.commit)
            return
        made = await self._removed(self._forest.copy(), stage)
        before = proposal.commit if proposal is not None else ""
        self.moves.append(grafting.Move(self._ref(stage), before, made))
        self._note(stage, made)

    async def _removed(self, forest: planting.Forest, stage: delivery.Stage) -> str:
        """A commit that removes the folder. Raises `HandEdited`."""
        folder = self._sight.folders[stage.name]
        if (folder.seen.provenance is None or folder.seen.edited) and not self._manner.overwrite:
            raise errors.HandEdited(
                f"{stage.folder} holds something that was not published",
                why=folder.seen.reason or "somebody edited it by hand",
                hint="look at it, and remove it with --overwrite if it may go",
            )
        forest.graft(stage.folder, forest.nursery.arrange(folder.kept))
        message = _message(self._declared, stage, folder.seen.provenance, self._manner.reason)
        return await self._bench.commit(forest, [self._head], message)

    def _is_gone(self, stage: delivery.Stage) -> bool:
        """Whether nothing is there that could be removed; then that is what became of the stage."""
        there = self._sight.folders[stage.name].seen
        if there.tree or there.provenance is not None:
            return False
        self.results[stage.name] = publication.StageResult(
            stage.name, publication.Outcome.UNCHANGED, stage.way
        )
        return True

    def _drop_branch(self, stage: delivery.Stage) -> None:
        proposal = self._sight.proposals.get(stage.name)
        if proposal is not None:
            self.moves.append(grafting.Move(self._ref(stage), proposal.commit, ""))

    def _ref(self, stage: delivery.Stage) -> str:
        return f"refs/heads/{looking.branch(self._declared.application, stage.name)}"

    def _note(self, stage: delivery.Stage, commit: str) -> None:
        before = self._sight.folders[stage.name].seen.provenance
        self.results[stage.name] = publication.StageResult(
            stage.name, publication.Outcome.PUBLISHED, stage.way, commit, before=before
        )


async def _reviewed(
    host: interfaces.Forge,
    declared: delivery.Delivery,
    stage: delivery.Stage,
    result: publication.StageResult,
    reason: str,
) -> publication.StageResult:
    """The pull request that removes a stage, open and saying so; where nothing is left to remove there is none."""
    head, base = looking.branch(declared.application, stage.name), declared.destination.branch
    found = await host.find_open(head, base)
    if result.outcome is publication.Outcome.UNCHANGED:
        if found is not None:
            await host.close(found, f"{declared.application} is removed: {escaping.line(reason)}")
        return result
    title = _title(declared, stage, reason)
    body = (
        f"Removes `{stage.folder}`, and with it {declared.application} from {stage.name}: "
        f"{escaping.prose(reason)}\n\nAgents delete what was applied from it as its policy says.\n"
    )
    if found is None:
        found = await host.create(
            forge.PullRequestSpec(
                head, base, title, body, stage.pull_request.labels, stage.pull_request.reviewers
            )
        )
    elif (found.title, found.body.strip()) != (title, body.strip()):
        found = await host.update(found, title=title, body=body)
    return dataclasses.replace(result, pull_request=found)


def _title(declared: delivery.Delivery, stage: delivery.Stage, reason: str) -> str:
    return f"[{stage.name}] Remove {declared.application}: {escaping.defused(reason)}"


def _message(
    declared: delivery.Delivery,
    stage: delivery.Stage,
    known: publication.Provenance | None,
    reason: str,
) -> str:
    revision = known.revision if known is not None else publication.AppRevision("")
    trailers = messages.commit(
        messages.Commit(application=declared.application, stage=stage.name, revision=revision)
    )
    ours = [line for line in trailers.splitlines() if line.startswith("Undrift-")]
    return f"{_title(declared, stage, reason)}\n\n" + "\n".join(ours) + "\n"

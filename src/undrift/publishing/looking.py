"""What is in the GitOps repository now: the folders of an application's stages, and the branches of its pull requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from undrift import errors
from undrift.lib import globs
from undrift.model import delivery, publication
from undrift.publishing import deciding, messages
from undrift.sources.git import grafting, planting, trees

BRANCHES: Final = "undrift/"
"""Branches of pull requests are `undrift/<application>/<stage>`: a pure function of what they are for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """A stage's folder in some commit: what is known of it, and the files in it that are somebody else's (`keep`)."""

    seen: deciding.Seen
    kept: Mapping[str, trees.Entry] = dataclasses.field(default_factory=dict, repr=False)
    ours: Mapping[str, trees.Entry] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """All that publishing needs to see at one moment. `tip` is the main branch's commit, "" in an empty repository.

    `folders` are those of the main branch, `proposals` the live branches of pull requests, both by stage.
    """

    tip: str
    forest: planting.Forest
    folders: Mapping[str, Folder]
    proposals: Mapping[str, deciding.Proposal]


@dataclasses.dataclass(frozen=True, slots=True)
class _Branch:
    """The branch of a pull request, with the forests of its newest commit and of the one `below`."""

    head: str
    commit: trees.Commit
    forest: planting.Forest
    below: planting.Forest


def branch(application: str, stage: str) -> str:
    """The branch of the pull request for a stage."""
    return f"{BRANCHES}{application}/{stage}"


def is_ours(message: str, application: str, stage: str) -> bool:
    """Whether a commit says that it was published for this stage of this application."""
    trailers = message.strip().rpartition("\n\n")[2].splitlines()
    return f"Undrift-Application: {application}" in trailers and f"Undrift-Stage: {stage}" in trailers


class Looker:
    """Looks through a workbench at the folders of one delivery."""

    def __init__(
        self, bench: grafting.Workbench, declared: delivery.Delivery, stages: Sequence[delivery.Stage]
    ) -> None:
        self._bench = bench
        self._declared = declared
        self._stages = {stage.name: stage for stage in stages}

    async def look(self) -> Sight:
        """How things are now. Raises a `SourceError`."""
        declared = self._declared
        main = declared.destination.branch
        depth = max((stage.folder.count("/") + 2 for stage in self._stages.values()), default=2)
        tips = await self._bench.fetch([main], f"{BRANCHES}{declared.application}/", depth=depth)
        heads = {name: tips.get(branch(declared.application, name), "") for name in self._stages}
        tip = tips.get(main, "")
        forest = await self._bench.forest(tip, [stage.folder for stage in self._stages.values()])
        self._check_room(forest)
        branches = {
            name: await self._branch(head, self._stages[name]) for name, head in heads.items() if head
        }
        await self._obtain_notes(forest, branches)
        folders = {name: await self.folder(forest, stage) for name, stage in self._stages.items()}
        proposals = {name: await self._proposal(one, self._stages[name]) for name, one in branches.items()}
        return Sight(tip, forest, folders, proposals)

    def _check_room(self, forest: planting.Forest) -> None:
        """Nobody's file makes room for a folder of ours. Raises `HandEdited`."""
        blocked = {stage.folder: forest.in_the_way(stage.folder) for stage in self._stages.values()}
        wrong: list[errors.UndriftError] = [
            errors.HandEdited(
                f"{path} is a file where the folder {folder} has to be",
                why="nobody published it, and it would be lost",
                hint="move it away in the GitOps repository, or set another gitopsRepository.path",
            )
            for folder, path in blocked.items()
            if path
        ]
        if wrong:
            raise errors.gather(wrong)

    async def _obtain_notes(self, forest: planting.Forest, branches: Mapping[str, _Branch]) -> None:
        """Have what all folders say of themselves, with one request instead of one for each."""
        places = [(forest, stage.folder) for stage in self._stages.values()]
        for name, one in branches.items():
            places += [(each, self._stages[name].folder) for each in (one.forest, one.below)]
        notes = [one.entries(folder).get(publication.PROVENANCE) for one, folder in places]
        await self._bench.obtain([one.object_id for one in notes if one is not None])

    async def folder(self, forest: planting.Forest, stage: delivery.Stage) -> Folder:
        """A stage's folder in a forest that knows it."""
        entries = forest.entries(stage.folder)
        keep = self._declared.destination.keep
        noted = entries.get(publication.PROVENANCE)
        found, reason = None, ""
        if noted is not None:
            content = (await self._bench.read([noted.object_id]))[noted.object_id]
            found, reason = self._own(*messages.parse_provenance(content), stage)
        own = {name: one for name, one in entries.items() if name != publication.PROVENANCE}
        kept: dict[str, trees.Entry] = {}
        if keep and own:
            leaves = await self._bench.leaves(own)
            kept = {path: one for path, one in leaves.items() if globs.matches(path, keep)}
            own = {path: one for path, one in leaves.items() if path not in kept}
        return Folder(deciding.Seen(forest.nursery.arrange(own), found, reason), kept, own)

    def _own(
        self, found: publication.Provenance | None, reason: str, stage: delivery.Stage
    ) -> tuple[publication.Provenance | None, str]:
        """What a folder says of itself, unless it says that it is another one's: then we know nothing of it."""
        if found is None or (found.application, found.stage) == (self._declared.application, stage.name):
            return found, reason
        return None, f"it was published for stage {found.stage} of {found.application}"

    async def _branch(self, head: str, stage: delivery.Stage) -> _Branch:
        """The branch of a pull request, and what it was made on."""
        commit = (await self._bench.commits([head]))[head]
        forest = await self._bench.forest(head, [stage.folder])
        below = await self._bench.forest(commit.parents[0] if commit.parents else "", [stage.folder])
        return _Branch(head, commit, forest, below)

    async def _proposal(self, found: _Branch, stage: delivery.Stage) -> deciding.Proposal:
        """Whether the one commit of a branch is ours, untouched, and what the folder was below it."""
        commit = found.commit
        seen = (await self.folder(found.forest, stage)).seen
        ours = is_ours(commit.message, self._declared.application, stage.name) and not seen.edited
        below = (await self.folder(found.below, stage)).seen if ours else deciding.Seen()
        other = "" if ours else f"{found.head[:8]} {commit.subject} ({commit.author})"
        return deciding.Proposal(found.head, seen, below, ours, other)

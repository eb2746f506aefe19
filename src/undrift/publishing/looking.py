"""What is in the GitOps repository now: the folders of an application's stages, and the branches of its pull requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

from undrift.lib import globs
from undrift.model import delivery, publication
from undrift.publishing import deciding, messages
from undrift.sources.git import grafting, trees

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
    forest: grafting.Forest
    folders: Mapping[str, Folder]
    proposals: Mapping[str, deciding.Proposal]


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
        folders = {name: await self.folder(forest, stage) for name, stage in self._stages.items()}
        proposals = {
            name: await self._proposal(head, self._stages[name]) for name, head in heads.items() if head
        }
        return Sight(tip, forest, folders, proposals)

    async def folder(self, forest: grafting.Forest, stage: delivery.Stage) -> Folder:
        """A stage's folder in a forest that knows it."""
        entries = forest.entries(stage.folder)
        keep = self._declared.destination.keep
        noted = entries.get(publication.PROVENANCE)
        found, reason = None, ""
        if noted is not None:
            content = (await self._bench.read([noted.object_id]))[noted.object_id]
            found, reason = messages.parse_provenance(content)
        own = {name: one for name, one in entries.items() if name != publication.PROVENANCE}
        kept: dict[str, trees.Entry] = {}
        if keep and own:
            leaves = await self._bench.leaves(own)
            kept = {path: one for path, one in leaves.items() if globs.matches(path, keep)}
            own = {path: one for path, one in leaves.items() if path not in kept}
        return Folder(deciding.Seen(forest.nursery.arrange(own), found, reason), kept, own)

    async def _proposal(self, head: str, stage: delivery.Stage) -> deciding.Proposal:
        """The branch of a pull request: whether its one commit is ours, untouched, and what it was made on."""
        commit = (await self._bench.commits([head]))[head]
        base = commit.parents[0] if commit.parents else ""
        forest = await self._bench.forest(head, [stage.folder])
        seen = (await self.folder(forest, stage)).seen
        ours = is_ours(commit.message, self._declared.application, stage.name) and not seen.edited
        below = deciding.Seen()
        if base and ours:
            below = (await self.folder(await self._bench.forest(base, [stage.folder]), stage)).seen
        other = "" if ours else f"{head[:8]} {commit.subject} ({commit.author})"
        return deciding.Proposal(head, seen, below, ours, other)

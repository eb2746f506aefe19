"""What people are shown of what is published: the change, its changelog, the stages before it, edits by hand."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Final

from undrift import errors
from undrift.engine import promoting
from undrift.forges import connecting
from undrift.model import delivery, forge, publication, source
from undrift.publishing import contrasting, hearing, looking, preparing, publishing, subject, systems
from undrift.sources.git import checkout, grafting

_NOTHING: Final = contrasting.Contrast()
_RELATIONS: Final = {
    checkout.Relation.SAME: subject.Relation.SAME,
    checkout.Relation.AHEAD: subject.Relation.AHEAD,
    checkout.Relation.BEHIND: subject.Relation.DOWNGRADE,
    checkout.Relation.APART: subject.Relation.APART,
    checkout.Relation.UNKNOWN: subject.Relation.UNKNOWN,
}


class Shown:
    """What people are shown of each stage; looked up when it is needed, once."""

    def __init__(
        self,
        prepared: preparing.Prepared,
        bench: grafting.Workbench,
        publisher: publishing.Publisher,
        done: publishing.Published,
        hotfix: str,
    ) -> None:
        self._hotfix = hotfix
        self._prepared = prepared
        self._bench = bench
        self._publisher = publisher
        self._done = done
        self._stands: dict[str, promoting.Stand] | None = None
        self.contrasts: dict[str, contrasting.Contrast] = {}

    async def contrast(self, stage: delivery.Stage, files: Mapping[str, source.File]) -> contrasting.Contrast:
        """What is on the main branch against what is published."""
        name = stage.name
        leaves = await self._bench.leaves(self._done.sight.folders[name].ours)
        before = await self._bench.files(leaves)
        self.contrasts[name] = contrasting.contrast(before, files)
        return self.contrasts[name]

    async def about(
        self, stage: delivery.Stage, result: publication.StageResult, links: forge.Links
    ) -> subject.Subject:
        """All there is to say of a stage."""
        opened = self._prepared.opened
        folder = self._done.sight.folders[stage.name]
        before = result.before
        edits = await self._publisher.edits(stage, self._done.sight) if folder.seen.edited and before else ()
        return subject.Subject(
            application=opened.declared.application,
            stage=stage.name,
            tree=result.tree,
            branch=looking.branch(opened.declared.application, stage.name),
            revision=opened.revision,
            before=before.revision if before is not None else None,
            contrast=self.contrasts.get(stage.name, _NOTHING),
            changelog=await self._changelog(before),
            run=systems.run(opened.request.variables),
            findings=_of_stage(self._prepared.findings, stage.name),
            priors=await self._priors(stage),
            edits=tuple(_edit(line) for line in edits),
            rollback=opened.provenance(stage.name).rollback,
            hotfix=self._hotfix,
            approvals=stage.gate.approvals,
            links=links,
            source_links=_source_links(opened.revision.repository),
            way_back=f"undrift rollback {opened.declared.application} --stage {stage.name}",
        )

    async def _priors(self, stage: delivery.Stage) -> tuple[subject.Prior, ...]:
        """How the stages before it do, as agents report them."""
        if not stage.gate.requires:
            return ()
        if self._stands is None:
            declared = self._prepared.opened.declared
            sight = await looking.Looker(self._bench, declared, declared.stages).look()
            told = await hearing.reports(self._bench.access, self._bench.address.shown)
            known = {name: one.seen.provenance for name, one in sight.folders.items()}
            published = hearing.Published(sight.tip, known)
            self._stands = await hearing.stands(self._bench, declared.stages, published, told)
        facts = promoting.Facts(self._prepared.opened.revision, self._stands)
        return hearing.priors(stage, facts, time.time())

    async def _changelog(self, before: publication.Provenance | None) -> subject.Changelog:
        if before is None:
            return subject.Changelog(subject.Relation.FIRST)
        span = await self._publisher.span(before.revision.sha, self._prepared.opened.revision.sha)
        lost = span.relation is checkout.Relation.APART and span.why
        relation = subject.Relation.REWRITTEN if lost else _RELATIONS[span.relation]
        return subject.Changelog(relation, span.commits)


def _of_stage(found: publication.Findings, stage: str) -> publication.Findings:
    return dataclasses.replace(found, checks=tuple(one for one in found.checks if one.stage == stage))


def _edit(line: str) -> subject.Edit:
    """`1a2b3c4d subject (author)` as it was told."""
    commit, _, rest = line.partition(" ")
    what, _, author = rest.rpartition(" (")
    return subject.Edit(what, commit, author.rstrip(")"))


def _source_links(url: str) -> forge.Links:
    """Addresses in the application's own repository; none where nobody knows its forge. It is not asked."""
    try:
        found = connecting.connect(url, "", "", {})
    except errors.UndriftError:
        return forge.Links()
    return found.links() if found is not None else forge.Links()

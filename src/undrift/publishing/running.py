"""The whole of `undrift publish`: prepared stages into the GitOps repository, then its pull requests as they should be.

What fails before the push changes nothing. What fails after it is healed by running again: pull requests are
reconciled from what is in Git, not from what this run did.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Final

from undrift import errors, interfaces
from undrift.engine import promoting
from undrift.forges import connecting
from undrift.model import delivery, forge, publication, source
from undrift.publishing import (
    contrasting,
    deciding,
    hearing,
    looking,
    preparing,
    publishing,
    reviewing,
    subject,
    systems,
    vouching,
)
from undrift.sources.git import checkout, grafting

_NOTHING: Final = contrasting.Contrast()
_RELATIONS: Final = {
    checkout.Relation.SAME: subject.Relation.SAME,
    checkout.Relation.AHEAD: subject.Relation.AHEAD,
    checkout.Relation.BEHIND: subject.Relation.DOWNGRADE,
    checkout.Relation.APART: subject.Relation.APART,
    checkout.Relation.UNKNOWN: subject.Relation.UNKNOWN,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How publishing goes about it. `deadline` is seconds; `dry` shows what would be done and does nothing.

    `forge` is where pull requests are (None: it is told by the delivery and the variables of CI).
    """

    options: deciding.Options = dataclasses.field(default_factory=deciding.Options)
    deadline: float = 120.0
    dry: bool = False
    environ: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(os.environ), repr=False)
    forge: interfaces.Forge | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What became of every stage, what each change is, and what kept a pull request from being up to date."""

    prepared: preparing.Prepared
    results: tuple[publication.StageResult, ...]
    contrasts: Mapping[str, contrasting.Contrast] = dataclasses.field(default_factory=dict)
    trouble: tuple[errors.UndriftError, ...] = ()


async def publish(prepared: preparing.Prepared, how: How) -> Done:
    """Publish all stages. Raises what was found by validating, and what `publishing.Publisher` raises."""
    if prepared.findings.failed:
        raise errors.gather(prepared.findings.failed)
    return await Run(prepared, how).publish()


@contextlib.asynccontextmanager
async def workbench(
    destination: delivery.Destination, environ: Mapping[str, str]
) -> AsyncIterator[grafting.Workbench]:
    """A workbench on the GitOps repository, signed in with what CI's variables hold.

    Whoever is refused is told where the token is from, and what it needs.
    """
    kind = "" if destination.forge else _kind(destination.url)
    found = await connecting.git_login_of_app(
        destination.url, destination.forge or kind, destination.api, environ
    )
    login = grafting.Login(*found) if found is not None else None
    try:
        async with grafting.Workbench(destination.url, environ, login) as bench:
            yield bench
    except errors.SourceDenied as error:
        error.hint = connecting.advice(destination.url, destination.forge or kind, environ)
        raise
    except errors.SourceUnavailable as error:
        error.hint = "run it again: nothing is done twice; is gitopsRepository.url right?"
        raise


Host = contextlib.AbstractAsyncContextManager[interfaces.Forge | None]


def forge_of(destination: delivery.Destination, how: How, *, needed: bool) -> Host:
    """The GitOps repository on its forge, for as long as it is needed; None for a bare server of Git."""
    if how.forge is not None or not needed:
        return contextlib.nullcontext(how.forge)
    return _connected(destination, how.environ)


@contextlib.asynccontextmanager
async def _connected(
    destination: delivery.Destination, environ: Mapping[str, str]
) -> AsyncIterator[interfaces.Forge | None]:
    found = connecting.connect(destination.url, destination.forge, destination.api, environ)
    try:
        yield found
    finally:
        if found is not None:
            await found.close_session()


class Run:
    """One publishing of one delivery; `gates` are why stages may not be published yet, by name ("": they may)."""

    def __init__(
        self,
        prepared: preparing.Prepared,
        how: How,
        gates: Mapping[str, str] | None = None,
    ) -> None:
        self._prepared = prepared
        self._declared = prepared.opened.declared
        self._how = how
        self._gates = gates

    async def publish(self) -> Done:
        """Look, push, and reconcile the pull requests."""
        destination, environ = self._declared.destination, self._how.environ
        async with workbench(destination, environ) as bench, self._host() as found:
            reviewer = reviewing.Reviewer(found, bench, self._declared) if found is not None else None
            publisher = publishing.Publisher(
                bench, self._prepared.opened.history, self._declared, self._how.options
            )
            wanted = [await self._wanted(one, reviewer) for one in self._prepared.renditions]
            done = await publisher.publish(wanted, deadline=self._how.deadline, dry=self._how.dry)
            shown = _Shown(self._prepared, bench, publisher, done, self._how.options.hotfix)
            if reviewer is None or self._how.dry:
                contrasts = {
                    one.stage.name: await shown.contrast(one.stage, one.files)
                    for one in wanted
                    if self._how.dry
                }
                return Done(self._prepared, done.results, contrasts)
            links = found.links() if found is not None else forge.Links()
            results, trouble = await self._review(reviewer, shown, done, links)
            return Done(self._prepared, results, shown.contrasts, trouble)

    def _host(self) -> Host:
        """The forge; none is needed where nothing is reviewed."""
        reviewed = any(stage.way is delivery.Way.PULL_REQUEST for stage in self._prepared.opened.stages)
        return forge_of(self._declared.destination, self._how, needed=reviewed)

    async def _wanted(
        self, rendition: publication.Rendition, reviewer: reviewing.Reviewer | None
    ) -> publishing.Wanted:
        stage = rendition.stage
        closed: Mapping[str, str] = {}
        if reviewer is not None and stage.way is delivery.Way.PULL_REQUEST:
            closed = await reviewer.closed(stage)
        known = self._prepared.opened.provenance(stage.name)
        if self._how.options.hotfix:
            known = dataclasses.replace(known, hotfix=self._how.options.hotfix)
        return publishing.Wanted(stage, rendition.files, known, self._gate(stage), closed)

    def _gate(self, stage: delivery.Stage) -> str:
        """Without a verdict of `promote` a gate counts as closed: publishing does not wait for other stages."""
        if self._gates is not None:
            return self._gates.get(stage.name, "")
        if stage.manual and stage.name not in self._prepared.opened.request.stages:
            return "it is promoted by hand: name it with --stage"
        if stage.gate == delivery.Gate():
            return ""
        return "its gate is judged by `undrift promote`"

    async def _review(
        self,
        reviewer: reviewing.Reviewer,
        shown: _Shown,
        done: publishing.Published,
        links: forge.Links,
    ) -> tuple[tuple[publication.StageResult, ...], tuple[errors.UndriftError, ...]]:
        """Every stage's pull request; one that fails does not keep the others from being reconciled."""
        results: list[publication.StageResult] = []
        trouble: list[errors.UndriftError] = []
        stages = {stage.name: stage for stage in self._prepared.opened.stages}
        for result in done.results:
            stage = stages[result.stage]
            if stage.way is not delivery.Way.PULL_REQUEST:
                results.append(result)
                continue
            try:
                reviewed = await self._reconcile(reviewer, shown, result, links)
                results.append(dataclasses.replace(result, pull_request=reviewed.pull_request))
            except errors.UndriftError as error:
                trouble += error.parts
                results.append(result)
        return tuple(results), tuple(trouble)

    async def _reconcile(
        self,
        reviewer: reviewing.Reviewer,
        shown: _Shown,
        result: publication.StageResult,
        links: forge.Links,
    ) -> reviewing.Reviewed:
        """One pull request. What there is to say of it costs requests: it is looked up where something is said."""
        stage = next(one for one in self._prepared.opened.stages if one.name == result.stage)
        if result.outcome is not publication.Outcome.PUBLISHED:
            return await reviewer.reconcile(stage, result, None)
        rendition = next(one for one in self._prepared.renditions if one.stage.name == stage.name)
        await shown.contrast(stage, rendition.files)
        about = await shown.about(stage, result, links)
        reviewed = await reviewer.reconcile(stage, result, about)
        await reviewer.say(result.commit, about)
        await self._mark(stage, result, reviewed.pull_request)
        return reviewed

    async def _mark(
        self, stage: delivery.Stage, result: publication.StageResult, found: forge.PullRequest | None
    ) -> None:
        """Whether enough people approved of the pull request, where they are asked."""
        opened = self._prepared.opened
        if found is None or not stage.gate.approvals:
            return
        before = result.before.revision if result.before is not None else None
        made_by = await vouching.authors(opened, before, opened.revision, self._how.environ)
        async with forge_of(self._declared.destination, self._how, needed=True) as host:
            if host is not None:
                await vouching.mark(host, found, stage, opened.revision, made_by)


class _Shown:
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


def _kind(url: str) -> str:
    try:
        return connecting.kind_of(url)
    except errors.ForgeUnknown:
        return "none"


def _source_links(url: str) -> forge.Links:
    """Addresses in the application's own repository; none where nobody knows its forge. It is not asked."""
    try:
        found = connecting.connect(url, "", "", {})
    except errors.UndriftError:
        return forge.Links()
    return found.links() if found is not None else forge.Links()

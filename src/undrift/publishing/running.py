"""The whole of `undrift publish`: prepared stages into the GitOps repository, then its pull requests as they should be.

What fails before the push changes nothing. What fails after it is healed by running again: pull requests are
reconciled from what is in Git, not from what this run did.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING

from undrift import errors
from undrift.forges import connecting
from undrift.model import delivery, forge, publication
from undrift.publishing import deciding, preparing, publishing, queueing
from undrift.sources.git import grafting, login

if TYPE_CHECKING:
    from undrift import interfaces
    from undrift.publishing import contrasting, reviewing, showing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How publishing goes about it. `deadline` is seconds; `dry` shows what would be done and does nothing; `queued`
    jobs of one machine take turns.

    `forge` is where pull requests are (None: it is told by the delivery and the variables of CI).
    """

    options: deciding.Options = dataclasses.field(default_factory=deciding.Options)
    deadline: float = 120.0
    dry: bool = False
    queued: bool = True
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
    signed_in = login.Login(*found) if found is not None else None
    try:
        async with grafting.Workbench(destination.url, environ, signed_in) as bench:
            yield bench
    except errors.SourceDenied as error:
        error.hint = connecting.advice(destination.url, destination.forge or kind, environ)
        raise
    except errors.SourceUnavailable as error:
        error.hint = "run it again: nothing is done twice; is gitopsRepository.url right?"
        raise


def forge_of(
    destination: delivery.Destination, how: How, *, needed: bool
) -> contextlib.AbstractAsyncContextManager[interfaces.Forge | None]:
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
        return (await publish_together([self]))[0]

    @property
    def destination(self) -> delivery.Destination:
        """The GitOps repository."""
        return self._declared.destination

    @property
    def how(self) -> How:
        """How it goes about it."""
        return self._how

    @property
    def title(self) -> str:
        """What is published where, for people."""
        stages = ", ".join(stage.name for stage in self._prepared.opened.stages)
        return f"{self._declared.application} to {stages}"

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Which repository and branch it publishes to, and how: runs that are alike there can be one push."""
        found = self._declared.destination
        return found.url, found.branch, found.forge, found.api

    @contextlib.asynccontextmanager
    async def at(self, bench: grafting.Workbench) -> AsyncIterator[_Standing]:
        """The run at a workbench, with what it needs of the forge."""
        async with self._host() as found:
            reviewer = _reviewer(found, bench, self._declared) if found is not None else None
            publisher = publishing.Publisher(
                bench, self._prepared.opened.history, self._declared, self._how.options
            )
            wanted = [await self._wanted(one, reviewer) for one in self._prepared.renditions]
            links = found.links() if found is not None else forge.Links()
            yield _Standing(self, publishing.Part(publisher, wanted), reviewer, links)

    async def finish(self, standing: _Standing, done: publishing.Published) -> Done:
        """After the push: pull requests as they should be, and what is shown of all."""
        if standing.reviewer is None and not self._how.dry:
            return Done(self._prepared, done.results)
        # Whoever shows nothing need not load what shows it: half of what starting costs.
        from undrift.publishing import showing  # noqa: PLC0415 - see above

        part = standing.part
        hotfix = self._how.options.hotfix
        shown = showing.Shown(self._prepared, part.publisher.bench, part.publisher, done, hotfix)
        if standing.reviewer is None or self._how.dry:
            contrasts = {one.stage.name: await shown.contrast(one.stage, one.files) for one in part.wanted}
            return Done(self._prepared, done.results, contrasts)
        results, trouble = await self._review(standing.reviewer, shown, done, standing.links)
        return Done(self._prepared, results, shown.contrasts, trouble)

    def _host(self) -> contextlib.AbstractAsyncContextManager[interfaces.Forge | None]:
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
        shown: showing.Shown,
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
        shown: showing.Shown,
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
        from undrift.publishing import vouching  # noqa: PLC0415 - only where somebody has to approve

        before = result.before.revision if result.before is not None else None
        made_by = await vouching.authors(opened, before, opened.revision, self._how.environ)
        async with forge_of(self._declared.destination, self._how, needed=True) as host:
            if host is not None:
                await vouching.mark(host, found, stage, opened.revision, made_by)


@dataclasses.dataclass(frozen=True, slots=True)
class _Standing:
    """A run that stands at a workbench: what it wants there, and who reconciles its pull requests."""

    run: Run
    part: publishing.Part
    reviewer: reviewing.Reviewer | None
    links: forge.Links


async def publish_together(runs: Sequence[Run]) -> list[Done]:
    """Publish runs that have the same `place` in one atomic push: all of it is there afterwards, or none. One answer each.

    `How` is that of the first: its environment, deadline and forge. Raises what `publishing.Publisher` raises.
    """
    destination, how = runs[0].destination, runs[0].how
    async with contextlib.AsyncExitStack() as stack:
        bench = await stack.enter_async_context(workbench(destination, how.environ))
        standing = [await stack.enter_async_context(one.at(bench)) for one in runs]
        published = await publishing.together(
            [one.part for one in standing],
            deadline=how.deadline,
            dry=how.dry,
            turns=queueing.Turns(destination.url) if how.queued else None,
        )
        return [await one.run.finish(one, done) for one, done in zip(standing, published, strict=True)]


def _kind(url: str) -> str:
    try:
        return connecting.kind_of(url)
    except errors.ForgeUnknown:
        return "none"


def _reviewer(
    found: interfaces.Forge, bench: grafting.Workbench, declared: delivery.Delivery
) -> reviewing.Reviewer:
    from undrift.publishing import reviewing  # noqa: PLC0415 - only where there is a forge

    return reviewing.Reviewer(found, bench, declared)

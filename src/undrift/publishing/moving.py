"""The whole of `undrift promote`: revisions move to the next stages, each through its gate.

A revision is rendered again for the stage that it comes to, from the same inputs that CI brought when it was published
first. What a gate lacks is told; nothing is waited for but by who asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Final

from undrift import errors, interfaces
from undrift.engine import advancing, promoting
from undrift.forges import connecting
from undrift.model import delivery, forge, publication
from undrift.publishing import hearing, looking, preparing, publishing, referring, running, updating, vouching
from undrift.sources.git import checkout, grafting

_POLL: Final = 5.0
_NEWER: Final = {
    checkout.Relation.AHEAD: True,
    checkout.Relation.BEHIND: False,
    checkout.Relation.SAME: False,
    checkout.Relation.APART: None,
    checkout.Relation.UNKNOWN: None,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be promoted. `to` are stages ("": all that require others); `revision` a hotfix's ("": none).

    `frozen` says why nothing is promoted at present; `authors` are logins of those who made the revision, besides those
    that its forge or CI's variables tell (`vouching`). `wait` is seconds until gates have to be open (0: they are looked at once).
    """

    to: tuple[str, ...] = ()
    hotfix: str = ""
    frozen: str = ""
    authors: frozenset[str] | None = None
    wait: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Moved:
    """What became of each stage that was asked for: its choice, and what publishing it came to where it moved."""

    application: str
    choices: tuple[advancing.Choice, ...]
    done: tuple[running.Done, ...] = ()

    @property
    def results(self) -> tuple[publication.StageResult, ...]:
        """One a stage, in their order."""
        made = {result.stage: result for one in self.done for result in one.results}
        return tuple(made.get(choice.stage, _waiting(choice)) for choice in self.choices)


async def promote(opened: Sequence[preparing.Opened], how: running.How, order: Order) -> tuple[Moved, ...]:
    """Move the revisions of these deliveries on; several are a train: all of them move, or none does.

    Raises `GateClosed` where a stage was named and its gate is not open (in time), and what publishing raises.
    """
    until = time.monotonic() + order.wait
    while True:
        looked = [await _Promotion(one, how, order).choose() for one in opened]
        chosen = _train(looked) if len(looked) > 1 else looked
        waiting = [one for each in chosen for one in each.choices if one.revision and not one.verdict.open]
        if not waiting or time.monotonic() >= until:
            break
        await asyncio.sleep(min(_POLL, max(0.0, until - time.monotonic())))
    if order.to and waiting and not any(one.moves for each in chosen for one in each.choices):
        raise _closed(chosen[0].application, waiting[0])
    going = [(_Promotion(one, how, order), each) for one, each in zip(opened, chosen, strict=True)]
    # All that moves is rendered and checked before any of it is published.
    prepared = [await one.prepare(each) for one, each in going]
    runs = [[one.run(ready) for ready in made] for (one, _), made in zip(going, prepared, strict=True)]
    done = await _published([run for each in runs for run in each])
    return tuple(
        dataclasses.replace(each, done=tuple(done[run] for run in made))
        for (_, each), made in zip(going, runs, strict=True)
    )


async def _published(runs: Sequence[running.Run]) -> dict[running.Run, running.Done]:
    """Publish all that moves: what goes to one branch of one repository is one atomic push, all of it or nothing.

    Raises `TrainParted` where what goes to another repository failed after something was pushed, else as publishing does.
    """
    done: dict[running.Run, running.Done] = {}
    for place in dict.fromkeys(one.place for one in runs):
        there = [one for one in runs if one.place == place]
        try:
            done |= zip(there, await running.publish_together(there), strict=True)
        except errors.UndriftError as error:
            if not done:
                raise
            raise errors.TrainParted(
                f"{_named(list(done))} moved, and {_named(there)} did not",
                why="; ".join(one.what if not one.why else f"{one.what}: {one.why}" for one in error.parts),
                hint="run it again: what moved already stays as it is",
            ) from error
    return done


def _named(runs: Sequence[running.Run]) -> str:
    return ", ".join(one.title for one in runs)


async def tell(opened: preparing.Opened, how: running.How) -> dict[str, forge.Status]:
    """Say on the application's own commits what became of each stage, as agents report it; what was said, by stage.

    Nothing where the application is on no forge that is known. Raises `ForgeDenied`, `ForgeUnavailable`, `ForgeRefused`.
    """
    kind, api = (how.environ.get(name, "") for name in ("UNDRIFT_FORGE", "UNDRIFT_FORGE_API"))
    try:
        host = connecting.connect(opened.revision.repository, kind, api, how.environ)
    except errors.ForgeUnknown:
        return {}
    if host is None:
        return {}
    try:
        async with running.workbench(opened.declared.destination, how.environ) as bench:
            _, known = await stands(bench, opened)
        return await hearing.tell_source(host, known, time.time())
    finally:
        await host.close_session()


async def stands(
    bench: grafting.Workbench, opened: preparing.Opened
) -> tuple[looking.Sight, dict[str, promoting.Stand]]:
    """How all stages of a delivery stand: what is published, and what agents report."""
    stages = opened.declared.stages
    sight = await looking.Looker(bench, opened.declared, stages).look()
    told = await hearing.reports(bench.access, bench.address.shown)
    known = {name: folder.seen.provenance for name, folder in sight.folders.items()}
    return sight, await hearing.stands(bench, stages, hearing.Published(sight.tip, known), told)


class _Promotion:
    """One delivery."""

    def __init__(self, opened: preparing.Opened, how: running.How, order: Order) -> None:
        self._opened = opened
        self._how = how
        self._order = order
        self._stages = {stage.name: stage for stage in opened.declared.stages}

    async def choose(self) -> Moved:
        """What may move now, and what keeps the rest."""
        declared = self._opened.declared
        wanted = [
            name
            for name, stage in self._stages.items()
            if name in self._order.to or not (self._order.to or stage.manual)
        ]
        async with running.workbench(declared.destination, self._how.environ) as bench, self._host() as host:
            sight, known = await stands(bench, self._opened)
            await self._mark(host, sight, known)
            publisher = publishing.Publisher(bench, self._opened.history, declared)
            newer = await self._newer(publisher, known)
            if self._order.hotfix:
                choices = [await self._jump(self._stages[name], known, host, newer) for name in wanted]
                return Moved(declared.application, tuple(choices))
            waiting = advancing.candidates(declared.stages, known, newer)
            facts = {
                name: await self._facts(self._stages[name], revision, known, host)
                for name, revision in waiting.items()
            }
        found = advancing.choose(declared.stages, known, facts, newer, time.time())
        return Moved(declared.application, tuple(one for one in found if one.stage in wanted))

    def _host(self) -> contextlib.AbstractAsyncContextManager[interfaces.Forge | None]:
        """The forge, where approvals are asked for."""
        reviewed = any(stage.gate.approvals for stage in self._stages.values())
        return running.forge_of(self._opened.declared.destination, self._how, needed=reviewed)

    async def _jump(
        self,
        stage: delivery.Stage,
        known: Mapping[str, promoting.Stand],
        host: interfaces.Forge | None,
        newer: advancing.Newer,
    ) -> advancing.Choice:
        source = self._opened.provenance(stage.name)
        facts = await self._facts(stage, source.revision, known, host)
        return advancing.jump(stage, source, facts, newer, time.time())

    async def _facts(
        self,
        stage: delivery.Stage,
        revision: publication.AppRevision,
        known: Mapping[str, promoting.Stand],
        host: interfaces.Forge | None,
    ) -> promoting.Facts:
        people = hearing.NOBODY
        if host is not None and promoting.entry(stage).approvals:
            branch = looking.branch(self._opened.declared.application, stage.name)
            found = await host.find_open(branch, self._opened.declared.destination.branch)
            if found is not None:
                people = await hearing.people(host, found, await self._authors(stage, revision, known))
        root = self._opened.history.root if self._opened.history is not None else self._opened.request.folder
        question = hearing.Question(
            self._opened.declared.application,
            stage,
            revision,
            root,
            people,
            self._order.frozen,
            self._order.hotfix,
        )
        return await hearing.facts(question, known)

    async def _authors(
        self,
        stage: delivery.Stage,
        revision: publication.AppRevision,
        known: Mapping[str, promoting.Stand],
    ) -> frozenset[str] | None:
        """Who made what comes into a stage with a revision; None: nobody vouches for that."""
        before = known.get(stage.name, promoting.Stand()).revision
        found = await vouching.authors(self._opened, before, revision, self._how.environ)
        return found if self._order.authors is None else (found or frozenset()) | self._order.authors

    async def _mark(
        self, host: interfaces.Forge | None, sight: looking.Sight, known: Mapping[str, promoting.Stand]
    ) -> None:
        """Say at the head of each pull request that is open whether enough people approved of it."""
        for stage in self._stages.values():
            proposal = sight.proposals.get(stage.name)
            provenance = proposal.seen.provenance if proposal is not None else None
            wanted = stage.way is delivery.Way.PULL_REQUEST and stage.gate.approvals
            if host is None or not wanted or provenance is None:
                continue
            branch = looking.branch(self._opened.declared.application, stage.name)
            found = await host.find_open(branch, self._opened.declared.destination.branch)
            if found is not None:
                made_by = await self._authors(stage, provenance.revision, known)
                await vouching.mark(host, found, stage, provenance.revision, made_by)

    async def _newer(
        self, publisher: publishing.Publisher, known: Mapping[str, promoting.Stand]
    ) -> advancing.Newer:
        """How the revisions of all stages follow on one another, asked beforehand: choosing is pure."""
        revisions = {one.revision.sha: one.revision for one in known.values() if one.revision is not None}
        revisions[self._opened.revision.sha] = self._opened.revision
        told: dict[tuple[str, str], bool | None] = {}
        for new, old in itertools.product(revisions.values(), repeat=2):
            found = _NEWER[(await publisher.span(old.sha, new.sha)).relation]
            if found is None and new.sequence and old.sequence and new.sequence != old.sequence:
                found = new.sequence > old.sequence
            told[new.sha, old.sha] = found
        return lambda new, old: told.get((new.sha, old.sha))

    async def prepare(self, found: Moved) -> list[preparing.Prepared]:
        """Render and check what moves, stage by stage. Raises all that is wrong with it."""
        made = [await self._prepared(one) for one in found.choices if one.moves]
        failed = [error for one in made for error in one.findings.failed]
        if failed:
            raise errors.gather(failed)
        return made

    async def _prepared(self, choice: advancing.Choice) -> preparing.Prepared:
        known = self._opened.request
        source = choice.source
        assert source is not None  # noqa: S101 - a choice that moves has one
        request = dataclasses.replace(
            known,
            revision=source.revision.sha,
            application=self._opened.declared.application,
            stages=(choice.stage,),
            variables={**known.variables, **source.variables},
            images=self._taken_along(choice.stage, source),
            values=source.values,
            sequence=source.revision.sequence,
            lenient=False,
        )
        opened = await updating.carried(await preparing.open_delivery(request), self._how)
        return await preparing.complete(opened)

    def _taken_along(self, stage: str, source: publication.Provenance) -> dict[str, str]:
        """The images that a revision brings along: not those that a stage takes from their registry itself."""
        own = self._stages[stage].watched
        return {
            name: reference
            for name, reference in source.images.items()
            if referring.parse(reference).name not in own
        }

    def run(self, prepared: preparing.Prepared) -> running.Run:
        """What publishes one stage that moves."""
        options = dataclasses.replace(self._how.options, hotfix=self._order.hotfix)
        how = dataclasses.replace(self._how, options=options)
        gates = {stage.name: "" for stage in prepared.opened.stages}
        return running.Run(prepared, how, gates)


def _train(looked: Sequence[Moved]) -> list[Moved]:
    """Several deliveries as one: a stage moves in all of them, or in none."""
    stages = dict.fromkeys(choice.stage for one in looked for choice in one.choices)
    joint = {
        stage: advancing.judge_train(
            {
                one.application: choice.verdict
                for one in looked
                for choice in one.choices
                if choice.stage == stage and choice.revision is not None
            }
        )
        for stage in stages
    }
    return [
        dataclasses.replace(
            one,
            choices=tuple(
                choice
                if choice.revision is None
                else dataclasses.replace(choice, verdict=joint[choice.stage])
                for choice in one.choices
            ),
        )
        for one in looked
    ]


def _waiting(choice: advancing.Choice) -> publication.StageResult:
    held = choice.revision is not None
    return publication.StageResult(
        choice.stage,
        publication.Outcome.WAITING if held else publication.Outcome.UNCHANGED,
        delivery.Way.DIRECT,
        reason="; ".join(choice.verdict.reasons),
    )


def _closed(application: str, choice: advancing.Choice) -> errors.GateClosed:
    revision = choice.revision.short if choice.revision is not None else ""
    when = ""
    if choice.verdict.next_at is not None:
        when = f"time alone may open it; try again, or pass --wait with at least {max(1, round(choice.verdict.next_at - time.time()))}s"
    return errors.GateClosed(
        f"{application} {revision} may not go to {choice.stage}",
        why="\n".join(choice.verdict.reasons),
        hint=when or "see to what is missing, or go past other stages with --hotfix REASON",
    )

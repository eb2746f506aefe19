"""The whole of `undrift preview`: a stage of its own for each pull request of the application, for as long as that is open.

A preview is a stage made like another one, with a name, a namespace and a folder of its own. It is published like any
direct stage, and goes when its pull request is over or its time is.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping, Sequence
from typing import Final

from undrift import errors
from undrift.forges import connecting
from undrift.model import delivery, forge, publication
from undrift.publishing import looking, preparing, running, withdrawing
from undrift.sources.git import grafting

_LONGEST: Final = 63
_SLUG: Final = re.compile(r"[^a-z0-9]+")
_NUMBER: Final = "{number}"


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """The pull request that is previewed: its number and its branch."""

    number: int
    branch: str = ""

    @property
    def slug(self) -> str:
        """The branch as part of a name."""
        return _SLUG.sub("-", self.branch.lower()).strip("-")[:30].strip("-")


def stage(declared: delivery.Delivery, about: Subject) -> delivery.Stage:
    """The stage of a preview. Raises `StageMissing` where the delivery has no previews."""
    found = _settings(declared)
    known = {"number": str(about.number), "slug": about.slug, "application": declared.application}
    name, namespace = (_name(_filled(text, known)) for text in (found.name, found.namespace))
    like = declared.stage(found.stage)
    own = declared.destination.folder
    for key, value in (("stage", name), ("application", declared.application), ("namespace", namespace)):
        own = own.replace(f"{{{key}}}", value)
    images = {one.name: one for one in (*like.images, *(_image(one, known) for one in found.images))}
    values = tuple(
        dataclasses.replace(one, value=_filled(one.value, known) if isinstance(one.value, str) else one.value)
        for one in found.values
    )
    return dataclasses.replace(
        like,
        name=name,
        namespace=namespace,
        folder=own,
        way=delivery.Way.DIRECT,
        gate=delivery.Gate(),
        images=tuple(images.values()),
        values=(*like.values, *values),
        namespace_settings=like.namespace_settings or delivery.NamespaceSettings(),
        config_maps=like.config_maps,
    )


async def create(opened: preparing.Opened, about: Subject, how: running.How) -> running.Done:
    """Make a preview, or bring it up to date. Raises as `running.publish`."""
    one = stage(opened.declared, about)
    declared = dataclasses.replace(opened.declared, stages=(*opened.declared.stages, one))
    prepared = await preparing.complete(dataclasses.replace(opened, declared=declared, stages=(one,)))
    options = dataclasses.replace(how.options, rewritten=True)
    return await running.publish(prepared, dataclasses.replace(how, options=options))


async def delete(
    opened: preparing.Opened, about: Subject, how: running.How, reason: str = "its pull request is over"
) -> tuple[publication.StageResult, ...]:
    """Remove a preview. Raises as `withdrawing.withdraw`."""
    one = stage(opened.declared, about)
    async with running.workbench(opened.declared.destination, how.environ) as bench:
        manner = withdrawing.Manner(reason=reason, overwrite=how.options.overwrite, deadline=how.deadline)
        return await withdrawing.withdraw(bench, opened.declared, [one], manner)


@dataclasses.dataclass(frozen=True, slots=True)
class Live:
    """A preview that is there. `over` says why it may go; "" while it may not."""

    about: Subject
    stage: delivery.Stage
    provenance: publication.Provenance
    over: str = ""


async def clean(
    opened: preparing.Opened, how: running.How, now: float | None = None
) -> tuple[publication.StageResult, ...]:
    """Remove every preview whose pull request is closed or merged, or whose time is over.

    Raises `ForgeUnavailable` and its like where the application's forge cannot be asked: then nothing is removed.
    """
    moment = time.time() if now is None else now
    async with running.workbench(opened.declared.destination, how.environ) as bench:
        found = await live(bench, opened.declared)
        states = await _states(opened, [one.about.number for one in found], how.environ)
        judged = [_judged(one, opened.declared, states, moment) for one in found]
        results: list[publication.StageResult] = []
        for one in judged:
            if one.over:
                manner = withdrawing.Manner(reason=one.over, deadline=how.deadline)
                results += await withdrawing.withdraw(bench, opened.declared, [one.stage], manner)
        return tuple(results)


async def stages(declared: delivery.Delivery, how: running.How) -> list[delivery.Stage]:
    """The stages of all previews that are there now; none where the delivery has no previews."""
    if declared.preview is None:
        return []
    async with running.workbench(declared.destination, how.environ) as bench:
        return [one.stage for one in await live(bench, declared)]


async def live(bench: grafting.Workbench, declared: delivery.Delivery) -> list[Live]:
    """The previews of a delivery that are there now, by what their folders say of themselves."""
    found = _settings(declared)
    if _NUMBER not in found.name:
        return []
    pattern = re.compile(
        re.escape(found.name).replace(re.escape(_NUMBER), r"(\d+)").replace(r"\{slug\}", "[a-z0-9-]*")
    )
    tips = await bench.fetch([declared.destination.branch])
    tip = tips.get(declared.destination.branch, "")
    above = (
        declared.destination.folder.split("{stage}", 1)[0]
        .replace("{application}", declared.application)
        .rstrip("/")
    )
    forest = await bench.forest(tip, [above] if above else [])
    names = [name for name in forest.entries(above) if pattern.fullmatch(name)]
    stages = [
        (name, stage(declared, Subject(int(match[1]))))
        for name in names
        if (match := pattern.fullmatch(name))
    ]
    looker = looking.Looker(bench, declared, [])
    made: list[Live] = []
    for name, one in stages:
        there = dataclasses.replace(one, name=name, folder=one.folder.replace(one.name, name))
        folder = await looker.folder(await bench.forest(tip, [there.folder]), there)
        known = folder.seen.provenance
        if known is not None and known.application == declared.application:
            number = pattern.fullmatch(name)
            made.append(Live(Subject(int(number[1]) if number else 0), there, known))
    return made


async def _states(
    opened: preparing.Opened, numbers: Sequence[int], environ: Mapping[str, str]
) -> dict[int, forge.PullRequestState]:
    """What became of the pull requests of the application; nothing where it is on no forge."""
    host = connecting.connect(
        opened.revision.repository,
        environ.get("UNDRIFT_FORGE", ""),
        environ.get("UNDRIFT_FORGE_API", ""),
        environ,
    )
    if host is None:
        return {}
    try:
        return {number: (await host.pull_request(number)).state for number in numbers}
    finally:
        await host.close_session()


def _judged(
    one: Live, declared: delivery.Delivery, states: Mapping[int, forge.PullRequestState], now: float
) -> Live:
    state = states.get(one.about.number, forge.PullRequestState.OPEN)
    if state is not forge.PullRequestState.OPEN:
        return dataclasses.replace(one, over=f"pull request {one.about.number} is {state}")
    ttl = _settings(declared).ttl
    if ttl and now > one.provenance.revision.time + ttl:
        return dataclasses.replace(one, over="its time is over")
    return one


def _settings(declared: delivery.Delivery) -> delivery.Preview:
    if declared.preview is None:
        raise errors.StageMissing(
            f"{declared.application} has no previews",
            origin=errors.Origin(declared.file),
            hint="declare them: preview: {stage: NAME}",
        )
    return declared.preview


def _image(one: delivery.Image, known: Mapping[str, str]) -> delivery.Image:
    return dataclasses.replace(
        one,
        new_name=_filled(one.new_name, known),
        new_tag=_filled(one.new_tag, known),
        digest=_filled(one.digest, known),
    )


def _filled(text: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _name(text: str) -> str:
    """A name that Kubernetes takes, too."""
    return text[:_LONGEST].rstrip("-.")


def described(results: Sequence[publication.StageResult]) -> list[dict[str, str]]:
    """What became of previews, as data."""
    return [
        {
            "stage": one.stage,
            "outcome": "removed" if one.before and not one.tree else one.outcome.value,
            "commit": one.commit,
        }
        for one in results
    ]

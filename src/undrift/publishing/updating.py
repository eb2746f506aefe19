"""The whole of `undrift update`: new images from their registries into the stages that watch them.

```
look     what is published in each stage, and in its open pull request: files, and where they come from
ask      the registry of each watched image; one that does not answer stops no other
render   the stage at the revision that it has, from what CI brought then, with the new images
publish  like everything else: the same branch, order, checks and text
```

What was chosen is recorded with what is published: `carried` keeps it when CI publishes another revision, unless CI
sets that image itself, and promotion takes it along.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from undrift import errors
from undrift.config import staging
from undrift.engine import promoting
from undrift.model import delivery, publication
from undrift.publishing import hearing, picking, preparing, referring, running, watching

if TYPE_CHECKING:
    from undrift.sources.oci import images

_REASON: Final = "nothing is published here yet: undrift publish comes first"


@dataclasses.dataclass(frozen=True, slots=True)
class Updated:
    """What became of all stages and images, and what went wrong with some of them."""

    application: str
    watched: tuple[watching.Watched, ...]
    results: tuple[publication.StageResult, ...]
    done: tuple[running.Done, ...] = ()
    trouble: tuple[errors.UndriftError, ...] = ()


async def update(opened: preparing.Opened, how: running.How, registries: images.Images) -> Updated:
    """Look at every watched image of the chosen stages, and publish what is new.

    Raises what looking at the GitOps repository raises; all else is in `Updated.trouble`.
    """
    async with running.workbench(opened.declared.destination, how.environ) as bench:
        bases = await watching.bases(
            bench, opened, [one for one in opened.stages if one.watched], how.options, files=True
        )
    asked = watching.Asked(opened.declared, registries)
    watched: list[watching.Watched] = []
    results: list[publication.StageResult] = []
    done: list[running.Done] = []
    trouble: list[errors.UndriftError] = []
    for stage in opened.stages:
        if not stage.watched:
            continue
        base = bases.get(stage.name)
        if base is None:
            results.append(_result(stage, publication.Outcome.WAITING, _REASON))
            continue
        found, wrong = await asked.look(stage, base)
        watched += found
        trouble += wrong
        try:
            made = await _publish(opened, stage, base, found, how)
        except errors.UndriftError as error:
            trouble += error.parts
            results.append(_result(stage, publication.Outcome.WAITING, "it cannot be published"))
            continue
        if isinstance(made, running.Done):
            done.append(made)
            results += made.results
            trouble += made.trouble
        else:
            results.append(made)
    return Updated(opened.declared.application, tuple(watched), tuple(results), tuple(done), tuple(trouble))


async def carried(opened: preparing.Opened, how: running.How) -> preparing.Opened:
    """The same, with the watched images that were published from their registries before.

    An image that CI sets itself is left to CI, and so is one that the Delivery names a higher version of.
    """
    stages = [one for one in opened.stages if one.watched]
    if not stages:
        return opened
    async with running.workbench(opened.declared.destination, how.environ) as bench:
        bases = await watching.bases(bench, opened, stages, how.options, files=False)
    kept = {
        stage.name: {
            name: reference
            for name, reference in bases[stage.name].provenance.images.items()
            if _is_kept(opened, stage, name, reference)
        }
        for stage in stages
        if stage.name in bases
    }
    known = dict(opened.known)
    for name, found in kept.items():
        noted = opened.provenance(name)
        known[name] = dataclasses.replace(noted, images={**noted.images, **found})
    changed = tuple(_with(stage, kept.get(stage.name, {})) for stage in opened.stages)
    return dataclasses.replace(opened, stages=changed, known=known)


def _is_kept(opened: preparing.Opened, stage: delivery.Stage, name: str, reference: str) -> bool:
    """Whether an image that was published stays: it is watched, and CI does not set it itself."""
    kept = referring.parse(reference)
    given = opened.request.images
    if kept.name not in stage.watched or name in given:
        return False
    if any(referring.parse(one).name == kept.name for one in given.values()):
        return False
    declared = next((one for one in stage.images if one.name == name), None)
    if declared is None:
        return name == kept.name
    follows = next(one for one in opened.declared.updates if one.image == kept.name)
    higher = declared.new_tag and picking.against(follows, declared.new_tag, kept.tag)
    return not declared.given and not higher


def _with(stage: delivery.Stage, kept: Mapping[str, str]) -> delivery.Stage:
    made = {one.name: one for one in stage.images}
    for name, reference in kept.items():
        origin = made[name].origin if name in made else None
        made[name] = delivery.Image(name, *staging.image(reference), origin)
    return dataclasses.replace(stage, images=tuple(made.values()))


# --- publishing ----------------------------------------------------------------------------------------


async def _publish(
    opened: preparing.Opened,
    stage: delivery.Stage,
    base: watching.Base,
    found: Sequence[watching.Watched],
    how: running.How,
) -> running.Done | publication.StageResult:
    """Publish what is new in a stage. Where nothing is, an open pull request is still brought up to date."""
    new = {name: one.after for one in found if one.after for name in watching.names(one.image, stage, base)}
    if not new and (not base.proposed or how.dry):
        return _result(stage, publication.Outcome.UNCHANGED)
    gate = await _gate(opened, stage, base.provenance.revision)
    if new and gate:
        return _result(stage, publication.Outcome.WAITING, gate)
    then = await preparing.open_delivery(_request(opened, stage, base.provenance, new))
    prepared = await preparing.complete(_as_now(then, opened.declared, stage))
    if prepared.findings.failed:
        raise errors.gather(prepared.findings.failed)
    options = dataclasses.replace(how.options, hotfix=base.provenance.hotfix)
    return await running.Run(prepared, dataclasses.replace(how, options=options), {stage.name: ""}).publish()


def _request(
    opened: preparing.Opened, stage: delivery.Stage, known: publication.Provenance, new: Mapping[str, str]
) -> preparing.Request:
    """The stage as it was published, with other images."""
    return dataclasses.replace(
        opened.request,
        revision=known.revision.sha,
        application=opened.declared.application,
        stages=(stage.name,),
        variables={**opened.request.variables, **known.variables},
        images={**known.images, **new},
        values=known.values,
        sequence=known.revision.sequence,
        lenient=False,
    )


def _as_now(then: preparing.Opened, declared: delivery.Delivery, stage: delivery.Stage) -> preparing.Opened:
    """What is published is that of the old revision; where it goes and how is what the Delivery says now."""
    found = dataclasses.replace(
        then.declared.stage(stage.name),
        way=stage.way,
        folder=stage.folder,
        gate=stage.gate,
        pull_request=stage.pull_request,
    )
    changed = dataclasses.replace(
        then.declared, destination=declared.destination, commit=declared.commit, stages=declared.stages
    )
    return dataclasses.replace(then, declared=changed, stages=(found,))


async def _gate(opened: preparing.Opened, stage: delivery.Stage, revision: publication.AppRevision) -> str:
    """Why nothing may be published in a stage now; "" where it may.

    What it requires of other stages was asked when its revision came; windows, approvals and the program count again.
    """
    own = dataclasses.replace(stage, gate=dataclasses.replace(stage.gate, requires=()))
    if own.gate == delivery.Gate():
        return ""
    root = opened.history.root if opened.history is not None else opened.request.folder
    facts = await hearing.facts(hearing.Question(opened.declared.application, own, revision, root), {})
    verdict = promoting.judge(promoting.entry(own), facts, time.time())
    return "" if verdict.open else "; ".join(verdict.reasons)


def _result(stage: delivery.Stage, outcome: publication.Outcome, reason: str = "") -> publication.StageResult:
    return publication.StageResult(stage.name, outcome, stage.way, reason=reason)

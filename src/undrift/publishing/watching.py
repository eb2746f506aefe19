"""Images that stages watch: which are published, and which of their registries' tags are to be.

What is published is read from the files in the GitOps repository (of an open pull request before those of the main
branch), not from what somebody recorded: whatever put an image there, it is not replaced by an older one.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from undrift import errors
from undrift.lib import words
from undrift.model import delivery, publication, source
from undrift.publishing import deciding, editing, looking, picking, preparing, publishing, referring, tree
from undrift.sources.git import checkout, grafting

if TYPE_CHECKING:
    from undrift.sources.oci import images

_MOST: Final = 200
"""So many images are asked when they were built."""


@dataclasses.dataclass(frozen=True, slots=True)
class Watched:
    """What became of one image in one stage. `before` are its references that are published, `after` the one that is to
    be ("": it stays); `reason` says why it stays, where that does not go without saying.
    """

    stage: str
    image: str
    before: tuple[str, ...] = ()
    after: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Base:
    """What a stage is now, its open pull request first. `used` are its containers' names and images."""

    provenance: publication.Provenance
    used: tuple[tuple[tuple[str, ...], str], ...] = ()
    proposed: bool = False


# --- what is there -------------------------------------------------------------------------------------


async def bases(
    bench: grafting.Workbench,
    opened: preparing.Opened,
    stages: Sequence[delivery.Stage],
    options: deciding.Options,
    *,
    files: bool,
) -> dict[str, Base]:
    """What every stage is now, by name; none for those where nothing was published. `files`: with their images."""
    looker = looking.Looker(bench, opened.declared, stages)
    sight = await looker.look()
    publisher = publishing.Publisher(bench, opened.history, opened.declared, options)
    found: dict[str, Base] = {}
    for stage in stages:
        folder, proposal = sight.folders[stage.name], sight.proposals.get(stage.name)
        main = folder.seen.provenance
        waiting = proposal.seen.provenance if proposal is not None and proposal.ours else None
        if waiting is not None and main is not None:
            span = await publisher.span(main.revision.sha, waiting.revision.sha)
            waiting = None if span.relation is checkout.Relation.BEHIND else waiting
        known = waiting or main
        if known is None:
            continue
        if waiting is not None and proposal is not None:
            folder = await looker.folder(await bench.forest(proposal.commit, [stage.folder]), stage)
        used = await _used(bench, folder) if files else ()
        found[stage.name] = Base(known, used, proposed=waiting is not None)
    return found


async def _used(bench: grafting.Workbench, folder: looking.Folder) -> tuple[tuple[tuple[str, ...], str], ...]:
    """The containers of a published folder: their names, and the image of each."""
    leaves = await bench.leaves(folder.ours)
    made = tree.Tree()
    for name, file in (await bench.files(leaves)).items():
        if tree.is_manifest(name) and file.kind is not source.FileKind.LINK:
            try:
                made.add(tree.read(name, file, name))
            except errors.RenderError:  # somebody's edit: publishing will say so
                continue
    return tuple((one.names, one.image) for one in editing.containers(made))


# --- what is new ---------------------------------------------------------------------------------------


class Asked:
    """The registries' answers; each is asked once for all stages."""

    def __init__(self, declared: delivery.Delivery, registries: images.Images) -> None:
        self._declared = declared
        self._registries = registries
        self._tags: dict[str, list[str]] = {}

    async def look(
        self, stage: delivery.Stage, base: Base
    ) -> tuple[list[Watched], list[errors.UndriftError]]:
        """What is to become of the images that a stage watches; the errors of those that cannot be told."""
        mine = [one for one in self._declared.updates if stage.name in one.stages]
        told = await asyncio.gather(*(self._judge(one, stage, base) for one in mine), return_exceptions=True)
        found: list[Watched] = []
        wrong: list[errors.UndriftError] = []
        for one in told:
            if isinstance(one, errors.UndriftError):
                wrong += one.parts
            elif isinstance(one, BaseException):
                raise one
            else:
                found.append(one)
        return found, wrong

    async def _judge(self, one: delivery.Update, stage: delivery.Stage, base: Base) -> Watched:
        there = _there(one.image, stage, base, self._declared.file)
        before = tuple(dict.fromkeys(str(each) for each in there))
        made = Watched(stage.name, one.image, before)
        if one.follow == "digest":
            tag = one.range or there[0].tag or "latest"
            digest = await self._registries.digest(one.image, tag)
            after = str(referring.Reference(one.image, tag, digest))
            same = all(each.digest == digest for each in there)
            return made if same else dataclasses.replace(made, after=after)
        tag = await self._next(one, there)
        if not tag:
            return dataclasses.replace(made, reason="the registry has no tag that is meant")
        if all(each.tag == tag for each in there):
            return made
        against = [picking.against(one, each.tag, tag) for each in there if each.tag and each.tag != tag]
        if any(against):
            return dataclasses.replace(made, reason=next(filter(None, against)))
        pinned = any(each.digest for each in there)
        digest = await self._registries.digest(one.image, tag) if pinned else ""
        return dataclasses.replace(made, after=str(referring.Reference(one.image, tag, digest)))

    async def _next(self, one: delivery.Update, there: Sequence[referring.Reference]) -> str:
        if one.image not in self._tags:
            self._tags[one.image] = await self._registries.tags(one.image)
        tags = self._tags[one.image]
        if one.follow == "semver":
            return picking.by_version(one, tags, self._declared.file)
        if one.follow == "alphabetical":
            return picking.by_name(one, tags)
        meant = picking.matching(one, tags)
        if len(meant) > _MOST:
            raise errors.ConfigInvalid(
                f"{one.image} has {len(meant)} tags that may be the newest",
                origin=errors.Origin(self._declared.file),
                why=f"each has to be asked when it was built, and more than {_MOST} are too many",
                hint="say with updates[].tags which are meant, or remove old ones from the registry",
            )
        built = await self._registries.built(one.image, sorted(meant))
        return picking.by_time(one, built, [each.tag for each in there])


def _there(image: str, stage: delivery.Stage, base: Base, file: str) -> list[referring.Reference]:
    """The references to an image that are published: of containers, else as they were set. Raises `ContainerUnknown`."""
    used = [referring.parse(text) for _, text in base.used]
    found = [one for one in used if one.name == image]
    found = found or [
        one for text in base.provenance.images.values() if (one := referring.parse(text)).name == image
    ]
    found = found or [
        referring.Reference(image, one.new_tag, one.digest)
        for one in stage.images
        if image in (one.new_name, one.name)
    ]
    if found:
        return found
    known = sorted({one.name for one in used})
    raise errors.ContainerUnknown(
        f"updates: nothing in stage {stage.name} uses {image}",
        origin=errors.Origin(file),
        hint=words.suggestion(image, known)
        or "correct updates[].image, or leave the stage out of updates[].stages",
    )


def names(image: str, stage: delivery.Stage, base: Base) -> list[str]:
    """By which names of `images` an image is set: those that are declared for it, else its own."""
    containers = {name for names, text in base.used if referring.parse(text).name == image for name in names}
    found = [one.name for one in stage.images if image in (one.name, one.new_name) or one.name in containers]
    found += [name for name, text in base.provenance.images.items() if referring.parse(text).name == image]
    return list(dict.fromkeys(found)) or [image]

"""The whole of `undrift rollback --stage`: a stage becomes what it was at an earlier revision, as a commit or a pull request.

Nothing is rendered again: the very files come back that were published then, with a note that this is a rollback.
While that note stands, automation leaves the stage alone; a person lets it go on (`--resume`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from typing import Final

from undrift import errors
from undrift.model import delivery, publication, source
from undrift.publishing import deciding, looking, preparing, running
from undrift.sources.git import grafting

_DEPTHS: Final = (200, 2_000, 0)
_MOST: Final = 500
_HEX: Final = re.compile(r"[0-9a-f]{4,64}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`to` is a revision of the application or a commit of the GitOps repository, in full or in part ("": the one
    before); `by` is whose word it is.
    """

    stage: str
    to: str = ""
    by: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Earlier:
    """What a stage was in a commit of the GitOps repository."""

    commit: str
    files: dict[str, source.File]
    provenance: publication.Provenance


async def roll_back(opened: preparing.Opened, how: running.How, order: Order) -> running.Done:
    """Take a stage back. Raises `RollbackImpossible`, `StageMissing`, and what publishing raises."""
    stage = opened.declared.stage(order.stage)
    async with running.workbench(opened.declared.destination, how.environ) as bench:
        looker = looking.Looker(bench, opened.declared, [stage])
        sight = await looker.look()
        live = sight.folders[stage.name].seen.provenance
        if live is None:
            raise errors.RollbackImpossible(
                f"nothing is published in {stage.name}", hint="there is nothing to go back from"
            )
        found = await _find(bench, looker, stage, sight, order)
    back = publication.Rollback(live.revision.sha, order.by, order.reason)
    known = dataclasses.replace(found.provenance, rollback=back, hotfix="")
    again = dataclasses.replace(opened, stages=(stage,), revision=known.revision, known={stage.name: known})
    prepared = preparing.Prepared(again, (publication.Rendition(stage, found.files),))
    options = dataclasses.replace(how.options, overwrite=True)
    return await running.Run(prepared, dataclasses.replace(how, options=options), {stage.name: ""}).publish()


async def _find(
    bench: grafting.Workbench,
    looker: looking.Looker,
    stage: delivery.Stage,
    sight: looking.Sight,
    order: Order,
) -> _Earlier:
    """The earlier state that is meant. History is fetched no deeper than it has to be."""
    live = sight.folders[stage.name].seen
    seen: list[str] = []
    for depth in _DEPTHS:
        left: set[str] = set()
        seen.clear()
        async for commit, folder in _states(bench, looker, stage, sight.tip, depth):
            known = folder.seen.provenance
            if known is None or folder.seen.edited:
                continue
            seen.append(known.revision.short)
            if known.rollback is not None:
                left.add(known.rollback.of)
            if _is_meant(order.to, commit, known, live) and (order.to or known.revision.sha not in left):
                leaves = await bench.leaves(folder.ours)
                return _Earlier(commit, await bench.files(leaves), known)
    what = (
        f"{order.to} is no revision that {stage.name} had"
        if order.to
        else f"{stage.name} had no other revision"
    )
    hint = f"it had: {', '.join(dict.fromkeys(seen))}" if seen else "see the history of its folder"
    raise errors.RollbackImpossible(what, hint=hint)


def _is_meant(to: str, commit: str, known: publication.Provenance, live: deciding.Seen) -> bool:
    if to:
        wanted = to.lower()
        return bool(_HEX.fullmatch(wanted)) and (
            known.revision.sha.startswith(wanted) or commit.startswith(wanted)
        )
    return live.tree != known.tree and known.rollback is None


async def _states(
    bench: grafting.Workbench, looker: looking.Looker, stage: delivery.Stage, tip: str, depth: int
) -> AsyncIterator[tuple[str, looking.Folder]]:
    """What a stage's folder was, the newest first."""
    for commit, _ in await bench.history(tip, stage.folder, _MOST, depth):
        forest = await bench.forest(commit, [stage.folder])
        yield commit, await looker.folder(forest, stage)

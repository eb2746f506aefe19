"""Folders out of the GitOps repository: of previews that are over, and of applications that are given up.

Only what was published goes: files that are `keep` stay, and a folder that somebody edited is left to a person.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from undrift import errors
from undrift.lib import backoff
from undrift.model import delivery, publication
from undrift.publishing import looking, messages
from undrift.sources.git import grafting

_BACKOFF = backoff.Backoff(first=0.2, cap=10.0, factor=1.7)


async def withdraw(
    bench: grafting.Workbench,
    declared: delivery.Delivery,
    stages: Sequence[delivery.Stage],
    *,
    reason: str,
    overwrite: bool = False,
    deadline: float = 120.0,
) -> tuple[publication.StageResult, ...]:
    """Remove the folders of these stages, one commit each, all in one push; branches of pull requests go with them.

    Raises `HandEdited`, `PushDeadline`, `BranchProtected`, and `SourceError`s; then nothing was removed.
    """
    await bench.identity()
    loop = asyncio.get_running_loop()
    until, attempt = loop.time() + deadline, 0
    looker = looking.Looker(bench, declared, stages)
    while True:
        attempt += 1
        sight = await looker.look()
        moves, results = await _draft(bench, declared, stages, sight, (reason, overwrite))
        pushed = await bench.push(moves) if moves else grafting.Pushed(done=True)
        if pushed.done:
            return results
        pause = _BACKOFF.delay(attempt, random.random())  # noqa: S311 - spreads retries, hides nothing
        if loop.time() + pause > until:
            raise errors.PushDeadline(
                f"gave up after {deadline:g} s and {attempt} attempts",
                why=f"{pushed.lost}; nothing was changed",
                hint="run it again, or raise --deadline",
            )
        await asyncio.sleep(pause)


async def _draft(
    bench: grafting.Workbench,
    declared: delivery.Delivery,
    stages: Sequence[delivery.Stage],
    sight: looking.Sight,
    how: tuple[str, bool],
) -> tuple[list[grafting.Move], tuple[publication.StageResult, ...]]:
    reason, overwrite = how
    head, forest = sight.tip, sight.forest.copy()
    moves: list[grafting.Move] = []
    results: list[publication.StageResult] = []
    for stage in stages:
        folder, seen = sight.folders[stage.name], sight.folders[stage.name].seen
        proposal = sight.proposals.get(stage.name)
        if proposal is not None:
            ref = f"refs/heads/{looking.branch(declared.application, stage.name)}"
            moves.append(grafting.Move(ref, proposal.commit, ""))
        if not seen.tree and seen.provenance is None:
            results.append(publication.StageResult(stage.name, publication.Outcome.UNCHANGED, stage.way))
            continue
        if (seen.provenance is None or seen.edited) and not overwrite:
            raise errors.HandEdited(
                f"{stage.folder} holds something that was not published",
                why=seen.reason or "somebody edited it by hand",
                hint="look at it, and remove it with --overwrite if it may go",
            )
        forest.graft(stage.folder, forest.nursery.arrange(folder.kept))
        head = await bench.commit(forest, [head], _message(declared, stage, seen.provenance, reason))
        results.append(
            publication.StageResult(
                stage.name, publication.Outcome.PUBLISHED, stage.way, head, before=seen.provenance
            )
        )
    if head != sight.tip:
        moves.insert(0, grafting.Move(f"refs/heads/{declared.destination.branch}", sight.tip, head))
    return moves, tuple(results)


def _message(
    declared: delivery.Delivery,
    stage: delivery.Stage,
    known: publication.Provenance | None,
    reason: str,
) -> str:
    revision = known.revision if known is not None else publication.AppRevision("")
    trailers = messages.commit(
        messages.Commit(application=declared.application, stage=stage.name, revision=revision)
    )
    ours = [line for line in trailers.splitlines() if line.startswith("Undrift-")]
    return f"[{stage.name}] Remove {declared.application}: {reason}\n\n" + "\n".join(ours) + "\n"

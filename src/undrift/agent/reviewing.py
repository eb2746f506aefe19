"""Telling open pull requests of the GitOps repository what the agent would do: the live plan of the merge result, with
its digest, in one comment each.

It is a task of its own that plans one application after the other, in a store of its own; reconciles do not wait for
it. Whatever fails here is told once, and disturbs nobody.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from typing import Final

import structlog

from undrift import errors, interfaces
from undrift.agent import foreseeing, reviewer, shapes, world
from undrift.model import agent, source
from undrift.sources import opening

_log = structlog.get_logger("undrift")
_TURN: Final = 1.0


class Reviewing:
    """Reviews where the agent's document says so."""

    def __init__(
        self,
        shared: world.Shared,
        decryptor: interfaces.Decryptor | None,
        directories: foreseeing.Directories,
    ) -> None:
        self._shared = shared
        self._seeing = (decryptor, directories)
        self._folder = shared.settings.state_dir / "reviews"
        self._pool = opening.SourcePool(self._folder, shared.secrets)
        self._reviewers: dict[str, reviewer.Reviewer] = {}
        self._unknown: set[str] = set()

    async def run(self) -> None:
        """For ever. The store is begun anew, so that what was proposed once does not pile up."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        try:
            while True:
                await asyncio.sleep(_TURN)
                await self._furnish()
                for one in list(self._reviewers.values()):
                    await one.turn()
                self._shared.proposed = self._proposed()
        finally:
            gone, self._reviewers = self._reviewers, {}
            await self._close(gone)
            await self._pool.close()

    def _proposed(self) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for one in self._reviewers.values():
            for name, digests in one.digests.items():
                found[name] = found.get(name, frozenset()) | digests
        return found

    async def _furnish(self) -> None:
        """A reviewer for each repository that is declared to be reviewed; one whose declaration changed is made anew."""
        found = self._shared.configuration
        declared = found.agents.get(self._shared.agent) if found else None
        wanted: dict[str, reviewer.Reviewer] = {}
        for row in declared.reviews if declared else ():
            made = self._reviewer(row)
            if made is not None:
                wanted[row.name] = made
        gone = {name: one for name, one in self._reviewers.items() if wanted.get(name) is not one}
        self._reviewers = wanted
        await self._close(gone)

    def _reviewer(self, row: agent.Reviewing) -> reviewer.Reviewer | None:
        poll = self._shared.polls.get(row.name)
        if poll is None or not _follows_branch(poll.declared):
            if row.name not in self._unknown:
                self._unknown.add(row.name)
                self._tell_unknown(row)
            return None
        self._unknown.discard(row.name)
        kept = self._reviewers.get(row.name)
        if kept is not None and (kept.row, kept.declared) == (row, poll.declared):
            return kept
        return reviewer.Reviewer(self._shared, row, poll.declared, self._pool, self._seeing)

    def _tell_unknown(self, row: agent.Reviewing) -> None:
        error = errors.ReferenceUnknown(
            f"pull requests of {row.name} cannot be looked at",
            origin=row.origin,
            why="no application that this agent serves has a Git source of that name that follows a branch",
            hint="correct spec.reviews of the Agent",
        )
        _log.warning("reviews", **shapes.error(error))

    async def _close(self, reviewers: Mapping[str, reviewer.Reviewer]) -> None:
        for one in reviewers.values():
            await one.close()


def _follows_branch(declared: source.Source) -> bool:
    reference = declared.reference
    pinned = reference.tag or reference.semver or reference.commit
    return declared.kind is source.SourceKind.GIT and not pinned

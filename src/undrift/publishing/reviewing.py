"""Pull requests as they should be: for each stage at most one is open, and it says what its branch holds.

It is a reconcile of its own, run also when nothing was pushed: what an earlier run left half done is healed. Nothing
is written that is there already, and what a person closed stays closed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from undrift import errors, interfaces
from undrift.model import delivery, forge, publication
from undrift.publishing import describing, looking, subject
from undrift.sources.git import grafting

_CLOSED: Final = "\n<!-- undrift: closed by itself -->"


@dataclasses.dataclass(frozen=True, slots=True)
class Reviewed:
    """A stage's pull request after all; `closed` is whether it was closed because nothing is left to merge."""

    pull_request: forge.PullRequest | None = None
    closed: bool = False


class Reviewer:
    """Reconciles the pull requests of one delivery on its forge."""

    def __init__(
        self, host: interfaces.Forge, bench: grafting.Workbench, declared: delivery.Delivery
    ) -> None:
        self._forge = host
        self._bench = bench
        self._declared = declared

    async def closed(self, stage: delivery.Stage) -> Mapping[str, str]:
        """The trees whose pull request a person closed without merging, each with the address of that one."""
        found = await self._forge.find_closed(self._branch(stage.name), self._declared.destination.branch)
        closed: dict[str, str] = {}
        merged: set[str] = set()
        for one in found:
            marker = describing.parse_marker(one.body)
            if marker is None or _CLOSED.strip() in one.body:
                continue
            if one.state is forge.PullRequestState.MERGED:
                merged.add(marker.tree)
            elif marker.tree not in merged:
                closed.setdefault(marker.tree, one.url or f"#{one.number}")
        return closed

    async def reconcile(
        self, stage: delivery.Stage, result: publication.StageResult, about: subject.Subject | None
    ) -> Reviewed:
        """Open, update or close the pull request of a stage; `about` is needed where it was published. Raises `ForgeUnavailable`, `ForgeDenied`, `ForgeRefused`,
        saying that the branch was pushed and that running again does nothing twice.
        """
        try:
            if result.outcome is publication.Outcome.PUBLISHED and about is not None:
                return Reviewed(await self._opened(stage, about))
            if result.outcome is publication.Outcome.UNCHANGED:
                return await self._ended(stage, result)
        except (errors.ForgeUnavailable, errors.ForgeDenied, errors.ForgeRefused) as error:
            if result.commit:
                error.why = f"{error.what}{f': {error.why}' if error.why else ''}"
                error.what = (
                    f"branch {self._branch(stage.name)} was pushed, its pull request is not up to date"
                )
                again = "run it again, nothing is done twice"
                error.hint = f"{error.hint}; then {again}" if isinstance(error, errors.ForgeDenied) else again
            raise
        head, base = self._branch(stage.name), self._declared.destination.branch
        return Reviewed(await self._forge.find_open(head, base))

    async def _opened(self, stage: delivery.Stage, about: subject.Subject) -> forge.PullRequest:
        """The one that is open, with title, text, comment and statuses as they should be."""
        limits, settings = self._forge.limits, stage.pull_request
        title, body = describing.pull_request(about, limits)
        head, base = self._branch(stage.name), self._declared.destination.branch
        found = await self._forge.find_open(head, base)
        if found is None:
            await self._still_wanted(stage, about)
            spec = forge.PullRequestSpec(
                head, base, title, body, settings.labels, settings.reviewers, settings.draft and limits.drafts
            )
            found = await self._forge.create(spec)
        same = describing.alike(found.body, body)
        found = await self._forge.update(
            found,
            title=title if title != found.title else None,
            body=None if same else body,
            labels=settings.labels if not set(settings.labels) <= set(found.labels) else None,
        )
        report = describing.report(about, limits)
        known = [
            one for one in await self._forge.comments(found.number) if describing.alike(one.body, report)
        ]
        if not known:
            await self._forge.upsert_comment(found.number, describing.report_marker(about), report)
        if settings.auto_merge and limits.auto_merge:
            await self._forge.enable_auto_merge(found, settings.auto_merge)
        return found

    async def _still_wanted(self, stage: delivery.Stage, about: subject.Subject) -> None:
        """A person may have closed the same while this was being pushed: it is not opened again."""
        where = (await self.closed(stage)).get(about.tree)
        if where is not None:
            raise errors.ForgeRefused(
                f"a person closed {where} meanwhile, which has the same content",
                hint="another revision opens another; this one is held from now on",
            )

    async def say(self, commit: str, about: subject.Subject) -> None:
        """Set the statuses of the commit at the head of a pull request."""
        if not self._forge.limits.statuses or not commit:
            return
        known = {one.context: one for one in await self._forge.statuses(commit)}
        for one in describing.statuses(about, self._forge.limits):
            before = known.get(one.context)
            if before is None or (before.state, before.description) != (one.state, one.description):
                await self._forge.set_status(commit, one)

    async def _ended(self, stage: delivery.Stage, result: publication.StageResult) -> Reviewed:
        """Nothing is left to merge: its branch goes, and an open one is closed.

        The branch first, and only as it was seen: a job that proposes something newer meanwhile keeps what it made.
        """
        head, base = self._branch(stage.name), self._declared.destination.branch
        found = await self._forge.find_open(head, base)
        if result.commit:
            if found is not None and found.sha in ("", result.commit):
                # Before the branch goes: with it a forge closes the pull request, and that is no person's doing.
                found = await self._marked(found)
            gone = await self._bench.push([grafting.Move(f"refs/heads/{head}", result.commit, "")])
            if not gone.done:
                return Reviewed(found)
        if found is None:
            return Reviewed()
        found = await self._forge.pull_request(found.number)
        opened = found.state is forge.PullRequestState.OPEN
        if opened and result.commit and found.sha not in ("", result.commit):
            return Reviewed(found)
        found = await self._marked(found)
        if opened:
            await self._forge.close(found, f"{base} has all of this already: nothing is left to merge.")
        return Reviewed(found, closed=True)

    async def _marked(self, found: forge.PullRequest) -> forge.PullRequest:
        """Said in the text of a pull request that it is ours to close."""
        if _CLOSED.strip() in found.body:
            return found
        room = self._forge.limits.body - len(_CLOSED)
        return await self._forge.update(found, body=f"{found.body[:room]}{_CLOSED}")

    def _branch(self, stage: str) -> str:
        return looking.branch(self._declared.application, stage)

"""The reports for one repository: what is noted becomes files on a ref of the agent's own, in batches.

Agents that share a database share the ref, which is replaced by compare-and-set: each writes of the applications
that it works on, and leaves the others' files alone.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Mapping
from typing import Final

from undrift import errors
from undrift.agent import fleet, marking, polling, trouble, world
from undrift.model import agent, health, report, source
from undrift.sources import connecting
from undrift.sources.git import remote, shelf
from undrift.sources.git import source as git_source

_TRIES: Final = 3
_KEPT: Final = 100
_SILENCE: Final = 3.0
"""An agent is taken to be gone when it says nothing for so many times as long as it promised."""
_SUFFIX: Final = ".json"


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What one reconcile says to CI: `place` is the name of its source. `applied` is the revision that is true on the target, as far as we know; `status`
    is None where the target was not looked at. `epoch` is that of the lease it was made under.
    """

    place: str
    path: str
    applied: source.Revision | None
    seen: source.Revision | None
    status: health.Status | None
    ending: str
    reason: str
    at: float
    interval: float
    epoch: int


class Desk:
    """The reports for one repository."""

    def __init__(
        self, shared: world.Shared, row: agent.Reporting, declared: source.Source, web: connecting.Web
    ) -> None:
        self.row = row
        self.declared = declared
        self._shared = shared
        written = _writing(declared, row)
        place = remote.Remote(written, shared.secrets, web)
        self._marking = marking.Marking(row, written, shared.secrets)
        self._place = place
        self._shelf = shelf.Shelf(place.access, place.address.shown, report.REFS)
        self._looks: dict[str, collections.deque[Look]] = {}
        self._reports: dict[str, report.Report] = {}
        self._mine: dict[str, int] = {}
        self._there: shelf.Shelved | None = None
        self._published: dict[str, report.Report] = {}
        self._fresh = False
        self._next = 0.0
        self._beat = 0.0
        self._next_mark = 0.0
        name = f"reports/{declared.name}"
        self._trouble = trouble.Trouble(shared, name, "writing reports", max(1.0, row.interval))
        self._unmarked = trouble.Trouble(shared, f"{name}/statuses", "setting statuses", 10.0)

    def takes(self, poll: polling.Poll) -> bool:
        """Whether reports on applications of a source go here."""
        return poll.declared.kind is source.SourceKind.GIT and repository(poll.declared) == repository(
            self.declared
        )

    def note(self, name: str, seen: Look) -> None:
        """Something to report. Of many that say the same the first and the last are kept."""
        waiting = self._looks.setdefault(name, collections.deque(maxlen=_KEPT))
        if waiting and waiting[-1].epoch != seen.epoch:
            waiting.clear()  # another replica has worked on it since, and has said more than these
        same = [one for one in list(waiting)[-2:] if dataclasses.replace(one, at=seen.at) == seen]
        if len(same) > 1 and seen.at - same[0].at < self.row.heartbeat:
            waiting.pop()
        waiting.append(seen)

    async def turn(self) -> None:
        """Write what is news, if it is time to."""
        now = asyncio.get_running_loop().time()
        if now < self._next or not (self._looks or now >= self._beat > 0):
            return
        try:
            await self._work(now)
        except errors.UndriftError as error:
            self._fresh = False
            self._next = now + self._trouble.began(error)
        else:
            self._trouble.over()

    async def mark(self) -> None:
        """Set statuses that wait, if it is time to; that they cannot be set holds up no report."""
        now = asyncio.get_running_loop().time()
        if now < self._next_mark:
            return
        try:
            await self._marking.work()
        except errors.UndriftError as error:
            self._next_mark = now + self._unmarked.began(error)
        else:
            self._unmarked.over()

    async def _work(self, now: float) -> None:
        self._mine = {name: epoch for name, epoch in self._mine.items() if self._holds(name, epoch)}
        for _ in range(_TRIES):
            if not self._fresh or any(
                self._mine.get(name) != one[-1].epoch for name, one in self._looks.items()
            ):
                await self._read()
            await self._fold()
            files = self._files()
            if not self._is_news() and now < self._beat:
                return
            done = await self._shelf.replace(self._shared.agent, files, self._there, digest=self._digest())
            if done is not None:
                self._note_marks()
                self._there, self._published = done, dict(self._reports)
                self._next, self._beat = now + self.row.interval, now + self.row.heartbeat
                return
            self._fresh = False
        self._next = now + self.row.interval

    def _note_marks(self) -> None:
        """Statuses for what is news of ours."""
        if self.row.statuses:
            mine = {name: self._reports[name] for name in self._mine if name in self._reports}
            before = self._published
            self._marking.note(
                one for name, one in mine.items() if name not in before or before[name].news != one.news
            )

    async def _read(self) -> None:
        """What the ref says: of others' applications it is the truth, of ours where `since` begins."""
        found = (await self._shelf.read(self._shared.agent)).get(self._shared.agent)
        self._there, self._fresh = found, True
        self._published = _decoded(found.files if found else {})
        for name, one in self._published.items():
            if name not in self._mine:
                self._reports[name] = one

    async def _fold(self) -> None:
        """Looks become reports, in their order; one whose tree cannot be told yet waits."""
        for name in list(self._looks):
            while waiting := self._looks[name]:
                seen = waiting[0]
                made = await self._report(name, seen)
                if waiting and waiting[0] is seen:  # unless it was noted meanwhile that somebody else spoke
                    self._reports[name], self._mine[name] = made, seen.epoch
                    waiting.popleft()
            del self._looks[name]
        for name in [name for name in self._reports if not self._is_here(name)]:
            del self._reports[name]

    async def _report(self, name: str, seen: Look) -> report.Report:
        before = self._reports.get(name)
        now = report.Report(
            application=name,
            agent=self._shared.agent,
            path=seen.path,
            revision=_commit(seen.applied) or (before.revision if before else ""),
            tree=await self._tree(seen, before),
            seen=_commit(seen.seen) or (before.seen if before else ""),
            health=seen.status or (before.health if before else health.Status.UNKNOWN),
            observed=seen.at if seen.status is not None or before is None else before.observed,
            within=_SILENCE * max(self.row.heartbeat, seen.interval),
            ending=seen.ending,
            reason=seen.reason,
        )
        return report.follow(before, now)

    async def _tree(self, seen: Look, before: report.Report | None) -> str:
        """Git's id of the application's files as they were applied last; the ref knows when the database is lost."""
        if seen.applied is None:
            return before.tree if before is not None and before.path == seen.path else ""
        if before is not None and (before.revision, before.path) == (_commit(seen.applied), seen.path):
            return before.tree
        poll = self._shared.polls.get(seen.place)
        inner = poll.inner if poll is not None else None
        if not isinstance(inner, git_source.GitSource):
            return ""
        try:
            return await inner.tree_at(seen.applied, seen.path)
        except errors.PathMissing:
            return ""

    def _holds(self, name: str, epoch: int) -> bool:
        """Whether the lease is still the one under which we have spoken: nobody else has since."""
        known = self._shared.tenants.get(name)
        return known is not None and known.lease is not None and known.lease.epoch == epoch

    def _is_here(self, name: str) -> bool:
        """Whether an application still comes from this repository, whichever replica works on it."""
        known = self._shared.tenants.get(name)
        poll = self._shared.polls.get(known.application.source.name) if known is not None else None
        return (
            known is not None
            and not known.application.decommissioned
            and poll is not None
            and self.takes(poll)
        )

    def _is_news(self) -> bool:
        return {name: one.news for name, one in self._reports.items()} != {
            name: one.news for name, one in self._published.items()
        }

    def _files(self) -> dict[str, bytes]:
        return {f"{name}{_SUFFIX}": one.encode() for name, one in self._reports.items()}

    def _digest(self) -> str:
        poll = self._shared.polls.get(self.declared.name) or self._shared.polls.get(fleet.CONFIG)
        found = (
            poll.revision.digest.partition(":")[0] if poll is not None and poll.revision is not None else ""
        )
        return found if found in ("sha1", "sha256") else "sha1"

    async def close(self) -> None:
        """Let go of what is kept for writing."""
        await self._shelf.close()
        await self._marking.close()
        await self._place.close()


def _writing(declared: source.Source, row: agent.Reporting) -> source.Source:
    """The source as it is written to: with its own host keys and authority, unless others are named."""
    own, given = declared.authentication, row.authentication
    if given is None:
        return declared
    merged = dataclasses.replace(
        given, known_hosts=given.known_hosts or own.known_hosts, ca=given.ca or own.ca
    )
    return dataclasses.replace(declared, authentication=merged)


def repository(declared: source.Source) -> str:
    """What names the repository of a source: two sources of one have one desk."""
    return declared.url.rstrip("/").removesuffix(".git")


def _commit(revision: source.Revision | None) -> str:
    return revision.digest.partition(":")[2] if revision is not None else ""


def _decoded(files: Mapping[str, bytes]) -> dict[str, report.Report]:
    """Reports by application; what cannot be read is as good as not there."""
    found = {}
    for name, content in files.items():
        try:
            one = report.decode(content)
        except ValueError:
            continue
        if name == f"{one.application}{_SUFFIX}":
            found[one.application] = one
    return found

"""The open pull requests of one repository: each is told what the agent would do, and is told anew when that changes."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from typing import Final

from undrift import errors, interfaces
from undrift.agent import desk, fleet, foreseeing, leasing, phrasing, polling, trouble, world
from undrift.forges import abilities, connecting
from undrift.model import agent, forge, source
from undrift.sources import opening

_BUDGET: Final = 30.0
"""So many seconds are spent on one turn; what is left over has the next one."""
_SOON: Final = 2.0


@dataclasses.dataclass(slots=True)
class _Told:
    """What a pull request was told last. `about` is None before; `again` is when it is looked at anew."""

    pull_request: forge.PullRequest
    about: phrasing.Occasion | None = None
    text: str = ""
    status: forge.Status | None = None
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    again: float = 0.0


class Reviewer:
    """Reviews for one repository; `pool` has its store."""

    def __init__(
        self,
        shared: world.Shared,
        row: agent.Reviewing,
        declared: source.Source,
        pool: opening.SourcePool,
        seeing: tuple[interfaces.Decryptor | None, foreseeing.Directories],
    ) -> None:
        self.row = row
        self.declared = declared
        self._shared = shared
        self._inner = pool.open_git(declared)
        self._foreseer = foreseeing.Foreseer(shared, self._inner, *seeing)
        self._host: interfaces.Forge | None = None
        self._branch = declared.reference.branch
        self._known: dict[int, _Told] = {}
        self._base = ""
        self._next = 0.0
        self._rest = 0.0
        name = f"reviews/{declared.name}"
        self._trouble = trouble.Trouble(shared, name, "reviewing pull requests", max(1.0, row.interval))

    @property
    def digests(self) -> dict[str, frozenset[str]]:
        """The digests that open pull requests show, by application."""
        found: dict[str, set[str]] = {}
        for told in self._known.values():
            for name, digest in told.digests.items():
                found.setdefault(name, set()).add(digest)
        return {name: frozenset(each) for name, each in found.items()}

    async def turn(self) -> None:
        """Look at the pull requests, if it is time to: now and then, and when the base has moved."""
        now, base = asyncio.get_running_loop().time(), self._revision()
        if base is None or now < self._rest or (now < self._next and base.digest == self._base):
            return
        try:
            self._next = now + self.row.interval
            if await self._is_ours():
                await self._work(base)
                self._base = base.digest
        except errors.UndriftError as error:
            self._rest = now + self._trouble.began(error)
        else:
            self._trouble.over()

    def _revision(self) -> source.Revision | None:
        """What the agent has of the branch that things are merged into."""
        polls = [
            one for one in self._shared.polls.values() if foreseeing.follows(one.declared, self.declared)
        ]
        main = self._shared.polls.get(fleet.CONFIG)
        found: polling.Poll | None = main if main in polls else next(iter(polls), None)
        return found.revision if found is not None else None

    async def _is_ours(self) -> bool:
        """Of agents that share a database one reviews."""
        if self._shared.alone:
            return True
        place = f"{self._shared.agent}\0{desk.repository(self.declared)}\0{self.declared.reference}"
        name = f"{world.SCOPE}review:{hashlib.sha256(place.encode()).hexdigest()[:16]}"
        found = await self._shared.database.acquire([name], self._shared.holder, leasing.SECONDS)
        if not found:
            self._known.clear()
        return bool(found)

    async def _work(self, base: source.Revision) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + _BUDGET
        host = await self._forge()
        assert isinstance(host, abilities.Lister)  # noqa: S101 - `_connect` made sure of it
        self._branch = self._branch or await host.default_branch()
        found = {one.number: one for one in await host.open_pull_requests(self._branch)}
        for number in [number for number in self._known if number not in found]:
            await self._end(host, self._known[number])
            del self._known[number]
        for number, one in found.items():
            told = self._known.setdefault(number, _Told(one))
            told.pull_request = one
        for told in sorted(self._known.values(), key=lambda one: one.again):
            about = self._occasion(told.pull_request, base)
            if told.about == about and clock() < told.again:
                continue
            if clock() >= end:
                self._next = clock() + _SOON
                return
            await self._review(host, told, about, base)

    def _occasion(self, one: forge.PullRequest, base: source.Revision) -> phrasing.Occasion:
        found = self._shared.configuration
        several = found is not None and len(found.agents) > 1
        name = self._shared.agent
        context = f"undrift/plan/{name}" if several else "undrift/plan"
        return phrasing.Occasion(name, self._branch, base.digest.partition(":")[2], one.sha, context)

    async def _review(
        self, host: interfaces.Forge, told: _Told, about: phrasing.Occasion, base: source.Revision
    ) -> None:
        one = told.pull_request
        if told.about is None or told.about.head != about.head:
            await self._mark(host, told, phrasing.waiting(about))
        found = await self._foreseer.foresee(base, one.head, one.sha)
        text = phrasing.comment(about, found, host.limits)
        mark = phrasing.marker(about.agent)
        if found.empty and not told.text and not await _is_told(host, one.number, mark):
            text = ""
        if text and _content(text, about) != _content(told.text, told.about):
            await host.upsert_comment(one.number, mark, text)
            told.text = text
        await self._mark(host, told, phrasing.status(about, found, host.limits))
        told.about, told.digests = about, phrasing.digests(found)
        told.again = asyncio.get_running_loop().time() + self.row.refresh

    async def _mark(self, host: interfaces.Forge, told: _Told, status: forge.Status) -> None:
        """Set the status of the head, unless that was its status already."""
        sha = told.pull_request.sha
        marked = told.about is not None and told.about.head == sha
        if host.limits.statuses and not (marked and told.status == status):
            await host.set_status(sha, status)
        told.status = status

    async def _end(self, host: interfaces.Forge, told: _Told) -> None:
        """A pull request is not open any more: its comment says so, and what it said stays."""
        if not told.text or told.about is None:
            return
        now = await host.pull_request(told.pull_request.number)
        if now.state is not forge.PullRequestState.OPEN:
            mark = phrasing.marker(told.about.agent)
            text = phrasing.ended(told.text, told.about, now.state, host.limits)
            await host.upsert_comment(now.number, mark, text)

    async def _forge(self) -> interfaces.Forge:
        """The repository on its forge, signed in with the token that is declared for it."""
        if self._host is None:
            found = await self._connect()
            if found is None or not isinstance(found, abilities.Lister):
                raise errors.ForgeUnknown(
                    f"pull requests of {self.declared.url} cannot be looked at",
                    origin=self.row.origin,
                    why="it is on no forge whose open pull requests can be listed",
                    hint="say spec.reviews.forge: gitea, github or gitlab; other forges are not reviewed yet",
                )
            self._host = found
        return self._host

    async def _connect(self) -> interfaces.Forge | None:
        own, secrets = self.declared.authentication, self._shared.secrets
        given = self.row.authentication or own
        authority = given.ca or own.ca
        environ = {}
        if given.token is not None:
            environ["UNDRIFT_TOKEN"] = (await secrets.resolve(given.token)).strip()
        if authority is not None:
            environ["UNDRIFT_GIT_CA"] = await secrets.resolve(authority)
        return connecting.connect(self.declared.url, self.row.forge, self.row.api, environ)

    async def close(self) -> None:
        """Close the connections, and let go of the store."""
        host, self._host = self._host, None
        if host is not None:
            await host.close_session()
        self._foreseer.close()
        await self._inner.close()


async def _is_told(host: interfaces.Forge, number: int, mark: str) -> bool:
    return any(mark in one.body for one in await host.comments(number))


def _content(text: str, about: phrasing.Occasion | None) -> str:
    """What a comment says beside the base it was planned on: commits of others' folders are no news."""
    return text.replace(about.base[:12], "") if about is not None else text

"""A repository on the contract server of GitHub; the oracle is PyGithub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import github
from github import Auth

from tests.conformance.forges import relay, stand, world_stand
from tests.conformance.forges.servers import github as server


class GitHubStand(world_stand.WorldStand):
    """See `stand.Stand`."""

    def __init__(self, made: server.GitHub, door: relay.Relay) -> None:
        super().__init__(made, door)
        self.client = github.Github(
            auth=Auth.Token(made.world.people[self.fellow].token),
            base_url=made.api,
            retry=None,
            per_page=10,
            seconds_between_requests=None,
            seconds_between_writes=None,
            lazy=True,
        )
        self.repository = self.client.get_repo("acme/gitops")

    async def seen(self, number: int) -> stand.Seen:
        def read() -> stand.Seen:
            found = self.repository.get_pull(number)
            return stand.Seen(
                title=found.title,
                body=found.body or "",
                state="merged" if found.merged else found.state,
                head=found.head.ref,
                base=found.base.ref,
                draft=found.draft,
                labels=tuple(sorted(one.name for one in found.get_labels())),
                reviewers=tuple(one.login for one in found.requested_reviewers),
            )

        return await asyncio.to_thread(read)

    async def comments(self, number: int) -> list[str]:
        return await asyncio.to_thread(
            lambda: [one.body for one in self.repository.get_pull(number).get_issue_comments()]
        )

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        def read() -> dict[str, tuple[str, str]]:
            found: dict[str, tuple[str, str]] = {}
            for one in self.repository.get_commit(sha).get_statuses():
                found.setdefault(one.context, (one.state, one.description))
            return found

        return await asyncio.to_thread(read)

    async def opened(self, head: str, base: str, title: str) -> int:
        made = await asyncio.to_thread(self.repository.create_pull, base, head, title=title, body="")
        return made.number

    async def say(self, number: int, text: str) -> None:
        await asyncio.to_thread(lambda: self.repository.get_pull(number).create_issue_comment(text))

    async def shut(self, number: int) -> None:
        await asyncio.to_thread(lambda: self.repository.get_pull(number).edit(state="closed"))


@contextlib.asynccontextmanager
async def opened(_: object) -> AsyncIterator[GitHubStand]:
    """A server with one repository."""
    async with server.GitHub() as made, relay.before(made.url) as door:
        found = GitHubStand(made, door)
        try:
            yield found
        finally:
            found.client.close()
        assert not made.complaints

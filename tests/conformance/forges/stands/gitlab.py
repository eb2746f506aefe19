"""A project on the contract server of GitLab; the oracle is python-gitlab."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import gitlab

from tests.conformance.forges import relay, stand, world_stand
from tests.conformance.forges.servers import gitlab as server


class GitLabStand(world_stand.WorldStand):
    """See `stand.Stand`."""

    def __init__(self, made: server.GitLab, door: relay.Relay) -> None:
        super().__init__(made, door)
        self.client = gitlab.Gitlab(made.url, private_token=made.world.people[self.fellow].token, per_page=10)
        self.project = self.client.projects.get("ops/team/gitops", lazy=True)

    async def seen(self, number: int) -> stand.Seen:
        def read() -> stand.Seen:
            found = self.project.mergerequests.get(number)
            return stand.Seen(
                title=found.title.removeprefix("Draft: "),
                body=found.description,
                state={"opened": "open"}.get(found.state, found.state),
                head=found.source_branch,
                base=found.target_branch,
                draft=found.draft,
                labels=tuple(found.labels),
                reviewers=tuple(one["username"] for one in found.reviewers),
            )

        return await asyncio.to_thread(read)

    async def comments(self, number: int) -> list[str]:
        def read() -> list[str]:
            notes = self.project.mergerequests.get(number, lazy=True).notes
            return [one.body for one in notes.list(iterator=True, sort="asc") if not one.system]

        return await asyncio.to_thread(read)

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        def read() -> dict[str, tuple[str, str]]:
            words = {"failed": "failure", "canceled": "error"}
            found = self.project.commits.get(sha, lazy=True).statuses.list(iterator=True)
            return {one.name: (words.get(one.status, one.status), one.description) for one in found}

        return await asyncio.to_thread(read)

    async def opened(self, head: str, base: str, title: str) -> int:
        asked = {"source_branch": head, "target_branch": base, "title": title}
        made = await asyncio.to_thread(self.project.mergerequests.create, asked)
        return int(made.iid)

    async def say(self, number: int, text: str) -> None:
        notes = self.project.mergerequests.get(number, lazy=True).notes
        await asyncio.to_thread(notes.create, {"body": text})

    async def shut(self, number: int) -> None:
        def close() -> None:
            found = self.project.mergerequests.get(number, lazy=True)
            found.state_event = "close"
            found.save()

        await asyncio.to_thread(close)


@contextlib.asynccontextmanager
async def opened(_: object) -> AsyncIterator[GitLabStand]:
    """A server with one project."""
    async with server.GitLab() as made, relay.before(made.url) as door:
        found = GitLabStand(made, door)
        try:
            yield found
        finally:
            found.client.session.close()
        assert not made.complaints

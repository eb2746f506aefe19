"""A repository on Azure DevOps after its contract; the oracle is the vendor's own client, azure-devops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from azure.devops import connection
from azure.devops.v7_1.git import git_client, models
from msrest import authentication

from tests.conformance.forges import relay, stand, world_stand
from tests.conformance.forges.servers import azure_devops, contract

_HERE = {"repository_id": "gitops", "project": "Platform Team"}
_STATES = {"active": "open", "completed": "merged"}
_CHECKS = {"pending": "pending", "succeeded": "success", "failed": "failure", "error": "error"}


class AzureDevOpsStand(world_stand.WorldStand):
    """See `stand.Stand`."""

    methods = ("merge", "squash", "rebase")

    def __init__(self, server: contract.Contract, door: relay.Relay) -> None:
        super().__init__(server, door)
        self.ada = self.world.people[self.fellow]
        self.bot, self.fellow = (f"{login}@fabrikam.example" for login in (self.bot, self.fellow))

    async def ask(self, question: Callable[[git_client.GitClient], Any]) -> Any:
        """What the oracle, signed in as the fellow, says."""

        def asked() -> Any:
            credentials = authentication.BasicAuthentication("", self.ada.token)
            base = f"{self.server.url}/fabrikam"
            return question(connection.Connection(base, credentials).clients_v7_1.get_git_client())

        return await asyncio.to_thread(asked)

    async def _read(self, number: int) -> Any:
        return await self.ask(lambda git: git.get_pull_request(pull_request_id=number, **_HERE))

    async def seen(self, number: int) -> stand.Seen:
        found = await self._read(number)
        return stand.Seen(
            title=found.title,
            body=found.description,
            state=_STATES.get(found.status, "closed"),
            head=found.source_ref_name.removeprefix("refs/heads/"),
            base=found.target_ref_name.removeprefix("refs/heads/"),
            draft=found.is_draft,
            labels=tuple(sorted(one.name for one in found.labels)),
            reviewers=tuple(one.unique_name for one in found.reviewers),
        )

    async def comments(self, number: int) -> list[str]:
        found = await self.ask(lambda git: git.get_threads(pull_request_id=number, **_HERE))
        return [one.content for thread in found for one in thread.comments if one.comment_type == "text"]

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        found = await self.ask(lambda git: git.get_statuses(sha, latest_only=True, **_HERE))
        return {
            f"{one.context.genre}/{one.context.name}": (_CHECKS[one.state], one.description) for one in found
        }

    async def opened(self, head: str, base: str, title: str) -> int:
        wanted = models.GitPullRequest(
            source_ref_name=f"refs/heads/{head}",
            target_ref_name=f"refs/heads/{base}",
            title=title,
            description="",
        )
        made = await self.ask(lambda git: git.create_pull_request(wanted, **_HERE))
        return int(made.pull_request_id)

    async def say(self, number: int, text: str) -> None:
        comment = models.Comment(content=text, comment_type="text", parent_comment_id=0)
        thread = models.GitPullRequestCommentThread(comments=[comment], status="active")
        await self.ask(lambda git: git.create_thread(thread, pull_request_id=number, **_HERE))

    async def merge(self, number: int, method: str) -> None:
        strategy = {"merge": "noFastForward"}.get(method, method)
        options = models.GitPullRequestCompletionOptions(merge_strategy=strategy)
        tip = (await self._read(number)).last_merge_source_commit.commit_id
        commit = models.GitCommitRef(commit_id=tip)
        await self._change(
            number, status="completed", completion_options=options, last_merge_source_commit=commit
        )

    async def shut(self, number: int) -> None:
        await self._change(number, status="abandoned")

    async def _change(self, number: int, **what: Any) -> None:
        wanted = models.GitPullRequest(**what)
        await self.ask(lambda git: git.update_pull_request(wanted, pull_request_id=number, **_HERE))

    async def review(self, number: int, *, approve: bool) -> None:
        await self._vote(number, 10 if approve else -10)

    async def take_back(self, number: int) -> bool:
        await self._vote(number, 0)
        return True

    async def _vote(self, number: int, vote: int) -> None:
        key = self.ada.key
        voter = models.IdentityRefWithVote(id=key, vote=vote)
        await self.ask(
            lambda git: git.create_pull_request_reviewer(
                voter, pull_request_id=number, reviewer_id=key, **_HERE
            )
        )


@contextlib.asynccontextmanager
async def opened(_: object) -> AsyncIterator[AzureDevOpsStand]:
    """A fresh repository. Nothing may have been asked that is not in the contract."""
    async with azure_devops.AzureDevOps() as made, relay.before(made.url) as door:
        yield AzureDevOpsStand(made, door)
        assert made.complaints == []

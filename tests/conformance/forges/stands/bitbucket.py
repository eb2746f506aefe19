"""A repository on Bitbucket Cloud after its contract; the oracle is atlassian-python-api."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from atlassian.bitbucket import cloud as atlassian

from tests.conformance.forges import relay, stand, world_stand
from tests.conformance.forges.servers import bitbucket, contract
from undrift.forges import hiding

_CLOUD: Any = atlassian.Cloud  # it is typed in part only
_STATES = {"OPEN": "open", "MERGED": "merged"}
_CHECKS = {"INPROGRESS": "pending", "SUCCESSFUL": "success", "FAILED": "failure", "STOPPED": "error"}


class BitbucketStand(world_stand.WorldStand):
    """See `stand.Stand`."""

    methods = ("merge", "squash")
    sign_in_with_user = True

    def __init__(self, server: contract.Contract, door: relay.Relay) -> None:
        super().__init__(server, door)
        self.ada = self.world.people[self.fellow]
        self.bot = f"{{{self.world.bot.key}}}"
        self.fellow = f"{{{self.ada.key}}}"

    def api(self) -> str:
        return self.passed(f"{self.server.url}/2.0")

    async def ask(self, question: Callable[[Any], Any]) -> Any:
        """What the oracle, signed in as the fellow, says of the repository."""

        def asked() -> Any:
            ada = self.ada
            with _CLOUD(url=self.server.url, username=ada.login, password=ada.token) as cloud:
                return question(cloud.repositories.get("acme", "gitops"))

        return await asyncio.to_thread(asked)

    async def seen(self, number: int) -> stand.Seen:
        found = await self.ask(lambda there: there.pullrequests.get(number))
        return stand.Seen(
            title=found.title,
            body=hiding.reveal(found.description),
            state=_STATES.get(found.get_data("state"), "closed"),
            head=found.source_branch,
            base=found.destination_branch,
            draft=found.get_data("draft"),
            reviewers=tuple(one.uuid for one in found.reviewers()),
        )

    async def comments(self, number: int) -> list[str]:
        found = await self.ask(lambda there: [*there.pullrequests.get(number).comments()])
        return [hiding.reveal(one.raw) for one in found]

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        found = await self.ask(lambda there: [*there.commits.get(sha).builds()])
        return {one.name: (_CHECKS[one.get_data("state")], one.description) for one in found}

    async def opened(self, head: str, base: str, title: str) -> int:
        made = await self.ask(lambda there: there.pullrequests.create(title, head, base, ""))
        return int(made.id)

    async def say(self, number: int, text: str) -> None:
        await self.ask(lambda there: there.pullrequests.get(number).comment(text))

    async def merge(self, number: int, method: str) -> None:
        strategy = {"merge": "merge_commit", "squash": "squash"}[method]
        await self.ask(lambda there: there.pullrequests.get(number).merge(strategy))

    async def shut(self, number: int) -> None:
        await self.ask(lambda there: there.pullrequests.get(number).decline())

    async def review(self, number: int, *, approve: bool) -> None:
        def voted(there: Any) -> None:
            found = there.pullrequests.get(number)
            found.approve() if approve else found.request_changes()

        await self.ask(voted)

    async def take_back(self, number: int) -> bool:
        await self.ask(lambda there: there.pullrequests.get(number).unapprove())
        return True


@contextlib.asynccontextmanager
async def opened(_: object) -> AsyncIterator[BitbucketStand]:
    """A fresh repository. Nothing may have been asked that is not in the contract."""
    async with bitbucket.Bitbucket() as made, relay.before(made.url) as door:
        yield BitbucketStand(made, door)
        assert made.complaints == []

"""A repository on Bitbucket Data Center after its contract; the oracle is atlassian-python-api."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from atlassian import bitbucket as atlassian

from tests.conformance.forges import relay, stand, world_stand
from tests.conformance.forges.servers import bitbucket_server
from undrift.forges import hiding

_SERVER: Any = atlassian.Bitbucket  # it is typed in part only
_HERE = ("OPS", "gitops")
_STATES = {"OPEN": "open", "MERGED": "merged"}
_CHECKS = {"INPROGRESS": "pending", "SUCCESSFUL": "success", "FAILED": "failure"}


class BitbucketServerStand(world_stand.WorldStand):
    """See `stand.Stand`."""

    methods = ("merge", "squash")

    async def ask(self, question: Callable[[Any], Any]) -> Any:
        """What the oracle, signed in as the fellow, says."""

        def asked() -> Any:
            with _SERVER(
                url=f"{self.server.url}/bitbucket", token=self.world.people[self.fellow].token, cloud=False
            ) as there:
                return question(there)

        return await asyncio.to_thread(asked)

    async def _read(self, number: int) -> Any:
        return await self.ask(lambda there: there.get_pull_request(*_HERE, number))

    async def seen(self, number: int) -> stand.Seen:
        found = await self._read(number)
        return stand.Seen(
            title=found["title"],
            body=hiding.reveal(found.get("description", "")),
            state=_STATES.get(found["state"], "closed"),
            head=found["fromRef"]["displayId"],
            base=found["toRef"]["displayId"],
            draft=found["draft"],
            reviewers=tuple(one["user"]["name"] for one in found["reviewers"]),
        )

    async def comments(self, number: int) -> list[str]:
        told = await self.ask(lambda there: [*there.get_pull_requests_activities(*_HERE, number)])
        said = [one["comment"]["text"] for one in told if one["action"] == "COMMENTED"]
        return [hiding.reveal(text) for text in reversed(said)]

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        found = (await self.ask(lambda there: there.get_associated_build_statuses(sha)))["values"]
        return {one["name"]: (_CHECKS[one["state"]], one["description"]) for one in found}

    async def opened(self, head: str, base: str, title: str) -> int:
        refs = (f"refs/heads/{head}", f"refs/heads/{base}")
        made = await self.ask(lambda there: there.open_pull_request(*_HERE, *_HERE, *refs, title, ""))
        return int(made["id"])

    async def say(self, number: int, text: str) -> None:
        await self.ask(lambda there: there.add_pull_request_comment(*_HERE, number, text))

    async def merge(self, number: int, method: str) -> None:
        # The oracle's own function for it sends what only Bitbucket Cloud knows.
        version = (await self._read(number))["version"]
        at = f"rest/api/1.0/projects/OPS/repos/gitops/pull-requests/{number}/merge"
        await self.ask(lambda there: there.post(at, params={"version": version}))

    async def shut(self, number: int) -> None:
        version = (await self._read(number))["version"]
        await self.ask(lambda there: there.decline_pull_request(*_HERE, number, version))

    async def review(self, number: int, *, approve: bool) -> None:
        await self._vote(number, "APPROVED" if approve else "NEEDS_WORK")

    async def take_back(self, number: int) -> bool:
        await self._vote(number, "UNAPPROVED")
        return True

    async def _vote(self, number: int, word: str) -> None:
        await self.ask(lambda there: there.change_reviewed_status(*_HERE, number, word, self.fellow))


@contextlib.asynccontextmanager
async def opened(_: object) -> AsyncIterator[BitbucketServerStand]:
    """A fresh repository. Nothing may have been asked that is not in the contract."""
    async with bitbucket_server.BitbucketServer() as made, relay.before(made.url) as door:
        yield BitbucketServerStand(made, door)
        assert made.complaints == []

"""A repository on a real Gitea; the oracle asks its API by plain requests."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib import parse

from tests.conformance.forges import relay, stand
from undrift import interfaces
from undrift.forges import connecting
from undrift.testing import gitea_server


class GiteaStand:
    """See `stand.Stand`."""

    bot = "bot"
    fellow = "reviewer"
    methods = ("merge", "squash", "rebase")

    def __init__(self, server: gitea_server.GiteaServer, door: relay.Relay, repository: str) -> None:
        self.server = server
        self.relay = door
        self.repository = repository
        self.secrets = (server.person(self.bot).token,)
        environ = {"UNDRIFT_TOKEN": self.secrets[0], "UNDRIFT_USERNAME": self.bot}
        found = connecting.connect(f"{door.url}/{repository}.git", "gitea", "", environ)
        assert found is not None
        self.forge: interfaces.Forge = found
        self.count = 0

    async def call(self, method: str, path: str, body: Any = None, *, who: str = gitea_server.ADMIN) -> Any:
        at = f"repos/{self.repository}/{path}".rstrip("/")
        return await asyncio.to_thread(self.server.call, method, at, body, who=who)

    async def branch(self, name: str) -> str:
        return await self.push(name)

    async def push(self, name: str) -> str:
        self.count += 1
        return await asyncio.to_thread(
            self.server.commit, self.repository, name, f"file-{self.count}.yaml", f"count: {self.count}\n"
        )

    async def seen(self, number: int) -> stand.Seen:
        data = await self.call("GET", f"pulls/{number}")
        return stand.Seen(
            title=data["title"].removeprefix("WIP: "),
            body=data["body"],
            state="merged" if data["merged"] else data["state"],
            head=data["head"]["label"],
            base=data["base"]["ref"],
            draft=data["draft"],
            labels=tuple(sorted(one["name"] for one in data["labels"])),
            reviewers=tuple(one["login"] for one in data["requested_reviewers"] or ()),
        )

    async def comments(self, number: int) -> list[str]:
        return [one["body"] for one in await self.call("GET", f"issues/{number}/comments")]

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        data = await self.call("GET", f"commits/{sha}/status?limit=50")
        return {one["context"]: (one["status"], one["description"]) for one in data["statuses"] or ()}

    async def opened(self, head: str, base: str, title: str) -> int:
        asked = {"head": head, "base": base, "title": title}
        return int((await self.call("POST", "pulls", asked, who=self.fellow))["number"])

    async def say(self, number: int, text: str) -> None:
        await self.call("POST", f"issues/{number}/comments", {"body": text}, who=self.fellow)

    async def merge(self, number: int, method: str) -> None:
        await asyncio.to_thread(self.server.merge, self.repository, number, method, who=self.fellow)

    async def shut(self, number: int) -> None:
        await self.call("PATCH", f"pulls/{number}", {"state": "closed"}, who=self.fellow)

    async def review(self, number: int, *, approve: bool) -> None:
        word = "APPROVED" if approve else "REQUEST_CHANGES"
        await self.call("POST", f"pulls/{number}/reviews", {"event": word, "body": "so"}, who=self.fellow)

    async def take_back(self, number: int) -> bool:
        newest = (await self.call("GET", f"pulls/{number}/reviews"))[-1]["id"]
        await self.call("POST", f"pulls/{number}/reviews/{newest}/dismissals", {"message": "no longer"})
        return True

    async def rename_default(self, name: str) -> None:
        await self.call("PATCH", f"branches/{parse.quote('main')}", {"name": name})


@contextlib.asynccontextmanager
async def opened(server: gitea_server.GiteaServer) -> AsyncIterator[GiteaStand]:
    """A new repository with a bot and a fellow."""
    repository = f"ops/gitops-{secrets.token_hex(4)}"

    def prepare() -> None:
        server.repository(repository)
        server.allow(repository, GiteaStand.bot)
        server.allow(repository, GiteaStand.fellow)

    await asyncio.to_thread(prepare)
    async with relay.before(server.url) as door:
        yield GiteaStand(server, door, repository)

"""A stand on a server of `servers/`: people act on its world, an independent client reads what came of it.

    @contextlib.asynccontextmanager
    async def opened(server: None) -> AsyncIterator[world_stand.WorldStand]:
        async with github.GitHub() as made, relay.before(made.url) as door:
            yield GitHubStand(made, door)

A kind overrides `seen`, `comments` and `statuses` with its oracle, where there is one.
"""

from __future__ import annotations

from urllib import parse

from tests.conformance.forges import relay, stand
from tests.conformance.forges.servers import contract, world
from undrift import interfaces
from undrift.forges import connecting

_STATES = {world.OPEN: "open", world.MERGED: "merged", world.CLOSED: "closed"}


class WorldStand:
    """See `stand.Stand`."""

    bot = "undrift-bot"
    fellow = "ada"
    methods: tuple[str, ...] = ("merge", "squash", "rebase")
    sign_in_with_user = False

    def __init__(self, server: contract.Contract, door: relay.Relay) -> None:
        self.server = server
        self.world = server.world
        self.relay = door
        self.secrets = (server.world.bot.token,)
        environ = {"UNDRIFT_TOKEN": self.secrets[0]}
        if self.sign_in_with_user:
            environ["UNDRIFT_USERNAME"] = self.bot
        found = connecting.connect(self.passed(server.clone_url), server.kind, self.api(), environ)
        assert found is not None
        self.forge: interfaces.Forge = found

    def api(self) -> str:
        """The address of the API, through the relay; "" for the one that the kind tells by itself."""
        return ""

    def passed(self, url: str) -> str:
        """An address of the server, through the relay."""
        return parse.urlsplit(url)._replace(netloc=parse.urlsplit(self.relay.url).netloc).geturl()

    async def branch(self, name: str) -> str:
        return self.world.push(name)

    async def push(self, name: str) -> str:
        return self.world.push(name)

    async def seen(self, number: int) -> stand.Seen:
        change = self.world.changes[number]
        return stand.Seen(
            title=change.title,
            body=change.body,
            state=_STATES[change.state],
            head=change.head,
            base=change.base,
            draft=change.draft,
            labels=tuple(sorted(change.labels)),
            reviewers=tuple(change.votes),
        )

    async def comments(self, number: int) -> list[str]:
        remarks = self.world.changes[number].remarks
        return [one.text for one in remarks if not one.system and not one.deleted]

    async def statuses(self, sha: str) -> dict[str, tuple[str, str]]:
        raise NotImplementedError

    async def opened(self, head: str, base: str, title: str) -> int:
        return self.world.open(head, base, title, "", self.fellow).number

    async def say(self, number: int, text: str) -> None:
        self.world.comment(number, text, self.fellow)

    async def merge(self, number: int, method: str) -> None:
        self.world.merge(number, self.fellow)

    async def shut(self, number: int) -> None:
        self.world.close(number, self.fellow)

    async def review(self, number: int, *, approve: bool) -> None:
        self.world.vote(number, self.fellow, world.APPROVED if approve else world.CHANGES)

    async def take_back(self, number: int) -> bool:
        self.world.vote(number, self.fellow, "")
        return True

    async def rename_default(self, name: str) -> None:
        self.world.rename_default(name)

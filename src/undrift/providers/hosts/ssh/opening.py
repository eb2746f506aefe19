"""Hosts over SSH that are open: one connection each, shared by all sessions, closed when the last one goes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from undrift import interfaces
from undrift.model import resource
from undrift.providers.hosts import login, managing, systemd
from undrift.providers.hosts.ssh import connecting, keeping, transport, watching

_UNITS: Final = "/etc/systemd/system"


@dataclasses.dataclass(slots=True)
class _Line:
    """A connection, how many use it, and the marks that were read over it, by root and state folder."""

    connection: connecting.Connection
    shelves: dict[tuple[str, str], keeping.FarShelf] = dataclasses.field(default_factory=dict)
    users: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Far:
    """A host for one session: how it is reached, its marks, and how to hang up."""

    host: transport.SshTransport
    marked: keeping.FarShelf
    hang_up: Callable[[], Awaitable[None]]

    async def managers(self, root: str) -> Mapping[str, managing.Manager]:
        """Who runs services there: systemd, where we are root; its units lie outside of any root but `/`."""
        greeting = await self.host.greeting()
        if root == "/" and greeting.who.is_root and greeting.facts.get("systemd") == "yes":
            return {"systemd": systemd.Systemd(self.host, _UNITS)}
        return {}

    def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """Hints that something may have changed, for ever."""
        return watching.watch(self.host, self.marked)


class Switchboard:
    """All hosts that a provider talks to over SSH."""

    def __init__(self) -> None:
        self._lines: dict[login.Remote, _Line] = {}

    async def connect(
        self, remote: login.Remote, root: str, state: str, secrets: interfaces.SecretResolver
    ) -> Far:
        """Get in, and make the state folder. Raises `TargetError`s."""
        line = self._lines.get(remote)
        if line is None:
            line = self._lines[remote] = _Line(connecting.Connection(remote, secrets))
        line.users += 1
        try:
            keeper = keeping.Keeper(line.connection, root, state)
            await keeper.prepare()
        except BaseException:
            await self._leave(remote, line)
            raise
        loop = asyncio.get_running_loop()
        marked = line.shelves.setdefault((root, state), keeping.FarShelf(keeper, loop))
        left = False

        async def hang_up() -> None:
            nonlocal left
            if not left:
                left = True
                await self._leave(remote, line)

        return Far(transport.SshTransport(line.connection, root), marked, hang_up)

    async def _leave(self, remote: login.Remote, line: _Line) -> None:
        line.users -= 1
        if not line.users and self._lines.get(remote) is line:
            del self._lines[remote]
            await line.connection.close()

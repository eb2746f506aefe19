"""Open connections to targets: a few a target, each used by one reconcile at a time, made when needed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator, Collection

from undrift import errors, interfaces
from undrift.model import target

_CONNECT = 30.0


class Place:
    """A target that is served: its provider, its idle sessions and the locks of its conflict scopes."""

    def __init__(
        self, declared: target.Target, provider: interfaces.Provider, secrets: interfaces.SecretResolver
    ) -> None:
        self.declared = declared
        self.provider = provider
        self._secrets = secrets
        self._idle: dict[str, list[interfaces.Session]] = defaultdict(list)
        self._scopes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextlib.asynccontextmanager
    async def session(self, account: str = "") -> AsyncIterator[interfaces.Session]:
        """A session for the time of a block, which acts as `account`; one that failed is not used again."""
        idle = self._idle[account]
        session = idle.pop() if idle else await self.connect(account)
        try:
            yield session
        except BaseException:
            await session.close()
            raise
        idle.append(session)

    async def connect(self, account: str = "") -> interfaces.Session:
        """A new session. Raises `TargetUnavailable`, and what `acting` raises."""
        place = acting(self.declared, account, self.provider)
        try:
            async with asyncio.timeout(_CONNECT):
                return await self.provider.connect(place, self._secrets)
        except TimeoutError as late:
            raise errors.TargetUnavailable(
                f"{self.declared.name} does not answer in {_CONNECT:g} s"
            ) from late

    async def drop(self) -> None:
        """Close what is idle: the target may be another one behind the same address."""
        for idle in self._idle.values():
            while idle:
                await idle.pop().close()

    @contextlib.asynccontextmanager
    async def scopes(self, names: Collection[str]) -> AsyncIterator[None]:
        """Hold the locks of conflict scopes, always taken in the same order."""
        async with contextlib.AsyncExitStack() as stack:
            for name in sorted(names):
                await stack.enter_async_context(self._scopes[name])
            yield


def acting(place: target.Target, account: str, provider: interfaces.Provider) -> target.Target:
    """A target that is acted on as `account`. Raises `ConfigInvalid` where the layer knows no such thing."""
    if not account:
        return place
    if not provider.capabilities(place).accounts:
        raise errors.ConfigInvalid(
            f"nobody can act as {account} on {place.name}",
            origin=place.origin,
            why=f"{place.provider} knows no other account than that of its credentials",
            hint="remove spec.account of the application",
        )
    return dataclasses.replace(place, account=account)

"""Open connections to targets: a few a target, each used by one reconcile at a time, made when needed."""

from __future__ import annotations

import asyncio
import contextlib
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
        self._idle: list[interfaces.Session] = []
        self._scopes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[interfaces.Session]:
        """A session for the time of a block; one that failed is not used again."""
        session = self._idle.pop() if self._idle else await self.connect()
        try:
            yield session
        except BaseException:
            await session.close()
            raise
        self._idle.append(session)

    async def connect(self) -> interfaces.Session:
        """A new session. Raises `TargetUnavailable`."""
        try:
            async with asyncio.timeout(_CONNECT):
                return await self.provider.connect(self.declared, self._secrets)
        except TimeoutError as late:
            raise errors.TargetUnavailable(
                f"{self.declared.name} does not answer in {_CONNECT:g} s"
            ) from late

    async def drop(self) -> None:
        """Close what is idle: the target may be another one behind the same address."""
        while self._idle:
            await self._idle.pop().close()

    @contextlib.asynccontextmanager
    async def scopes(self, names: Collection[str]) -> AsyncIterator[None]:
        """Hold the locks of conflict scopes, always taken in the same order."""
        async with contextlib.AsyncExitStack() as stack:
            for name in sorted(names):
                await stack.enter_async_context(self._scopes[name])
            yield

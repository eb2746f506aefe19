"""One poll a source, however many applications use it: a loop asks, everybody else reads what it found."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from undrift import errors, interfaces
from undrift.engine import applying
from undrift.lib import backoff
from undrift.model import source

_Changed = Callable[["Poll"], Awaitable[None]]


class Poll:
    """Implements `interfaces.Source` over another one: `resolve` answers from the last poll."""

    def __init__(self, declared: source.Source, inner: interfaces.Source) -> None:
        self.declared = declared
        self.inner = inner
        self.revision: source.Revision | None = None
        self.error: errors.UndriftError | None = None
        self.failures = 0
        self._expected = asyncio.Event()
        self._asked = asyncio.Lock()
        self._told = asyncio.Event()
        self._told.set()

    async def resolve(self) -> source.Revision:
        """The revision found by the last poll, or a poll where there was none. Raises what it raised.

        A new revision is given out once it has been told: what it declares is then known of all applications.
        """
        await self._told.wait()
        if self._unknown():
            async with self._asked:
                if self._unknown():
                    await self._ask()
        if self.error is not None:
            raise copy.copy(self.error)
        if self.revision is None:
            raise errors.SourceUnavailable(f"{self.declared.name} was not asked yet")
        return self.revision

    def _unknown(self) -> bool:
        return self.revision is None and self.error is None

    async def ask(self) -> bool:
        """Ask the source now; True when the answer is not the one from before."""
        async with self._asked:
            return await self._ask()

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(self.declared.timeout * 2):
                found = await self.inner.resolve()
        except TimeoutError:
            return self._failed(errors.SourceUnavailable(f"{self.declared.name} does not answer in time"))
        except errors.UndriftError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - a defect here must not end the agent
            return self._failed(applying.defect(error))
        changed = self.error is not None or self.revision is None or self.revision.digest != found.digest
        self.revision, self.error, self.failures = found, None, 0
        return self._note(changed)

    def _failed(self, error: errors.UndriftError) -> bool:
        changed = self.error is None or self.error.code != error.code
        self.error, self.failures = error, self.failures + 1
        return self._note(changed)

    def _note(self, changed: bool) -> bool:  # noqa: FBT001 - handed through
        """Whoever asked: `run` is the one that tells."""
        if changed:
            self._told.clear()
        return changed

    def expect(self) -> None:
        """Something may be new: poll now instead of waiting."""
        ask = getattr(self.inner, "expect", None)
        if ask is not None:
            ask()
        self._expected.set()

    async def run(self, changed: _Changed) -> None:
        """Poll for ever: at the interval, sooner when expected, with back-off while the source fails."""
        while True:
            await self.ask()
            if not self._told.is_set():
                await self._tell(changed)
            self._expected.clear()
            pause = self.declared.interval * (0.9 + random.random() / 5)  # noqa: S311 - spreads load
            if self.failures:
                slower = backoff.Backoff(min(5.0, pause), max(pause, 300.0))
                pause = slower.delay(self.failures, random.random())  # noqa: S311 - spreads load
            try:
                async with asyncio.timeout(pause):
                    await self._expected.wait()
            except TimeoutError:
                continue

    async def _tell(self, changed: _Changed) -> None:
        try:
            await changed(self)
        finally:
            self._told.set()

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """See `interfaces.Source`."""
        return await self.inner.digests(revision, paths)

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """See `interfaces.Source`."""
        return await self.inner.fetch(revision, path)

    async def close(self) -> None:
        """See `interfaces.Source`."""
        await self.inner.close()

"""Blobs that are missing, fetched together.

Many applications that look at a new commit at once each miss a few blobs. What is asked for while one fetch is
under way goes into the next one as a whole, so their number follows time, not applications.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
from collections.abc import Awaitable, Callable

from undrift import errors


@dataclasses.dataclass(slots=True, eq=False)
class _Request:
    ids: frozenset[str]
    done: asyncio.Future[None]


class Prefetcher:
    """Gathers requests; `fetch` gets the ids of one round and returns when they are in the store."""

    def __init__(self, fetch: Callable[[frozenset[str]], Awaitable[None]]) -> None:
        self._fetch = fetch
        self._waiting: list[_Request] = []
        self._worker: asyncio.Task[None] | None = None

    async def want(self, ids: frozenset[str]) -> None:
        """Return when all of `ids` were fetched. Raises what fetching them raises."""
        request = _Request(ids, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.ensure_future(self._work())
        await request.done

    async def _work(self) -> None:
        while self._waiting:
            round_, self._waiting = self._waiting, []
            wanted = [request for request in round_ if not request.done.done()]
            if not await self._together(wanted):
                for request in wanted:
                    await self._alone(request)

    async def _together(self, requests: list[_Request]) -> bool:
        """Whether one fetch for all of them was enough; else one of them spoils it for the others."""
        if len(requests) < 2:  # noqa: PLR2004 - nobody to share with
            return False
        try:
            await self._fetch(frozenset().union(*(request.ids for request in requests)))
        except errors.UndriftError:
            return False
        for request in requests:
            _settle(request, None)
        return True

    async def _alone(self, request: _Request) -> None:
        try:
            await self._fetch(request.ids)
        except asyncio.CancelledError:
            request.done.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - handed to the one who asked
            _settle(request, error)
        else:
            _settle(request, None)

    async def close(self) -> None:
        """Stop; who still waits is cancelled."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for request in self._waiting:
            request.done.cancel()


def _settle(request: _Request, error: Exception | None) -> None:
    if request.done.done():
        return
    if error is None:
        request.done.set_result(None)
    else:
        request.done.set_exception(copy.copy(error))

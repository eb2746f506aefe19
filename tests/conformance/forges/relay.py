"""A relay between an adapter and its forge: remembers what was asked, and has bad days when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HOP = {"host", "content-length", "transfer-encoding", "connection", "content-encoding"}


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request that came: its headers hold the token, its address must not."""

    method: str
    address: str
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass
class Trouble:
    """What happens to the next `times` requests of that method with that text in the path.

    `status` is answered in the forge's place; 0 cuts the connection. `late`: the forge does its work first, so that
    only the answer is lost. `wait` says nothing for so many seconds.
    """

    method: str = ""
    path: str = ""
    status: int = 503
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: str = ""
    times: int = 1
    late: bool = False
    wait: float = 0.0

    def meets(self, request: web.Request) -> bool:
        return self.times > 0 and self.method in {"", request.method} and self.path in request.path_qs


class Relay:
    """Listens on loopback and passes everything on to `target`."""

    def __init__(self, target: str) -> None:
        self.target = target.rstrip("/")
        self.url = ""
        self.asked: list[Asked] = []
        self.troubles: list[Trouble] = []

    def trouble(self, **what: object) -> Trouble:
        """The next bad luck."""
        self.troubles.append(Trouble(**what))  # type: ignore[arg-type]  # a test's own words
        return self.troubles[-1]

    @property
    def writes(self) -> list[Asked]:
        """What was asked to be changed."""
        return [one for one in self.asked if one.method in WRITES]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.method, request.path_qs, dict(request.headers), body))
        trouble = next((one for one in self.troubles if one.meets(request)), None)
        if trouble is not None:
            trouble.times -= 1
            if trouble.late:
                await self._forward(request, body)
            await asyncio.sleep(trouble.wait)
            if trouble.status:
                return web.Response(status=trouble.status, headers=dict(trouble.headers), text=trouble.body)
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return await self._forward(request, body)

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: text for name, text in request.headers.items() if name.lower() not in _HOP}
        async with (
            aiohttp.ClientSession(auto_decompress=True) as session,
            session.request(
                request.method,
                f"{self.target}{request.raw_path}",
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as answer,
        ):
            content = await answer.read()
            kept = {name: text for name, text in answer.headers.items() if name.lower() not in _HOP}
            return web.Response(status=answer.status, headers=kept, body=content)


@contextlib.asynccontextmanager
async def serve(app: web.Application) -> AsyncIterator[str]:
    """The address of an application that listens on a free port of loopback."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def before(target: str) -> AsyncIterator[Relay]:
    """A relay before a forge."""
    made = Relay(target)
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{tail:.*}", made.handle)
    async with serve(app) as url:
        made.url = url
        yield made

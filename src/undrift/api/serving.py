"""The Unix socket: only our own user may open it, and the kernel tells who does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import socket
import struct
from collections.abc import Iterator

import uvicorn
from starlette import applications
from uvicorn.protocols.http import h11_impl

from undrift import errors

_GRACE = 2


class _Protocol(h11_impl.H11Protocol):
    """HTTP that knows who connected."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # same at run time
        """Ask the kernel for the peer's user id (SO_PEERCRED, unix(7))."""
        super().connection_made(transport)
        door = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            raw = door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            self.app_state = {**self.app_state, "uid": struct.unpack("3i", raw)[1]}


class _Server(uvicorn.Server):
    """Signals are the agent's, and so is the word when to end."""

    async def main_loop(self) -> None:
        """Until cancelled. uvicorn's own looks ten times a second whether it should end: a third of what idling costs."""
        await self.on_tick(0)
        await asyncio.Event().wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


async def serve(app: applications.Starlette, path: pathlib.Path) -> None:
    """Answer until cancelled. Raises `ConfigInvalid` when the socket cannot be made."""
    door = _listen(path)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        date_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    server = _Server(config)
    try:
        await server.serve(sockets=[door])
    except asyncio.CancelledError:
        server.should_exit = True
        raise
    finally:
        door.close()
        with contextlib.suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - at once: nothing waits for a socket's name


def _listen(path: pathlib.Path) -> socket.socket:
    """A listening socket; one that a dead agent left behind is replaced (the state lock says it is dead)."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            door.bind(str(path))
        finally:
            os.umask(before)
    except OSError as error:
        door.close()
        raise errors.ConfigInvalid(
            f"the socket {path} cannot be made", why=error.strerror or "", hint="choose another with --socket"
        ) from error
    door.listen(128)
    door.setblocking(False)
    return door

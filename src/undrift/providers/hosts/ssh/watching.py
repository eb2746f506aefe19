"""Hints that something changed on a host: told at once by `inotifywait` where there is one, else found by looking now and then.

A look is one command, whatever the number of files; their digests are computed on the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import random
from collections.abc import AsyncIterator, Mapping
from typing import Final

import asyncssh

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, shaping, transport
from undrift.providers.hosts.ssh import keeping, speech
from undrift.providers.hosts.ssh import transport as ssh_transport

_INTERVAL: Final = 60.0
_JITTER: Final = 0.2
_QUIET: Final = 0.05
"""Seconds without another change after which a hint is given."""
_LATEST: Final = 0.2
"""Seconds after which it is given all the same."""
_PATIENCE: Final = 30.0
_PROGRAM_NAME: Final = "inotifywait"
_READY: Final = b"Watches established"
_PROGRAM: Final = r"""
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
set --
while IFS= read -r f && [ "$f" != end ]; do
    while [ -n "$f" ] && [ ! -d "$f" ]; do f=${f%/*}; done
    set -- "$@" "${f:-/}"
done
[ "$f" = end ] || exit 97
{
    inotifywait -m --format '%w|%f' -e close_write -e attrib -e create -e delete -e move -e delete_self \
        -e move_self -- "$@" </dev/null &
    pid=$!
    trap 'kill $pid' TERM
    wait $pid
    kill $$ 2>/dev/null
} &
cat >/dev/null
kill $!
"""
"""Told folders, one a line: what changes in them, or in the nearest that there are. Ends when nobody listens any more."""

Hint = frozenset[resource.ResourceId]
_Looks = Mapping[resource.ResourceId, transport.Seen | None]


async def watch(host: ssh_transport.SshTransport, marked: keeping.FarShelf) -> AsyncIterator[Hint]:
    """Hints, for ever. Raises `TargetError`s where the host is away."""
    tells = _PROGRAM_NAME in (await host.greeting()).has
    before: _Looks = {}
    while True:
        await marked.look()
        ids = frozenset(rid for rid in marked.every() if kinds.path_of(rid))
        told = _Told(host, marked, ids) if tells else None
        try:
            listens = told is not None and await told.begin()
            # What changed while nobody watched.
            now = await _look(host, ids)
            moved = frozenset(rid for rid in ids if rid in before and before[rid] != now[rid])
            before = now
            if moved:
                yield moved
            if told is not None and listens:
                async for hint in told:
                    yield hint
            else:
                await _rest()
        finally:
            if told is not None:
                await told.end()


async def _rest() -> None:
    await asyncio.sleep(_INTERVAL * (1 - _JITTER + 2 * _JITTER * random.random()))  # noqa: S311 - spreads looks


async def _look(host: transport.Transport, ids: Hint) -> _Looks:
    needs: dict[str, transport.Need] = {}
    for rid in ids:
        path = kinds.path_of(rid)
        needs[path] = needs.get(path, transport.Need.NOTHING) | shaping.need(rid)
    seen = await host.look(needs)
    return {rid: seen.get(kinds.path_of(rid)) for rid in ids}


class _Told:
    """An `inotifywait` on the folders of resources, and on those of marks. Iterates over hints until marks moved."""

    def __init__(self, host: ssh_transport.SshTransport, marked: keeping.FarShelf, ids: Hint) -> None:
        self._host = host
        self._marked = marked
        self._all = marked.every()
        self._at: dict[str, set[resource.ResourceId]] = {}
        for rid in ids:
            self._at.setdefault(host.real(kinds.path_of(rid)), set()).add(rid)
        self._process: asyncssh.SSHClientProcess[bytes] | None = None

    async def begin(self) -> bool:
        """Watch everything when it returns; False where the host gives no more watches. Raises `TargetError`s."""
        folders = {posixpath.dirname(path) for path in self._at} | {
            self._marked.state,
            *self._marked.agents(),
        }
        lines = [speech.raw(folder) for folder in sorted(folders) if speech.is_plain(folder)]
        self._process = await self._host.listen(_PROGRAM, lines)
        heard = b""
        with contextlib.suppress(asyncssh.Error, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while _READY not in heard and (chunk := await self._process.stderr.read(1024)):
                    heard += chunk
        return _READY in heard

    async def __aiter__(self) -> AsyncIterator[Hint]:
        """Hints; ends when other resources bear marks. Raises `TargetUnavailable` when the host hangs up."""
        while True:
            places = await self._next()
            found = frozenset(
                rid
                for place in places
                for path, ids in self._at.items()
                if path == place or path.startswith(f"{place}/")
                for rid in ids
            )
            if found:
                yield found
            if any(place.startswith(f"{self._marked.state}/") for place in places):
                await self._marked.look()
            if self._marked.every() != self._all:
                return

    async def _next(self) -> set[str]:
        """Paths that changed: all that change within a moment."""
        places = {await self._line()}
        end = asyncio.get_running_loop().time() + _LATEST
        with contextlib.suppress(TimeoutError):
            while asyncio.get_running_loop().time() < end:
                async with asyncio.timeout(_QUIET):
                    places.add(await self._line())
        return places

    async def _line(self) -> str:
        line = b""
        with contextlib.suppress(asyncssh.Error):
            if self._process is not None:
                line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise errors.TargetUnavailable("the host tells of changes no more", hint="it is tried again")
        folder, _, name = speech.text(line[:-1]).partition("|")
        return posixpath.join(folder, name).rstrip("/")

    async def end(self) -> None:
        """Listen no more."""
        if self._process is not None:
            self._process.close()

"""Hints that something changed on the machine: inotify on the folders of everything that bears a mark.

When marks change, the set of folders does too. Folders that are new get watches beside those that run already, so
that there is no moment without; when there are many watches, one takes the place of all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final

import watchfiles

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import kinds, scenery, shelf

_QUIET: Final = 50
"""Milliseconds without another change after which a hint is given."""
_LATEST: Final = 200
"""Milliseconds after which it is given all the same."""
_WATCHES: Final = 6
"""More of them at once are replaced by one."""
_SHARE: Final = 10
"""Beginning to watch takes no more than one part of so many of the time."""
_COARSE: Final = 20_000_000
"""Nanoseconds by which the times of files may be behind the clock."""


async def watch(
    marked: shelf.Shelf, real: Callable[[str], str], extra: Mapping[str, str]
) -> AsyncIterator[scenery.Hint]:
    """Hints, for ever. `extra` are folders of service managers: folder → kind of the resources in it.

    Raises `TargetUnavailable` where the system gives no more watches.
    """
    scene = scenery.Scenery(real)
    watches = _Watches()
    known: frozenset[resource.ResourceId] = frozenset()
    stale: frozenset[resource.ResourceId] = frozenset()
    began = time.time_ns() - _COARSE
    try:
        while True:
            await watches.rest()
            present, own = await asyncio.to_thread(_refreshed, marked)
            moved = (present - known) | (stale & present)
            await asyncio.to_thread(_arrange, scene, moved, known - present)
            await watches.cover(scene.folders | own | extra.keys())
            since, began, known = began, time.time_ns() - _COARSE, present
            hint = await asyncio.to_thread(_young, moved, real, since)
            while True:
                if hint:
                    yield hint
                changed = await watches.next()
                hint = scene.hint(changed) | _of_services(changed, extra)
                folders, stale = scene.moved(changed)
                watches.forget(folders)
                if stale or any(_concerns(path, own) for path in changed):
                    break
            if hint:
                yield hint
    finally:
        await watches.close()


class _Watches:
    """Watches that together cover a set of folders, one reader for all of them."""

    def __init__(self) -> None:
        self._covered: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._found: asyncio.Queue[frozenset[str] | errors.UndriftError] = asyncio.Queue()
        self._rest = 0.0

    async def rest(self) -> None:
        """Wait until folders may be covered again: with thousands that is felt."""
        await asyncio.sleep(self._rest - time.monotonic())

    async def cover(self, folders: frozenset[str]) -> None:
        """Watch all of these when it returns; those that are gone are left out."""
        if len(self._tasks) < _WATCHES:
            new = folders - self._covered
            if new:
                await self._begin(new)
            return
        before, self._tasks = self._tasks, []
        self._covered.clear()
        await self._begin(folders)
        # What the old ones have seen and not told yet is told first.
        await asyncio.sleep(_LATEST / 1000)
        await _end(before)

    async def _begin(self, folders: frozenset[str]) -> None:
        there = await asyncio.to_thread(_existing, folders)
        if there:
            self._covered |= set(there)
            self._tasks.append(asyncio.create_task(self._listen(there)))
            began = time.monotonic()
            # The watch begins before the task waits for the first time.
            await asyncio.sleep(0)
            self._rest = time.monotonic() + (time.monotonic() - began) * _SHARE

    async def _listen(self, folders: list[str]) -> None:
        stop = asyncio.Event()
        try:
            async for changed in watchfiles.awatch(
                *folders,
                watch_filter=None,
                debounce=_LATEST,
                step=_QUIET,
                stop_event=stop,
                recursive=False,
                ignore_permission_denied=True,
            ):
                self._found.put_nowait(frozenset(path for _, path in changed))
        except FileNotFoundError:
            # A folder went while the watch began: its own parent is watched too, and tells. All are looked at again.
            self._covered -= set(folders)
            self._found.put_nowait(frozenset(folders))
        except (OSError, RuntimeError) as error:
            self._found.put_nowait(_unwatchable(error))
        finally:
            stop.set()

    async def next(self) -> frozenset[str]:
        """Paths that changed, all that are known by now. Raises `TargetUnavailable`."""
        found = [await self._found.get()]
        while not self._found.empty():
            found.append(self._found.get_nowait())
        changed: set[str] = set()
        for one in found:
            if isinstance(one, errors.UndriftError):
                raise one
            changed |= one
        return frozenset(changed)

    def forget(self, folders: Iterable[str]) -> None:
        """These may be other folders of the same name now."""
        self._covered -= set(folders)

    async def close(self) -> None:
        """End all watches."""
        await _end(self._tasks)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _unwatchable(error: Exception) -> errors.TargetUnavailable:
    return errors.TargetUnavailable(
        "the target's folders cannot be watched",
        why=str(error),
        hint="raise fs.inotify.max_user_watches; drift is still found by looking at intervals",
    )


def _existing(folders: Iterable[str]) -> list[str]:
    return sorted(folder for folder in folders if os.path.isdir(folder))  # noqa: PTH112 - many, and text is enough


def _refreshed(marked: shelf.Shelf) -> tuple[frozenset[resource.ResourceId], frozenset[str]]:
    """What bears marks now, and the folders that tell when that changes."""
    marked.refresh()
    return marked.every(), marked.agents() | {marked.state}


def _arrange(
    scene: scenery.Scenery, moved: Iterable[resource.ResourceId], gone: Iterable[resource.ResourceId]
) -> None:
    for rid in gone:
        scene.remove(rid)
    scene.place(moved)


def _young(ids: Iterable[resource.ResourceId], real: Callable[[str], str], since: int) -> scenery.Hint:
    """Of what is watched from now on: what changed, came or went before the watch began and after `since` (ns)."""
    return frozenset(rid for rid in ids if (path := kinds.path_of(rid)) and _is_young(real(path), since))


def _is_young(path: str, since: int) -> bool:
    times = []
    for place in (path, posixpath.dirname(path)):
        with contextlib.suppress(OSError):
            times.append(os.lstat(place).st_ctime_ns)
    return not times or max(times) >= since


def _of_services(changed: Iterable[str], extra: Mapping[str, str]) -> scenery.Hint:
    found: set[resource.ResourceId] = set()
    for path in changed:
        folder, name = posixpath.split(path)
        if folder in extra and not name.startswith("."):
            found.add(resource.ResourceId.of(extra[folder], name.rpartition(".")[0] or name))
    return frozenset(found)


def _concerns(path: str, own: frozenset[str]) -> bool:
    return posixpath.dirname(path) in own and not posixpath.basename(path).startswith(".")

"""Hints that something changed on the machine: inotify on the folders of everything that bears a mark.

Folders are watched one by one and not by the tree: what is ours may be a few files in `/etc`. When marks change,
the set of folders does too.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import posixpath
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from typing import Final

import watchfiles

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import failing, kinds, marks

_QUIET: Final = 50
"""Milliseconds without another change after which a hint is given."""
_LATEST: Final = 200
"""Milliseconds after which it is given all the same."""
_EVERYTHING: Final[frozenset[resource.ResourceId]] = frozenset()

Hint = frozenset[resource.ResourceId]


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """Real folders to watch, and which resources a path in them stands for."""

    folders: frozenset[str]
    at: Mapping[str, Hint]
    """By the very path."""
    below: Mapping[str, Hint]
    """By a folder whose own parents are missing, or that is one itself: all that lies below."""

    def hint(self, changed: Iterable[str]) -> Hint:
        """The resources that changes at these paths may have to do with."""
        found: set[resource.ResourceId] = set()
        for path in changed:
            found |= self.at.get(path, _EVERYTHING)
            found |= self.below.get(posixpath.dirname(path), _EVERYTHING)
            found |= self.below.get(path, _EVERYTHING)
        return frozenset(found)


def arrange(ids: Iterable[resource.ResourceId], real: Callable[[str], str]) -> Scene:
    """What to watch for these resources. Blocking: it looks which folders there are."""
    at: dict[str, set[resource.ResourceId]] = defaultdict(set)
    below: dict[str, set[resource.ResourceId]] = defaultdict(set)
    folders: set[str] = set()
    for rid in ids:
        path = kinds.path_of(rid)
        if not path:
            continue
        above = real(posixpath.dirname(path))
        found = _existing(above)
        folder = os.path.realpath(found)
        folders.add(folder)
        if found != above:
            below[folder].add(rid)
        else:
            at[posixpath.join(folder, posixpath.basename(path))].add(rid)
            # The folder itself may be moved away: its own parent tells.
            upper = posixpath.dirname(folder)
            folders.add(upper)
            at[folder].add(rid)
    return Scene(
        frozenset(folders),
        {path: frozenset(each) for path, each in at.items()},
        {path: frozenset(each) for path, each in below.items()},
    )


def _existing(folder: str) -> str:
    while not os.path.isdir(folder) and folder != "/":  # noqa: PTH112 - many of them, and text is enough
        folder = posixpath.dirname(folder)
    return folder


async def watch(state: str, real: Callable[[str], str], extra: Mapping[str, str]) -> AsyncIterator[Hint]:
    """Hints, for ever. `extra` are folders of service managers: folder → kind of the resources in it.

    Raises `TargetUnavailable` where the system gives no more watches.
    """
    while True:
        book = marks.Book(state)
        scene, own = await asyncio.to_thread(_look, book, state, real)
        known = frozenset(book.every())
        services = {folder for folder in extra if await asyncio.to_thread(os.path.isdir, folder)}
        async with contextlib.aclosing(_changes(scene.folders | own | services)) as found:
            async for changed in found:
                paths = {path for _, path in changed}
                hint = scene.hint(paths) | _of_services(paths, services, extra)
                if hint:
                    yield hint
                if any(_concerns(path, own) for path in paths):
                    await asyncio.to_thread(book.refresh)
                if frozenset(book.every()) != known or _moved(paths, scene):
                    break


def _look(book: marks.Book, state: str, real: Callable[[str], str]) -> tuple[Scene, frozenset[str]]:
    book.refresh()
    try:
        agents = [entry.path for entry in os.scandir(state) if entry.is_dir() and entry.name.startswith("@")]
    except OSError as error:
        raise failing.explain(error, state, "watching") from error
    return arrange(book.every(), real), frozenset({state, *agents})


async def _changes(folders: frozenset[str]) -> AsyncGenerator[set[tuple[watchfiles.Change, str]], None]:
    stop = asyncio.Event()
    try:
        async for changed in watchfiles.awatch(
            *sorted(folders),
            watch_filter=None,
            debounce=_LATEST,
            step=_QUIET,
            stop_event=stop,
            recursive=False,
            ignore_permission_denied=True,
        ):
            yield changed
    except (OSError, RuntimeError) as error:
        raise errors.TargetUnavailable(
            "the target's folders cannot be watched",
            why=str(error),
            hint="raise fs.inotify.max_user_watches; drift is still found by looking at intervals",
        ) from error
    finally:
        stop.set()


def _of_services(paths: set[str], services: set[str], extra: Mapping[str, str]) -> Hint:
    found: set[resource.ResourceId] = set()
    for path in paths:
        folder, name = posixpath.split(path)
        if folder in services and not name.startswith("."):
            found.add(resource.ResourceId.of(extra[folder], name.rpartition(".")[0] or name))
    return frozenset(found)


def _concerns(path: str, own: frozenset[str]) -> bool:
    return posixpath.dirname(path) in own and not posixpath.basename(path).startswith(".")


def _moved(paths: set[str], scene: Scene) -> bool:
    """Whether a watched folder itself came, went or was exchanged: then others have to be watched."""
    return any(path in scene.folders or posixpath.dirname(path) in scene.below for path in paths)

"""Walking from a root folder to another one, step by step, so that no symbolic link leads out.

Each step is opened by its own name in the folder before (openat), never by a whole path: what is exchanged for a
link meanwhile is refused as well. A link on the way is followed only when it stays inside the root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
from types import TracebackType
from typing import Final, Self

from undrift import errors

_PLACE: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC
_FOLDER: Final = _PLACE | os.O_DIRECTORY | os.O_NOFOLLOW
_MOST_LINKS: Final = 40


class Walk:
    """Open folders below `root`, kept open for the time of one batch. For one thread."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._open: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Open the root. Raises `TargetUnavailable`."""
        try:
            self._open[""] = os.open(self._root, _PLACE | os.O_DIRECTORY)
        except OSError as error:
            raise errors.TargetUnavailable(
                f"the target's root {self._root} cannot be opened",
                why=error.strerror or "",
                hint="make the folder (or mount it), or correct settings.root of the Target",
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def folder(self, path: str) -> int:
        """A descriptor of a folder; it stays ours. Raises `PathEscapes`, `OSError`."""
        clean = path.strip("/")
        known = self._open.get(clean)
        return known if known is not None else self._descend(clean)

    def forget(self, path: str) -> None:
        """Do not trust what was opened at and below a path: it was removed or exchanged."""
        clean = path.strip("/")
        for known in [name for name in self._open if name == clean or name.startswith(f"{clean}/")]:
            if known:
                os.close(self._open.pop(known))

    def _descend(self, path: str) -> int:
        links = 0
        done = ""
        left = path.split("/")
        while left:
            name = left.pop(0)
            step = f"{done}/{name}" if done else name
            if step not in self._open:
                onward = self._enter(done, name, step)
                if onward is not None:
                    links += 1
                    if links > _MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    left = [*(part for part in onward.split("/") if part), *left]
                    done = ""
                    continue
            done = step
        return self._open[done]

    def _enter(self, done: str, name: str, step: str) -> str | None:
        """Open one step; where it is a link instead, the path from the root that it stands for."""
        above = self._open[done]
        try:
            self._open[step] = os.open(name, _FOLDER, dir_fd=above)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            with contextlib.suppress(OSError):
                return self._inside(step, os.readlink(name, dir_fd=above))
            raise
        return None

    def _inside(self, step: str, points_to: str) -> str:
        """Where a link at `step` leads, from the root. Raises `PathEscapes`."""
        if not points_to.startswith("/"):
            found = posixpath.normpath(posixpath.join(posixpath.dirname(step), points_to))
            if found != ".." and not found.startswith("../"):
                return "" if found == "." else found
        else:
            root = os.path.realpath(self._root).rstrip("/")
            found = posixpath.normpath(points_to)
            for own in {root, self._root.rstrip("/")}:
                if found == own or found.startswith(f"{own}/"):
                    return found[len(own) :].strip("/")
        raise errors.PathEscapes(
            f"/{step} leads out of the target's root",
            why=f"it is a link to {points_to}, and the root is {self._root}",
            hint="remove the link, or declare a path that does not go through it",
        )

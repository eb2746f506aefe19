"""Taking turns with other jobs of this machine: of those that push to one branch at once, all but one push in vain.

A courtesy and nothing more: who cannot have the lock, or not soon, goes on without it, and so do jobs of other machines
and users. What makes publishing right is that every push is compared with what was seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import pathlib
import random
import stat
import tempfile
from collections.abc import AsyncIterator
from typing import Final

_PATIENCE: Final = 30.0
"""Seconds that a turn is waited for: about as long as 32 jobs take."""
_LOOK: Final = 0.05
"""Seconds between two looks, at least; up to four times that, so that those who wait do not look together."""


class Turns:
    """The turns at one repository, by its URL; a lock in a folder of the caller's own, below that for temporary files."""

    def __init__(self, url: str, folder: pathlib.Path | None = None) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        self._path = (
            folder or pathlib.Path(tempfile.gettempdir(), f"undrift-{os.getuid()}")
        ) / f"{name}.lock"

    @contextlib.asynccontextmanager
    async def one(self, patience: float = _PATIENCE) -> AsyncIterator[bool]:
        """A turn, for as long as the block lasts; False where none is to be had in `patience` seconds. Never raises."""
        handle = _opened(self._path)
        if handle is None:
            yield False
            return
        try:
            yield await _locked(handle, patience)
        finally:
            os.close(handle)


async def _locked(handle: int, patience: float) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() >= until:
                return False
        except OSError:
            return False
        else:
            return True
        await asyncio.sleep(_LOOK * random.uniform(1, 4))  # noqa: S311 - spreads looks, hides nothing


def _opened(path: pathlib.Path) -> int | None:
    """The file, in a folder that is nobody else's; None where there can be none."""
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        found = path.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            return None
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None

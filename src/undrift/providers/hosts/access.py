"""The lock between processes that write marks, taken away from one who stands still with it.

The lock is an flock(2) on the file `lock` in the state folder. A process that was stopped, or that hangs in its
disk, would keep it for ever, longer than any lease. So whoever waits while the file says nothing new for `patience`
seconds goes on to the file of the next generation (`lock.1`, `lock.2` …) and removes the former: there is one
file of each generation, and the newest is the lock. The former holder sees by the lost name of its own file that
it has been overtaken. It must look (`confirm`) between preparing a file and renaming it, and what it prepared bears
the generation in its name (`suffix`): the successor removes that, so a rename after the look fails too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from undrift import errors
from undrift.providers.hosts import marks

PATIENCE: Final = 10.0
"""Seconds after which a holder that gave no sign of life is overtaken; less than a lease lasts."""
_LONGEST: Final = 0.5
"""Seconds for which threads may hand the lock between processes to one another."""
_PAUSE: Final = 0.05
_FIRST_PAUSE: Final = 0.001
TOKEN: Final = 8
"""How many bytes of the file are the token of `shelf.Shelf`; who holds the lock is written after them."""
_NAME: Final = "lock"
_WHOLE: Final = 4096


class Access:
    """The lock of one state folder, shared by threads of this process that write different files at a time.

    `taken` and `left` are called with its descriptor, when the first thread comes and when the last one goes.
    Methods raise `OSError`, and `TargetUnavailable` where this process was overtaken.
    """

    def __init__(
        self,
        folder: str,
        taken: Callable[[int], None],
        left: Callable[[int], None],
        patience: float = PATIENCE,
    ) -> None:
        self._folder = folder
        self._taken = taken
        self._left = left
        self._patience = patience
        self._changed = threading.Condition()
        self._busy: set[marks.Key] = set()
        self._descriptor = -1
        self._generation = 0
        self._known = 0
        self._since = 0.0
        self._beat = 0.0

    @property
    def suffix(self) -> str:
        """What the names of unfinished files end with, while we have the lock."""
        return _ending(self._generation)

    def token(self) -> bytes:
        """The first bytes of the lock file: nobody wrote marks while they stay the same."""
        for _ in range(2):
            with (
                contextlib.suppress(FileNotFoundError),
                open(self._path(self._known), "rb", buffering=0) as file,  # noqa: PTH123 - asked for at every look
            ):
                return file.read(TOKEN)
            self._known = self._newest()
        return b""

    @contextlib.contextmanager
    def to(self, keys: Iterable[marks.Key]) -> Iterator[None]:
        """Access to some files, for the time of a block."""
        wanted = frozenset(keys)
        with self._changed:
            self._changed.wait_for(lambda: self._may(wanted))
            if not self._busy:
                self._descriptor, self._since = self._take(), time.monotonic()
            self._busy |= wanted
        try:
            yield
        finally:
            with self._changed:
                self._busy -= wanted
                self._changed.notify_all()
                if not self._busy:
                    self._leave()

    def confirm(self) -> None:
        """Go on only while the lock is ours. Raises `TargetUnavailable`."""
        if os.fstat(self._descriptor).st_nlink == 0:
            raise errors.TargetUnavailable(
                f"writing marks in {self._folder} was given up",
                why=f"this process stood still with the lock for more than {self._patience:g} s; "
                f"{_holder(self._path(self._newest()))} took it over",
                hint="it is tried again; look for what stopped this process: a frozen disk, a paused machine",
            )
        if time.monotonic() - self._beat > self._patience / 10:
            self._sign()

    def _may(self, wanted: frozenset[marks.Key]) -> bool:
        """Nobody joins those who had the lock for long: other processes wait too."""
        young = not self._busy or time.monotonic() - self._since < _LONGEST
        return young and self._busy.isdisjoint(wanted)

    def _take(self) -> int:
        number = self._newest()
        while True:
            descriptor = os.open(self._path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                freed = self._wait(descriptor)
                newest = self._newest()
                if freed and newest == number and os.fstat(descriptor).st_nlink:
                    self._enter(descriptor, number)
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if newest > number:
                self._unlink(number)
            number = number + 1 if newest == number and not freed else newest

    def _wait(self, descriptor: int) -> bool:
        """Whether the lock came free; False when its holder stands still."""
        said, since, pause = b"", time.monotonic(), _FIRST_PAUSE
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            now = os.pread(descriptor, _WHOLE, 0)
            if now != said:
                said, since = now, time.monotonic()
            elif time.monotonic() - since > self._patience:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE)

    def _enter(self, descriptor: int, number: int) -> None:
        """The lock is ours: those before us have nothing to say any more, and we say who we are."""
        if number and os.fstat(descriptor).st_size == 0:
            for former in self._generations():
                if former < number:
                    self._unlink(former)
            self._clear(_ending(number))
        self._descriptor, self._generation, self._known = descriptor, number, number
        self._sign()
        self._taken(descriptor)

    def _unlink(self, former: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(former))  # noqa: PTH108 - text is enough

    def _clear(self, own: str) -> None:
        """Remove what an overtaken holder may have prepared: it must not be renamed any more."""
        for agent in os.scandir(self._folder):
            if agent.name.startswith("@"):
                for entry in os.scandir(agent.path):
                    if entry.name.startswith(".") and not entry.name.endswith(own):
                        with contextlib.suppress(FileNotFoundError):
                            os.unlink(entry.path)  # noqa: PTH108 - text is enough

    def _sign(self) -> None:
        text = f"pid {os.getpid()} on {socket.gethostname()} {secrets.token_hex(4)}\n".encode()
        os.pwrite(self._descriptor, text, TOKEN)
        os.ftruncate(self._descriptor, TOKEN + len(text))
        self._beat = time.monotonic()

    def _leave(self) -> None:
        try:
            self._left(self._descriptor)
        finally:
            os.close(self._descriptor)

    def _newest(self) -> int:
        return max(self._generations(), default=0)

    def _generations(self) -> list[int]:
        """Of which there are files, in no order."""
        names = [name for name in os.listdir(self._folder) if name.startswith(_NAME)]  # noqa: PTH208 - text is enough
        found = [0] if _NAME in names else []
        numbers = (name.removeprefix(f"{_NAME}.") for name in names)
        return [*found, *(int(number) for number in numbers if number.isascii() and number.isdigit())]

    def _path(self, number: int) -> str:
        return f"{self._folder}/{_NAME}.{number}" if number else f"{self._folder}/{_NAME}"


def _ending(number: int) -> str:
    return f".new{number or ''}"


def _holder(path: str) -> str:
    """Who wrote a lock file last, for people."""
    with contextlib.suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - text is enough
        words = file.read(_WHOLE)[TOKEN:].decode(errors="replace").split()
        if len(words) == 5:  # noqa: PLR2004 - as `_sign` writes it
            return " ".join(words[:4])
    return "another process"

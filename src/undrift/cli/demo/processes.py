"""The processes of the demo: found again by what they are, ended in an order in which none starts another anew."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence

_GRACE = 8.0
_PAUSE = 0.05
_TIMEOUT = 10.0
_PROC = pathlib.Path("/proc")


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """A process of this user: its arguments, and the folder it works in ("" where nobody tells)."""

    pid: int
    arguments: Sequence[str]
    folder: str


def _is_agent(one: Process, root: str) -> bool:
    return "agent" in one.arguments and f"{root}/state" in one.arguments


def _is_supervisor(one: Process, root: str) -> bool:
    """The one that the hosts provider starts for a target without systemd."""
    named = any(word.startswith(f"{root}/") and "/.undrift/" in word for word in one.arguments)
    return named and "supervisor.supervisord" in one.arguments


def _is_server(one: Process, root: str) -> bool:
    return "http.server" in one.arguments and one.folder.startswith(f"{root}/")


_IN_ORDER: tuple[Callable[[Process, str], bool], ...] = (_is_agent, _is_supervisor, _is_server)
"""An agent starts a supervisor that is gone, and that a server: so they end in this order."""


def ours(root: pathlib.Path) -> list[Process]:
    """What runs of the demo in `root`, whoever started it. Nothing else that merely works there is among it."""
    return [one for one in _all() if any(test(one, str(root)) for test in _IN_ORDER)]


def stop(root: pathlib.Path) -> None:
    """End everything of the demo in `root`: gently, then for good."""
    for test in _IN_ORDER:
        for number in (signal.SIGTERM, signal.SIGKILL):
            _end(functools.partial(_matching, test, str(root)), number)


def _matching(test: Callable[[Process, str], bool], root: str) -> list[int]:
    return [one.pid for one in _all() if test(one, root)]


def _end(find: Callable[[], list[int]], number: signal.Signals) -> None:
    left = find()
    for pid in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    end = time.monotonic() + _GRACE
    while left and time.monotonic() < end:
        _reap()
        time.sleep(_PAUSE)
        left = find()


def _reap() -> None:
    """Take leave of children that ended, so that they are not seen as running."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _all() -> Iterator[Process]:
    return _from_proc() if _PROC.joinpath("self").exists() else _from_ps()


def _from_proc() -> Iterator[Process]:
    for place in _PROC.iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if place.stat().st_uid == os.getuid():
                words = (place / "cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")
                yield Process(int(place.name), words[:-1], str(place.joinpath("cwd").readlink()))


def _from_ps() -> Iterator[Process]:
    """Where there is no /proc (macOS)."""
    command = ["ps", "-U", str(os.getuid()), "-o", "pid=,command="]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
    for line in done.stdout.splitlines():
        pid, *words = line.split()
        if pid.isdigit() and int(pid) != os.getpid():
            yield Process(int(pid), words, "")

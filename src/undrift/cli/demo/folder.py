"""The sandbox: one folder that holds everything, and the processes that run in it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import time

from undrift import errors

_MARKER = ".undrift-demo"
_GRACE = 5.0


class Sandbox:
    """Everything of the demo lies below `root`; processes are ours when their arguments name it."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.repository = root / "repository.git"
        self.checkout = root / "checkout"
        self.state = root / "state"
        self.socket = self.state / "agent.sock"
        self.log = root / "agent.log"

    def stage(self, name: str) -> pathlib.Path:
        """The root folder of a stage's target."""
        return self.root / name

    def clean(self) -> None:
        """End what an earlier demo left running, and remove its files. Raises `UsageInvalid` for a folder not ours."""
        if self.root.exists():
            if not (self.root / _MARKER).exists() and any(self.root.iterdir()):
                raise errors.UsageInvalid(
                    f"{self.root} is not the folder of a demo",
                    why="it holds other files",
                    hint="choose an empty one with --directory",
                )
            self.stop()
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True, mode=0o700)
        (self.root / _MARKER).touch()

    def processes(self) -> list[int]:
        """Processes of this user whose arguments name the sandbox, but not ourselves."""
        return [pid for pid in _pids() if pid not in (os.getpid(), os.getppid()) and self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        place = pathlib.Path(f"/proc/{pid}")
        try:
            if place.stat().st_uid != os.getuid():
                return False
            arguments = (place / "cmdline").read_bytes().split(b"\0")
            folder = place.joinpath("cwd").readlink()
        except OSError:
            return False
        prefix = os.fsencode(self.root)
        named = any(one == prefix or prefix + b"/" in one for one in arguments)
        is_server = any(
            b"undrift" in one or b"supervisor" in one or b"http.server" in one for one in arguments
        )
        return is_server and (named or folder.is_relative_to(self.root))

    def stop(self) -> None:
        """End every process of the sandbox, gently first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = self.processes()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            end = time.monotonic() + _GRACE
            while left and self.processes() and time.monotonic() < end:
                _reap()
                time.sleep(0.05)


def _reap() -> None:
    """Take leave of children that ended, so that they are not seen as running."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue


def _pids() -> list[int]:
    return [int(one.name) for one in pathlib.Path("/proc").iterdir() if one.name.isdigit()]

"""The sandbox: one folder that holds everything of the demo."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile

from undrift import errors
from undrift.cli.demo import processes

_MARKER = ".undrift-demo"
_LONGEST = 60
"""Bytes of a root below which sockets still get a name (they have at most 107)."""


class Sandbox:
    """The folders and files of a demo below `root`."""

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
        """End what an earlier demo left running, and remove its files.

        Raises `UsageInvalid` for a folder that is not a demo's, or whose name is too long.
        """
        if len(os.fsencode(self.root)) > _LONGEST:
            raise errors.UsageInvalid(
                f"{self.root} is too long a name for the sockets below it",
                why=f"it may have {_LONGEST} bytes",
                hint="choose a shorter one with --directory",
            )
        try:
            self._clean()
        except OSError as error:
            raise errors.UsageInvalid(
                f"{self.root} cannot be used",
                why=error.strerror or str(error),
                hint="choose another with --directory",
            ) from error

    def _clean(self) -> None:
        if self.root.exists():
            if not self.root.is_dir() or (any(self.root.iterdir()) and not (self.root / _MARKER).exists()):
                raise errors.UsageInvalid(
                    f"{self.root} is not the folder of a demo",
                    why="it holds something else",
                    hint="choose an empty one with --directory",
                )
            self.stop()
            shutil.rmtree(self.root)
        self.root.mkdir(parents=True, mode=0o700)
        (self.root / _MARKER).touch()

    def stop(self) -> None:
        """End every process of the sandbox."""
        processes.stop(self.root)


def default() -> pathlib.Path:
    """Where a demo plays unless it is told: beside the state of agents, or in the folder for temporary files."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = pathlib.Path(state) if state.startswith("/") else pathlib.Path("~/.local/state").expanduser()
    found = base / "undrift-demo"
    if len(os.fsencode(found)) > _LONGEST:
        return pathlib.Path(tempfile.gettempdir()) / f"undrift-demo-{os.getuid()}"
    return found

"""The folder that a run happens in: files of the application, credentials, and nothing that stays behind.

On a file system in memory where there is one, for our own user alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Final

from undrift.model import source

_MEMORY: Final = pathlib.Path("/dev/shm")  # noqa: S108 - a private folder is made in it
_PLUGIN: Final = "undrift_events"


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """What a run needs: `files` of the application; `private` ones (name → content) that only we may read."""

    files: Mapping[str, source.File] = dataclasses.field(repr=False)
    private: Mapping[str, str] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Workspace:
    """A folder while a run lasts. `project` holds the application's files."""

    root: pathlib.Path

    @property
    def project(self) -> pathlib.Path:
        """Where the application's files are, and where the run happens."""
        return self.root / "project"

    @property
    def events(self) -> pathlib.Path:
        """Where the run tells what it did."""
        return self.root / "events.jsonl"

    def private(self, name: str) -> str:
        """The path of a private file."""
        return str(self.root / "private" / name)

    def environment(self) -> dict[str, str]:
        """The whole environment of a run: nothing of the agent's own but what programs need to be found."""
        kept = {name: os.environ[name] for name in ("PATH", "SSH_AUTH_SOCK") if name in os.environ}
        return kept | {
            "HOME": str(self.root / "home"),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "UNDRIFT_EVENTS": str(self.events),
            "ANSIBLE_HOME": str(self.root / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.root / "home" / "tmp"),
            "ANSIBLE_CALLBACK_PLUGINS": str(self.root / "plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": _PLUGIN,
            "ANSIBLE_STDOUT_CALLBACK": "minimal",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
        }

    def told(self) -> list[dict[str, Any]]:
        """What the run wrote; a line that it was killed over is left out."""
        found: list[dict[str, Any]] = []
        with contextlib.suppress(FileNotFoundError):
            for line in self.events.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return found


@contextlib.contextmanager
def opened(contents: Contents) -> Iterator[Workspace]:
    """A folder with these contents, removed at the end. Raises `OSError`."""
    above = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    root = pathlib.Path(tempfile.mkdtemp(prefix=f"undrift-ansible-{os.getpid()}-", dir=above))
    try:
        _fill(root, contents)
        yield Workspace(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _fill(root: pathlib.Path, contents: Contents) -> None:
    for folder in ("project", "private", "plugins", "home/tmp"):
        (root / folder).mkdir(mode=0o700, parents=True)
    for name, file in contents.files.items():
        path = root / "project" / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if file.kind is source.FileKind.LINK:
            path.symlink_to(file.content.decode("utf-8", "surrogateescape"))
            continue
        mode = 0o700 if file.kind is source.FileKind.EXECUTABLE else 0o600
        _write(path, file.content, mode)
    for name, text in contents.private.items():
        _write(root / "private" / name, text.encode(), 0o600)
    plugin = importlib.resources.files("undrift.providers.ansible").joinpath("events.txt").read_bytes()
    _write(root / "plugins" / f"{_PLUGIN}.py", plugin, 0o600)


def _write(path: pathlib.Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)

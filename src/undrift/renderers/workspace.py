"""A private copy of an artifact on disk, for tools that read files; in memory where the machine has that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import posixpath
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Mapping
from typing import Final

from undrift import errors
from undrift.lib import process
from undrift.model import source

_MEMORY: Final = pathlib.Path("/dev/shm")  # noqa: S108 - memory, and the folder in it is ours alone
LIMITS: Final = process.Limits(timeout=120.0, output=64 << 20, memory=8 << 30, cpu=120)
_NOWHERE: Final = "http://127.0.0.1:9"
_AT_ONCE: Final = max(2, os.cpu_count() or 1)
_gates: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()
"""More tools at once than processors would only need more memory; a gate belongs to one event loop."""


@contextlib.asynccontextmanager
async def workspace(files: Mapping[str, source.File]) -> AsyncIterator[pathlib.Path]:
    """A folder with these files (by their paths in the source), for us alone, gone afterwards."""
    folder = await asyncio.to_thread(_make, files)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


def gathered(artifact: source.Artifact, opened: Mapping[str, source.File]) -> dict[str, source.File]:
    """All files of an artifact by their paths in the source; `opened` are those of its own path, in plain."""
    own = {posixpath.normpath(posixpath.join(artifact.path, name)): file for name, file in opened.items()}
    return {**artifact.around, **own}


def environment(folder: pathlib.Path, *, remote: bool) -> dict[str, str]:
    """What a tool sees of our own: nothing that leads out of its folder, unless `remote` is allowed."""
    home = str(folder / ".home")
    quiet = {
        "HOME": home,
        "XDG_CACHE_HOME": home,
        "XDG_CONFIG_HOME": home,
        "XDG_DATA_HOME": home,
        "GOMAXPROCS": "1",
    }
    if not remote:
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        return {**quiet, "PATH": "/nonexistent", **dict.fromkeys(names, _NOWHERE), "NO_PROXY": ""}
    kept = (
        "PATH",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "SSL_CERT_FILE",
        "HELM_REGISTRY_CONFIG",
    )
    return {**quiet, **{name: os.environ[name] for name in kept if name in os.environ}}


async def run(
    argv: list[str], folder: pathlib.Path, *, remote: bool, stdin: bytes | None = None
) -> process.Completed:
    """Run a tool in its workspace, within limits. Raises `ToolMissing`, `RenderTimeout`."""
    name = pathlib.Path(argv[0]).name
    gate = _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE))
    try:
        async with gate:
            return await process.run(
                argv, stdin=stdin, env=environment(folder, remote=remote), cwd=folder, limits=LIMITS
            )
    except process.ProgramMissing as error:
        raise errors.ToolMissing(
            f"{name} is not installed", hint=f"install {name} where the agent runs"
        ) from error
    except process.ProcessError as error:
        raise errors.RenderTimeout(f"{name} was ended", why=error.problem) from error


def find(*names: str) -> str:
    """The first of several programs that is installed. Raises `ToolMissing`."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise errors.ToolMissing(
        f"{' or '.join(names)} is not installed", hint=f"install {names[0]} where the agent runs, on its PATH"
    )


def _make(files: Mapping[str, source.File]) -> pathlib.Path:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="undrift-", dir=_MEMORY if _MEMORY.is_dir() else None))
    for name, file in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if file.kind is source.FileKind.LINK:
            place.symlink_to(os.fsdecode(file.content))
            continue
        place.write_bytes(file.content)
        if file.kind is source.FileKind.EXECUTABLE:
            place.chmod(0o700)
    (folder / ".home").mkdir()
    return folder

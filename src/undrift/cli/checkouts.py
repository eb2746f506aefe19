"""A checkout of a GitOps repository: where it begins, and where in it the configuration is."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterator

from undrift import errors, interfaces
from undrift.config import configuration, decrypting, reading
from undrift.model import source
from undrift.sources import directory

_ENDINGS = (".yaml", ".yml", ".json")
_OURS = re.compile(rb"""^[\s"'{,-]*apiVersion["']?\s*:\s*["']?undrift\.dev/v\d""", re.MULTILINE)
_LARGEST = 4 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with a whole repository, and the path of the configuration in it."""

    root: pathlib.Path
    path: str
    source: directory.DirectorySource
    decryptor: interfaces.Decryptor

    async def read(self) -> configuration.Configuration:
        """The configuration as it stands in the working tree."""
        artifact = await self.source.fetch(await self.source.resolve(), self.path)
        return await reading.Reader(self.decryptor, _Folders(self.source)).read(artifact)


class _Folders:
    """What generators look at outside the path of the configuration."""

    def __init__(self, own: directory.DirectorySource) -> None:
        self._own = own

    async def fetch(self, name: str, path: str) -> source.Artifact:
        """See `config.elements.Directories`."""
        if name != "config":
            raise errors.OrderError(
                f"a generator looks into the source {name}, which is not in this checkout",
                hint="ask the agent: `undrift plan`",
            )
        return await self._own.fetch(await self._own.resolve(), path)


def find(folder: pathlib.Path, path: str | None) -> Checkout:
    """The checkout that `folder` is (in). `path` is the configuration's in it; None: it is looked for.

    Raises `UsageInvalid` when there is no such folder, or no configuration in it.
    """
    if not folder.is_dir():
        raise errors.UsageInvalid(f"{folder} is no folder", hint="name the folder of a checkout")
    root = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)
    if path is None:
        path = _ancestor(root) if folder == root else folder.relative_to(root).as_posix()
    elif not (root / path).is_dir():
        raise errors.UsageInvalid(f"{root} has no folder {path}", hint="correct --path")
    keys = os.environ.get("UNDRIFT_AGE_KEY_FILE", "")
    return Checkout(root, path, directory.DirectorySource(root), decrypting.SopsDecryptor(keys))


def _ancestor(root: pathlib.Path) -> str:
    """The deepest folder that holds every document of ours."""
    folders = [one.parent for one in _files(root) if _OURS.search(_head(one))]
    if not folders:
        raise errors.UsageInvalid(
            f"no document of Undrift was found in {root}",
            why="no YAML file in it has apiVersion: undrift.dev/v1",
            hint="say with --path where the configuration is, or with PATH where the checkout is",
        )
    return pathlib.PurePath(os.path.commonpath(folders)).relative_to(root).as_posix()


def _files(root: pathlib.Path) -> Iterator[pathlib.Path]:
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (
            pathlib.Path(place, name)
            for name in sorted(names)
            if name.endswith(_ENDINGS) and not name.startswith(".")
        )


def _head(path: pathlib.Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""

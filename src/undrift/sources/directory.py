"""A checkout as a source: the working tree as it is, changes that nobody committed included. Read-only.

For `undrift plan PATH`, which shows what a commit would do before it is one.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pathlib
import stat
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from undrift import errors
from undrift.lib import canonical, paths
from undrift.model import source

_LARGEST = 256 << 20
_SKIPPED = frozenset({".git"})


class DirectorySource:
    """Implements `interfaces.Source` over a folder; its revision is a digest of nothing but the moment."""

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root

    async def resolve(self) -> source.Revision:
        """See `interfaces.Source`."""
        if not self._root.is_dir():
            raise errors.ReferenceMissing(f"{self._root} is no folder", hint="give the path of a checkout")
        name = hashlib.sha256(os.fsencode(self._root)).hexdigest()
        return source.Revision("working tree", f"sha256:{name}")

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """See `interfaces.Source`."""
        found = {}
        for path in paths:
            if (self._root / path).exists():
                found[path] = (await self.fetch(revision, path)).digest
        return found

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """See `interfaces.Source`."""
        return await asyncio.to_thread(self._fetch, revision, path)

    def _fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        folder = self._root / path
        if not folder.exists():
            raise errors.PathMissing(f"path {path} does not exist in {self._root}")
        single = folder.is_file()
        files = {folder.name: source.File(folder.read_bytes())} if single else dict(_files(folder))
        digest = canonical.digest(
            {
                name: [hashlib.sha256(file.content).hexdigest(), file.kind.value]
                for name, file in files.items()
            }
        )
        return source.Artifact(revision, path, digest, files, single=single)

    async def close(self) -> None:
        """Nothing to give back."""


def _files(folder: pathlib.Path) -> Iterator[tuple[str, source.File]]:
    size = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _SKIPPED)
        for name in sorted(names):
            path = pathlib.Path(place, name)
            relative = path.relative_to(folder).as_posix()
            info = path.lstat()
            if stat.S_ISLNK(info.st_mode):
                to = os.fspath(path.readlink())
                if paths.link_leaves(relative, to):
                    raise errors.ArtifactRefused(
                        f"{relative} is a link that leads out of the tree", why=f"to {to}"
                    )
                yield relative, source.File(to.encode(), source.FileKind.LINK)
            elif stat.S_ISREG(info.st_mode):
                size += info.st_size
                if size > _LARGEST:
                    raise errors.ArtifactRefused(f"{folder} holds more than {_LARGEST >> 20} MiB")
                kind = source.FileKind.EXECUTABLE if info.st_mode & stat.S_IXUSR else source.FileKind.FILE
                yield relative, source.File(path.read_bytes(), kind)


async def changes(folder: pathlib.Path, ignored: Sequence[pathlib.Path], pause: float) -> AsyncIterator[None]:
    """Tell whenever something changes below a folder, Git's own files left out; `pause` is the shortest time between.

    It watches from the first time that it is asked.
    """
    import watchfiles  # noqa: PLC0415 - for whoever watches only

    wanted = watchfiles.DefaultFilter(ignore_paths=list(ignored))
    step = int(pause * 1000)
    async for _ in watchfiles.awatch(folder, watch_filter=wanted, step=step, rust_timeout=2000):
        yield

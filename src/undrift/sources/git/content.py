"""The files of one path of a commit, submodules and LFS files included where the source asks for them."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable, Mapping

from undrift import errors
from undrift.model import source
from undrift.sources import links
from undrift.sources.git import large, references, repository, submodules, trees

_DEPTH = 5

Open = Callable[[str], repository.Repository]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A folder or file in some repository: the source's own, or that of a submodule."""

    repository: repository.Repository
    commit: str
    path: str
    entry: trees.Entry


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """A file or link of an artifact, and the repository that has it."""

    place: Place
    mode: str
    object_id: str


class Content:
    """Reads artifacts for one declared source. `open_submodule` gives the repository of a URL."""

    def __init__(self, declared: source.Source, main: repository.Repository, open_submodule: Open) -> None:
        self._declared = declared
        self._main = main
        self._open = open_submodule

    async def digests(self, commit: str, paths: list[str]) -> dict[str, str]:
        """The content digest of each path that exists."""
        found = await self._main.locate(commit, paths)
        digests = {path: digest(entry) for path, entry in found.items() if entry.mode != trees.SUBMODULE}
        if self._declared.submodules:
            for path in found.keys() - digests.keys():
                place = await self._enter(Place(self._main, commit, path, found[path]), _DEPTH)
                if place:
                    digests[path] = digest(place.entry)
        return digests

    async def files(self, commit: str, path: str) -> tuple[str, dict[str, source.File]] | None:
        """The digest of a path and its files; None when it does not exist. Raises `ArtifactRefused`."""
        place = await self._locate(self._main, commit, path, _DEPTH)
        if place is None:
            return None
        leaves: dict[str, Leaf] = {}
        if place.entry.mode == trees.TREE:
            await self._walk(place, "", leaves, _DEPTH)
        else:
            leaves[posixpath.basename(place.path)] = Leaf(place, place.entry.mode, place.entry.object_id)
        files = await self._read(leaves)
        targets = {
            name: file.content.decode() for name, file in files.items() if file.kind is source.FileKind.LINK
        }
        links.check(targets)
        return digest(place.entry), files

    async def _locate(self, owner: repository.Repository, commit: str, path: str, depth: int) -> Place | None:
        entry = (await owner.locate(commit, [path])).get(path)
        if entry is None:
            return None
        place = Place(owner, commit, "/".join(trees.split(path)), entry)
        if entry.mode == trees.SUBMODULE:
            return await self._enter(place, depth) if self._declared.submodules else None
        return place

    async def _enter(self, place: Place, depth: int) -> Place | None:
        """Where a path that leads into a submodule ends, in the submodule's own repository."""
        if not depth:
            raise errors.ArtifactRefused(f"submodules are nested more than {_DEPTH} deep at {place.path}")
        pinned = await submodules.read(place.repository, place.commit)
        for folder, url in pinned.items():
            if place.path == folder or place.path.startswith(folder + "/"):
                entry = (await place.repository.locate(place.commit, [folder]))[folder]
                inner = await self._obtain(url, entry.object_id)
                rest = place.path[len(folder) :].strip("/")
                return await self._locate(inner, entry.object_id, rest, depth - 1)
        raise errors.ArtifactRefused(
            f"{place.path} is a submodule without an address",
            origin=errors.Origin(".gitmodules"),
            why="no section of .gitmodules has it as its path",
            hint="add it with `git submodule add`, or delete the entry",
        )

    async def _obtain(self, url: str, commit: str) -> repository.Repository:
        inner = self._open(url)
        await inner.obtain(references.Selected("", commit[:12], commit))
        return inner

    async def _walk(self, place: Place, prefix: str, leaves: dict[str, Leaf], depth: int) -> None:
        """All files below a folder, level by level: one batch of trees for each."""
        level = {prefix: (place.path, place.entry.object_id)}
        while level:
            read = await place.repository.read_trees({one for _, one in level.values()})
            below: dict[str, tuple[str, str]] = {}
            for name, (inside, tree) in level.items():
                for part, entry in read[tree].items():
                    path, within = trees.join(name, part), trees.join(inside, part)
                    if entry.mode == trees.TREE:
                        below[path] = (within, entry.object_id)
                    elif entry.mode != trees.SUBMODULE:
                        leaves[path] = Leaf(place, entry.mode, entry.object_id)
                    elif self._declared.submodules:
                        await self._walk_submodule(
                            Place(place.repository, place.commit, within, entry), path, leaves, depth
                        )
            if len(leaves) + len(below) > self._main.limits.files:
                raise errors.ArtifactRefused(
                    f"there are more than {self._main.limits.files} files below {place.path or 'the root'}",
                    hint="narrow the application's path",
                )
            level = below

    async def _walk_submodule(self, place: Place, prefix: str, leaves: dict[str, Leaf], depth: int) -> None:
        inner = await self._enter(place, depth)
        if inner:
            await self._walk(inner, prefix, leaves, depth - 1)

    async def _read(self, leaves: Mapping[str, Leaf]) -> dict[str, source.File]:
        """Sizes first, then content: what is too large is refused before it is in memory."""
        groups: dict[tuple[int, str], dict[str, Leaf]] = {}
        for path, leaf in leaves.items():
            groups.setdefault((id(leaf.place.repository), leaf.place.commit), {})[path] = leaf
        files: dict[str, source.File] = {}
        for group in groups.values():
            files.update(await self._read_group(group))
        return {path: files[path] for path in sorted(files)}

    async def _read_group(self, leaves: Mapping[str, Leaf]) -> dict[str, source.File]:
        first = next(iter(leaves.values())).place

        def check(sizes: Mapping[str, int]) -> None:
            self._check({path: sizes[leaf.object_id] for path, leaf in leaves.items()})

        ids = {leaf.object_id for leaf in leaves.values()}
        contents = await first.repository.blobs(first.commit, ids, check)
        if self._declared.lfs:
            await self._fill_in(first.repository, leaves, contents)
        return {
            path: source.File(_checked(path, leaf.mode, contents[leaf.object_id]), _kind(leaf.mode))
            for path, leaf in leaves.items()
        }

    async def _fill_in(
        self, owner: repository.Repository, leaves: Mapping[str, Leaf], contents: dict[str, bytes]
    ) -> None:
        """Put the files that Git LFS keeps in the place of their pointers."""
        pointers = {
            path: (leaf.object_id, found)
            for path, leaf in leaves.items()
            if (found := trees.parse_pointer(contents[leaf.object_id]))
        }
        self._check({path: pointer.size for path, (_, pointer) in pointers.items()})
        for path, (object_id, pointer) in pointers.items():
            contents[object_id] = await large.fetch(owner, path, contents[object_id], pointer)

    def _check(self, sizes: Mapping[str, int]) -> None:
        for path, size in sizes.items():
            self._main.limits.check_file(path, size)
        self._main.limits.check_total(len(sizes), sum(sizes.values()))


def digest(entry: trees.Entry) -> str:
    """The content digest of an entry: that of Git, and the mode of what is no folder."""
    algorithm = "sha1" if len(entry.object_id) == 40 else "sha256"  # noqa: PLR2004 - hexadecimal digits
    mode = "" if entry.mode == trees.TREE else f".{entry.mode}"
    return f"{algorithm}:{entry.object_id}{mode}"


def _kind(mode: str) -> source.FileKind:
    if mode == trees.LINK:
        return source.FileKind.LINK
    return source.FileKind.EXECUTABLE if mode == trees.EXECUTABLE else source.FileKind.FILE


def _checked(path: str, mode: str, content: bytes) -> bytes:
    if mode != trees.LINK:
        return content
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.ArtifactRefused(
            f"the link {path} points to a name that is not UTF-8",
            origin=errors.Origin(path),
            hint="link to another",
        ) from None
    return content

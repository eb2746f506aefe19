"""Git's objects made here: files become blobs and trees whose ids are known before anything is stored. Pure.

A folder is replaced by putting another tree in its place, and new trees above it up to the root: nothing is checked
out, and what is beside the folder is never read.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Collection, Iterator, Mapping

from undrift import errors
from undrift.model import source
from undrift.sources.git import trees

_MODES = {
    source.FileKind.FILE: trees.PLAIN,
    source.FileKind.EXECUTABLE: trees.EXECUTABLE,
    source.FileKind.LINK: trees.LINK,
}


@dataclasses.dataclass(slots=True)
class Nursery:
    """Objects that were made and not stored yet: id → kind and content. `digest_size` is that of the repository."""

    digest_size: int = 20
    made: dict[str, tuple[str, bytes]] = dataclasses.field(default_factory=dict, repr=False)

    def blob(self, content: bytes) -> str:
        """The id of a file's content."""
        return self._make("blob", content)

    def tree(self, entries: Mapping[str, trees.Entry]) -> str:
        """The id of a folder."""
        return self._make("tree", trees.format_tree(entries))

    def _make(self, kind: str, content: bytes) -> str:
        name = trees.object_id(kind, content, self.digest_size)
        self.made[name] = (kind, content)
        return name

    def plant(self, files: Mapping[str, source.File]) -> str:
        """The id of the folder that holds these files (paths with `/`). Raises `ArtifactRefused` for bad paths."""
        return self.arrange(self.sow(files))

    def sow(self, files: Mapping[str, source.File]) -> dict[str, trees.Entry]:
        """Files as entries, by their paths. Raises `ArtifactRefused` for bad paths."""
        check(files)
        return {path: trees.Entry(_MODES[file.kind], self.blob(file.content)) for path, file in files.items()}

    def arrange(self, leaves: Mapping[str, trees.Entry]) -> str:
        """The id of the folder with these entries at these paths; "" for none: Git knows no empty folder."""
        entries: dict[str, trees.Entry] = {}
        below: dict[str, dict[str, trees.Entry]] = {}
        for path, entry in leaves.items():
            head, slash, rest = path.partition("/")
            if slash:
                below.setdefault(head, {})[rest] = entry
            else:
                entries[head] = entry
        for name, inner in below.items():
            entries[name] = trees.Entry(trees.TREE, self.arrange(inner))
        return self.tree(entries) if entries else ""


def check(files: Mapping[str, source.File]) -> None:
    """Refuse paths that leave their folder, are Git's own, or are one file on some machines and two on others."""
    wrong: list[errors.UndriftError] = []
    seen: dict[str, str] = {}
    for path in files:
        steps = path.split("/")
        if any(_is_bad(step) for step in steps) or path.startswith("/") or "\\" in path:
            wrong.append(
                errors.ArtifactRefused(f"{path!r} cannot be published", hint="give the file another name")
            )
        for length in range(1, len(steps) + 1):
            part = "/".join(steps[:length])
            other = seen.setdefault(unicodedata.normalize("NFC", part).casefold(), part)
            if other != part:
                wrong.append(
                    errors.ArtifactRefused(
                        f"{path} and {other} differ by the case of letters only",
                        why="on some machines they are one file",
                        hint="rename one of them",
                    )
                )
    wrong += meeting(files)
    if wrong:
        raise errors.gather(wrong)


def meeting(paths: Collection[str]) -> list[errors.UndriftError]:
    """What is wrong with paths of which one would be a file and the folder of another."""
    return [
        errors.ArtifactRefused(f"{path} lies in something that is a file itself", hint="rename one of them")
        for path in paths
        if any(above in paths for above in parents(path) if above)
    ]


def _is_bad(step: str) -> bool:
    # GIT~1 is what Windows calls .git, too: Git itself checks nothing out that has such a name.
    hidden = step in {"", ".", ".."} or step.casefold().startswith((".git", "git~"))
    return hidden or not step.isprintable()


def parents(folder: str) -> Iterator[str]:
    """The folders above a folder, the root ("") first: `a/b/c` → "", "a", "a/b"."""
    steps = folder.split("/")
    yield from ("/".join(steps[:length]) for length in range(len(steps)))


def graft(nursery: Nursery, folder: str, tree: str, known: dict[str, Mapping[str, trees.Entry]]) -> str:
    """The id of a root in which `folder` is `tree` ("": it is not there), all else as in `known` (folder → entries).

    `known` has to hold every folder above that exists, and holds the new ones afterwards, so that another folder can
    be grafted onto the same root; a folder that becomes empty goes.
    """
    entry = trees.Entry(trees.TREE, tree) if tree else None
    path = folder
    while path:
        above, _, name = path.rpartition("/")
        entries = {key: one for key, one in known.get(above, {}).items() if key != name}
        if entry is not None:
            entries[name] = entry
        known[above] = entries
        entry = trees.Entry(trees.TREE, nursery.tree(entries)) if entries else None
        path = above
    return entry.object_id if entry is not None else nursery.tree({})


@dataclasses.dataclass(slots=True)
class Forest:
    """The trees of a commit, as far as they are known, and what is made of them. `root` is the id of the whole."""

    nursery: Nursery
    known: dict[str, Mapping[str, trees.Entry]] = dataclasses.field(repr=False)
    root: str

    def entries(self, folder: str) -> Mapping[str, trees.Entry]:
        """What is in a folder; nothing where it is not there."""
        return self.known.get(folder, {})

    def folder(self, folder: str) -> str:
        """The id of a folder's tree; "" where it is not there."""
        above, _, name = folder.rpartition("/")
        entry = self.known.get(above, {}).get(name)
        return entry.object_id if entry is not None and entry.mode == trees.TREE else ""

    def in_the_way(self, folder: str) -> str:
        """The path of what is no folder though this one is it or lies in it; "" where nothing is."""
        for path in [*parents(folder), folder][1:]:
            above, _, name = path.rpartition("/")
            entry = self.known.get(above, {}).get(name)
            if entry is not None and entry.mode != trees.TREE:
                return path
        return ""

    def graft(self, folder: str, tree: str) -> None:
        """Put a tree of the nursery ("": nothing) in the place of a folder."""
        self.root = graft(self.nursery, folder, tree, self.known)

    def copy(self) -> Forest:
        """Another one to change, with the same nursery."""
        return Forest(self.nursery, dict(self.known), self.root)

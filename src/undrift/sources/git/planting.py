"""Git's objects made here: files become blobs and trees whose ids are known before anything is stored. Pure.

A folder is replaced by putting another tree in its place, and new trees above it up to the root: nothing is checked
out, and what is beside the folder is never read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

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
            other = seen.setdefault(part.casefold(), part)
            if other != part:
                wrong.append(
                    errors.ArtifactRefused(
                        f"{path} and {other} differ by the case of letters only",
                        why="on some machines they are one file",
                        hint="rename one of them",
                    )
                )
        if any("/".join(steps[:length]) in files for length in range(1, len(steps))):
            wrong.append(errors.ArtifactRefused(f"{path} lies in something that is a file itself"))
    if wrong:
        raise errors.gather(wrong)


def _is_bad(step: str) -> bool:
    hidden = step in {"", ".", ".."} or step.casefold().startswith(".git")
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

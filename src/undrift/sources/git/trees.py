"""What Git's objects mean: trees, commits, links, pointers. Pure.

Git stores any bytes as a name and a server may send what `git` itself would never write, so names are checked
here, before they become paths anywhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import posixpath
import re
from collections.abc import Mapping

from undrift import errors

TREE = "40000"
PLAIN = "100644"
EXECUTABLE = "100755"
LINK = "120000"
SUBMODULE = "160000"
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n?"
)
_POINTER_SIZE = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One name of a tree: its mode, and the object behind it."""

    mode: str
    object_id: str


Tree = Mapping[str, Entry]


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    """What a commit says. `time` is when it was committed, seconds since the epoch."""

    tree: str
    parents: tuple[str, ...]
    author: str
    time: float
    message: str

    @property
    def subject(self) -> str:
        """The first line of the message."""
        return self.message.strip().partition("\n")[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Pointer:
    """What stands in Git for a file that Git LFS keeps elsewhere."""

    sha256: str
    size: int


def parse_tree(data: bytes, digest_size: int, *, strict: bool = True) -> dict[str, Entry]:
    """The entries of a tree by name. Raises `ArtifactRefused` for a name that is no file name.

    Not `strict`: names that are not UTF-8 are taken as they are (`surrogateescape`), for who only passes them on.
    """
    found: dict[str, Entry] = {}
    place = 0
    while place < len(data):
        space = data.index(b" ", place)
        end = data.index(b"\0", space)
        mode = data[place:space].decode("ascii")
        name = _name(data[space + 1 : end], strict=strict)
        place = end + 1 + digest_size
        # Some old trees have modes with a leading zero.
        found[name] = Entry(mode.lstrip("0"), data[end + 1 : place].hex())
    return found


def format_tree(entries: Mapping[str, Entry]) -> bytes:
    """The tree object with these entries: in Git's order, in which a folder counts as if its name ended in a slash.

    https://git-scm.com/docs/gitformat-pack and `base_name_compare` of Git have the order.
    """

    def place(item: tuple[str, Entry]) -> bytes:
        return item[0].encode("utf-8", "surrogateescape") + (b"/" if item[1].mode == TREE else b"")

    return b"".join(
        f"{entry.mode} ".encode()
        + name.encode("utf-8", "surrogateescape")
        + b"\0"
        + bytes.fromhex(entry.object_id)
        for name, entry in sorted(entries.items(), key=place)
    )


def object_id(kind: str, content: bytes, digest_size: int = 20) -> str:
    """The id that Git gives to content: SHA-1 of 20 bytes, or SHA-256 of 32."""
    algorithm = "sha1" if digest_size == 20 else "sha256"  # noqa: PLR2004 - bytes of a digest
    made = hashlib.new(algorithm, usedforsecurity=False)
    made.update(f"{kind} {len(content)}\0".encode())
    made.update(content)
    return made.hexdigest()


def descend(entry: Entry, parts: list[str], known: Mapping[str, Tree]) -> tuple[Entry, list[str]] | None:
    """As far down as known trees reach: the entry there, and what is left of the way; None: there is no such way."""
    for place, part in enumerate(parts):
        tree = known.get(entry.object_id) if entry.mode == TREE else None
        if tree is None:
            return entry, parts[place:]
        below = tree.get(part)
        if below is None:
            return None
        entry = below
    return entry, []


def _name(raw: bytes, *, strict: bool) -> str:
    try:
        name = raw.decode("utf-8", "strict" if strict else "surrogateescape")
    except UnicodeDecodeError:
        raise errors.ArtifactRefused(
            f"the file name {raw!r} is not UTF-8",
            hint="rename the file; names have to be readable by everybody",
        ) from None
    if not name or name in {".", ".."} or "/" in name or name.lower() == ".git":
        raise errors.ArtifactRefused(
            f"{name!r} cannot be the name of a file",
            why="no Git writes such a tree; somebody built it by hand",
            hint="find out which commit brought it in",
        )
    return name


def parse_commit(data: bytes) -> Commit:
    """Read a commit object; what is malformed becomes empty rather than an error, as `git log` has it."""
    head, _, message = data.decode("utf-8", "replace").partition("\n\n")
    tree, parents, author, time = "", [], "", 0.0
    for line in head.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "tree":
            tree = rest
        elif word == "parent":
            parents.append(rest)
        elif word == "author":
            author = parse_person(rest)[0]
        elif word == "committer":
            time = parse_person(rest)[1]
    return Commit(tree, tuple(parents), author, time, message)


def parse_person(text: str) -> tuple[str, float]:
    """`Name <mail> seconds zone` → `Name <mail>` and the seconds."""
    who, mark, rest = text.rpartition("> ")
    try:
        return who + mark.strip(), float(rest.split(" ")[0])
    except ValueError:
        return text, 0.0


def parse_pointer(content: bytes) -> Pointer | None:
    """The Git LFS pointer that a file is, or None."""
    if len(content) > _POINTER_SIZE or not content.startswith(b"version "):
        return None
    found = _POINTER.fullmatch(content)
    return Pointer(found[1].decode(), int(found[2])) if found else None


def join(folder: str, name: str) -> str:
    """A path below a folder; "" and "." are the root."""
    return posixpath.join(folder, name) if folder not in {"", "."} else name


def split(path: str) -> list[str]:
    """The names on a path of the tree; the root has none. Raises `PathMissing` when it leads out."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise errors.PathMissing(f"the path {path} leads out of the source", hint="write it without ..")
    return parts

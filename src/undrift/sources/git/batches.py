"""What `git cat-file --batch` prints, and the kinds of files by their modes. Pure."""

from __future__ import annotations

from undrift import errors
from undrift.model import source
from undrift.sources.git import trees


def contents(output: bytes) -> list[bytes]:
    """The content of each object: a line with its size, the content, a line break; again and again.

    Raises `SourceUnavailable` where one is missing.
    """
    found: list[bytes] = []
    place = 0
    while place < len(output):
        end = output.index(b"\n", place)
        words = output[place:end].split(b" ")
        if words[-1] == b"missing":
            name = words[0].decode()
            raise errors.SourceUnavailable(
                f"the object {name[:12]} is missing on the server", hint="try again"
            )
        size = int(words[2])
        found.append(output[end + 1 : end + 1 + size])
        place = end + 1 + size + 1
    return found


def kind(mode: str) -> source.FileKind:
    """The kind of a file by its mode in a tree."""
    if mode == trees.LINK:
        return source.FileKind.LINK
    return source.FileKind.EXECUTABLE if mode == trees.EXECUTABLE else source.FileKind.FILE

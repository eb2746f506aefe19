"""What `git cat-file --batch` prints, and the kinds of files by their modes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from undrift import errors
from undrift.model import source
from undrift.sources.git import trees


def contents(output: bytes) -> list[bytes]:
    """The content of each object. Raises `SourceUnavailable` where one is missing."""
    found: list[bytes] = []
    for name, content in found_or_missing(output):
        if content is None:
            raise errors.SourceUnavailable(
                f"the object {name[:12]} is missing on the server", hint="try again"
            )
        found.append(content)
    return found


def found_or_missing(output: bytes) -> Iterator[tuple[str, bytes | None]]:
    """Each object's id and content: a line with its size, the content, a line break; again and again. What is not
    there has None, and the name it was asked for by.
    """
    place = 0
    while place < len(output):
        end = output.index(b"\n", place)
        line = output[place:end]
        if line.endswith(b" missing"):
            yield line.removesuffix(b" missing").decode("utf-8", "replace"), None
            place = end + 1
            continue
        name, _, size = line.split(b" ")
        place = end + 1 + int(size) + 1
        yield name.decode(), output[end + 1 : place - 1]


def kind(mode: str) -> source.FileKind:
    """The kind of a file by its mode in a tree."""
    if mode == trees.LINK:
        return source.FileKind.LINK
    return source.FileKind.EXECUTABLE if mode == trees.EXECUTABLE else source.FileKind.FILE

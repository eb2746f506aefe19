r"""How data is written for a shell program and read back: lines of fields that hold any bytes, never code.

A request is lines, a line is fields between bars. What a field must not hold (bars, backslashes, control characters)
is written as `\0ooo`, which `printf %b` of any POSIX shell turns into the byte again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_UNSAFE: Final = re.compile(rb"[\x00-\x1f\x7f|\\]")
_SAFE_ENOUGH: Final = 2
END: Final = b"=."
"""The last line of a complete answer."""


def raw(text: str | bytes) -> bytes:
    """Text as bytes; bytes that were no UTF-8 when they were read become the same again."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def text(found: bytes) -> str:
    """Bytes as text in which nothing is lost."""
    return found.decode("utf-8", "surrogateescape")


def field(value: str | bytes) -> bytes:
    """One field."""
    return _UNSAFE.sub(lambda found: b"\\0%03o" % found.group()[0], raw(value))


def is_plain(value: str) -> bool:
    """Whether tools print such a name as it is, on one line."""
    return not _UNSAFE.search(raw(value))


def line(*fields: str | bytes) -> bytes:
    """A line of a request. The last field must not be empty: a shell would not see it."""
    return b"|".join(field(one) for one in fields)


def content(value: bytes) -> tuple[str, bytes] | None:
    """How a program is told a content: the way ("p": escaped), and the field; None where base64 is shorter."""
    unsafe = len(_UNSAFE.findall(value))
    return ("p", b"." + field(value)) if unsafe * _SAFE_ENOUGH <= len(value) + 64 else None


def request(program: str, lines: Iterable[bytes]) -> bytes:
    """What is sent: the program on a line of its own, its request, and a last line by which it knows to have all."""
    return b"\n".join([b"undrift:" + field(program), *lines, b"end", b""])


class Answer:
    """Reads an answer from its beginning to its end."""

    def __init__(self, found: bytes) -> None:
        self._found = found
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether something is left."""
        return self._at < len(self._found)

    def line(self) -> bytes:
        """The next line, without its end."""
        return self.until(b"\n")

    def peek(self) -> bytes:
        """The next byte; empty at the end."""
        return self._found[self._at : self._at + 1]

    def until(self, end: bytes) -> bytes:
        """What comes before `end`, which is passed over."""
        place = self._found.find(end, self._at)
        place = len(self._found) if place < 0 else place
        part, self._at = self._found[self._at : place], place + len(end)
        return part

    def block(self) -> list[bytes]:
        """The lines up to the next one that begins with `=`."""
        lines = []
        while self.left and self.peek() != b"=":
            lines.append(self.line())
        return lines

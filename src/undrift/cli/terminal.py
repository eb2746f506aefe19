"""What a terminal needs: its width, tables and paragraphs that fit it, and a screen that is drawn anew in place."""

from __future__ import annotations

import contextlib
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

import click

_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_CLEAR_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"
_NARROWEST = 40
_GAP = "  "


def width() -> int | None:
    """Columns of the terminal; None where nobody looks at one (a pipe): then nothing is cut."""
    return max(_NARROWEST, shutil.get_terminal_size((100, 24)).columns) if sys.stdout.isatty() else None


def height() -> int | None:
    """Lines of the terminal, or None."""
    return shutil.get_terminal_size((100, 24)).lines if sys.stdout.isatty() else None


def fit(text: str, room: int | None) -> str:
    """`text` in at most `room` columns, its middle left out where it is longer. Without styles."""
    if room is None or len(text) <= room:
        return text
    tail = max(0, (room - 1) // 3)
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :] if tail else ''}"


def paragraph(text: str, room: int | None, indent: str, most: int = 2) -> list[str]:
    """`text` in lines of at most `room` columns behind `indent`, at most `most` of them."""
    if room is None:
        return [indent + " ".join(text.split())]
    inner = max(10, room - len(indent))
    found = textwrap.wrap(
        " ".join(text.split()), inner, max_lines=most, placeholder=" …", break_on_hyphens=False
    )
    return [indent + one for one in found]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as columns, each as wide as it needs; cells may be styled. The last column is not padded."""
    if not rows:
        return []
    sizes = [max(length(row[index]) for row in rows) for index in range(len(rows[0]))]
    found = []
    for row in rows:
        cells = [cell + " " * (size - length(cell)) for cell, size in zip(row, sizes, strict=True)]
        found.append(_GAP.join(cells).rstrip())
    return found


def length(text: str) -> int:
    """Columns that a styled text takes."""
    return len(click.unstyle(text))


class Screen:
    """A terminal that is drawn anew in place, and given back as it was."""

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines and nothing else, without flicker; what does not fit in height is left out."""
        most = (height() or len(lines) + 1) - 1
        body = "".join(f"{one}{_CLEAR_LINE}\r\n" for one in lines[:most])
        sys.stdout.write(_HOME + body + _CLEAR_BELOW)
        sys.stdout.flush()


@contextlib.contextmanager
def screen() -> Iterator[Screen]:
    """A screen of its own; afterwards the terminal shows what it showed before."""
    sys.stdout.write(_ENTER)
    try:
        yield Screen()
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()

"""Lines of ours in somebody else's text, between two comments that name them. Pure."""

from __future__ import annotations

import dataclasses

from undrift import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Where a block is: the text before it, its own lines, the text after, and the comment it is marked with."""

    before: str
    lines: str
    after: str
    comment: str


def find(text: str, name: str) -> Found | None:
    """The block of that name, or None. Raises `ChangeRefused` when it begins and never ends."""
    lines = text.splitlines(keepends=True)
    begin = next((index for index, line in enumerate(lines) if _is(line, _begin(name))), None)
    if begin is None:
        return None
    end = next((index for index in range(begin + 1, len(lines)) if _is(lines[index], _end(name))), None)
    if end is None:
        raise errors.ChangeRefused(
            f"the block {name} begins in line {begin + 1} and never ends",
            why=f"the line with {_end(name)!r} is gone",
            hint="put that line back by hand, or take out the first one too",
        )
    comment = lines[begin].strip().removesuffix(_begin(name)).strip()
    return Found("".join(lines[:begin]), "".join(lines[begin + 1 : end]), "".join(lines[end + 1 :]), comment)


def put(text: str, name: str, lines: str, comment: str) -> str:
    """The text with the block in it: where it was, else at the end."""
    block = f"{comment} {_begin(name)}\n{lines}{comment} {_end(name)}\n"
    found = find(text, name)
    if found is not None:
        return f"{found.before}{block}{found.after}"
    gap = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{gap}{block}"


def take(text: str, name: str) -> str:
    """The text without the block."""
    found = find(text, name)
    return text if found is None else f"{found.before}{found.after}"


def _begin(name: str) -> str:
    return f"BEGIN undrift {name}"


def _end(name: str) -> str:
    return f"END undrift {name}"


def _is(line: str, marker: str) -> bool:
    """Whether a line is a marker: a comment sign of any kind, a space, and the marker."""
    shown = line.strip()
    return shown.endswith(f" {marker}") or shown == marker

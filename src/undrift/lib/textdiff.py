"""Differences of files as people read them: unified for text, size and digest for the rest."""

from __future__ import annotations

import difflib
import hashlib

_SNIFF = 8192


def is_binary(content: bytes) -> bool:
    """Whether it is not text: a NUL byte near the start, or not UTF-8."""
    if b"\0" in content[:_SNIFF]:
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return True
    return False


def unified(before: bytes | None, after: bytes | None, name: str, lines: int = 3) -> str:
    """A unified diff; None stands for a file that is not there. "" when both are equal."""
    if before == after:
        return ""
    if any(content is not None and is_binary(content) for content in (before, after)):
        return f"binary: {_measure(before)} → {_measure(after)}\n"
    old = (before or b"").decode().splitlines(keepends=True)
    new = (after or b"").decode().splitlines(keepends=True)
    above = "/dev/null" if before is None else f"a/{name}"
    below = "/dev/null" if after is None else f"b/{name}"
    shown = difflib.unified_diff(old, new, above, below, n=lines)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in shown
    )


def _measure(content: bytes | None) -> str:
    if content is None:
        return "absent"
    return f"{len(content)} bytes sha256:{hashlib.sha256(content).hexdigest()[:12]}"

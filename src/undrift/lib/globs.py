"""Patterns over paths: `*` and `?` stay within one step, `**` spans any number of steps, `[abc]` is one of a set.

`*.yaml` without a slash means the whole path, as everything else here does: say `**/*.yaml` for any depth.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Final

_MAGIC: Final = re.compile(r"[*?\[]")


@functools.lru_cache(1024)
def compile(pattern: str) -> re.Pattern[str]:  # noqa: A001 - as in `re.compile`; said as `globs.compile`
    """The pattern as a regular expression that matches whole paths. A pattern without sense matches itself."""
    steps = pattern.strip("/").split("/")
    text = ""
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if step == "**":
            text += ".*" if last else "(?:.*/)?"
        else:
            text += _step(step) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches the whole path."""
    return any(compile(pattern).fullmatch(path) for pattern in patterns)


def prefix(pattern: str) -> str:
    """The folders that every match lies in: those before the first step with a wildcard ("." for none)."""
    steps = pattern.strip("/").split("/")
    plain = []
    for step in steps[:-1]:
        if _MAGIC.search(step):
            break
        plain.append(step)
    return "/".join(plain) or "."


def _step(step: str) -> str:
    text, place = "", 0
    while place < len(step):
        sign = step[place]
        end = step.find("]", place + 2) if sign == "[" else -1
        if sign == "*":
            text += "[^/]*"
        elif sign == "?":
            text += "[^/]"
        elif end > 0:
            text += _set(step[place + 1 : end])
            place = end
        else:
            text += re.escape(sign)
        place += 1
    return text


def _set(inside: str) -> str:
    negated = inside[0] in "!^" and len(inside) > 1
    body = inside[1:] if negated else inside
    kept = re.sub(r"([\\\[\]^&~|])", r"\\\1", body)
    candidate = f"(?![/])[{'^' if negated else ''}{kept}]"
    try:
        re.compile(candidate)
    except re.error:
        return re.escape(f"[{inside}]")
    return candidate

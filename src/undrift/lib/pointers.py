"""Paths of fields in JSON-like data: dotted (`status.ingress.0.ip`), or JSON pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def steps(path: str) -> tuple[str, ...]:
    """A path's steps: of a JSON pointer where it begins with a slash, else of a dotted path."""
    if path.startswith("/"):
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))
    return tuple(path.split(".")) if path else ()


def reach(value: Any, path: Sequence[str]) -> Any:
    """The value at a path; None where there is none. Numbers are places in lists."""
    for step in path:
        value = inner(value, step)
        if value is None:
            return None
    return value


def inner(value: Any, step: str) -> Any:
    """What is one step inside; None where there is nothing."""
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list | tuple) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None

"""Joining paths that come from elsewhere, and telling where links lead. Pure text, no file system."""

from __future__ import annotations

import posixpath


def inside(root: str, path: str) -> str:
    """`path` below `root`, both with `/`. Raises `ValueError` for what would leave it, and for NUL bytes."""
    if "\0" in path:
        msg = "a path cannot hold a NUL byte"
        raise ValueError(msg)
    joined = posixpath.normpath(posixpath.join(root, path.lstrip("/")))
    if any(step == ".." for step in path.split("/")):
        msg = f"{path!r} leads out with '..'"
        raise ValueError(msg)
    return joined


def link_leaves(path: str, points_to: str) -> bool:
    """Whether a symbolic link at `path` of a tree leads out of the tree."""
    if points_to.startswith("/"):
        return True
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), points_to))
    return found == ".." or found.startswith("../")

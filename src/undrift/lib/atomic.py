"""Writing a file so that a reader, or a crash, sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable


def write(
    path: pathlib.Path,
    content: bytes,
    mode: int = 0o600,
    *,
    suffix: str = ".new",
    ready: Callable[[], None] | None = None,
) -> None:
    """Replace (or create) a file: temporary file beside it, fsync, rename, fsync of the folder.

    Raises `OSError`, and what `ready` raises, which is called right before the rename; the temporary file is
    removed then. Its name is always the same (a dot, the file's, `suffix`), so that those of writers who died do
    not pile up; two at a time must not write the same file.
    """
    temporary = path.with_name(f".{path.name}{suffix}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if ready is not None:
            ready()
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: pathlib.Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

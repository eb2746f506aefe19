"""What the operating system says → what it means for people."""

from __future__ import annotations

import errno
import getpass
import os
from typing import Final

from undrift import errors

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_GONE: Final = frozenset({errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.ENODEV})


def explain(
    error: OSError, path: str, doing: str, *, who: str = "", is_root: bool | None = None
) -> errors.TargetError:
    """The error for a system call that failed at `path` (as people know it) while `doing` something.

    `who` and `is_root` tell of the user that it failed for, where that is not the one we run as.
    """
    code = error.errno or 0
    said = error.strerror or type(error).__name__
    what = f"{doing} {path} failed"
    if code in _FULL:
        return errors.TargetFull(what, why=said, hint="make room there; it is tried again")
    if code in _DENIED:
        return errors.TargetDenied(
            what, why=f"{said} for {who or user()}", hint=_permission(code, is_root=is_root)
        )
    if code in _GONE:
        return errors.TargetUnavailable(
            what, why=said, hint="look at the disk or the mount; it is tried again"
        )
    if code == errno.EEXIST:
        return errors.ChangeConflict(what, why="something is there already", hint="it is planned anew")
    if code == errno.ENOTEMPTY:
        return errors.ChangeRefused(what, why="the directory is not empty")
    if code in {errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR, errno.ELOOP}:
        return errors.ChangeRefused(what, why=said, hint="correct the path, or what lies on the way to it")
    return errors.TargetUnavailable(what, why=said, hint="it is tried again")


def _permission(code: int, *, is_root: bool | None) -> str:
    if code == errno.EROFS:
        return "the file system is mounted read-only: remount it, or declare another path"
    if is_root is False:
        return "sign in as a user who may, or set settings.sudo of the Target"
    if is_root or os.geteuid() == 0:
        return "even root may not: is it immutable (lsattr), or forbidden by a security module?"
    return "give that user the right to it, or run the agent as root"


def user() -> str:
    """Who we are on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.geteuid()}"

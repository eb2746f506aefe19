"""What the tools of a host say → what it means for people."""

from __future__ import annotations

import dataclasses
import errno
import os
import posixpath
from typing import Final

from undrift import errors
from undrift.lib import paths
from undrift.providers.hosts import failing

_CODES: Final = {
    text: code
    for code in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ESTALE,
        errno.EIO,
        errno.ENODEV,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENOENT,
        errno.EFBIG,
    )
    if (text := os.strerror(code))
}
_MISSING: Final = ("invalid user", "unknown user", "invalid group", "unknown group")


@dataclasses.dataclass(frozen=True, slots=True)
class Who:
    """Who we are on the host: the name of the user that its programs run as, and whether that is root."""

    name: str = ""
    is_root: bool = False


def explain(said: str, path: str, doing: str, who: Who) -> errors.TargetError:
    """The error for what a tool said about `path` while `doing` something."""
    last = said.strip().rpartition("\n")[2]
    if any(word in last for word in _MISSING):
        what = "group" if "group" in last else "user"
        name = last.rpartition(": ")[2].strip("'\u2018\u2019")
        return errors.ChangeRefused(
            f"there is no {what} {name} on the target",
            hint=f"make the {what} first, or declare another {'owner' if what == 'user' else 'group'}",
        )
    code = next((code for text, code in _CODES.items() if last.endswith(text)), 0)
    if not code:
        return errors.TargetUnavailable(f"{doing} {path} failed", why=last, hint="it is tried again")
    error = failing.explain(OSError(code, os.strerror(code)), path, doing, who=who.name, is_root=who.is_root)
    error.about = path
    return error


def escapes(folder: str, leads_to: str) -> errors.PathEscapes:
    """The error for a folder that is not where it seems to be."""
    return errors.PathEscapes(
        f"{folder} leads out of the target's root",
        why=f"a link on the way leads to {leads_to}",
        hint="remove the link, or declare a path that does not go through it",
    )


def dangles(path: str, leads_to: str) -> errors.TargetError:
    """The error for a link on the way to a path that leads to what is not there: out of the root, for all we know."""
    out = leads_to.startswith("/") or paths.link_leaves(path.strip("/"), leads_to)
    if out:
        return escapes(posixpath.dirname(path), leads_to)
    return errors.ChangeRefused(
        f"writing {path} failed",
        why=f"a link on the way to it leads to {leads_to}, which is not there",
        hint="make that folder, or remove the link",
    )


def unclear(path: str) -> errors.TargetUnavailable:
    """The error for what was exchanged or taken away while it was looked at."""
    error = errors.TargetUnavailable(f"{path} changed while it was looked at", hint="it is looked at again")
    error.about = path
    return error


def incomplete(stderr: bytes) -> errors.TargetUnavailable:
    """The error for an answer that is not whole."""
    why = stderr.decode("utf-8", "replace").strip()[-500:]
    return errors.TargetUnavailable(
        "the host's answer broke off", why=why, hint="look at the connection and at the load of the host"
    )

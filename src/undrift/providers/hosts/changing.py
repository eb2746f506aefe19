"""Steps carried out by system calls: each whole or not at all, durable, and below a root that nothing leads out of."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import posixpath
import pwd
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from undrift import errors
from undrift.providers.hosts import failing, transport, walking

_USUAL: Final = 0o755
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_KEEP: Final = -1


def carry_out(root: str, steps: Sequence[transport.Step]) -> Sequence[str]:
    """Do the steps in order. Returns the parent folders that had to be made. Raises `TargetError`s."""
    made: list[str] = []
    with walking.Walk(root) as walk:
        for step in steps:
            try:
                _carry_out(walk, step, made)
            except OSError as error:
                raise failing.explain(error, step.path, _DOING[type(step)]) from error
    return made


_DOING: Final = {
    transport.Write: "writing",
    transport.MakeDirectory: "making the directory",
    transport.MakeLink: "making the link",
    transport.Alter: "setting mode or owner of",
    transport.Remove: "removing",
}


def _carry_out(walk: walking.Walk, step: transport.Step, made: list[str]) -> None:
    above, name = posixpath.split(step.path)
    if isinstance(step, transport.Remove):
        _remove(walk, step)
        return
    folder = walk.folder(above) if isinstance(step, transport.Alter) else _parents(walk, above, made)
    match step:
        case transport.Write():
            _write(folder, name, step)
        case transport.MakeLink():
            _link(folder, name, step)
        case transport.MakeDirectory():
            os.mkdir(name, 0o700, dir_fd=folder)
            _alter(folder, name, _with_mode(step.attributes, _USUAL))
        case transport.Alter():
            _alter(folder, name, step.attributes)
    _settle(folder)


def _parents(walk: walking.Walk, path: str, made: list[str]) -> int:
    """The folder at `path`, made where it is missing."""
    try:
        return walk.folder(path)
    except FileNotFoundError:
        above, name = posixpath.split(path.rstrip("/"))
        folder = _parents(walk, above, made)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, _USUAL, dir_fd=folder)
            made.append(path)
            _settle(folder)
        return walk.folder(path)


def _write(folder: int, name: str, step: transport.Write) -> None:
    with _temporary(folder, name) as temporary:
        descriptor = os.open(temporary, _NEW, 0o600, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(step.content)
            file.flush()
            _own(file.fileno(), folder, name, step)
            os.fchmod(file.fileno(), 0o644 if step.attributes.mode is None else step.attributes.mode)
            os.fsync(file.fileno())
        _put(folder, temporary, name, replace=step.replace)


def _link(folder: int, name: str, step: transport.MakeLink) -> None:
    if not step.replace:
        os.symlink(step.points_to, name, dir_fd=folder)
        return
    with _temporary(folder, name) as temporary:
        os.symlink(step.points_to, temporary, dir_fd=folder)
        _put(folder, temporary, name, replace=True)


@contextlib.contextmanager
def _temporary(folder: int, name: str) -> Iterator[str]:
    """A name beside `name`; whatever is left there in the end, or by somebody who died, is removed."""
    temporary = transport.unfinished(name)
    _unlink(folder, temporary)
    try:
        yield temporary
    finally:
        _unlink(folder, temporary)


def _unlink(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _put(folder: int, temporary: str, name: str, *, replace: bool) -> None:
    """Give the finished file its name: over what is there, or only where nothing is."""
    if replace:
        _clear(folder, name)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}:
            raise
        # A file system without hard links: look, then rename; the gap between is the best there is.
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _clear(folder: int, name: str) -> None:
    """An empty directory gives way to a file; one that is not empty does not."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder)


def _own(descriptor: int, folder: int, name: str, step: transport.Write) -> None:
    """Owner and group as declared; where nothing is, those of the file that is replaced."""
    uid, gid = _uid(step.attributes.owner), _gid(step.attributes.group)
    if uid is not _KEEP or gid is not _KEEP:
        os.fchown(descriptor, uid, gid)
    if not step.replace or (uid is not _KEEP and gid is not _KEEP):
        return
    with contextlib.suppress(FileNotFoundError, PermissionError):
        before = os.stat(name, dir_fd=folder, follow_symlinks=False)
        made = os.fstat(descriptor)
        wanted = (
            before.st_uid if uid == _KEEP else made.st_uid,
            before.st_gid if gid == _KEEP else made.st_gid,
        )
        if wanted != (made.st_uid, made.st_gid):
            os.fchown(descriptor, *wanted)


def _alter(folder: int, name: str, attributes: transport.Attributes) -> None:
    uid, gid = _uid(attributes.owner), _gid(attributes.group)
    if uid is not _KEEP or gid is not _KEEP:
        os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
    if attributes.mode is None:
        return
    # chmod has no way not to follow a link, except through the descriptor of the very file.
    place = os.open(name, getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if stat.S_ISLNK(os.fstat(place).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        os.chmod(f"/proc/self/fd/{place}", attributes.mode)  # noqa: PTH101 - a descriptor
    finally:
        os.close(place)


def _with_mode(attributes: transport.Attributes, usual: int) -> transport.Attributes:
    mode = usual if attributes.mode is None else attributes.mode
    return transport.Attributes(mode, attributes.owner, attributes.group)


def _remove(walk: walking.Walk, step: transport.Remove) -> None:
    above, name = posixpath.split(step.path)
    try:
        folder = walk.folder(above)
        if step.sort is transport.Sort.DIRECTORY:
            walk.forget(step.path)
            os.rmdir(name, dir_fd=folder)
        else:
            _unlink(folder, transport.unfinished(name))
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    _settle(folder)


def _settle(folder: int) -> None:
    """Make what happened in a folder durable; one that may be entered but not read cannot be."""
    try:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _uid(owner: str | None) -> int:
    if owner is None:
        return _KEEP
    if owner.isdigit():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise errors.ChangeRefused(
            f"there is no user {owner} on the target", hint="make the user first, or declare another owner"
        ) from None


def _gid(group: str | None) -> int:
    if group is None:
        return _KEEP
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise errors.ChangeRefused(
            f"there is no group {group} on the target", hint="make the group first, or declare another group"
        ) from None

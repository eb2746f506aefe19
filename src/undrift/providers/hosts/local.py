"""The transport to the machine that the agent itself runs on: system calls in a thread, a batch at a time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import grp
import hashlib
import os
import pathlib
import platform
import posixpath
import pwd
import socket
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.lib import process, tasks
from undrift.providers.hosts import changing, failing, transport, walking

_INHERITED: Final = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SHELL"})
_SYSTEMD: Final = pathlib.Path("/run/systemd/system")
_LARGEST: Final = 64 << 20
_SETTLED: Final = 100_000_000
"""Nanoseconds after which a file's times can be trusted to change with its content."""
_Stamp = tuple[int, int, int, int, int]


class LocalTransport:
    """Implements `transport.Transport` for paths below `root` (a real, absolute path)."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._digests: dict[str, tuple[_Stamp, str]] = {}

    async def discover(self) -> Mapping[str, Any]:
        """See `transport.Transport`."""
        return {
            "hostname": socket.gethostname(),
            "os": platform.system().lower(),
            "arch": platform.machine(),
            "user": failing.user(),
            "systemd": has_systemd(),
        }

    async def look(self, wanted: Mapping[str, transport.Need]) -> Mapping[str, transport.Seen]:
        """See `transport.Transport`."""
        return await asyncio.to_thread(self._look, wanted)

    async def survey(
        self, wanted: Mapping[str, transport.Need], questions: Sequence[transport.Question]
    ) -> tuple[Mapping[str, transport.Seen], Sequence[process.Completed]]:
        """See `transport.Transport`."""
        answers = await tasks.together(self._answer(question) for question in questions)
        return (await self.look(wanted) if wanted else {}), answers

    async def change(self, steps: Sequence[transport.Step]) -> Sequence[str]:
        """See `transport.Transport`."""
        return await _whole(functools.partial(changing.carry_out, self._root, steps))

    async def run(self, order: transport.Order) -> process.Completed:
        """See `transport.Transport`."""
        program = order.command[0]
        folder = self._root.rstrip("/") + posixpath.normpath(order.directory)
        try:
            return await process.run(
                order.command,
                env={**clean_environment(), **order.environment},
                cwd=folder,
                limits=process.Limits(timeout=order.timeout),
            )
        except process.ProcessTimeout as late:
            raise errors.OutcomeUnknown(
                f"{program} took longer than {order.timeout:g} s and was ended",
                hint="give the command a longer timeout, or look why it hangs",
            ) from late
        except process.ProcessError as error:
            raise errors.ChangeRefused(
                f"{program} cannot be run",
                why=error.problem,
                hint="is it installed, and is its folder there?",
            ) from error

    async def _answer(self, question: transport.Question) -> process.Completed:
        command = ("/bin/sh", "-c", question.script, "undrift", *question.words)
        try:
            return await process.run(
                command,
                env={**clean_environment(), "LC_ALL": "C"},
                cwd=self._root,
                limits=process.Limits(timeout=question.timeout),
            )
        except process.ProcessError as error:
            raise errors.TargetUnavailable(
                "the machine does not answer", why=error.problem, hint="look at its load and its disks"
            ) from error

    def _look(self, wanted: Mapping[str, transport.Need]) -> dict[str, transport.Seen]:
        found: dict[str, transport.Seen] = {}
        with walking.Walk(self._root) as walk:
            for path, need in wanted.items():
                try:
                    seen = self._see(walk, path, need)
                except OSError as error:
                    if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}:
                        continue
                    told = failing.explain(error, path, "looking at")
                    told.about = path
                    raise told from error
                except errors.TargetError as error:
                    error.about = path
                    raise
                found[path] = seen
        return found

    def _see(self, walk: walking.Walk, path: str, need: transport.Need) -> transport.Seen:
        above, name = posixpath.split(path)
        folder = walk.folder(above)
        status = os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
        sort = _sort(status.st_mode)
        digest, points_to = "", ""
        content: bytes | None = None
        entries: tuple[str, ...] = ()
        if sort is transport.Sort.LINK:
            points_to = os.readlink(name, dir_fd=folder)
        elif sort is transport.Sort.FILE and need & transport.Need.CONTENT:
            content = _content(folder, name)
            digest = name_content(content)
        elif sort is transport.Sort.FILE and need & transport.Need.DIGEST:
            digest = self._digest(path, folder, name, status)
        elif sort is transport.Sort.DIRECTORY and need & transport.Need.ENTRIES:
            entries = tuple(_entries(folder, name or "."))
        return transport.Seen(
            sort,
            stat.S_IMODE(status.st_mode),
            owner_name(status.st_uid),
            group_name(status.st_gid),
            status.st_size,
            points_to,
            digest,
            content,
            entries,
        )

    def _digest(self, path: str, folder: int, name: str, status: os.stat_result) -> str:
        """From memory while the file's times stand still; very young ones may hide a second change."""
        stamp = _stamp(status)
        known = self._digests.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
            same = _stamp(os.fstat(file.fileno())) == stamp
        if same and time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED:
            self._digests[path] = (stamp, digest)
        else:
            self._digests.pop(path, None)
        return digest


def clean_environment() -> dict[str, str]:
    """The environment for what runs on the host: nothing of the agent's own, which may hold credentials."""
    return {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}


def has_systemd() -> bool:
    """Whether systemd runs this machine."""
    return _SYSTEMD.is_dir()


def name_content(content: bytes) -> str:
    """The digest that a file with this content is seen with."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


async def _whole(work: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Run in a thread and wait for its end even when cancelled: half a batch must not go on unseen."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(errors.UndriftError):
            await task
        raise


def _stamp(status: os.stat_result) -> _Stamp:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _sort(mode: int) -> transport.Sort:
    if stat.S_ISREG(mode):
        return transport.Sort.FILE
    if stat.S_ISDIR(mode):
        return transport.Sort.DIRECTORY
    return transport.Sort.LINK if stat.S_ISLNK(mode) else transport.Sort.OTHER


def _content(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def _entries(folder: int, name: str) -> list[str]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return sorted(os.listdir(descriptor))  # noqa: PTH208 - a path could be exchanged, a descriptor not
    finally:
        os.close(descriptor)


@functools.lru_cache(1024)
def owner_name(uid: int) -> str:
    """The name of a user, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.lru_cache(1024)
def group_name(gid: int) -> str:
    """The name of a group, or its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)

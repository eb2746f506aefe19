"""Small files on refs of their own, which no branch ever sees: agents put reports there, CI reads them.

A ref's commit holds nothing but these files and has no parent, so that it does not grow. It is replaced by
compare-and-set: whoever was overtaken reads again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import pathlib
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Final

from undrift import errors
from undrift.lib import mask
from undrift.sources.git import addresses, command

_TIMEOUT: Final = 60.0
_WRITES: Final = 200
"""After so many writes the local store, which only grows, is made anew."""
_SIZES: Final = {"sha1": 40, "sha256": 64}
_LOST: Final = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|reference already exists|failed to update ref"
    r"|incorrect old value"
)
_DECLINED: Final = re.compile(
    r"hook declined|remote rejected|denied|not allowed|prohibited|hidden ref", re.IGNORECASE
)
_OUT: Final = "refs/undrift/out"

Access = Callable[[], contextlib.AbstractAsyncContextManager[addresses.Access]]
"""Gives the environment in which `git` reaches the repository as the remote `origin`: `remote.Remote.access`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shelved:
    """What a ref has: the commit it is at, and its files by name."""

    commit: str
    files: Mapping[str, bytes] = dataclasses.field(repr=False)


class Shelf:
    """The refs of one repository below a prefix (`refs/…/`). `shown` is the repository's address, for people."""

    def __init__(self, access: Access, shown: str, prefix: str) -> None:
        self._access = access
        self._shown = shown
        self._prefix = prefix
        self._store: _Store | None = None
        self._written = 0

    async def read(self, name: str = "*") -> dict[str, Shelved]:
        """What the refs of that name hold now (`*`: all), by their names without the prefix.

        That there is none is no error. Raises `SourceDenied`, `SourceUnavailable` and other `SourceError`s.
        """
        async with self._access() as access:
            refs = await self._list(access, name)
            if not refs:
                return {}
            store = await self._opened(len(next(iter(refs.values()))))
            wanted = [f"+{self._prefix}{one}:{self._prefix}{one}" for one in refs]
            options = ("--quiet", "--no-tags", "--no-filter", "--depth=1", "--no-auto-maintenance")
            await self._git(store, access, "fetch", *options, "origin", *wanted)
        found = {one: await store.commit_of(f"{self._prefix}{one}") for one in refs}
        return {one: Shelved(commit, await store.files(commit)) for one, commit in found.items()}

    async def replace(
        self, name: str, files: Mapping[str, bytes], before: Shelved | None, *, digest: str = "sha1"
    ) -> Shelved | None:
        """Put these files in place of what was read `before` (None: nothing); None when somebody else was faster.

        `digest` is the kind of the repository's ids, which a ref that is not there yet does not tell. Raises
        `SourceDenied` where the server does not allow it, and other `SourceError`s.
        """
        size = len(before.commit) if before else _SIZES[digest]
        store = await self._opened(size)
        commit = await store.commit(files, f"Reports of {name}")
        ref, seen = f"{self._prefix}{name}", before.commit if before else ""
        async with self._access() as access:
            options = ("--quiet", "--porcelain", "--no-verify", f"--force-with-lease={ref}:{seen}")
            done = await self._run(store, access, "push", *options, "origin", f"{commit}:{ref}")
        self._written += 1
        if done.status == 0:
            return Shelved(commit, dict(files))
        said = f"{done.output.decode('utf-8', 'replace')}\n{done.complaint}"
        if _LOST.search(said):
            return None
        if _DECLINED.search(said):
            raise errors.SourceDenied(
                f"{self._shown} does not let us write {ref}",
                why=mask.Mask(access.secrets)(command.shorten(said)),
                hint=f"use credentials that may push to {self._prefix}*",
            )
        raise self._explain(f"{ref} of {self._shown} cannot be written", done, access)

    async def close(self) -> None:
        """Throw the local store away."""
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def _opened(self, size: int) -> _Store:
        if self._store is not None and (self._store.size != size or self._written >= _WRITES):
            await self.close()
        if self._store is None:
            self._store, self._written = await _Store.make(size), 0
        return self._store

    async def _list(self, access: addresses.Access, name: str) -> dict[str, str]:
        found = await self._git(None, access, "ls-remote", "--refs", "origin", f"{self._prefix}{name}")
        rows = (line.split("\t") for line in found.decode().splitlines())
        return {
            ref.removeprefix(self._prefix): commit for commit, ref in rows if ref.startswith(self._prefix)
        }

    async def _git(self, store: _Store | None, access: addresses.Access, *arguments: str) -> bytes:
        done = await self._run(store, access, *arguments)
        if done.status:
            raise self._explain(f"{self._prefix}* of {self._shown} cannot be read", done, access)
        return done.output

    async def _run(self, store: _Store | None, access: addresses.Access, *arguments: str) -> command.Finished:
        environment = {**access.environment, **({"GIT_DIR": str(store.folder)} if store else {})}
        try:
            return await command.run(arguments, environment, timeout=_TIMEOUT)
        except TimeoutError:
            raise errors.SourceUnavailable(
                f"{self._shown} does not answer", why=f"git {arguments[0]} took longer than {_TIMEOUT:g} s"
            ) from None

    def _explain(self, what: str, done: command.Finished, access: addresses.Access) -> errors.SourceError:
        try:
            return command.explain(what, done, access.secrets)
        except command.Corruption as damage:
            return errors.SourceUnavailable(what, why=command.shorten(str(damage)))


class _Store:
    """A bare repository of our own, for as long as it is needed."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str], size: int) -> None:
        self._kept = folder
        self.folder = pathlib.Path(folder.name, "store.git")
        self.size = size

    @classmethod
    async def make(cls, size: int) -> _Store:
        """One for object ids of so many digits."""
        store = cls(tempfile.TemporaryDirectory(prefix="undrift-", ignore_cleanup_errors=True), size)
        kind = next(name for name, digits in _SIZES.items() if digits == size)
        await store._git(
            "init", "--quiet", "--bare", "--template=", f"--object-format={kind}", str(store.folder)
        )
        return store

    async def close(self) -> None:
        """Gone."""
        await asyncio.to_thread(self._kept.cleanup)

    async def commit(self, files: Mapping[str, bytes], message: str) -> str:
        """The id of a commit without parents that holds these files and nothing else."""
        text = message.encode()
        parts = [f"commit {_OUT}\ncommitter Undrift <undrift@localhost> {int(time.time())} +0000\n".encode()]
        parts.append(b"data %d\n%s\n" % (len(text), text))
        for name, content in sorted(files.items()):
            parts.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content), content))
        await self._git("update-ref", "-d", _OUT)
        await self._git("fast-import", "--quiet", "--force", given=b"".join([*parts, b"done\n"]))
        return await self.commit_of(_OUT)

    async def commit_of(self, ref: str) -> str:
        """Where a ref is here."""
        return (await self._git("rev-parse", "--verify", ref)).decode().strip()

    async def files(self, commit: str) -> dict[str, bytes]:
        """The files of a commit, by name; of what is no such commit, none."""
        done = await self._run("archive", "--format=tar", commit)
        if done.status:
            return {}
        with tarfile.open(fileobj=io.BytesIO(done.output)) as opened:
            members = [one for one in opened.getmembers() if one.isreg()]
            return {one.name: file.read() for one in members if (file := opened.extractfile(one)) is not None}

    async def _git(self, *arguments: str, given: bytes = b"") -> bytes:
        done = await self._run(*arguments, given=given)
        if done.status:
            raise errors.StoreBroken(
                f"git {arguments[0]} failed",
                why=command.shorten(done.complaint),
                hint="make room for temporary files",
            )
        return done.output

    async def _run(self, *arguments: str, given: bytes = b"") -> command.Finished:
        environment = command.plain_environment({"GIT_DIR": str(self.folder), "GIT_ALLOW_PROTOCOL": "none"})
        try:
            return await command.run(arguments, environment, given=given, timeout=_TIMEOUT)
        except TimeoutError:
            raise errors.StoreBroken(f"git {arguments[0]} took longer than {_TIMEOUT:g} s") from None

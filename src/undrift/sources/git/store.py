"""What we have of a repository: one bare store on disk, shared by all sources of that repository.

```
<folder>/objects.git   commits and trees of the refs we follow, and the blobs that were needed; fetched into
<folder>/reader.git    borrows those objects, knows no server (see `reading`)
<folder>/accepted/     which commit each source accepted last, to notice a rewritten history
<folder>/lock          held while the store is written, also against other processes
```

All of it can be deleted at any time: it is fetched again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from undrift import errors
from undrift.sources.git import addresses, command

_PACKS = 40
_LOOK = 0.25
_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--recurse-submodules=no")


class Store:
    """One store. Only `fetch`, `fetch_objects`, `write` and `renew` write; each holds the lock for as long as it does."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self._objects = folder / "objects.git"
        self._reader = folder / "reader.git"
        self._turn = asyncio.Lock()

    @property
    def objects_folder(self) -> pathlib.Path:
        """The repository that is fetched into."""
        return self._objects

    def reading_environment(self) -> dict[str, str]:
        """The environment in which `git` reads the store and can neither write nor fetch."""
        return command.plain_environment(
            {
                "GIT_DIR": str(self._reader),
                "GIT_OBJECT_DIRECTORY": str(self._objects / "objects"),
                "GIT_ALLOW_PROTOCOL": "none",
            }
        )

    async def read(self, arguments: Sequence[str], *, timeout: float = 60.0) -> command.Finished:
        """Run a reading `git` command on the store. Raises `TimeoutError` and `StoreBroken`."""
        return await command.run(arguments, self.reading_environment(), timeout=timeout)

    def exists(self) -> bool:
        """Whether something was fetched here before."""
        return (self._objects / "HEAD").exists() and (self._reader / "HEAD").exists()

    async def fetch(
        self, access: addresses.Access, refspecs: Sequence[str], *, object_format: str, timeout: float
    ) -> None:
        """Fetch commits and trees of `refspecs`; blobs only where the server cannot leave them out.

        Raises `SourceUnavailable`, `SourceDenied`, `HostKeyRefused`, `ReferenceMissing`, `StoreBroken`, and
        `Corruption` when it is the store that is damaged.
        """
        async with self._writing():
            await self._make(object_format)
            await self._fetch(access, ["--filter=blob:none", "--force", "origin", *refspecs], b"", timeout)
            await self._tidy()

    async def fetch_objects(
        self, access: addresses.Access, ids: Collection[str], *, limit: int, timeout: float
    ) -> None:
        """Fetch single objects in one go; more than `limit` bytes on the wire are `ArtifactRefused`.

        Raises as `fetch`.
        """
        given = "".join(f"{one}\n" for one in sorted(ids)).encode()
        async with self._writing():
            fetching = asyncio.ensure_future(
                self._fetch(access, ["--filter=blob:none", "--stdin", "origin"], given, timeout)
            )
            watching = asyncio.ensure_future(self._grown(limit))
            try:
                await asyncio.wait([fetching, watching], return_when=asyncio.FIRST_COMPLETED)
                if fetching.done():
                    return await fetching
                raise errors.ArtifactRefused(
                    "the content is too large",
                    why=f"it is more than {limit / 2**20:.3g} MiB",
                    hint="narrow the application's path, or raise the limit of the agent",
                )
            finally:
                for task in (fetching, watching):
                    task.cancel()
                await asyncio.gather(fetching, watching, return_exceptions=True)

    async def fetch_all(self, access: addresses.Access, refspecs: Sequence[str], *, timeout: float) -> None:
        """Fetch everything, blobs included: for servers that give no single objects. Raises as `fetch`."""
        async with self._writing():
            await self._fetch(
                access, ["--refetch", "--no-filter", "--force", "origin", *refspecs], b"", timeout
            )

    async def write(
        self,
        access: addresses.Access,
        arguments: Sequence[str],
        *,
        timeout: float,
        extra: Mapping[str, str],
    ) -> command.Finished:
        """Run a `git` command that makes objects; those that it needs and that are not here yet are fetched.

        Raises `TimeoutError`.
        """
        environment = {**access.environment, **extra, "GIT_DIR": str(self._objects)}
        async with self._writing():
            return await command.run(["-c", "gc.auto=0", *arguments], environment, timeout=timeout)

    async def _fetch(
        self, access: addresses.Access, arguments: Sequence[str], given: bytes, timeout: float
    ) -> None:
        environment = {**access.environment, "GIT_DIR": str(self._objects)}
        options = ["-c", "gc.auto=0", "-c", "fetch.writeCommitGraph=false", "-c", "core.fsync=committed"]
        if given:
            options += ["-c", "fetch.negotiationAlgorithm=noop"]
        try:
            done = await command.run(
                [*options, "fetch", *_FETCH, *arguments], environment, given=given, timeout=timeout
            )
        except TimeoutError:
            raise errors.SourceUnavailable(
                "fetching takes too long",
                why=f"it was given up after {timeout:g} s",
                hint="it is tried again",
            ) from None
        if done.status:
            raise command.explain("fetching failed", done, access.secrets)

    async def _grown(self, limit: int) -> None:
        """Return when what is being received is larger than `limit` bytes."""
        packs = self._objects / "objects" / "pack"
        while await asyncio.to_thread(_receiving, packs) <= limit:  # noqa: ASYNC110 - what git writes rings no bell
            await asyncio.sleep(_LOOK)

    async def _make(self, object_format: str) -> None:
        if self.exists():
            return
        for folder in (self._objects, self._reader):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            done = await command.run(
                ["init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", str(folder)],
                command.plain_environment(),
            )
            if done.status:
                raise _unwritable(command.shorten(done.complaint))
            if folder is self._objects:
                await asyncio.to_thread(_set_up, folder)

    async def _tidy(self) -> None:
        """Every fetch leaves a pack; many of them make reading slow."""
        packs = self._objects / "objects" / "pack"
        if await asyncio.to_thread(_count, packs) > _PACKS:
            environment = command.plain_environment(
                {"GIT_DIR": str(self._objects), "GIT_ALLOW_PROTOCOL": "none"}
            )
            await command.run(["repack", "-a", "-d", "-k", "-q"], environment, timeout=600)

    async def renew(self) -> None:
        """Throw the store away; the next fetch makes a new one. Which commits were accepted stays known."""
        async with self._writing():
            for folder in (self._objects, self._reader):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def accepted(self, source: str, ref: str) -> str:
        """The commit of `ref` that a source accepted last, or ""."""
        try:
            return self._accepted(source, ref).read_text("ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return ""
        except OSError as error:
            raise _unwritable(str(error)) from None

    def accept(self, source: str, ref: str, commit: str) -> None:
        """Remember that a source accepted a commit of `ref`. Raises `StoreBroken`."""
        path = self._accepted(source, ref)
        scratch = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(commit + "\n", "ascii")
            scratch.replace(path)
        except OSError as error:
            raise _unwritable(str(error)) from None

    def _accepted(self, source: str, ref: str) -> pathlib.Path:
        return self.folder / "accepted" / hashlib.sha256(f"{source}\0{ref}".encode()).hexdigest()[:32]

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Nobody else writes this store meanwhile, in no process; the lock ends with the process that holds it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(str(error)) from None
        try:
            async with self._turn:
                while not _locked(handle):  # noqa: ASYNC110 - the holder may be another process
                    await asyncio.sleep(_LOOK / 10)
                await asyncio.to_thread(_sweep, self._objects / "objects" / "pack")
                yield
        finally:
            os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _set_up(folder: pathlib.Path) -> None:
    """Tell git that blobs may be missing."""
    settings: Mapping[str, str] = {
        "core": "repositoryFormatVersion = 1",
        "extensions": "partialClone = origin",
        'remote "origin"': "promisor = true\n\tpartialclonefilter = blob:none",
    }
    with (folder / "config").open("a", encoding="utf-8") as file:
        for section, text in settings.items():
            file.write(f"[{section}]\n\t{text}\n")


def _receiving(packs: pathlib.Path) -> int:
    sizes = []
    for path in packs.glob("tmp_*"):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return max(sizes, default=0)


def _sweep(packs: pathlib.Path) -> None:
    """Remove what a killed fetch left; whoever holds the lock is the only one who writes."""
    for path in packs.glob("tmp_*"):
        path.unlink(missing_ok=True)


def _count(packs: pathlib.Path) -> int:
    return sum(1 for _ in packs.glob("*.pack"))


def _unwritable(why: str) -> errors.StoreBroken:
    return errors.StoreBroken(
        "the local store cannot be written",
        why=why,
        hint="make room on the agent's disk or correct its permissions; what was fetched before is still there",
    )

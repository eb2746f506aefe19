"""Commits, trees and blobs out of a store: one `git cat-file` that stays, asked in batches.

It runs in a repository of its own that borrows the store's objects but knows no server, so that an object that
was never fetched is reported as missing instead of being fetched alone, one by one, behind our back.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from undrift import errors
from undrift.sources.git import command

_LINE = 1024 * 1024
_IDLE = 60.0
_ENDING = 1.0
_TOGETHER = 64
_SHA256 = 64
_KINDS = frozenset({"commit", "tree", "blob", "tag"})
_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True)
class Info:
    """An object that is there: its id, kind (commit, tree, blob, tag) and size in bytes."""

    object_id: str
    kind: str
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """An object with its content, checked against its id."""

    object_id: str
    kind: str
    content: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(slots=True, eq=False)
class _Question:
    """What somebody waits for: `names`, and how each answer is read."""

    verb: str
    names: Sequence[str]
    read: Callable[[asyncio.StreamReader], Awaitable[Any]]
    answers: list[Any] | None = None


class Reader:
    """Answers what is in a store. `environment` is asked when the process starts; it ends after idle seconds."""

    def __init__(self, environment: Callable[[], Mapping[str, str]], *, timeout: float = 60.0) -> None:
        self._environment = environment
        self.timeout = timeout
        self._process: asyncio.subprocess.Process | None = None
        self._complaint: asyncio.Task[bytes] | None = None
        self._lock = asyncio.Lock()
        self._waiting: list[_Question] = []
        self._idle: asyncio.TimerHandle | None = None

    async def info(self, names: Sequence[str]) -> list[Info | None]:
        """What each name (an id, or `commit:path`, without line breaks) stands for; None: it is not in the store.

        Raises `Corruption` when the store is damaged and `StoreBroken` when it does not answer.
        """
        return await self._ask("info", names, _read_info)

    async def contents(self, names: Sequence[str]) -> list[Found | None]:
        """The same with the content. What does not hash to its id is `Corruption`."""
        return await self._ask("contents", names, _read_content)

    async def _ask(
        self, verb: str, names: Sequence[str], read: Callable[[asyncio.StreamReader], Awaitable[_T]]
    ) -> list[_T]:
        if not names:
            return []
        mine = _Question(verb, names, read)
        self._waiting.append(mine)
        try:
            async with self._lock:
                if mine.answers is None:
                    await self._serve(mine)
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)
        return mine.answers or []

    async def _serve(self, mine: _Question) -> None:
        """Put `mine` and all that waits by now in one go: the process is woken once for all who asked.

        What befalls others in the middle of it is theirs to find out: they are asked again.
        """
        self._waiting.remove(mine)
        asked = [mine, *self._waiting[:_TOGETHER]]
        del self._waiting[:_TOGETHER]
        try:
            await self._guarded(asked)
        except (errors.StoreBroken, command.Corruption):
            if mine.answers is None:
                raise
        finally:
            self._waiting[:0] = [one for one in asked if one.answers is None and one is not mine]

    async def _guarded(self, asked: Sequence[_Question]) -> None:
        try:
            async with asyncio.timeout(self.timeout):
                await self._exchange(asked)
        except TimeoutError:
            await self._stop()
            raise errors.StoreBroken(
                "the local store does not answer",
                why=f"git cat-file said nothing for {self.timeout:g} s",
            ) from None
        except (asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
            raise await self._died(error) from None
        except BaseException:
            # Half an answer is still in the pipe: it must not become the start of the next one.
            await self._stop()
            raise

    async def _exchange(self, asked: Sequence[_Question]) -> None:
        process = await self._start()
        if process.stdin is None or process.stdout is None:
            raise ConnectionError
        lines = "".join(f"{one.verb} {name}\n" for one in asked for name in one.names) + "flush\n"
        process.stdin.write(lines.encode("utf-8", "surrogateescape"))
        for one in asked:
            one.answers = [await one.read(process.stdout) for _ in one.names]
        await process.stdin.drain()

    async def _start(self) -> asyncio.subprocess.Process:
        loop = asyncio.get_running_loop()
        if self._idle:
            self._idle.cancel()
        self._idle = loop.call_later(_IDLE, self._retire)
        if self._process is None or self._process.returncode is not None:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    "git",
                    "cat-file",
                    "--batch-command",
                    "--buffer",
                    env=dict(self._environment()),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    start_new_session=True,
                    limit=_LINE,
                )
            except FileNotFoundError as error:
                raise command.missing_git() from error
            if self._process.stderr:
                self._complaint = loop.create_task(self._process.stderr.read())
        return self._process

    def _retire(self) -> None:
        """Nobody asked for a while: let the process end by closing its input."""
        if not self._lock.locked() and self._process and self._process.stdin:
            self._process.stdin.close()
            self._process = None

    async def _died(self, error: BaseException) -> Exception:
        process, complaint = self._process, self._complaint
        if process is not None and process.stdout is not None and process.stdout.at_eof():
            # To kill it as well would hide from us how it ended.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENDING):
                    await process.wait()
        await self._stop()
        said = (await complaint).decode("utf-8", "replace").strip() if complaint else ""
        if process is not None and not said and process.returncode is not None and process.returncode < 0:
            return errors.StoreBroken("the local store does not answer", why="git cat-file was killed")
        return command.Corruption(said or str(error))

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.stdin:
                process.stdin.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()

    async def close(self) -> None:
        """End the process."""
        if self._idle:
            self._idle.cancel()
        await self._stop()
        if self._complaint:
            await self._complaint


async def _header(stream: asyncio.StreamReader) -> Info | None:
    line = await stream.readuntil(b"\n")
    object_id, kind, size = (
        line.decode("utf-8", "surrogateescape").rstrip("\n").rsplit(" ", 2)
        if line.count(b" ") > 1
        else ("", "", "")
    )
    if kind not in _KINDS:
        return None
    return Info(object_id, kind, int(size))


async def _read_info(stream: asyncio.StreamReader) -> Info | None:
    return await _header(stream)


async def _read_content(stream: asyncio.StreamReader) -> Found | None:
    header = await _header(stream)
    if header is None:
        return None
    content = (await stream.readexactly(header.size + 1))[:-1]
    new = hashlib.sha256 if len(header.object_id) == _SHA256 else hashlib.sha1
    digest = new(f"{header.kind} {header.size}\0".encode())
    digest.update(content)
    if digest.hexdigest() != header.object_id:
        raise command.Corruption(f"object {header.object_id} is damaged")
    return Found(header.object_id, header.kind, content)

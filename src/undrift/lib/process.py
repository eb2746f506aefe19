"""Running a program: argument list only, with a deadline, and with all of its children ended when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import resource
import signal
from collections.abc import Mapping, Sequence

_GRACE = 2.0
_CHUNK = 1 << 16
_HUNG_UP = (BrokenPipeError, ConnectionResetError, RuntimeError)
"""A program that ended without reading all of its input; uvloop tells it by a RuntimeError."""


class ProcessError(Exception):
    """A program could not be run to its end. Knows the arguments, never the environment or the input."""

    def __init__(self, argv: Sequence[str], problem: str) -> None:
        super().__init__(f"{argv[0]}: {problem}")
        self.argv = tuple(argv)
        self.problem = problem


class ProgramMissing(ProcessError):
    """There is no such program."""


class ProcessTimeout(ProcessError):
    """The program took too long and was ended."""


class OutputTooLarge(ProcessError):
    """The program wrote more than it may and was ended."""


@dataclasses.dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended and what it wrote."""

    returncode: int
    stdout: bytes
    stderr: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one run: seconds, bytes of output, bytes of address space and seconds of CPU (0 = none)."""

    timeout: float = 60.0
    output: int = 64 << 20
    memory: int = 0
    cpu: int = 0


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> Completed:
    """Run a program to its end. Raises a `ProcessError`; a bad exit code is the caller's to judge.

    `env` is the whole environment (None: ours). The program gets its own process group, which is ended
    with it, on a timeout and when we are cancelled.
    """
    bounds = limits or Limits()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise ProgramMissing(argv, error.strerror or "not found") from error
    _bound(process.pid, bounds)
    try:
        async with asyncio.timeout(bounds.timeout):
            stdout, stderr = await _talk(process, stdin, bounds.output, argv)
            return Completed(await process.wait(), stdout, stderr)
    except TimeoutError as error:
        raise ProcessTimeout(argv, f"took longer than {bounds.timeout:g} s") from error
    finally:
        await asyncio.shield(_end(process))


async def _talk(
    process: asyncio.subprocess.Process, stdin: bytes | None, most: int, argv: Sequence[str]
) -> tuple[bytes, bytes]:
    try:
        async with asyncio.TaskGroup() as group:
            if stdin is not None:
                group.create_task(_feed(process, stdin))
            out = group.create_task(_read(process.stdout, most, argv))
            err = group.create_task(_read(process.stderr, most, argv))
    except BaseExceptionGroup as several:
        first = several.exceptions[0]
        raise first from first.__cause__
    return out.result(), err.result()


async def _feed(process: asyncio.subprocess.Process, content: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(*_HUNG_UP):
        process.stdin.write(content)
        await process.stdin.drain()
    process.stdin.close()
    with contextlib.suppress(*_HUNG_UP):
        await process.stdin.wait_closed()


async def _read(stream: asyncio.StreamReader | None, most: int, argv: Sequence[str]) -> bytes:
    found = bytearray()
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        found += chunk
        if len(found) > most:
            raise OutputTooLarge(argv, f"wrote more than {most} bytes")
    return bytes(found)


def _bound(pid: int, bounds: Limits) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
        if bounds.memory:
            resource.prlimit(pid, resource.RLIMIT_AS, (bounds.memory, bounds.memory))
        if bounds.cpu:
            resource.prlimit(pid, resource.RLIMIT_CPU, (bounds.cpu, bounds.cpu + 1))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and whatever it started: gently, then for good."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
    _signal(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)

"""The transport to a host over SSH. What several callers want at the same time goes in one command."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import asyncssh

from undrift import errors
from undrift.lib import process
from undrift.providers.hosts import local, transport
from undrift.providers.hosts.ssh import connecting, looking, saying, scripts, speech, stepping

_LOOK: Final = 60.0
_CHANGE: Final = 120.0
_MORE: Final = 10.0
"""Seconds beyond a program's own limit after which we stop to wait for it."""
_LARGE: Final = 256 << 10
_LATE: Final = 124
_NO_PROGRAM: Final = 127
_In = TypeVar("_In")
_Out = TypeVar("_Out")


class SshTransport:
    """Implements `transport.Transport` for paths below `root` on a host."""

    def __init__(self, connection: connecting.Connection, root: str) -> None:
        self._connection = connection
        self._root = root
        self._looks = _Lane(self._look)
        self._changes = _Lane(self._change)

    async def discover(self) -> Mapping[str, Any]:
        """See `transport.Transport`. Told when the connection was made."""
        facts = (await self._connection.greeting()).facts
        return {
            "hostname": facts.get("hostname", ""),
            "os": facts.get("os", "").lower(),
            "arch": facts.get("arch", ""),
            "user": facts.get("user", ""),
            "systemd": facts.get("systemd") == "yes",
        }

    async def greeting(self) -> connecting.Greeting:
        """What the host said of itself when the connection was made."""
        return await self._connection.greeting()

    @property
    def user(self) -> str:
        """See `transport.Reachable`."""
        return self._connection.user

    def real(self, path: str) -> str:
        """The path on the host itself."""
        return path if self._root == "/" else self._root + path

    async def listen(self, program: str, lines: Sequence[bytes]) -> asyncssh.SSHClientProcess[bytes]:
        """Start a program of ours that goes on until it is closed."""
        return await self._connection.stream(program, lines)

    async def reach(self, seconds: float) -> None:
        """See `transport.Reachable`: the connections that are open tell nothing of that."""
        await self._connection.reach(seconds)

    async def knock(self, address: str, port: int, say: bytes = b"") -> bytes:
        """See `transport.Reachable`."""
        return await self._connection.knock(address, port, say)

    async def look(self, wanted: Mapping[str, transport.Need]) -> Mapping[str, transport.Seen]:
        """See `transport.Transport`."""
        if not wanted:
            return {}
        found, _ = await self._looks.put(_Wish(wanted, ()))
        return found

    async def survey(
        self, wanted: Mapping[str, transport.Need], questions: Sequence[transport.Question]
    ) -> tuple[Mapping[str, transport.Seen], Sequence[process.Completed]]:
        """See `transport.Transport`."""
        if not questions:
            return await self.look(wanted), ()
        # What has questions goes by itself: others need not wait for its answers.
        [result] = await self._look([_Wish(wanted, tuple(questions))])
        if isinstance(result, errors.UndriftError):
            raise result
        return result

    async def change(self, steps: Sequence[transport.Step]) -> Sequence[str]:
        """See `transport.Transport`. Waits for its end even when cancelled: half a batch must not go on unseen."""
        task = asyncio.ensure_future(self._whole(steps))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            with contextlib.suppress(errors.UndriftError):
                await task
            raise

    async def run(self, order: transport.Order) -> process.Completed:
        """See `transport.Transport`."""
        nonce = secrets.token_hex(16)
        program = order.command[0]
        folder = self._root.rstrip("/") + order.directory
        limit = str(math.ceil(order.timeout))
        environment = (f"{name}={value}" for name, value in order.environment.items())
        words = (f".{word}" for word in order.command)
        line = speech.line(nonce, limit, folder, *environment, "--", *words)
        begun = time.monotonic()
        try:
            told = await self._connection.run(scripts.RUN, [line], order.timeout + _MORE)
        except connecting.Late:
            raise _late(order) from None
        if told.code is None:
            raise errors.OutcomeUnknown(
                f"the connection broke while {program} ran", why="nobody knows how it ended", hint=_AGAIN
            )
        if told.code == _LATE and time.monotonic() - begun >= order.timeout:
            raise _late(order)
        if told.code == _NO_PROGRAM and told.stderr.startswith(nonce.encode()):
            raise errors.ChangeRefused(
                f"{program} cannot be run",
                why=speech.text(told.stderr[len(nonce) + 1 :]).strip(),
                hint="is it installed, and is its folder there?",
            )
        return process.Completed(told.code, told.stdout, told.stderr)

    async def _look(self, wishes: Sequence[_Wish]) -> Sequence[_Result]:
        """One command for the looks of several callers; each gets what it asked for, or its own error."""
        wanted: dict[str, transport.Need] = {}
        for wish in wishes:
            for path, need in wish.wanted.items():
                wanted[path] = wanted.get(path, transport.Need.NOTHING) | need
        questions = [question for wish in wishes for question in wish.questions]
        asked = looking.ask(self._root, wanted, questions)
        patience = _LOOK + sum(question.timeout for question in questions)
        try:
            told = await self._connection.run(scripts.LOOK, asked.lines, patience)
            if told.code is None:
                # Nothing was changed: it is simply asked again, once.
                told = await self._connection.run(scripts.LOOK, asked.lines, patience)
        except connecting.Late as late:
            raise errors.TargetUnavailable(
                f"{self._connection.place} does not answer",
                why=str(late),
                hint="look at its load and its disks",
            ) from late
        reader = looking.Reader(asked, (await self._connection.greeting()).who)
        reader.read(told.stdout, told.stderr)
        answers = iter(reader.answers)
        return [_share(reader, wish, [next(answers) for _ in wish.questions]) for wish in wishes]

    async def _whole(self, steps: Sequence[transport.Step]) -> Sequence[str]:
        """All steps of a caller. A large file comes first, alone: it is not held in a shell's memory."""
        made: list[str] = []
        waiting: list[stepping.Step] = []
        for step in steps:
            if isinstance(step, transport.Write) and len(step.content) > _LARGE:
                made += await self._changes.put([*waiting, stepping.Parents(step.path)])
                await self._upload(step)
                waiting = [stepping.Uploaded(step)]
            else:
                waiting.append(step)
        if waiting:
            made += await self._changes.put(waiting)
        return made

    async def _change(
        self, callers: Sequence[Sequence[stepping.Step]]
    ) -> Sequence[Sequence[str] | errors.UndriftError]:
        greeting = await self._connection.greeting()
        outcome = stepping.Outcome(callers, greeting.who)
        why = ""
        try:
            told = await self._connection.run(scripts.CHANGE, stepping.ask(self._root, callers), _CHANGE)
            outcome.read(told.stdout)
            why = told.stderr.decode("utf-8", "replace").strip()[-500:]
        except connecting.Late as late:
            outcome.read(late.heard)
            why = str(late)
        results: list[Sequence[str] | errors.UndriftError] = []
        for number in range(len(callers)):
            if number in outcome.done:
                results.append(outcome.made[number])
            else:
                results.append(outcome.refused or outcome.errors.get(number) or _unknown(why))
        return results

    async def _upload(self, step: transport.Write) -> None:
        """Write a large file to its temporary name. Raises when it is not there as it was sent."""
        await self._connection.greeting()
        folder, name = transport.unfinished(step.path).rsplit("/", 1)
        head = [speech.field(self._root), speech.field(folder + "/"), speech.field(name)]
        program = b"undrift:" + speech.field(scripts.UPLOAD)
        try:
            told = await self._connection.send(b"\n".join([program, *head, step.content]), _CHANGE)
        except connecting.Late as late:
            raise _unknown(str(late)) from late
        if told.stdout.split()[:1] == [local.name_content(step.content).removeprefix("sha256:").encode()]:
            return
        if told.code is None:
            raise _unknown("")
        who = (await self._connection.greeting()).who
        said = told.stderr.decode("utf-8", "replace")
        if said.startswith("escapes "):
            raise saying.escapes(folder, said.removeprefix("escapes ").strip())
        raise saying.explain(said, step.path, "writing", who)


_AGAIN: Final = "it is looked at again, and planned anew where something is left to do"


def _unknown(why: str) -> errors.OutcomeUnknown:
    return errors.OutcomeUnknown(
        "the connection broke while the change was made",
        why=why or "nobody knows whether it was",
        hint=_AGAIN,
    )


def _late(order: transport.Order) -> errors.OutcomeUnknown:
    return errors.OutcomeUnknown(
        f"{order.command[0]} took longer than {order.timeout:g} s and was ended",
        hint="give the command a longer timeout, or look why it hangs",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Wish:
    """What one caller wants to see and to know."""

    wanted: Mapping[str, transport.Need]
    questions: tuple[transport.Question, ...]


_Result = tuple[Mapping[str, transport.Seen], Sequence[process.Completed]] | errors.UndriftError


def _share(reader: looking.Reader, wish: _Wish, answers: Sequence[process.Completed]) -> _Result:
    for path in wish.wanted:
        if path in reader.wrong:
            return reader.wrong[path]
    return {path: reader.seen[path] for path in wish.wanted if path in reader.seen}, answers


class _Lane(Generic[_In, _Out]):
    """While one command is under way, what comes meanwhile is gathered for the next one."""

    def __init__(
        self, work: Callable[[Sequence[_In]], Awaitable[Sequence[_Out | errors.UndriftError]]]
    ) -> None:
        self._work = work
        self._waiting: list[tuple[_In, asyncio.Future[_Out]]] = []
        self._running: asyncio.Task[None] | None = None

    async def put(self, item: _In) -> _Out:
        """Its result, or the error that it came to."""
        future: asyncio.Future[_Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            # Whoever is about to ask in this turn of the loop comes along.
            await asyncio.sleep(0)
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._do(batch)
        finally:
            self._running = None

    async def _do(self, batch: Sequence[tuple[_In, asyncio.Future[_Out]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except errors.UndriftError as error:
            # Each gets its own: who catches it says more in it.
            results = [copy.copy(error) for _ in batch]
        except Exception as error:  # noqa: BLE001 - whoever comes after it must not wait for ever
            failed = errors.InternalError(f"a command failed: {type(error).__name__}")
            results = [copy.copy(failed) for _ in batch]
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, errors.UndriftError):
                future.set_exception(result)
            else:
                future.set_result(result)

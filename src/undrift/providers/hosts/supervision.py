"""Services without root: a supervisord of our own, kept in the target's state folder and spoken to on its socket.

It is run as a program and outlives the agent, as an init system would. The file of a program begins with a comment
that holds the declared fields; what runs is what the daemon says.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from undrift import errors
from undrift.lib import atomic, mask
from undrift.providers.hosts import failing, health, local, managing, programs, speaking

_LONGEST_SOCKET: Final = 100
_TAIL: Final = 2000
_LINES: Final = 10
_REMEMBERED: Final = 60.0
_STARTUP: Final = 10.0
_LIVES: Final = {
    "RUNNING": health.Life.RUNNING,
    "STARTING": health.Life.STARTING,
    "BACKOFF": health.Life.FAILING,
    "FATAL": health.Life.FAILING,
}
_ALIVE: Final = frozenset({"RUNNING", "STARTING", "BACKOFF"})


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where a supervisord keeps its things."""

    folder: pathlib.Path

    @property
    def socket(self) -> pathlib.Path:
        """Beside the rest, unless that is longer than the system allows."""
        near = self.folder / "socket"
        if len(os.fsencode(near)) <= _LONGEST_SOCKET:
            return near
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return pathlib.Path(tempfile.gettempdir()) / f"undrift-{os.geteuid()}-{name}" / "socket"

    def program(self, name: str) -> pathlib.Path:
        """The file of one program."""
        return self.folder / "programs" / f"{name}.ini"

    def log(self, name: str) -> pathlib.Path:
        """What one program writes."""
        return self.folder / "logs" / f"{name}.log"


def layout(state: str) -> Layout:
    """The layout in a target's state folder."""
    return Layout(pathlib.Path(state) / "supervisor")


async def shut_down(state: str) -> None:
    """End a target's supervisord and everything it runs; none there is fine. Raises `TargetUnavailable`."""
    place = layout(state)
    if await asyncio.to_thread(speaking.answers, place.socket):
        await asyncio.to_thread(speaking.ask, place.socket, "supervisor.shutdown")
        await _until(lambda: not place.socket.exists(), "supervisord does not end")


class Supervisor:
    """Implements `managing.Manager`; `real` turns a manifest's path into the machine's."""

    def __init__(self, state: str, real: Callable[[str], str]) -> None:
        self._place = layout(state)
        self._real = real
        self._crashed: dict[str, float] = {}

    def wants(self, names: Collection[str]) -> managing.Wants:
        """See `managing.Manager`: the daemon is asked on its socket."""
        return managing.Wants()

    async def look(self, names: Collection[str], told: managing.Told) -> Mapping[str, health.Unit]:
        """See `managing.Manager`."""
        return await asyncio.to_thread(self._look, names)

    async def put(self, name: str, fields: Mapping[str, Any], live: Mapping[str, Any] | None) -> None:
        """See `managing.Manager`."""
        _allowed(name, fields["user"])
        before = {} if live is None else live
        restart = live is not None and before.get("trigger") != fields["trigger"]
        reload = live is not None and before.get("reload") != fields["reload"]
        # What is not done yet must not look done: the comment says so until the end.
        unfinished = {**fields, "trigger": "(unfinished)"} if restart or live is None else fields
        await asyncio.to_thread(self._write, name, unfinished)
        await self._run()
        await asyncio.to_thread(self._enact, name, fields, restart, reload)
        await asyncio.to_thread(self._write, name, fields)

    async def remove(self, name: str) -> None:
        """See `managing.Manager`."""
        await asyncio.to_thread(self._remove, name)

    def _look(self, names: Collection[str]) -> dict[str, health.Unit]:
        texts: dict[str, str] = {}
        with _explained(self._place.folder, "looking at services in"):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    texts[name] = self._place.program(name).read_text()
        if not texts:
            return {}
        running = self._processes()
        return {name: self._unit(name, text, running.get(name)) for name, text in texts.items()}

    def _processes(self) -> dict[str, Mapping[str, Any]]:
        """What the daemon says, by name; nothing runs where there is no daemon."""
        if not speaking.answers(self._place.socket):
            return {}
        told = speaking.ask(self._place.socket, "supervisor.getAllProcessInfo")
        return {str(one["name"]): one for one in told}

    def _unit(self, name: str, text: str, told: Mapping[str, Any] | None) -> health.Unit:
        declared = programs.declared(text)
        fields = dict(declared)
        if not declared or programs.text(name, declared, self._real, self._place.log(name)) != text:
            fields["command"] = ["(edited by hand)"]
        state = str(told["statename"]) if told is not None else "STOPPED"
        fields["manager"] = "supervisor"
        fields["state"] = "running" if state in _ALIVE else "failed" if state == "FATAL" else "stopped"
        life = self._life(name, state)
        wanted = str(declared.get("state", "running"))
        seconds = float(told["now"] - told["start"]) if told is not None and state == "RUNNING" else 0.0
        wrote = "" if life is health.Life.RUNNING and seconds < 1 else self._wrote(name, declared)
        return health.Unit(fields, life, seconds, wrote, wanted)

    def _life(self, name: str, state: str) -> health.Life:
        """A program that crashes again and again is between crashes starting: it fails all the same."""
        life = _LIVES.get(state, health.Life.STOPPED)
        if life is health.Life.FAILING:
            self._crashed[name] = time.monotonic()
        elif life is health.Life.STARTING and time.monotonic() - self._crashed.get(name, -1e9) < _REMEMBERED:
            return health.Life.FAILING
        elif life is health.Life.RUNNING:
            self._crashed.pop(name, None)
        return life

    def _wrote(self, name: str, declared: Mapping[str, Any]) -> str:
        try:
            with self._place.log(name).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
                lines = file.read().decode("utf-8", "replace").strip().splitlines()[-_LINES:]
        except OSError:
            return ""
        return mask.Mask(programs.secrets(declared))("\n".join(lines))

    def _write(self, name: str, fields: Mapping[str, Any]) -> None:
        text = programs.text(name, fields, self._real, self._place.log(name))
        path = self._place.program(name)
        with _explained(path, "writing the service"):
            for folder in (self._place.folder, path.parent, self._place.log(name).parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            atomic.write(path, text.encode())

    def _enact(self, name: str, fields: Mapping[str, Any], restart: bool, reload: bool) -> None:  # noqa: FBT001 - two facts of one call
        """Make the daemon do what the files say, for this program alone."""
        self._crashed.pop(name, None)
        socket = self._place.socket
        ((added, changed, _),) = speaking.ask(socket, "supervisor.reloadConfig")
        if name in changed:
            self._forget(name)
        if name in changed or name in added:
            speaking.ask(socket, "supervisor.addProcessGroup", name)
        told = self._processes().get(name)
        alive = told is not None and told["statename"] in _ALIVE
        fresh = name in changed or name in added
        if alive and (fields["state"] == "stopped" or (restart and not fresh)):
            speaking.ask(socket, "supervisor.stopProcess", name)
            alive = False
        if fields["state"] == "running" and not alive:
            speaking.ask(socket, "supervisor.startProcess", name, False)
        elif alive and reload and not fresh:
            speaking.ask(socket, "supervisor.signalProcess", name, "HUP")

    def _forget(self, name: str) -> None:
        with contextlib.suppress(speaking.SaysNo):
            speaking.ask(self._place.socket, "supervisor.stopProcessGroup", name)
        with contextlib.suppress(speaking.SaysNo):
            speaking.ask(self._place.socket, "supervisor.removeProcessGroup", name)

    def _remove(self, name: str) -> None:
        """The file goes last: until then it is still there to be removed."""
        answers = speaking.answers(self._place.socket)
        if answers:
            self._forget(name)
        with _explained(self._place.program(name), "removing the service"):
            for log in self._place.log(name).parent.glob(f"{name}.log*"):
                log.unlink(missing_ok=True)
            self._place.program(name).unlink(missing_ok=True)
            left = any(self._place.program(name).parent.glob("*.ini"))
        if answers and not left:
            speaking.ask(self._place.socket, "supervisor.shutdown")

    async def _run(self) -> None:
        """Start the daemon where it does not run."""
        if await asyncio.to_thread(speaking.answers, self._place.socket):
            return
        config = await asyncio.to_thread(self._configure)
        problem = await _launch(config)
        if problem:
            raise errors.TargetUnavailable("supervisord does not start", why=problem)
        await _until(self._ready, "supervisord does not answer")

    def _ready(self) -> bool:
        """While it starts it takes calls that it then drops."""
        try:
            return bool(speaking.ask(self._place.socket, "supervisor.getState"))
        except errors.TargetUnavailable:
            return False

    def _configure(self) -> pathlib.Path:
        path = self._place.folder / "supervisord.conf"
        with _explained(path, "writing"):
            self._place.socket.parent.mkdir(mode=0o700, exist_ok=True)
            if self._place.socket.parent.lstat().st_uid != os.geteuid():
                raise errors.TargetDenied(f"{self._place.socket.parent} belongs to somebody else")
            atomic.write(path, programs.daemon(self._place.folder, self._place.socket).encode())
        return path


def _allowed(name: str, user: str | None) -> None:
    """Only root may run a program as somebody else."""
    if user is not None and os.geteuid() != 0 and user != failing.user():
        raise errors.TargetDenied(
            f"the service {name} cannot run as {user}",
            why=f"the agent runs as {failing.user()}",
            hint="run the agent as root, or take user out of the service",
        )


@contextlib.contextmanager
def _explained(path: pathlib.Path, doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise failing.explain(error, str(path), doing) from error


async def _launch(config: pathlib.Path) -> str:
    """Start the daemon, which leaves us by itself. Returns what it complained about.

    Not by `process.run`: that ends the whole process group afterwards, and the daemon may still be in it.
    """
    log = config.with_name("start.log")
    with _explained(log, "writing"), log.open("wb") as said:
        try:
            started = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "supervisor.supervisord", "-c", str(config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=local.clean_environment(),
                start_new_session=True,
            )
            async with asyncio.timeout(_STARTUP):
                code = await started.wait()
        except TimeoutError:
            started.kill()
            await started.wait()
            return f"it took longer than {_STARTUP:g} s"
    return log.read_text("utf-8", "replace").strip()[-_TAIL:] if code else ""


async def _until(done: Callable[[], bool], problem: str) -> None:
    try:
        async with asyncio.timeout(_STARTUP):
            while not await asyncio.to_thread(done):  # noqa: ASYNC110 - another process tells us nothing
                await asyncio.sleep(0.02)
    except TimeoutError as late:
        raise errors.TargetUnavailable(f"{problem} in {_STARTUP:g} s", hint="see supervisord.log") from late

"""One connection to a host, made when it is needed, kept, and made anew when it broke; commands run over it side by side.

A program is sent as data (see `scripts.BOOT`), so that the user's login shell sees a constant.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import os
import re
import shlex
import time
from collections.abc import Iterable
from typing import Final

import asyncssh

from undrift import errors, interfaces
from undrift.providers.hosts import login
from undrift.providers.hosts.ssh import saying, scripts, signing_in, speech

_AT_ONCE: Final = 8
"""Channels at a time: sshd allows ten a connection unless told otherwise."""
_MOST: Final = 256 << 20
_CHUNK: Final = 1 << 18
_BROKEN: Final = (asyncssh.Error, OSError, TimeoutError)
_WHO: Final = re.compile(r"uid=(\d+)\(([^)]*)\)")
_SHELL: Final = f"/bin/sh -c {shlex.quote(scripts.BOOT)}"
_ELBOW: Final = 0.05
_PAUSE: Final = 0.5
_SUDO_SAYS: Final = (b"sudo: ", b"Sorry, ", b"\nsudo: ", b"\nSorry, ")
_SUDO_WARNS: Final = b"sudo: unable to resolve host"
"""What it says of a machine that does not know its own name, and goes on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Spoken:
    """What a program wrote until it ended; `code` is None when the connection broke before."""

    stdout: bytes
    stderr: bytes
    code: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Greeting:
    """What a host says of itself: facts by name, who we are there, and which tools it has."""

    facts: dict[str, str]
    who: saying.Who
    has: frozenset[str]


class Late(Exception):
    """A program took too long and was left alone; `heard` is what it wrote until then."""

    def __init__(self, seconds: float, heard: bytes) -> None:
        super().__init__(f"no answer in {seconds:g} s")
        self.heard = heard


class Connection:
    """A host over SSH. `run` may be called by many at once. Raises `TargetError`s."""

    def __init__(self, remote: login.Remote, secrets: interfaces.SecretResolver) -> None:
        self._remote = remote
        self._secrets = secrets
        self._opening = asyncio.Lock()
        self._channels = asyncio.Semaphore(_AT_ONCE)
        self._chain: list[asyncssh.SSHClientConnection] = []
        self._password = ""
        self._greeting: Greeting | None = None

    @property
    def place(self) -> str:
        """The host, for people."""
        return str(self._remote.login)

    @property
    def user(self) -> str:
        """Who we sign in as."""
        return self._remote.login.user

    async def greeting(self) -> Greeting:
        """What the host said of itself when the connection was made."""
        await self._open()
        if self._greeting is None:
            raise errors.TargetUnavailable(f"{self.place} hung up", hint="it is tried again")
        return self._greeting

    async def run(self, program: str, lines: Iterable[bytes], timeout: float) -> Spoken:
        """Run a program of ours to its end.

        Raises a `TargetError` before anything was sent only, and `Late` when it takes longer than `timeout`
        seconds; a connection that breaks later leaves what was heard until then, and no exit code.
        """
        return await self.send(speech.request(program, lines), timeout)

    async def send(self, request: bytes, timeout: float) -> Spoken:
        """The same for a request that is written already."""
        async with self._channels:
            process = await self._start_anew()
            told = await self._speak(process, request, timeout)
        if self._remote.sudo and told.code and not told.stdout and _says_no(told.stderr):
            raise self._no_shell(told)
        return told

    async def stream(self, program: str, lines: Iterable[bytes]) -> asyncssh.SSHClientProcess[bytes]:
        """Start a program of ours that goes on; its output is the caller's to read, and it to close.

        Its standard input stays open, so that it can tell when nobody listens any more.
        """
        process = await self._start_anew()
        process.stdin.write(self._ahead() + speech.request(program, lines))
        return process

    async def reach(self, seconds: float) -> None:
        """Get in by a new connection, which takes the place of the present one. Raises `TargetUnavailable`."""
        end = time.monotonic() + seconds
        while True:
            self._drop()
            try:
                async with asyncio.timeout(max(0.1, end - time.monotonic())):
                    await self._open()
                    return
            except (errors.TargetUnavailable, TimeoutError) as error:
                if time.monotonic() >= end:
                    raise errors.TargetUnavailable(
                        f"{self.place} did not let us in again for {seconds:g} s",
                        why=str(error),
                        hint="look at its console: is sshd running, and does the firewall let us through?",
                    ) from error
            await asyncio.sleep(_PAUSE)

    async def knock(self, address: str, port: int, say: bytes) -> bytes:
        """Connect to a server from the host; the first line of its answer to `say`. Raises `OSError`."""
        async with self._channels:
            connection = await self._open()
            try:
                reader, writer = await connection.open_connection(address, port, encoding=None)
            except asyncssh.ChannelOpenError as error:
                if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                    raise errors.TargetDenied(
                        f"sshd on {self.place} lets us not connect to {address}:{port} there",
                        hint="allow it (AllowTcpForwarding local), or write the probe as a command",
                    ) from error
                raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)) from error
            except asyncssh.Error as error:
                raise errors.TargetUnavailable(f"{self.place} hung up", why=str(error)) from error
            try:
                if not say:
                    return b""
                writer.write(say)
                return bytes(await reader.readline())
            except asyncssh.Error as error:
                raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error
            finally:
                writer.close()

    async def close(self) -> None:
        """Hang up."""
        chain = list(self._chain)
        self._drop()
        for one in chain:
            with contextlib.suppress(TimeoutError, *_BROKEN):
                async with asyncio.timeout(2):
                    await one.wait_closed()

    def _drop(self, only: asyncssh.SSHClientConnection | None = None) -> None:
        """Hang up; `only` unless somebody has made another connection meanwhile."""
        if only is not None and only not in self._chain:
            return
        for one in reversed(self._chain):
            one.abort()
        self._chain, self._greeting = [], None

    async def _open(self) -> asyncssh.SSHClientConnection:
        async with self._opening:
            if self._chain and not any(one.is_closed() for one in self._chain):
                return self._chain[-1]
            self._drop()
            try:
                await self._connect()
                self._greeting = await self._greet(self._chain[-1])
            except BaseException:
                self._drop()
                raise
            return self._chain[-1]

    async def _connect(self) -> None:
        """Connect to the host through all hosts before it."""
        way = [self._remote.login]
        while (jump := way[0].jump) is not None:
            way.insert(0, jump)
        for one in way:
            tunnel = self._chain[-1] if self._chain else None
            self._chain.append(await signing_in.connect(one, self._secrets, tunnel))
        if self._remote.sudo_password is not None:
            self._password = (await self._secrets.resolve(self._remote.sudo_password)).rstrip("\n")

    async def _greet(self, connection: asyncssh.SSHClientConnection) -> Greeting:
        try:
            process = await self._start(connection)
            told = await self._speak(
                process, speech.request(scripts.HELLO, ()), self._remote.login.connect_timeout
            )
        except (Late, *_BROKEN) as error:
            raise errors.TargetUnavailable(
                f"{self.place} does not answer", why=str(error), hint="look at its load and its disks"
            ) from error
        if not told.stdout.rstrip().endswith(speech.END):
            raise self._no_shell(told)
        lines = told.stdout.decode("utf-8", "replace").splitlines()
        facts = {
            name: value
            for line in lines
            for name, is_pair, value in [line.partition("=")]
            if is_pair and name
        }
        has = frozenset(facts.pop("has", "").split())
        found = _WHO.match(facts.pop("who", ""))
        who = saying.Who(found[2], found[1] == "0") if found is not None else saying.Who()
        # `uname` writes these in this order, whatever the order of its options.
        facts |= zip(("os", "hostname", "arch"), facts.pop("system", "").split(), strict=False)
        facts["user"] = who.name
        missing = sorted({"stat", "sha256sum", "base64", "readlink"} - has)
        if missing:
            raise errors.TargetDenied(
                f"{self.place} lacks {', '.join(missing)}", hint="install coreutils or busybox there"
            )
        return Greeting(facts, who, has)

    def _no_shell(self, told: Spoken) -> errors.TargetError:
        said = told.stderr.decode("utf-8", "replace").strip()[-500:]
        user = self._remote.login.user
        if told.code is None:
            return errors.TargetUnavailable(f"{self.place} hung up", why=said, hint="it is tried again")
        if self._remote.sudo and any(word in b"\n" + told.stderr for word in _SUDO_SAYS):
            return errors.TargetDenied(
                f"sudo on {self.place} refuses {user}",
                why=said,
                hint="give that user the right in sudoers (`NOPASSWD`, or settings.sudo.password of the Target)",
            )
        return errors.TargetDenied(
            f"{self.place} gives {user} no shell",
            why=said or f"a command ended with exit code {told.code}",
            hint="a POSIX shell is needed: look at the user's login shell and at ForceCommand of sshd",
        )

    async def _start_anew(self) -> asyncssh.SSHClientProcess[bytes]:
        """A channel; over a new connection where the one that we have broke unnoticed: nothing was sent yet."""
        connection = await self._open()
        try:
            return await self._start(connection)
        except _BROKEN:
            self._drop(connection)
        try:
            return await self._start(await self._open())
        except _BROKEN as error:
            raise errors.TargetUnavailable(
                f"{self.place} hung up", why=str(error), hint="it is tried again"
            ) from error

    async def _start(self, connection: asyncssh.SSHClientConnection) -> asyncssh.SSHClientProcess[bytes]:
        async with asyncio.timeout(self._remote.login.connect_timeout):
            while True:
                try:
                    return await connection.create_process(self._command(), encoding=None, window=_CHUNK * 8)
                except asyncssh.ChannelOpenError:
                    # sshd allows fewer at a time than we thought.
                    if connection.is_closed():
                        raise
                    await asyncio.sleep(_ELBOW)

    def _command(self) -> str:
        if not self._remote.sudo:
            return f"exec {_SHELL}"
        if self._remote.sudo_password is None:
            return f"exec sudo -n -H -- {_SHELL}"
        return f"exec sudo -S -H -p '' -- {_SHELL}"

    def _ahead(self) -> bytes:
        """What is written before anything else: the password, for sudo to read or for the program to pass over."""
        return f"{self._password}\n".encode() if self._password else b""

    async def _speak(
        self, process: asyncssh.SSHClientProcess[bytes], request: bytes, timeout: float
    ) -> Spoken:
        out, err = bytearray(), bytearray()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(
                    _feed(process, self._ahead() + request),
                    _hear(process.stdout, out),
                    _hear(process.stderr, err),
                )
                with contextlib.suppress(*_BROKEN):
                    await process.wait_closed()
        except TimeoutError:
            raise Late(timeout, _said(out)) from None
        finally:
            process.close()
        return Spoken(_said(out), bytes(err), process.returncode)


def _said(heard: bytearray) -> bytes:
    """What our program said: a login shell may greet before it, and need not end its line."""
    place = heard.find(scripts.BEGUN)
    return b"" if place < 0 else bytes(memoryview(heard)[place + len(scripts.BEGUN) :])


async def _feed(process: asyncssh.SSHClientProcess[bytes], request: bytes) -> None:
    with contextlib.suppress(*_BROKEN):
        for at in range(0, len(request), _CHUNK):
            process.stdin.write(request[at : at + _CHUNK])
            await process.stdin.drain()
        process.stdin.write_eof()


async def _hear(stream: asyncssh.SSHReader[bytes], heard: bytearray) -> None:
    with contextlib.suppress(*_BROKEN):
        while chunk := await stream.read(_CHUNK):
            heard += chunk
            if len(heard) > _MOST:
                raise errors.TargetDenied(f"the host answers with more than {_MOST >> 20} MiB")


def _says_no(stderr: bytes) -> bool:
    """Whether sudo did not run the program at all."""
    said = [line for line in stderr.splitlines() if not line.startswith(_SUDO_WARNS)]
    return bool(said) and said[0].startswith(_SUDO_SAYS)

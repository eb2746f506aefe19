"""How well a service does: its life as the manager tells it, and the probe that was declared."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import ssl
from collections.abc import Awaitable, Mapping
from typing import Any, Final
from urllib import parse

from undrift import errors
from undrift.model import health
from undrift.providers.hosts import kinds, transport

_PATIENCE: Final = 2.0
_BAD: Final = 400


class Life(enum.StrEnum):
    """What a service manager says of a service."""

    RUNNING = "running"
    STARTING = "starting"
    FAILING = "failing"
    STOPPED = "stopped"


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """A service as it is: the fields that a declaration has, its life, for how many seconds it runs,
    and the last lines that it wrote (secrets masked).
    """

    fields: Mapping[str, Any]
    life: Life
    seconds: float = 0.0
    wrote: str = ""
    wanted: str = "running"


async def judge(name: str, unit: Unit, host: transport.Transport) -> health.Health:
    """The health of a service: of one that should run, that it runs and its probe succeeds."""
    if unit.wanted == "stopped":
        return health.HEALTHY
    if unit.life is Life.FAILING:
        return health.Health(health.Status.DEGRADED, f"{name} crashes{_tail(unit)}")
    if unit.life is Life.STOPPED:
        return health.Health(health.Status.DEGRADED, f"{name} does not run{_tail(unit)}")
    asked = kinds.reveal(unit.fields.get("health"))
    if not asked:
        if unit.life is Life.RUNNING:
            return health.HEALTHY
        return health.Health(health.Status.PROGRESSING, f"{name} is starting")
    problem = await probe(asked, host)
    if not problem:
        return health.HEALTHY
    late = unit.seconds > float(asked["within"])
    status = health.Status.DEGRADED if late else health.Status.PROGRESSING
    return health.Health(status, f"{name} runs, but {problem}{_tail(unit) if late else ''}")


def _tail(unit: Unit) -> str:
    return f"; it wrote: {unit.wrote}" if unit.wrote else ""


async def probe(asked: Mapping[str, Any], host: transport.Transport) -> str:
    """Why a service is not healthy by its probe, or ""."""
    tried: list[Awaitable[str]] = []
    if asked.get("http"):
        tried.append(_http(str(asked["http"]), host))
    if asked.get("tcp"):
        tried.append(_tcp(str(asked["tcp"]), host))
    if asked.get("command"):
        tried.append(_command(tuple(asked["command"]), host))
    return "; ".join(problem for problem in await asyncio.gather(*tried) if problem)


async def _http(url: str, host: transport.Transport) -> str:
    where = parse.urlsplit(url)
    secure = where.scheme == "https"
    if secure and isinstance(host, transport.Reachable):
        return await _command(("curl", "-fsS", "-o", "/dev/null", "-m", f"{_PATIENCE:g}", "--", url), host)
    port = where.port or (443 if secure else 80)
    shown = f"[{where.hostname}]" if ":" in (where.hostname or "") else where.hostname
    path = parse.urlunsplit(("", "", where.path or "/", where.query, ""))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {shown}:{port}\r\nUser-Agent: undrift\r\nConnection: close\r\n\r\n"
    )
    try:
        say = request.encode("ascii")
        async with asyncio.timeout(_PATIENCE):
            words = (await _knock(host, where.hostname or "", port, say, secure=secure)).split()
        status = int(words[1]) if len(words) > 1 else _BAD
    except TimeoutError:
        return f"{url} does not answer in {_PATIENCE:g} s"
    except (OSError, ValueError) as error:
        return f"{url} cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}"
    except errors.TargetError as error:
        return f"its check failed: {error.what}"
    return f"{url} answers {status}" if status >= _BAD else ""


async def _tcp(address: str, host: transport.Transport) -> str:
    name, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_PATIENCE):
            await _knock(host, name.strip("[]") or "127.0.0.1", int(port), b"", secure=False)
    except TimeoutError:
        return f"{address} does not answer in {_PATIENCE:g} s"
    except (OSError, ValueError) as error:
        return f"{address} cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}"
    except errors.TargetError as error:
        return f"its check failed: {error.what}"
    return ""


async def _knock(host: transport.Transport, name: str, port: int, say: bytes, *, secure: bool) -> bytes:
    """What a server answers, as seen from the machine: its first line. Raises `OSError`, `ValueError`."""
    if isinstance(host, transport.Reachable):
        return await host.knock(name, port, say)
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(name, port, ssl=context)
    try:
        if not say:
            return b""
        writer.write(say)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _command(command: tuple[str, ...], host: transport.Transport) -> str:
    try:
        done = await host.run(transport.Order(command=command, timeout=_PATIENCE))
    except errors.TargetError as error:
        return f"its check failed: {error.what}"
    return f"its check {command[0]} ended with exit code {done.returncode}" if done.returncode else ""

"""Asking a program on the machine whether new content is good, before it goes live."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from undrift import errors
from undrift.model import resource, secret
from undrift.providers.hosts import transport
from undrift.providers.hosts.system import facility

_PLACES = ("{}", "%s")
_WAIT = 60.0


def takes_path(command: Sequence[str]) -> bool:
    """Whether a check is of one file by its path, and not of everything as it lies there."""
    return any(place in word for word in command for place in _PLACES)


async def before(
    host: transport.Transport,
    wanted: resource.Resource,
    path: str,
    content: bytes,
    command: Sequence[str],
    *,
    real: Callable[[str], str] = str,
) -> None:
    """Check `content` in a file beside its place, where nobody reads it. Raises `ChangeRefused`; nothing is changed."""
    aside = transport.unfinished(path)
    await host.change([transport.Write(aside, content, transport.Attributes(0o600), replace=True)])
    try:
        words = [word.replace("{}", real(aside)).replace("%s", real(aside)) for word in command]
        await _judge(host, wanted, words)
    finally:
        await host.change([transport.Remove(aside, transport.Sort.FILE)])


async def after(host: transport.Transport, wanted: resource.Resource, command: Sequence[str]) -> None:
    """Check everything as it lies there now. Raises `ChangeRefused`; putting back is for who asked."""
    await _judge(host, wanted, command)


async def _judge(host: transport.Transport, wanted: resource.Resource, command: Sequence[str]) -> None:
    done = await facility.attempt(host, command, timeout=_WAIT)
    if not done.returncode:
        return
    hidden = isinstance(wanted.settings.get("content"), secret.Secret)
    said = facility.tail(done.stderr + b"\n" + done.stdout)
    raise errors.ChangeRefused(
        f"{wanted.id} is refused by its check and did not go live",
        origin=wanted.origin,
        why=f"{command[0]} ended with exit code {done.returncode}"
        + ("; what it wrote may hold secrets and is not shown" if hidden else f": {said}"),
        hint="correct it in Git; what was there before is untouched",
    )

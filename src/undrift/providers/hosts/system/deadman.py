"""A change that could shut us out: the machine undoes it by itself unless we still get in and say so.

Before the change the machine is told to undo it after some seconds. Then it is made; then a new connection has to
come about, and only that calls the undoing off. An agent that dies meanwhile is shut out of nothing either.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import transport
from undrift.providers.hosts.system import facility

_FOLDER: Final = "/run/undrift"
_ARM: Final = r"""
umask 077
name=$1 seconds=$2 undo=$3
rm -f "$undo.off" "$undo.done"
cat >"$undo.sh" <<'END'
undo=$1 seconds=$2
sleep "$seconds"
mv "$undo.armed" "$undo.done" 2>/dev/null || exit 0
nft -f "$undo"
rm -f "$undo" "$undo.sh"
END
: >"$undo.armed"
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
  systemctl stop "$name.service" 2>/dev/null
  systemd-run --quiet --collect --unit="$name" /bin/sh "$undo.sh" "$undo" "$seconds"
else
  nohup setsid /bin/sh "$undo.sh" "$undo" "$seconds" </dev/null >/dev/null 2>&1 &
fi
"""
_DISARM: Final = r"""
undo=$1
mv "$undo.armed" "$undo.off" 2>/dev/null || exit 9
rm -f "$undo" "$undo.off" "$undo.sh"
[ ! -d /run/systemd/system ] || systemctl stop "$2.service" 2>/dev/null
exit 0
"""
_TOO_LATE: Final = 9


@contextlib.asynccontextmanager
async def switch(
    host: transport.Transport, wanted: resource.Resource, seconds: float, undo: bytes
) -> AsyncIterator[None]:
    """Make a change in the block; `undo` is a ruleset for `nft -f`. Raises `ChangePutBack` when it was undone.

    On the machine that the agent itself runs on nobody has to get in: there the block is all.
    """
    if not seconds or not isinstance(host, transport.Reachable):
        yield
        return
    name = f"undrift-undo-{wanted.id.name.replace('/', '-')}"
    path = f"{_FOLDER}/{name}"
    await host.change([transport.Write(path, undo, transport.Attributes(0o600), replace=True)])
    command = ["/bin/sh", "-c", _ARM, "undrift", name, f"{seconds:g}", path]
    await facility.run(host, command, f"arming the undoing of {wanted.id}")
    try:
        yield
    except errors.OutcomeUnknown:
        pass
    except errors.TargetError:
        await _disarm(host, path, name)
        raise
    try:
        await host.reach(seconds)
        in_time = await _disarm(host, path, name)
    except errors.TargetError:
        in_time = False
    if not in_time:
        await _back_in(host, seconds)
        raise errors.ChangePutBack(
            f"{wanted.id} would have shut us out and was undone by the machine itself",
            origin=wanted.origin,
            why=f"no new connection came about within {seconds:g} s",
            hint="let the agent's own way in stay open, or give it longer: confirm",
        )


async def _disarm(host: transport.Transport, path: str, name: str) -> bool:
    """Whether the undoing was called off in time."""
    done = await facility.attempt(host, ["/bin/sh", "-c", _DISARM, "undrift", path, name])
    return done.returncode != _TOO_LATE


async def _back_in(host: transport.Reachable, seconds: float) -> None:
    """Wait until the machine has undone it and lets us in again. Raises `TargetUnavailable` when it does not."""
    await host.reach(seconds + 30)

"""A change that could shut us out: the machine undoes it by itself unless we still get in and say so.

Before the change the machine is told what to put back after some seconds. Then it is made; then a new connection has
to come about, and only that calls the undoing off. An agent that dies meanwhile is shut out of nothing either. What
is armed lies in memory (/run): a machine that is started anew within those seconds undoes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Final

from undrift import errors
from undrift.model import resource
from undrift.providers.hosts import transport
from undrift.providers.hosts.system import facility

USUAL: Final = 30.0
"""Seconds that the agent has to get in again, where nothing else is declared."""
_FOLDER: Final = "/run/undrift"
_ACCESS: Final = transport.Attributes(0o600)
_PAUSE: Final = 0.5
_LATER: Final = 30.0
"""Seconds that undoing itself may take."""
_UNDO: Final = r"""
dir=$1 seconds=$2 service=$3
sleep "$seconds"
mv "$dir/armed" "$dir/done" 2>/dev/null || exit 0
for file in "$dir"/*.path; do
  [ -e "$file" ] || continue
  path=$(cat "$file") kept=${file%.path}.content
  if [ -e "$kept" ]; then
    cp -p -- "$kept" "$path.undrift" && mv -f -- "$path.undrift" "$path"
  else
    rm -f -- "$path"
  fi
done
[ ! -e "$dir/ruleset" ] || nft -f "$dir/ruleset"
if [ -n "$service" ]; then
  systemctl daemon-reload
  systemctl reset-failed -q "$service"
  systemctl restart "$service"
fi
rm -rf "$dir"
"""
_ARM: Final = r"""
umask 077
dir=$1 name=$2 seconds=$3 service=$4
shift 4
number=0
for path do
  number=$((number + 1))
  printf '%s' "$path" >"$dir/copy$number.path"
  [ ! -e "$path" ] || cp -p -- "$path" "$dir/copy$number.content" || exit 1
done
: >"$dir/armed"
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null; then
  systemd-run --quiet --collect --unit="$name" /bin/sh "$dir/undo" "$dir" "$seconds" "$service"
else
  nohup setsid /bin/sh "$dir/undo" "$dir" "$seconds" "$service" </dev/null >/dev/null 2>&1 &
fi
"""
_DISARM: Final = r"""
mv "$1/armed" "$1/off" 2>/dev/null || exit 9
rm -rf "$1"
[ ! -d /run/systemd/system ] || systemctl stop -q "$2.service" 2>/dev/null
exit 0
"""
_TOO_LATE: Final = 9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """What the machine puts back: files as they are when it is armed (`copies`), files as they were (`former`,
    None = absent), a `ruleset` for nft, and the `service` that starts anew with all of that.
    """

    copies: tuple[str, ...] = ()
    former: Mapping[str, transport.Seen | None] = dataclasses.field(default_factory=dict)
    ruleset: bytes | None = None
    service: str = ""


@contextlib.asynccontextmanager
async def switch(
    host: transport.Transport, wanted: resource.ResourceId, seconds: float, undo: Undo
) -> AsyncIterator[None]:
    """Make a change in the block. Raises `ChangePutBack` when the machine undid it.

    On the machine that the agent itself runs on nobody has to get in: there the block is all.
    """
    if not seconds or not isinstance(host, transport.Reachable):
        yield
        return
    name = "undrift-undo-" + hashlib.sha256(str(wanted).encode()).hexdigest()[:16]
    await _arm(host, name, seconds, undo)
    try:
        yield
    except errors.OutcomeUnknown:
        pass
    except errors.TargetError:
        await _disarm(host, name)
        raise
    try:
        await host.reach(seconds)
        in_time = await _disarm(host, name)
    except errors.TargetError:
        in_time = False
    if not in_time:
        await _back_in(host, f"{_FOLDER}/{name}", seconds + _LATER)
        raise errors.ChangePutBack(
            f"{wanted} would have shut us out and was undone by the machine itself",
            why=f"no new connection came about within {seconds:g} s",
            hint="let the agent's own way in stay open, or give it longer: confirm",
        )


async def _arm(host: transport.Transport, name: str, seconds: float, undo: Undo) -> None:
    folder = f"{_FOLDER}/{name}"
    await facility.attempt(host, ["systemctl", "stop", "-q", f"{name}.service"])
    await facility.run(host, ["rm", "-rf", folder], "making room for undoing")
    steps: list[transport.Step] = [
        transport.MakeDirectory(folder, transport.Attributes(0o700)),
        transport.Write(f"{folder}/undo", _UNDO.encode(), _ACCESS),
    ]
    if undo.ruleset is not None:
        steps.append(transport.Write(f"{folder}/ruleset", undo.ruleset, _ACCESS))
    for number, (path, seen) in enumerate(undo.former.items()):
        steps.append(transport.Write(f"{folder}/former{number}.path", path.encode(), _ACCESS))
        if seen is not None:
            access = transport.Attributes(seen.mode, seen.owner, seen.group)
            steps.append(transport.Write(f"{folder}/former{number}.content", seen.content or b"", access))
    await host.change(steps)
    words = (folder, name, f"{seconds:g}", undo.service, *undo.copies)
    await facility.run(host, ["/bin/sh", "-c", _ARM, "undrift", *words], "arming the machine's own undoing")


async def _disarm(host: transport.Transport, name: str) -> bool:
    """Whether the undoing was called off in time."""
    command = ["/bin/sh", "-c", _DISARM, "undrift", f"{_FOLDER}/{name}", name]
    return (await facility.attempt(host, command)).returncode != _TOO_LATE


async def _back_in(host: transport.Reachable, folder: str, seconds: float) -> None:
    """Wait until the machine lets us in again and has undone all of it. Raises `TargetError` when it does not."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        try:
            await host.reach(max(1.0, end - clock()))
            if folder not in await host.look({folder: transport.Need.NOTHING}):
                return
        except errors.TargetError:
            if clock() > end:
                raise
        if clock() > end + _LATER:
            raise errors.OutcomeUnknown(
                "the machine lets us in, and has not undone all of it", hint="it is looked at again"
            )
        await asyncio.sleep(_PAUSE)

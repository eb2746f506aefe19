"""Making a service as declared, and putting back what was there when it does not run with what is declared now.

Only what ran before can be put back: of a service that is new, or that ran no longer, nothing is.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.model import health as model_health
from undrift.model import inventory, resource
from undrift.providers.hosts import health, kinds, managing, restoring, transport
from undrift.providers.hosts.system import deadman

_STEADY: Final = 1.0
"""Seconds for which a service without a probe has to run."""
_YOUNG: Final = 2.5
_PAUSE: Final = 0.1
_LONGEST: Final = 240.0
_TURNED: Final = "(put back)"


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """Makes services through their managers."""

    host: transport.Transport
    services: managing.Services
    keepsakes: restoring.Keepsakes

    async def put(
        self, wanted: resource.Resource, live: resource.Fields | None, owner: inventory.Owner
    ) -> Mapping[str, Any]:
        """Make it as declared; returns what to note. Raises `ChangePutBack` when the former state was put back."""
        files = wanted.settings.get("files", ())
        ran = live is not None and await self._ran(wanted.id.name, live)
        kept = await self.keepsakes.held(files) if live is not None else []
        redefined = (
            ran and live is not None and any(live.get(name) != wanted.fields[name] for name in _DEFINED)
        )
        try:
            async with deadman.switch(self.host, wanted.id, _confirm(wanted), _undo(wanted, kept)):
                await self.services.put(wanted.id.name, wanted.fields, live)
                if wanted.fields["state"] == "running" and (kept or redefined):
                    await self._prove(wanted)
        except errors.ChangePutBack:
            await self.keepsakes.restore(kept, owner)
            raise
        except (errors.ChangeRefused, errors.Unhealthy) as error:
            if live is None or not (kept or redefined):
                raise
            await self.keepsakes.restore(kept, owner)
            runs = await self._return(wanted, live, ran=ran or bool(kept))
            raise _told(wanted, error, [one.id for one in kept], runs=runs) from error
        await self.keepsakes.forget(files)
        return kinds.keep(wanted.fields)

    async def _ran(self, name: str, live: resource.Fields) -> bool:
        """Whether it ran before, and did not only crash again and again."""
        if live.get("state") != "running":
            return False
        unit, _ = await self._judge(name, live)
        return unit is not None and unit.life is not health.Life.FAILING

    async def _prove(self, wanted: resource.Resource) -> None:
        """Wait until it is healthy. Raises `Unhealthy` when it crashes, or is not in its time."""
        asked = kinds.reveal(wanted.fields.get("health")) or {}
        within = min(float(asked.get("within", _STEADY * 5)), _LONGEST)
        clock = asyncio.get_running_loop().time
        begun = clock()
        end = begun + within
        while True:
            unit, judged = await self._judge(wanted.id.name, wanted.fields)
            steady = bool(asked) or (unit is not None and unit.seconds >= _STEADY)
            if judged.status is model_health.Status.HEALTHY and steady:
                return
            # A restart that was long ago still counts for a unit that is young.
            crashes = unit is not None and unit.life is health.Life.FAILING and clock() > begun + _YOUNG
            if clock() > end or crashes:
                raise errors.Unhealthy(f"{wanted.id} does not run well", why=judged.reason)
            await asyncio.sleep(_PAUSE)

    async def _judge(
        self, name: str, fields: resource.Fields
    ) -> tuple[health.Unit | None, model_health.Health]:
        found = await self.services.look([name], {name: kinds.keep(fields)})
        if name not in found:
            return None, model_health.Health(model_health.Status.MISSING, f"{name} is not there")
        return found[name], (await self.services.judge(found))[name]

    async def _return(self, wanted: resource.Resource, live: resource.Fields, *, ran: bool) -> bool:
        """Run it as it ran before; whether it does."""
        name = wanted.id.name
        before = {**wanted.fields, **live, "state": "running" if ran else live.get("state", "stopped")}
        unit, _ = await self._judge(name, wanted.fields)
        now = {**(unit.fields if unit is not None else {}), "trigger": _TURNED}
        try:
            await self.services.put(name, before, now)
            await self._prove(dataclasses.replace(wanted, fields=before))
        except (errors.ChangeRefused, errors.Unhealthy):
            return False
        return True


def _confirm(wanted: resource.Resource) -> float:
    """Seconds in which we have to get in again after this: as declared, and for sshd always."""
    asked = wanted.settings.get("confirm")
    if asked is not None:
        return float(asked)
    ours = any(kinds.path_of(rid).startswith(_SSHD) for rid in wanted.settings.get("files", ()))
    return deadman.USUAL if ours else 0.0


def _undo(wanted: resource.Resource, kept: Sequence[restoring.Kept]) -> deadman.Undo:
    former = {kinds.path_of(one.id): one.seen for one in kept}
    return deadman.Undo(former=former, service=f"{wanted.id.name}.service")


_SSHD: Final = "/etc/ssh/"
_DEFINED: Final = ("command", "directory", "environment", "user")


def _told(
    wanted: resource.Resource,
    error: errors.UndriftError,
    files: list[resource.ResourceId],
    *,
    runs: bool,
) -> errors.ChangePutBack:
    shown = ", ".join(map(str, files[:5])) + (" …" if len(files) > 5 else "")  # noqa: PLR2004 - a few
    lines = [error.why or error.what, *([f"put back: {shown}"] if files else [])]
    if not runs:
        lines.append("it does not run with what was put back either")
    return errors.ChangePutBack(
        f"{wanted.id} does not run as declared, and what was there before was put back",
        origin=wanted.origin,
        why="\n".join(lines),
        hint="correct it in Git; this revision is not tried again by itself",
    )

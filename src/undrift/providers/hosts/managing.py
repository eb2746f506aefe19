"""Who runs services: systemd or supervisor, behind one interface."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from undrift import errors
from undrift.model import health as model_health
from undrift.providers.hosts import health, transport

Notes = Mapping[str, Mapping[str, Any]]
"""What was kept about services when they were made, by name."""


class Manager(Protocol):
    """One service manager. Raises `TargetError`s."""

    async def look(self, names: Collection[str], notes: Notes) -> Mapping[str, health.Unit]:
        """Those of `names` that this manager knows."""
        ...

    async def put(self, name: str, fields: Mapping[str, Any], live: Mapping[str, Any] | None) -> None:
        """Make a service as its fields say; `live` are those it has now (None: there is none)."""
        ...

    async def remove(self, name: str) -> None:
        """Stop a service and take it away; one that is not there is fine."""
        ...


class Services:
    """All service managers of a host."""

    def __init__(self, managers: Mapping[str, Manager], host: transport.Transport) -> None:
        self._managers = managers
        self._host = host

    async def look(self, names: Collection[str], notes: Notes) -> Mapping[str, health.Unit]:
        """What any manager knows of `names`."""
        found: dict[str, health.Unit] = {}
        for manager in self._managers.values():
            found.update(await manager.look(names, notes))
        return found

    async def judge(self, units: Mapping[str, health.Unit]) -> Mapping[str, model_health.Health]:
        """How well each does; all probes at once."""
        judged = await asyncio.gather(*(health.judge(name, unit, self._host) for name, unit in units.items()))
        return dict(zip(units, judged, strict=True))

    async def put(self, name: str, fields: Mapping[str, Any], live: Mapping[str, Any] | None) -> None:
        """Make a service as declared; one that moves to another manager leaves the old one first."""
        manager = self._named(str(fields["manager"]))
        if live is not None and live.get("manager") != fields["manager"]:
            await self._named(str(live.get("manager"))).remove(name)
            live = None
        await manager.put(name, fields, live)

    async def remove(self, name: str, manager: str) -> None:
        """Stop a service and take it away."""
        await self._named(manager).remove(name)

    def _named(self, name: str) -> Manager:
        found = self._managers.get(name)
        if found is None:
            raise errors.ChangeRefused(
                f"there is no {name} on this target", hint=f"one of: {', '.join(self._managers)}"
            )
        return found

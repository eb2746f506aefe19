"""Who runs services: systemd or supervisor, behind one interface."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from undrift import errors
from undrift.lib import process
from undrift.model import health as model_health
from undrift.providers.hosts import health, transport

Notes = Mapping[str, Mapping[str, Any]]
"""What was kept about services when they were made, by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wants:
    """What a manager has to be told to know its services: what there is at paths, and the answer to a question."""

    needs: Mapping[str, transport.Need] = dataclasses.field(default_factory=dict)
    question: transport.Question | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What it was told; `notes` were kept about services when they were made."""

    seen: Mapping[str, transport.Seen]
    done: process.Completed | None = None
    notes: Notes = dataclasses.field(default_factory=dict)


class Manager(Protocol):
    """One service manager. Raises `TargetError`s."""

    def wants(self, names: Collection[str]) -> Wants:
        """What it has to be told of `names`."""
        ...

    async def look(self, names: Collection[str], told: Told) -> Mapping[str, health.Unit]:
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

    def wants(self, names: Collection[str]) -> Sequence[Wants]:
        """What each manager has to be told of `names`, for a look at everything at once."""
        return [manager.wants(names) if names else Wants() for manager in self._managers.values()]

    async def know(self, names: Collection[str], told: Sequence[Told]) -> Mapping[str, health.Unit]:
        """What any manager knows of `names`, each told what it wanted."""
        found: dict[str, health.Unit] = {}
        for manager, each in zip(self._managers.values(), told, strict=True):
            found.update(await manager.look(names, each) if names else {})
        return found

    async def look(self, names: Collection[str], notes: Notes) -> Mapping[str, health.Unit]:
        """What any manager knows of `names`, by a look of its own."""
        told: list[Told] = []
        for wants in self.wants(names):
            asked = [wants.question] if wants.question is not None else []
            seen, answers = await self._host.survey(wants.needs, asked) if asked or wants.needs else ({}, ())
            told.append(Told(seen, next(iter(answers), None), notes))
        return await self.know(names, told)

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

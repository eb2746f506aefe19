"""A plan without an agent: from a checkout against the targets, through the same engine, changing nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import undrift
from undrift import errors, interfaces, plugins
from undrift.agent import sessions, shapes
from undrift.cli import checkouts, touching
from undrift.config import configuration
from undrift.engine import reconciling, settling
from undrift.lib import words
from undrift.model import application, health, inventory, output, record, resource, target, view
from undrift.sources import credentials, opening
from undrift.testing import memory

_CONFIG = "config"
_LEASE = 3600.0


async def plans(
    folder: pathlib.Path, path: str | None, only: str | None, since: str = ""
) -> list[dict[str, Any]]:
    """A plan of each application that a checkout declares, or of `only` one, as JSON data.

    Each has `failure`, and unless that is set the parts of `agent.shapes.planned`. What is wrong with the
    configuration is a failure of its own, with an empty `application`. With `since` only applications are told that
    differ from what that commit declares.
    """
    async with _planner(folder, path) as (planner, found):
        told = await planner.plans(only)
        if since:
            beside = {one.application: one.beside for one in told}
            names = await touching.touched(checkouts.find(folder, path), found, beside, since)
            told = [one for one in told if one.application in names]
    shown = [_shown(one) | _situated(one.application, found) for one in told]
    if found.errors and only is None:
        failure = {"phase": "load", **shapes.error(errors.gather(list(found.errors)))}
        shown.append({"application": "", "failure": failure})
    return shown


@dataclasses.dataclass(frozen=True, slots=True)
class Declared:
    """What an application of a checkout declares, for which target, and what is known of that."""

    application: application.Application
    place: target.Target
    provider: interfaces.Provider
    facts: target.Facts
    desired: resource.DesiredState


async def apply(folder: pathlib.Path, path: str | None, name: str) -> record.Reconciliation:
    """Make one application of a checkout true, with our own access to its target. Raises `ApplicationUnknown`."""
    async with _planner(folder, path) as (planner, _):
        return await planner.apply(name)


async def declared(folder: pathlib.Path, path: str | None, target: str = "") -> list[Declared]:
    """What every application of a checkout (or those on one target) declares.

    Raises what is wrong with any of them, all at once.
    """
    async with _planner(folder, path) as (planner, found):
        names = [name for name, one in found.applications.items() if target in ("", one.target)]
        told = [one for name in names for one in await planner.plans(name)]
        wrong = [one.failure.error for one in told if one.failure is not None and one.desired is None]
        if wrong or found.errors:
            raise errors.gather([*found.errors, *wrong])
        return list(planner.declared.values())


@contextlib.asynccontextmanager
async def _planner(
    folder: pathlib.Path, path: str | None
) -> AsyncIterator[tuple[_Planner, configuration.Configuration]]:
    """Raises what is wrong with the configuration where no application of it can be used."""
    checkout = checkouts.find(folder, path)
    found = await checkout.read()
    if found.errors and not found.applications:
        raise errors.gather(list(found.errors))
    with tempfile.TemporaryDirectory(prefix="undrift-plan-") as place:
        pool = opening.SourcePool(pathlib.Path(place), credentials.EnvironmentSecrets())
        try:
            yield _Planner(checkout, found, pool), found
        finally:
            await pool.close()


def _situated(name: str, found: configuration.Configuration) -> dict[str, Any]:
    subject = found.applications[name]
    return shapes.situated(subject, found.targets[subject.target])


def _shown(told: record.Reconciliation) -> dict[str, Any]:
    planned: dict[str, Any] = {"application": told.application}
    if told.plan is not None:
        planned = shapes.planned(told.plan, told.verdict, told.warnings)
    return planned | {"failure": shapes.failure(told.failure)}


class _Planner:
    """Plans what one configuration declares. What others declare on the same target is looked at too."""

    def __init__(
        self, checkout: checkouts.Checkout, found: configuration.Configuration, pool: opening.SourcePool
    ) -> None:
        self._checkout = checkout
        self._found = found
        self._pool = pool
        self._registry = plugins.Registry(checkout.decryptor)
        self._told: dict[str, record.Reconciliation] = {}
        self._key = os.urandom(32)
        self.declared: dict[str, Declared] = {}

    async def plans(self, only: str | None) -> list[record.Reconciliation]:
        wanted = list(self._wanted(only))
        for name in self._around(wanted):
            self._told[name] = await self._plan(self._found.applications[name], {})
        for name in wanted:
            rivals = self._rivals(name)
            if rivals:
                self._told[name] = await self._plan(self._found.applications[name], rivals)
        return [self._told[name] for name in wanted]

    async def apply(self, name: str) -> record.Reconciliation:
        [wanted] = self._wanted(name)
        return await self._look(self._found.applications[wanted], {}, dry=False)

    def _wanted(self, only: str | None) -> Iterator[str]:
        known = self._found.applications
        if only is None:
            yield from self._around(sorted(known))
        elif only in self._found.faults:
            raise errors.gather(list(self._found.faults[only]))
        elif only in known:
            yield only
        else:
            raise errors.ApplicationUnknown(
                f"the checkout declares no application {only}", hint=words.suggestion(only, known)
            )

    def _around(self, wanted: list[str]) -> list[str]:
        """Those wanted, what they depend on and who shares their targets; dependencies first."""
        known = self._found.applications
        places = {known[name].target for name in wanted}
        order: dict[str, None] = {}

        def visit(name: str) -> None:
            if name in known and name not in order:
                for below in known[name].depends_on:
                    visit(below)
                order[name] = None

        for name in sorted(name for name, one in known.items() if one.target in places):
            visit(name)
        return list(order)

    def _rivals(self, name: str) -> inventory.Claims:
        """Which of the resources of an application others declare on the same target."""
        subject, told = self._found.applications[name], self._told[name]
        if told.desired is None:
            return {}
        claims = defaultdict[Any, tuple[str, ...]](tuple)
        for other, found in self._told.items():
            same = self._found.applications[other].target == subject.target
            if other != name and same and found.desired is not None:
                for rid in told.desired.resources.keys() & found.desired.resources.keys():
                    claims[rid] += (other,)
        return claims

    async def _plan(
        self, subject: application.Application, claims: inventory.Claims
    ) -> record.Reconciliation:
        try:
            return await self._look(subject, claims)
        except errors.UndriftError as error:
            failure = record.Failure(record.Phase.DISCOVER, error)
            return record.Reconciliation(
                "offline", subject.name, record.Ending.FAILED, time.time(), failure=failure
            )

    async def _look(
        self, subject: application.Application, claims: inventory.Claims, *, dry: bool = True
    ) -> record.Reconciliation:
        place = self._found.targets[subject.target]
        provider = self._registry.provider(place.provider)
        database = memory.MemoryDatabase()
        lease = (await database.acquire([subject.name], "offline", _LEASE))[subject.name]
        acting = sessions.acting(place, subject.account, provider)
        session = await provider.connect(acting, credentials.EnvironmentSecrets())
        try:
            told = await reconciling.reconcile(
                reconciling.Subject(
                    application=subject,
                    config_digest=self._found.digests.get(subject.name, ""),
                    memory=record.Memory(inventory.Inventory(subject.name)),
                    surroundings=self._surroundings(subject, claims),
                    dry=dry,
                ),
                reconciling.World(
                    agent=place.agent,
                    source=self._source(subject),
                    renderer=self._registry.renderer(subject.renderer.kind),
                    provider=provider,
                    target=place,
                    session=session,
                    database=database,
                    lease=lease,
                    cache={},
                    key=self._key,
                    version=undrift.__version__,
                ),
                "offline",
            )
            if told.desired is not None:
                facts = await session.discover()
                self.declared[subject.name] = Declared(subject, place, provider, facts, told.desired)
            return told
        finally:
            await session.close()

    def _source(self, subject: application.Application) -> interfaces.Source:
        """The checkout itself, or the other repository that an application names."""
        name = subject.source.name
        return self._checkout.source if name == _CONFIG else self._pool.open(self._found.sources[name])

    def _surroundings(self, subject: application.Application, claims: inventory.Claims) -> view.Surroundings:
        declared = self._found.sources.get(subject.source.name)
        return view.Surroundings(
            project=self._found.projects.get(subject.project, application.DEFAULT_PROJECT),
            peers=self._peers(subject),
            claims=claims,
            source_url=declared.url if declared else "",
            now=time.time(),
        )

    def _peers(self, subject: application.Application) -> Mapping[str, view.Peer]:
        return {name: self._peer(name, self._told[name]) for name in subject.depends_on if name in self._told}

    def _peer(self, name: str, told: record.Reconciliation) -> view.Peer:
        """One that a plan makes or mends is taken for well: what comes after it is shown as what comes after it."""
        planned = told.plan is not None and told.plan.waves and not told.failure
        if planned and not (told.verdict and told.verdict.stops):
            return view.Peer(name, health.HEALTHY, in_sync=True, outputs=self._outputs(name, told))
        in_sync = told.ending is record.Ending.IN_SYNC
        return view.Peer(name, settling.health_of(told), in_sync, self._outputs(name, told))

    def _outputs(self, name: str, told: record.Reconciliation) -> output.Told:
        """What a dependency publishes already, as far as its target could be looked at."""
        if told.outputs is not None:
            return told.outputs
        return output.unseen(self._found.applications[name].outputs, f"{name} cannot be looked at")

"""A plan without an agent: from a checkout against the target, through the same engine, changing nothing."""

from __future__ import annotations

import os
import pathlib
from collections.abc import AsyncIterator, Iterator

import undrift
from undrift import errors, interfaces, plugins
from undrift.config import configuration, reading
from undrift.engine import reconciling
from undrift.lib import words
from undrift.model import application, inventory, record, target
from undrift.sources import credentials, directory
from undrift.testing import memory

_CONFIG = "config"


class Checkout:
    """A checkout with the configuration below `path`. `decryptor` as the agent has it."""

    def __init__(self, root: pathlib.Path, path: str, decryptor: interfaces.Decryptor | None) -> None:
        self._source = directory.DirectorySource(root)
        self._path = path
        self._decryptor = decryptor
        self._registry = plugins.Registry(decryptor)

    async def read(self) -> configuration.Configuration:
        """The configuration as it stands in the working tree."""
        artifact = await self._source.fetch(await self._source.resolve(), self._path)
        return await reading.Reader(self._decryptor, None).read(artifact)

    async def plans(
        self, found: configuration.Configuration, only: str | None
    ) -> AsyncIterator[record.Reconciliation]:
        """A dry reconcile of each application whose files are in the checkout, or of one."""
        for subject in _chosen(found, only):
            place = found.targets[subject.target]
            yield await self._plan(subject, place, found)

    async def _plan(
        self, subject: application.Application, place: target.Target, found: configuration.Configuration
    ) -> record.Reconciliation:
        if subject.source.name != _CONFIG:
            raise errors.OrderError(
                f"the files of {subject.name} are in another repository, {subject.source.name}",
                hint=f"ask the agent: `undrift plan {subject.name}`",
            )
        provider = self._registry.provider(place.provider)
        session = await provider.connect(place, credentials.EnvironmentSecrets())
        database = memory.MemoryDatabase()
        try:
            return await reconciling.reconcile(
                reconciling.Subject(
                    application=subject,
                    config_digest=found.digests.get(subject.name, ""),
                    memory=interfaces.Memory(inventory.Inventory(subject.name)),
                    surroundings=interfaces.Surroundings(),
                    dry=True,
                ),
                reconciling.World(
                    agent=place.agent,
                    source=self._source,
                    renderer=self._registry.renderer(subject.renderer.kind),
                    provider=provider,
                    target=place,
                    session=session,
                    database=database,
                    lease=memory.MemoryLease(database, subject.name, 0),
                    cache={},
                    key=os.urandom(32),
                    version=undrift.__version__,
                ),
                "offline",
            )
        finally:
            await session.close()


def _chosen(found: configuration.Configuration, only: str | None) -> Iterator[application.Application]:
    if only is None:
        yield from (found.applications[name] for name in sorted(found.applications))
        return
    if only in found.faults:
        raise errors.gather(list(found.faults[only]))
    if only not in found.applications:
        raise errors.ApplicationUnknown(
            f"the checkout declares no application {only}", hint=words.suggestion(only, found.applications)
        )
    yield found.applications[only]

"""Checks without an agent: is Git reached, can the configuration be read, do its targets answer?"""

from __future__ import annotations

import asyncio
import os
import pathlib
import tempfile
from collections.abc import Iterator, Mapping

from undrift import errors, plugins
from undrift.agent import shapes
from undrift.cli.doctor import finding, running
from undrift.config import configuration, decrypting, reading, settings
from undrift.model import source, target
from undrift.sources import credentials, opening

_TIMEOUT = 30.0


def findings(given: Mapping[str, str | None]) -> Iterator[finding.Finding]:
    """The repository that an agent with these settings would read, and the targets that it declares."""
    try:
        read = settings.load({name: value for name, value in given.items() if value}, os.environ)
    except errors.UndriftError as error:
        yield from running.told("settings", shapes.error(error))
        return
    yield from asyncio.run(_reached(read))


async def _reached(read: settings.Settings) -> list[finding.Finding]:
    found: list[finding.Finding] = []
    with tempfile.TemporaryDirectory(prefix="undrift-doctor-") as place:
        pool = opening.SourcePool(pathlib.Path(place), credentials.EnvironmentSecrets())
        try:
            revision, declared = await _configuration(read, pool)
        except errors.UndriftError as error:
            return [*running.told(f"source {read.source.name}", shapes.error(error))]
        finally:
            await pool.close()
    found.append(finding.Finding("ok", "source config", f"{read.repository} at {revision.short}"))
    for wrong in declared.errors:
        found += running.told("configuration", shapes.error(wrong))
    return found + [await _target(one) for one in declared.targets.values()]


async def _configuration(
    read: settings.Settings, pool: opening.SourcePool
) -> tuple[source.Revision, configuration.Configuration]:
    opened = pool.open(read.source)
    revision = await opened.resolve()
    artifact = await opened.fetch(revision, read.path)
    return revision, await reading.read(artifact, decrypting.SopsDecryptor(read.age_key_file))


async def _target(place: target.Target) -> finding.Finding:
    name = f"target {place.name}"
    try:
        async with asyncio.timeout(_TIMEOUT):
            session = (
                await plugins.Registry(None)
                .provider(place.provider)
                .connect(place, credentials.EnvironmentSecrets())
            )
            try:
                await session.discover()
            finally:
                await session.close()
    except TimeoutError:
        return finding.Finding("fail", name, f"it does not answer within {_TIMEOUT:g} s", "is it reachable?")
    except errors.UndriftError as error:
        return next(running.told(name, shapes.error(error)))
    return finding.Finding("ok", name, f"it answers ({place.provider})")

"""artifact → renderer → provider.load → desired state with the lock of everything it was made from."""

from __future__ import annotations

import dataclasses
from collections.abc import MutableMapping

from undrift import errors, interfaces
from undrift.lib import canonical
from undrift.model import application, lock, resource, source, target


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A desired state that passed everything that can be checked before a target is touched."""

    revision: source.Revision
    lock: lock.InputLock
    desired: resource.DesiredState


Cache = MutableMapping[str, Prepared]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kitchen:
    """What preparing needs. `config_digest` names the application's documents; `cache` may drop anything.

    `version` is Undrift's own: a newer one may render differently with no commit.
    """

    application: application.Application
    config_digest: str
    source: interfaces.Source
    renderer: interfaces.Renderer
    provider: interfaces.Provider
    facts: target.Facts
    target: target.Target
    version: str
    cache: Cache
    timeout: float = 300.0


async def inputs(revision: source.Revision, kitchen: Kitchen) -> lock.InputLock:
    """The lock that `revision` would be rendered under, without rendering. Raises `PathMissing`."""
    path = kitchen.application.source.path
    found = (await kitchen.source.digests(revision, [path])).get(path)
    if found is None:
        raise errors.PathMissing(
            f"path {path} does not exist at {revision.short}",
            origin=kitchen.application.origin,
            hint="correct source.path, or add the folder in the same commit",
        )
    known = {
        "config": kitchen.config_digest,
        "source": found,
        "facts": kitchen.facts.digest,
        "tool:undrift": kitchen.version,
        f"tool:{kitchen.application.renderer.kind}": kitchen.renderer.version(),
    }
    return lock.InputLock({name: value for name, value in known.items() if value}, str(revision))


def name_inputs(found: lock.InputLock) -> str:
    """One digest for all inputs of a lock: equal names render alike, whatever the commit."""
    return canonical.digest(dict(found.inputs))


async def prepare(revision: source.Revision, found: lock.InputLock, kitchen: Kitchen) -> Prepared:
    """The desired state at `revision`; from the cache when all its inputs are the same.

    Raises `SourceError`, `RenderError`, `ValidationError`, each knowing the commit and its author.
    """
    key = name_inputs(found)
    cached = kitchen.cache.pop(key, None)
    if cached is not None:
        # Put in again as the newest: what is dropped first is what nobody asked for the longest.
        kitchen.cache[key] = cached
        return dataclasses.replace(cached, revision=revision, lock=found)
    artifact = await kitchen.source.fetch(revision, kitchen.application.source.path)
    rendered = await kitchen.renderer.render(artifact, kitchen.application.renderer.settings, kitchen.facts)
    desired = kitchen.provider.load(rendered, kitchen.facts, kitchen.target, kitchen.application.namespace)
    prepared = Prepared(revision, found, desired)
    kitchen.cache[key] = prepared
    return prepared

"""artifact → renderer → provider.load → desired state with the lock of everything it was made from."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Awaitable, Callable, Collection, MutableMapping

from undrift import errors, interfaces
from undrift.engine import passing
from undrift.lib import canonical
from undrift.model import application, lock, output, resource, source, target


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A desired state that passed everything that can be checked before a target is touched.

    `beside` are paths of the source that were read beside the application's own.
    """

    revision: source.Revision
    lock: lock.InputLock
    desired: resource.DesiredState
    beside: tuple[str, ...] = ()


Cache = MutableMapping[str, Prepared]
Known = MutableMapping[tuple[str, str, str], frozenset[str]]
"""Renderer and settings, a path, and its digest → what it refers to beside itself."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kitchen:
    """What preparing needs. `config_digest` names the application's documents; `cache` may drop anything.

    `version` is Undrift's own: a newer one may render differently with no commit. `known` saves looking again
    for what unchanged files refer to. `study` lets the target tell what loading has to know. `given` are the outputs of
    those that the application depends on; `key` fingerprints secrets among them.
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
    known: Known = dataclasses.field(default_factory=dict)
    study: Callable[[interfaces.Rendered], Awaitable[None]] | None = None
    timeout: float = 300.0
    given: output.Given = dataclasses.field(default_factory=dict)
    key: bytes = b""

    @property
    def recipe(self) -> interfaces.Recipe:
        """What the renderer is told, before outputs of others are filled in."""
        subject = self.application
        return interfaces.Recipe(
            subject.name, subject.namespace, subject.source.path, subject.renderer.settings
        )


async def inputs(revision: source.Revision, kitchen: Kitchen) -> lock.InputLock:
    """The lock that `revision` would be rendered under, without rendering. Raises `PathMissing`."""
    path = kitchen.application.source.path
    digests = await _digests(revision, kitchen)
    known = {
        "config": kitchen.config_digest,
        "source": digests[path] if len(digests) == 1 else canonical.digest(digests),
        "facts": kitchen.facts.digest,
        "tool:undrift": kitchen.version,
        f"tool:{kitchen.application.renderer.kind}": kitchen.renderer.version(),
        **passing.inputs(kitchen.given, kitchen.key),
    }
    return lock.InputLock({name: value for name, value in known.items() if value}, str(revision))


async def _digests(revision: source.Revision, kitchen: Kitchen) -> dict[str, str]:
    """The digest of the application's path, and of every path that is read beside it ("" = missing)."""
    path = kitchen.application.source.path
    found: dict[str, str] = {}
    todo = [path]
    while todo:
        digests = await kitchen.source.digests(revision, todo)
        if path in todo and path not in digests:
            raise errors.PathMissing(
                f"path {path} does not exist at {revision.short}",
                origin=kitchen.application.origin,
                hint="correct source.path, or add the folder in the same commit",
            )
        found |= {each: digests.get(each, "") for each in todo}
        if kitchen.renderer.self_contained:
            break
        further = [await _refers(revision, each, digests[each], kitchen) for each in todo if each in digests]
        todo = sorted({each for some in further for each in some if not _covered(each, found)})
    return found


async def _refers(revision: source.Revision, path: str, digest: str, kitchen: Kitchen) -> frozenset[str]:
    """What the files of one path refer to beside it."""
    subject = kitchen.application.renderer
    key = (canonical.digest([subject.kind, subject.settings]), path, digest)
    if key not in kitchen.known:
        artifact = await kitchen.source.fetch(revision, path)
        kitchen.known[key] = kitchen.renderer.beside(artifact, kitchen.recipe)
    return kitchen.known[key]


def _covered(path: str, found: Collection[str]) -> bool:
    return any(each in (path, ".") or path.startswith(f"{each}/") for each in found)


def name_inputs(found: lock.InputLock) -> str:
    """One digest for all inputs of a lock: equal names render alike, whatever the commit."""
    return canonical.digest(dict(found.inputs))


async def prepare(revision: source.Revision, found: lock.InputLock, kitchen: Kitchen) -> Prepared:
    """The desired state at `revision`; from the cache when all its inputs are the same.

    Raises `SourceError`, `RenderError`, `ValidationError`, each knowing the commit and its author; `OutputPending`.
    """
    key = name_inputs(found)
    cached = kitchen.cache.pop(key, None)
    if cached is not None:
        # Put in again as the newest: what is dropped first is what nobody asked for the longest.
        kitchen.cache[key] = cached
        return dataclasses.replace(cached, revision=revision, lock=found)
    artifact = await kitchen.source.fetch(revision, kitchen.application.source.path)
    beside: tuple[str, ...] = ()
    if not kitchen.renderer.self_contained:
        beside = tuple(path for path in await _digests(revision, kitchen) if path != artifact.path)
        artifact = dataclasses.replace(artifact, around=await _around(revision, beside, kitchen))
    try:
        desired = await _cook(artifact, kitchen)
    except errors.UndriftError as error:
        raise passing.hide(error, kitchen.given) from None
    prepared = Prepared(revision, found, desired, beside)
    kitchen.cache[key] = prepared
    return prepared


async def _cook(artifact: source.Artifact, kitchen: Kitchen) -> resource.DesiredState:
    """Render and load, with the outputs of others among the facts and in the settings."""
    subject, given = kitchen.application, kitchen.given
    facts = passing.facts(kitchen.facts, given)
    settings = passing.fill(kitchen.recipe.settings, given, subject.origin)
    rendered = await kitchen.renderer.render(
        artifact, dataclasses.replace(kitchen.recipe, settings=settings), facts
    )
    if kitchen.study is not None:
        await kitchen.study(rendered)
    desired = kitchen.provider.load(rendered, facts, kitchen.target, subject.namespace)
    passing.check(subject, desired)
    passing.guard(desired, given)
    if rendered.warnings:
        desired = dataclasses.replace(desired, warnings=(*rendered.warnings, *desired.warnings))
    return desired


async def _around(
    revision: source.Revision, paths: Collection[str], kitchen: Kitchen
) -> dict[str, source.File]:
    """The files of several paths, by their places in the source."""
    files: dict[str, source.File] = {}
    digests = await kitchen.source.digests(revision, list(paths)) if paths else {}
    for path in digests:
        artifact = await kitchen.source.fetch(revision, path)
        if artifact.single:
            files |= dict.fromkeys([path], next(iter(artifact.files.values())))
        else:
            files |= {posixpath.join(path, name): file for name, file in artifact.files.items()}
    return files

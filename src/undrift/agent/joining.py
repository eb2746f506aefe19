"""One source that is several: an application's own, and files of others that it names in its settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from undrift import errors
from undrift.agent import polling, tenant
from undrift.model import elsewhere, source


class Joined:
    """Implements `interfaces.Source`: revisions are those of the own source, others are read as they are now."""

    def __init__(self, own: polling.Poll, polls: Mapping[str, polling.Poll]) -> None:
        self._own = own
        self._polls = polls

    async def resolve(self) -> source.Revision:
        """See `interfaces.Source`."""
        return await self._own.resolve()

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """See `interfaces.Source`."""
        own = [path for path in paths if elsewhere.read(path) is None]
        found = dict(await self._own.digests(revision, own)) if own else {}
        for spelled in paths:
            place = elsewhere.read(spelled)
            if place is not None:
                poll = self._find(place[0])
                told = await poll.digests(await _present(poll), [place[1]])
                if place[1] in told:
                    found[spelled] = told[place[1]]
        return found

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """See `interfaces.Source`."""
        place = elsewhere.read(path)
        if place is None:
            return await self._own.fetch(revision, path)
        poll = self._find(place[0])
        return dataclasses.replace(await poll.fetch(await _present(poll), place[1]), path=path)

    async def close(self) -> None:
        """Nothing is its own."""

    def _find(self, name: str) -> polling.Poll:
        poll = self._polls.get(name)
        if poll is None:
            raise errors.ReferenceUnknown(f"source {name} is not open", hint="is it declared?")
        return poll


async def _present(poll: polling.Poll) -> source.Revision:
    """The revision that was seen last: a source that is away for a moment holds nobody up."""
    return poll.revision or await poll.resolve()


def of(known: tenant.Tenant, own: polling.Poll, polls: Mapping[str, polling.Poll]) -> polling.Poll | Joined:
    """The source of an application: its own, joined with those that its renderer's settings name."""
    return Joined(own, polls) if elsewhere.sources(known.application.renderer.settings) else own


def uses(known: tenant.Tenant, name: str) -> bool:
    """Whether anything that an application is made of is in a source."""
    subject = known.application
    return name == subject.source.name or name in elsewhere.sources(subject.renderer.settings)


def paths(known: tenant.Tenant, name: str) -> tuple[str, ...]:
    """What an application reads of a source."""
    own = known.application.source.name == name
    places = [(path, elsewhere.read(path)) for path in known.beside]
    inside = [path for path, place in places if place is None] if own else []
    others = [place[1] for _, place in places if place is not None and place[0] == name]
    return (*([known.application.source.path] if own else []), *inside, *others)

"""From configuration to tenants: applications come, change, move and leave by commits.

An application that leaves is decommissioned, never forgotten: its last documents were kept, and what it owns
is deleted, released or left to an approval, as its deletion policy said while it stood in Git. One whose
document is broken stays exactly as it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable

import structlog

from undrift import errors
from undrift.agent import polling, queue, sessions, shapes, tenant, world
from undrift.config import configuration, keeping, references
from undrift.lib import canonical
from undrift.model import application, elsewhere, record, source

_log = structlog.get_logger("undrift")
CONFIG = "config"


class Fleet:
    """Applies configurations to the shared state; `changed` is called when polls or places came or went."""

    def __init__(self, shared: world.Shared, changed: Callable[[], None]) -> None:
        self._shared = shared
        self._changed = changed
        self._exhumed = False
        self._declared: configuration.Configuration

    async def open_for_generators(self, found: configuration.Configuration) -> bool:
        """Open the sources that only generators look into; whether there was anything to open."""
        new = found.looked_into & found.sources.keys() - self._shared.polls.keys()
        await self._open(found.looked_into, found)
        for name in new:
            await self._shared.polls[name].ask()
        return bool(new)

    async def adopt(self, found: configuration.Configuration) -> None:
        """Make a configuration the one in force."""
        shared = self._shared
        shared.agent = found.identify(shared.agent or shared.settings.agent).name
        shared.recorder.notifiers = found.notifiers
        if not self._exhumed:
            await self._exhume(found)
        self._declared = found
        found = self._enforce()
        shared.takers = _takers(found)
        await self._serve(found)
        serving = found.serving(shared.agent)
        await self._open(
            {name for one in serving.values() for name in sources(one)} | found.looked_into, found
        )
        self._leave(found, serving.keys())
        for name, declared in serving.items():
            self._settle(declared, found.digests.get(name, ""))
        for name, faults in found.faults.items():
            if name in shared.tenants:
                shared.tenants[name].trouble = faults
        await self._bury(serving.values())
        await self._close_unused()

    def _enforce(self) -> configuration.Configuration:
        """Put what is declared in force; a target that was removed while it is in use stays."""
        shared, found = self._shared, self._declared
        before = {name: place.declared for name, place in shared.places.items()}
        users = {name: one.application.target for name, one in shared.tenants.items()}
        leaving = {
            name
            for name, one in shared.tenants.items()
            if one.application.decommissioned or found.may_remove(one.application)
        }
        targets, in_use = references.keep_targets(before, found, users, leaving)
        told = shared.configuration.errors if shared.configuration else ()
        for error in in_use:
            if str(error) not in {str(one) for one in told}:
                _log.error("configuration", **shapes.error(error))
        shared.configuration = dataclasses.replace(found, targets=targets, errors=(*found.errors, *in_use))
        return shared.configuration

    async def _close_unused(self) -> None:
        """Let go of targets that are nobody's any more, and of sources that nothing is read from."""
        shared = self._shared
        found = shared.configuration
        if found is None:
            return
        used = {one.application.target for one in shared.tenants.values()}
        ours = {name for name, one in found.targets.items() if one.agent == shared.agent}
        for name in shared.places.keys() - ours - used:
            await shared.places.pop(name).drop()
        read = {
            name
            for one in shared.tenants.values()
            if not one.application.decommissioned or one.application.farewells
            for name in sources(one.application)
        }
        for name in shared.polls.keys() - read - found.looked_into - {CONFIG}:
            await shared.polls.pop(name).close()
        self._changed()

    def _settle(self, declared: application.Application, digest: str) -> None:
        """A tenant for an application, new or changed."""
        shared = self._shared
        known = shared.tenants.get(declared.name)
        if known is None:
            shared.tenants[declared.name] = tenant.Tenant(declared, digest)
            return
        known.trouble = ()
        if known.digest != digest or known.application.decommissioned:
            known.application, known.digest = declared, digest
            shared.queue.put(declared.name, queue.Urgency.CHANGE)
        elif known.application != declared:
            known.application = declared

    def _leave(self, found: configuration.Configuration, serving: Iterable[str]) -> None:
        shared = self._shared
        moved = {old for one in found.applications.values() for old in one.moved_from}
        for name, known in list(shared.tenants.items()):
            if name in serving or known.application.decommissioned:
                continue
            if name in moved and name not in found.applications:
                self._remove(name)
            elif name in found.applications:
                _log.info("application is another agent's now", application=name)
                self._remove(name)
            elif found.may_remove(known.application):
                self._decommission(known, found)

    def _decommission(self, known: tenant.Tenant, found: configuration.Configuration) -> None:
        known.application, known.digest = leaving(known, found)
        known.trouble = ()
        subject = known.application
        _log.info(
            "application left Git", application=subject.name, deletion_policy=subject.deletion_policy.value
        )
        self._shared.queue.put(subject.name, queue.Urgency.CHANGE)

    def _remove(self, name: str) -> None:
        shared = self._shared
        gone = shared.tenants.pop(name)
        shared.claims.replace(gone.application.target, name, gone.ids, frozenset())
        shared.queue.drop(name)

    async def forget(self, name: str) -> None:
        """A decommissioned application owns nothing any more."""
        known = self._shared.tenants[name]
        if known.lease is not None:
            await self._shared.database.forget(known.lease, name)
            await self._shared.database.release(self._shared.holder, [name])
        self._remove(name)
        for below in known.application.depends_on:
            if below in self._shared.tenants:
                self._shared.queue.put(below, queue.Urgency.CHANGE)
        _log.info("application is gone", application=name)
        self._enforce()
        await self._close_unused()

    async def _exhume(self, found: configuration.Configuration) -> None:
        """Applications that left Git while no agent was running."""
        self._exhumed = True
        for name, document in (await self._shared.database.tombstones()).items():
            subject, place = keeping.unpack(document)
            if name in self._shared.tenants or not found.may_remove(subject):
                continue
            if place.agent not in ("", self._shared.agent):
                continue
            if place.name not in self._shared.places:
                self._shared.places[place.name] = sessions.Place(
                    found.targets.get(place.name, place),
                    self._shared.registry.provider(place.provider),
                    self._shared.secrets,
                )
            known = tenant.Tenant(subject, "", farewells=subject.farewells)
            self._shared.tenants[name] = known
            self._decommission(known, found)

    async def _serve(self, found: configuration.Configuration) -> None:
        """Places for the targets that are ours; one whose declaration changed gets new sessions."""
        shared = self._shared
        for name, declared in found.targets.items():
            known = shared.places.get(name)
            if declared.agent != shared.agent or (known is not None and known.declared == declared):
                continue
            try:
                provider = shared.registry.provider(declared.provider)
            except errors.ReferenceUnknown as error:
                _log.error("target cannot be served", target=name, code=error.code, error=str(error))
                continue
            if known is not None:
                await known.drop()
            shared.places[name] = sessions.Place(declared, provider, shared.secrets)

    async def _open(self, names: Collection[str], found: configuration.Configuration) -> None:
        """Polls for the sources in use, new ones for those that are declared anew."""
        shared = self._shared
        for name in set(names) - {CONFIG}:
            declared: source.Source | None = found.sources.get(name)
            known = shared.polls.get(name)
            if declared is None or (known is not None and known.declared == declared):
                continue
            if known is not None:
                await known.close()
            shared.polls[name] = polling.Poll(declared, shared.sources.open(declared))

    async def _bury(self, serving: Iterable[application.Application]) -> None:
        """Keep the last documents, of those that changed."""
        shared = self._shared
        documents = {}
        for one in serving:
            known = shared.tenants[one.name]
            kept = canonical.digest([known.digest, known.farewells])
            if known.buried != kept and one.target in shared.places:
                last = dataclasses.replace(one, farewells=known.farewells)
                documents[one.name] = keeping.pack(last, shared.places[one.target].declared)
                known.buried = kept
        await shared.database.bury(documents)

    async def note_farewells(self, known: tenant.Tenant, told: record.Reconciliation) -> None:
        """Keep in mind whether an application declares resources for its own end. Raises a `DatabaseError`."""
        if told.desired is None or known.application.decommissioned:
            return
        known.farewells = bool(told.desired.farewells)
        await self._bury([known.application])


def leaving(known: tenant.Tenant, found: configuration.Configuration) -> tuple[application.Application, str]:
    """An application whose document has left Git, and what its digest is then."""
    subject = known.application
    project = found.projects.get(subject.project)
    policy = subject.deletion_policy
    if policy is application.DeletionPolicy.APPROVE and project and project.deletion_policy:
        policy = project.deletion_policy
    gone = dataclasses.replace(
        subject,
        decommissioned=True,
        deletion_policy=policy,
        suspended=False,
        farewells=known.farewells,
    )
    return gone, canonical.digest(["decommission", known.digest])


def _takers(found: configuration.Configuration) -> dict[str, list[str]]:
    takers: dict[str, list[str]] = {}
    for name, one in found.applications.items():
        for giver in one.takes_from:
            takers.setdefault(giver, []).append(name)
    return takers


def sources(subject: application.Application) -> frozenset[str]:
    """All that an application is made of."""
    return frozenset({subject.source.name}) | elsewhere.sources(subject.renderer.settings)

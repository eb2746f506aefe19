"""What the agent would do if a branch were merged: the merge result is read, rendered and planned as a revision of the
real branch is, by the same worker, dry. Nothing is changed and nothing remembered.

Targets and Sources are those of the real branch, whatever the proposed one says: whoever may propose must not make the
agent show its credentials to a server of their choice.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from undrift import errors, interfaces
from undrift.agent import fleet, joining, polling, tenant, worker, world
from undrift.config import configuration, elements, reading
from undrift.engine import rendering
from undrift.lib import orders
from undrift.model import application, record, source
from undrift.sources.git import merging, references, signing
from undrift.sources.git import source as git_source

_PATIENCE: Final = 120.0
_PLANS: Final = 100
"""So many applications are planned for one pull request; of more it is said that there are more."""

Directories = Callable[[world.Shared], elements.Directories]
"""What generators look into, given what is shared."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of one application. `note` says why there is no plan, where that is no error; `leaving` tells
    that its document leaves Git.
    """

    application: str
    told: record.Reconciliation | None = None
    wrong: tuple[errors.UndriftError, ...] = ()
    note: str = ""
    leaving: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Foresight:
    """What would become of all applications that a branch changes something for; `more` were not looked at.

    `wrong` is what is wrong with the merge or with the configuration that it gives.
    """

    outlooks: tuple[Outlook, ...] = ()
    conflicts: tuple[str, ...] = ()
    wrong: tuple[errors.UndriftError, ...] = ()
    more: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.outlooks or self.conflicts or self.wrong)


NOTHING: Final = Foresight()


class Foreseer:
    """Looks at branches of one repository. `inner` is the source that is followed, in a store of its own."""

    def __init__(
        self,
        shared: world.Shared,
        inner: git_source.GitSource,
        decryptor: interfaces.Decryptor | None,
        directories: Directories,
    ) -> None:
        self._shared = shared
        self._inner = inner
        self._decryptor = decryptor
        self._directories = directories
        verification = inner.declared.verification
        self._verifier = signing.Verifier(verification, inner.repository) if verification else None
        self._cache: rendering.Cache = {}
        self._known: rendering.Known = {}

    async def foresee(self, base: source.Revision, branch: str, head: str) -> Foresight:
        """What the agent would do once `head`, the tip of `branch`, is merged into `base`.

        What is wrong with the branch is in the answer. Raises `SourceUnavailable`, `SourceDenied`, `StoreBroken`,
        `DatabaseError`: what is nobody's fault there.
        """
        try:
            merged = await self._merged(base, branch, head)
        except (errors.ReferenceMissing, errors.SignatureRefused) as error:
            return Foresight(wrong=error.parts)
        if merged.conflicts:
            return Foresight(conflicts=merged.conflicts)
        revision = dataclasses.replace(
            base, digest=f"{base.digest.partition(':')[0]}:{merged.commit}", reference=f"{branch}, merged"
        )
        await self._inner.repository.commit(merged.commit)
        return await _Prospect(self._shadow(revision), self._shared, self._inner, (base, revision)).tell(
            self._decryptor, self._directories
        )

    async def _merged(self, base: source.Revision, branch: str, head: str) -> merging.Merged:
        """Where the source demands signatures, what is proposed has to be signed before anything reads it."""
        commit = await self._inner.ensure(base)
        owner = self._inner.repository
        if self._verifier is not None:
            selected = references.Selected("", branch, head)
            await owner.obtain(selected)
            await self._verifier.signer(selected)
        return await merging.merge(owner, commit, branch, head)

    def _shadow(self, revision: source.Revision) -> world.Shared:
        """The agent's world with the merge result in place of the branch, and caches that are ours."""
        polls = dict(self._shared.polls)
        for name, poll in self._shared.polls.items():
            if follows(poll.declared, self._inner.declared):
                polls[name] = polling.Poll(poll.declared, self._inner)
                polls[name].revision = revision
        return dataclasses.replace(self._shared, polls=polls, cache=self._cache, known=self._known)

    def close(self) -> None:
        """Let go of what verifies signatures."""
        if self._verifier is not None:
            self._verifier.close()


def follows(one: source.Source, other: source.Source) -> bool:
    """Whether two sources are the same branch of the same repository."""
    return one.kind is other.kind and (_place(one), one.reference) == (_place(other), other.reference)


def _place(declared: source.Source) -> str:
    return declared.url.rstrip("/").removesuffix(".git")


class _Prospect:
    """One merge result, `revisions[1]`, beside what it would be merged into."""

    def __init__(
        self,
        shadow: world.Shared,
        present: world.Shared,
        inner: git_source.GitSource,
        revisions: tuple[source.Revision, source.Revision],
    ) -> None:
        self._shadow = shadow
        self._present = present
        self._inner = inner
        self._base, self._merged = revisions
        self._worker = worker.Worker(shadow, fleet.Fleet(shadow, lambda: None))

    async def tell(self, decryptor: interfaces.Decryptor | None, directories: Directories) -> Foresight:
        before = self._present.configuration
        if before is None:
            return NOTHING
        after = await self._read(before, reading.Reader(decryptor, directories(self._shadow)))
        self._shadow.configuration = after
        known = {str(error) for error in before.errors}
        wrong = tuple(error for error in after.errors if str(error) not in known)
        faulty = {
            name: faults
            for name, faults in after.faults.items()
            if [str(one) for one in faults] != [str(one) for one in before.faults.get(name, ())]
        }
        of_faults = {str(one) for faults in faulty.values() for one in faults}
        outlooks = [Outlook(name, wrong=faults) for name, faults in sorted(faulty.items())]
        changed = [*_in_order(await self._changed(after)), *self._leaving(after)]
        outlooks += [await self._outlook(one, after) for one in changed[:_PLANS]]
        others = tuple(error for error in wrong if str(error) not in of_faults)
        return Foresight(tuple(outlooks), wrong=others, more=max(0, len(changed) - _PLANS))

    async def _read(
        self, before: configuration.Configuration, reader: reading.Reader
    ) -> configuration.Configuration:
        """What the merge result declares; what is in force where it declares the same."""
        poll, path = self._shadow.polls[fleet.CONFIG], self._present.settings.path
        if poll.revision is not self._merged:
            return before
        digests = [
            await self._inner.digests(revision, [path]) for revision in (before.revision, self._merged)
        ]
        if digests[0] == digests[1] and not before.looked_into:
            return before
        return await reader.read(await poll.fetch(self._merged, path))

    async def _changed(self, after: configuration.Configuration) -> list[tenant.Tenant]:
        """Applications of ours whose document or files the merge would change, as they would be then."""
        names = [name for name, poll in self._shadow.polls.items() if poll.revision is self._merged]
        found: list[tenant.Tenant] = []
        paths: dict[str, list[str]] = {}
        for name, subject in sorted(after.serving(self._present.agent).items()):
            known = self._present.tenants.get(name)
            digest = after.digests.get(name, "")
            one = tenant.Tenant(subject, digest, beside=known.beside if known else ())
            if known is None or known.digest != digest or known.application.decommissioned:
                found.append(one)
            else:
                read = [path for each in names for path in joining.paths(one, each)]
                paths[name] = read
                one.heals = known.heals
                found += [one] if read else []
        wanted = sorted({path for read in paths.values() for path in read})
        old, new = [await self._inner.digests(each, wanted) for each in (self._base, self._merged)]
        return [
            one
            for one in found
            if one.name not in paths or any(old.get(path) != new.get(path) for path in paths[one.name])
        ]

    def _leaving(self, after: configuration.Configuration) -> Iterator[tenant.Tenant]:
        """Applications of ours whose documents the merge would remove."""
        moved = {old for one in after.applications.values() for old in one.moved_from}
        for name, known in sorted(self._present.tenants.items()):
            if name in moved or known.application.decommissioned or not after.may_remove(known.application):
                continue
            subject, digest = fleet.leaving(known, after)
            yield tenant.Tenant(subject, digest)

    async def _outlook(self, one: tenant.Tenant, after: configuration.Configuration) -> Outlook:
        subject = one.application
        note = "" if subject.decommissioned else self._unlike(subject, after)
        if note:
            return Outlook(one.name, note=note)
        known = self._present.tenants.get(one.name)
        lease = known.lease if known is not None else None
        memory = known.memory if known is not None else None
        if memory is None:
            memory = await self._present.database.recall(one.name)
        if not subject.decommissioned:
            # What is proposed is to be shown, or why it cannot be: not what would stay in its place.
            memory = dataclasses.replace(memory, last_good=None)
        try:
            async with asyncio.timeout(_PATIENCE):
                told = await self._worker.reconcile(one, lease or _Nobody(), memory, "review", dry=True)
        except TimeoutError:
            return Outlook(one.name, note=f"it could not be planned within {_PATIENCE:g} s")
        return Outlook(one.name, told, leaving=subject.decommissioned)

    def _unlike(self, subject: application.Application, after: configuration.Configuration) -> str:
        """Why an application is not planned: it needs places that the real branch does not declare so."""
        place = self._present.places.get(subject.target)
        if place is None or place.declared != after.targets[subject.target]:
            return f"its target {subject.target} is not declared like that yet: it is planned once that is merged"
        for name in sorted(fleet.sources(subject)):
            poll = self._present.polls.get(name)
            wanted: Mapping[str, source.Source] = after.sources
            if poll is None or (name != fleet.CONFIG and poll.declared != wanted.get(name)):
                return f"its source {name} is not in use like that yet: it is planned once that is merged"
        return ""


def _in_order(found: list[tenant.Tenant]) -> list[tenant.Tenant]:
    """Applications after those that they depend on, and what leaves before them: as they come to pass once it is merged."""
    known = {one.name: one for one in found}
    needs = {one.name: one.application.depends_on for one in found}
    leaving = {one.name for one in found if one.application.decommissioned}
    return [known[name] for name in orders.through(needs, leaving)]


class _Nobody:
    """Implements `interfaces.Lease`: the right to do nothing."""

    epoch = 0

    async def check(self) -> None:
        """Never held."""
        raise errors.LeaseLost("nothing may be changed on the way of a review")

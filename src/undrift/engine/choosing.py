"""Which revision to make true: the newest, or the last good one while the newest is held back."""

from __future__ import annotations

import dataclasses

from undrift import errors
from undrift.engine import applying, passing, rendering
from undrift.model import application, lock, record, resource, source


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """What to make true, why it is not the newest revision (if it is not), and what holds that one back."""

    prepared: rendering.Prepared
    failure: record.Failure | None = None
    held_back: record.HeldBack | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """A candidate, unless there is none; and what is wrong with the newest revision, if anything is.

    `newest` is what that one is made from, where it is known; `awaits` are values of others that it waits for.
    """

    candidate: Candidate | None
    failure: record.Failure | None = None
    held_back: record.HeldBack | None = None
    newest: lock.InputLock | None = None
    awaits: tuple[errors.OutputPending, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Chooser:
    """Prepares revisions. `retry` tries a held-back one once more; `timeout` is seconds for one of them."""

    kitchen: rendering.Kitchen
    memory: record.Memory
    retry: bool = False
    timeout: float = 300.0

    async def choose(self, revision: source.Revision | None, failure: record.Failure | None) -> Choice:
        """The newest revision if it can be prepared and is not held back, else the last good one.

        `revision` is None when the source could not be asked; `failure` then says why.
        """
        if revision is None:
            return Choice(await self.fall_back(failure), failure)
        if self.kitchen.application.decommissioned:
            return await self._leaving(revision)
        return await self._newest(revision)

    async def _leaving(self, revision: source.Revision) -> Choice:
        """Nothing, and where the last good revision declares farewells: those."""
        subject, wanted = self.kitchen.application, resource.NOTHING_DESIRED
        last = self.memory.last_good
        if subject.farewells and last and subject.deletion_policy is not application.DeletionPolicy.ORPHAN:
            try:
                prepared = await self._prepare(last, await rendering.inputs(last, self.kitchen))
            except errors.UndriftError as error:
                told = error.at(str(last), last.author)
                told.hint = (
                    told.hint or "it has to be rendered for what runs at its end: keep its source until then"
                )
                return Choice(None, record.Failure(_guilty(error), told))
            farewells = prepared.desired.farewells
            wanted = resource.DesiredState(farewells, farewells=farewells)
        inputs = lock.InputLock({"config": self.kitchen.config_digest}, str(revision))
        return Choice(Candidate(rendering.Prepared(revision, inputs, wanted)))

    async def fall_back(
        self, failure: record.Failure | None = None, held: record.HeldBack | None = None
    ) -> Candidate | None:
        """The last good revision, or None when there is none or it can no longer be prepared."""
        last = self.memory.last_good
        if last is None:
            return None
        try:
            prepared = await self._prepare(last, await rendering.inputs(last, self.kitchen))
        except errors.UndriftError:
            return None
        return Candidate(prepared, failure, held)

    async def _newest(self, revision: source.Revision) -> Choice:
        name, found = "", None
        try:
            found = await rendering.inputs(revision, self.kitchen)
            name = rendering.name_inputs(found)
            held = self._known_bad(name)
            if held is not None and self._avoids(held):
                failure = record.Failure(held.phase, held.error)
                return Choice(await self.fall_back(failure, held), failure, held, found)
            return Choice(Candidate(await self._prepare(revision, found), held_back=held), newest=found)
        except errors.UndriftError as error:
            awaits = passing.awaited(error)
            if awaits:
                return Choice(None, newest=found, awaits=awaits)
            failure = record.Failure(_guilty(error), error.at(str(revision), revision.author))
        held = hold_back(self.kitchen.application, revision, name, failure)
        return Choice(await self.fall_back(failure, held), failure, held, found)

    async def _prepare(self, revision: source.Revision, found: lock.InputLock) -> rendering.Prepared:
        work = rendering.prepare(revision, found, self.kitchen)
        return await applying.within(self.timeout, work, "rendering", errors.RenderTimeout)

    def _known_bad(self, name: str) -> record.HeldBack | None:
        if self.retry:
            return None
        return next((held for held in self.memory.held_back if held.inputs == name), None)

    def _avoids(self, held: record.HeldBack) -> bool:
        """Whether a held-back revision is not even looked at: it cannot be prepared, or was rolled back."""
        undone = self.kitchen.application.policy.on_failure is application.OnFailure.ROLLBACK
        return held.phase in record.PREPARING or undone


def hold_back(
    subject: application.Application, revision: source.Revision, name: str, failure: record.Failure
) -> record.HeldBack | None:
    """A revision is held back when it is the commit's own fault: then waiting cannot help.

    `name` is the digest of its inputs, "" where they are not known.
    """
    if errors.waiting_helps(failure.error):
        return None
    return blame(subject, revision, name, failure)


def blame(
    subject: application.Application, revision: source.Revision, name: str, failure: record.Failure
) -> record.HeldBack:
    """What is remembered of a revision that failed, waiting or not."""
    return record.HeldBack(
        subject.name, str(revision), name or str(revision), failure.phase, **_remembered(failure.error)
    )


def _remembered(error: errors.UndriftError) -> dict[str, str]:
    """What of an error is kept with a held-back revision: of several the first, and that there are more."""
    first = error.parts[0]
    more = len(error.parts) - 1
    return {
        "code": first.code,
        "message": first.what + (f" (and {more} more)" if more else ""),
        "why": first.why,
        "hint": first.hint,
        "origin": str(first.origin or ""),
        "author": error.author,
    }


def _guilty(error: errors.UndriftError) -> record.Phase:
    """The phase that an error of preparing belongs to, told by its kind."""
    first = error.parts[0]
    if isinstance(first, errors.ValidationError):
        return record.Phase.VALIDATE
    return record.Phase.FETCH if isinstance(first, errors.SourceError) else record.Phase.RENDER

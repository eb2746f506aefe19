"""Carrying out one change on a host, and keeping its mark: written ahead, confirmed after."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import posixpath
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from undrift import errors
from undrift.model import inventory, plan, resource, secret
from undrift.providers.hosts import (
    book,
    kinds,
    managing,
    marks,
    observing,
    restoring,
    running,
    serving,
    shaping,
    transport,
)
from undrift.providers.hosts.system import checking, deadman, downloads, facilities, facility

_AT_ONCE: Final = frozenset({kinds.SERVICE, kinds.COMMAND, kinds.UNIT})
"""Kinds whose marks are written at once: doing the same again would be felt."""


@dataclasses.dataclass(frozen=True, slots=True)
class Applier:
    """Changes a host through its transport and its service managers.

    `real` turns a manifest's path into the machine's; `wave` are the changes that were announced last. What is not
    at a path of its own is changed in `turn`: package managers, lists of users and shared files stand one at a time.
    """

    host: transport.Transport
    book: book.Book
    services: managing.Services
    observer: observing.Observer
    keepsakes: restoring.Keepsakes
    real: Callable[[str], str] = str
    wave: dict[resource.ResourceId, plan.Change] = dataclasses.field(default_factory=dict)
    turn: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """Write marks ahead of a wave, all at once."""
        self.wave.clear()
        self.wave.update((change.id, change) for change in changes)
        for change in changes:
            self._intend(change, owner, revision)
        try:
            await asyncio.to_thread(self.book.flush)
        except errors.TargetError:
            for change in changes:
                self._withdraw(change, owner)
            raise

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`."""
        alone = self.turn if change.id.kind not in kinds.AT_PATHS else contextlib.nullcontext()
        try:
            async with alone:
                notes = await self._carry_out(change, owner)
        except errors.OutcomeUnknown:
            raise
        except errors.UndriftError as error:
            self._withdraw(change, owner)
            error.origin = error.origin or (change.desired.origin if change.desired else None)
            raise
        self._confirm(change, owner, revision, notes)
        if change.id.kind in _AT_ONCE:
            await asyncio.to_thread(self.book.flush)

    def _intend(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        if change.desired is not None and change.action is not plan.Action.MARK:
            known = self._own(owner, change.id)
            self.book.stage(dataclasses.replace(known, intent=_intent(change, change.desired, revision)))
        leaving = change.live.id if change.live is not None else change.id
        if change.action is plan.Action.MOVE or change.desired is None:
            record = self.book.record(owner, leaving)
            if record is not None and change.action is not plan.Action.RELEASE:
                self.book.stage(dataclasses.replace(record, intent=marks.Intent(deletes=True)))

    def _withdraw(self, change: plan.Change, owner: inventory.Owner) -> None:
        """It was not done: what was announced must not prove anything."""
        touched = {change.id, *([change.live.id] if change.live is not None else [])}
        for rid in touched:
            record = self.book.record(owner, rid)
            if record is None or record.intent is None:
                continue
            if record.made is None:
                self.book.drop(owner, rid)
            else:
                self.book.stage(dataclasses.replace(record, intent=None))

    def _confirm(
        self, change: plan.Change, owner: inventory.Owner, revision: str, notes: Mapping[str, Any]
    ) -> None:
        if change.desired is None:
            self.book.drop(owner, change.id)
            return
        if change.action is plan.Action.MOVE and change.live is not None:
            self.book.drop(owner, change.live.id)
        known = self._own(owner, change.id)
        since = self._since(owner, change.id, known)
        made = _intent(change, change.desired, revision)
        kept = known.notes if change.action is plan.Action.MARK else notes
        self.book.take(dataclasses.replace(known, made=made, intent=None, since=since, notes=kept))

    def _since(self, owner: inventory.Owner, rid: resource.ResourceId, known: marks.Record) -> int:
        """Since when it is the owner's: later than anybody else's, whatever the clock says."""
        mine = self.book.record(inventory.Owner(owner.agent, owner.application), rid)
        records = self.book.records(rid)
        if mine is not None and mine.made is not None and not mine.overtaken(records):
            return known.since
        return max([marks.now(), *(record.since + 1 for record in records)])

    def _own(self, owner: inventory.Owner, rid: resource.ResourceId) -> marks.Record:
        """The owner's record under its present name; what a former name knew comes along."""
        known = self.book.record(owner, rid)
        if known is None:
            return marks.Record(id=rid, agent=owner.agent, application=owner.application, since=marks.now())
        return dataclasses.replace(known, application=owner.application)

    async def _carry_out(self, change: plan.Change, owner: inventory.Owner) -> Mapping[str, Any]:
        """Do it; returns what to note about it."""
        wanted, live = change.desired, change.live
        match change.action:
            case plan.Action.MARK | plan.Action.RELEASE:
                return {}
            case plan.Action.CREATE if wanted is not None:
                return await self._make(wanted, None, owner)
            case plan.Action.UPDATE | plan.Action.ADOPT if wanted is not None and live is not None:
                await self._unmoved(live)
                return await self._make(wanted, live.fields, owner)
            case plan.Action.RECREATE if wanted is not None and live is not None:
                await self._unmake(live, owner)
                return await self._make(wanted, None, owner)
            case plan.Action.MOVE if wanted is not None and live is not None:
                return await self._move(wanted, live, owner)
            case plan.Action.DELETE if live is not None:
                await self._unmake(live, owner)
                return {}
            case _:
                raise errors.InternalError(f"{change.action} of {change.id} makes no sense")

    async def _unmoved(self, live: resource.LiveResource) -> dict[str, Any] | None:
        """The fields now. Raises `ChangeConflict` unless they are those that were planned with."""
        found = await self.observer.fields(live.id)
        if found is None or any(found.get(name) != value for name, value in live.fields.items()):
            what = "is gone" if found is None else "was changed by somebody else"
            raise errors.ChangeConflict(f"{live.id} {what} since it was looked at", hint="it is planned anew")
        return found

    async def _make(
        self, wanted: resource.Resource, live: resource.Fields | None, owner: inventory.Owner
    ) -> Mapping[str, Any]:
        if wanted.id.kind == kinds.SERVICE:
            return await serving.Server(self.host, self.services, self.keepsakes).put(wanted, live, owner)
        if wanted.id.kind == kinds.COMMAND:
            await running.run(self.host, wanted)
            return kinds.keep(wanted.fields)
        if wanted.id.kind in facilities.SERVING:
            return await self._provide(wanted, live, owner)
        careful = any(wanted.settings.get(name) for name in ("check", "keep", "url"))
        made = await (
            self._put(wanted, live, owner) if careful or live is not None else self._place(wanted, owner)
        )
        own = frozenset(path for path in made if not self.keepsakes.is_own(path))
        if own:
            self.book.note_folders(owner, own, frozenset())
        return {}

    async def _provide(
        self, wanted: resource.Resource, live: resource.Fields | None, owner: inventory.Owner
    ) -> Mapping[str, Any]:
        """Have the facility of its kind make it; what was kept of it stays, with what comes new."""
        change = self.wave.get(wanted.id)
        taken = change is not None and change.action is plan.Action.ADOPT
        notes = self._notes(wanted.id, owner)
        order = facility.Order(
            wanted,
            live,
            self._beside(wanted),
            notes,
            adopted=taken and change is not None and not change.from_owner,
        )
        async with self._way_in(wanted.id):
            return {**notes, **await facilities.SERVING[wanted.id.kind].put(self.host, order)}

    def _notes(self, rid: resource.ResourceId, owner: inventory.Owner) -> Mapping[str, Any]:
        """What was kept of it by us, else by whom it is taken over from."""
        own = self.book.record(owner, rid)
        if own is not None and own.made is not None:
            return own.notes
        return next((each.notes for each in self.book.records(rid) if each.made is not None), {})

    def _beside(self, wanted: resource.Resource) -> list[resource.Resource]:
        """What else of its kind, and in the same way, is made in this wave."""
        return [
            other.desired
            for other in self.wave.values()
            if other.desired is not None
            and other.action is plan.Action.CREATE
            and other.id != wanted.id
            and other.id.kind == wanted.id.kind
            and other.desired.settings == wanted.settings
        ]

    async def _place(self, wanted: resource.Resource, owner: inventory.Owner) -> Sequence[str]:
        """Make it where nothing is. That is not looked for before: the step itself fails where something is."""
        if wanted.id.kind == kinds.BLOCK:
            return await self._put(wanted, None, owner)
        try:
            return await self.host.change(shaping.make(wanted, None, None))
        except errors.ChangeConflict:
            seen = (await self.observer.see([wanted.id])).get(kinds.path_of(wanted.id))
            if wanted.adopt and seen is not None:
                # What an earlier change brought along (a package its own settings) is taken over as was asked for.
                found = shaping.fields_of(wanted.id, seen, hidden=False) or {}
                return await self._put(wanted, found, owner)
            _vacant(wanted.id, seen)
            raise

    async def _put(
        self, wanted: resource.Resource, live: resource.Fields | None, owner: inventory.Owner
    ) -> Sequence[str]:
        path, check = kinds.path_of(wanted.id), tuple(wanted.settings.get("check") or ())
        careful = bool(check or wanted.settings.get("keep"))
        need = shaping.need(wanted.id) | (transport.Need.CONTENT if careful else transport.Need.NOTHING)
        seen = (await self.host.look({path: need})).get(path)
        if live is None and seen is not None and wanted.id.kind != kinds.BLOCK:
            if not wanted.adopt:
                _vacant(wanted.id, seen)
            live = shaping.fields_of(wanted.id, seen, hidden=False)
        if downloads.is_download(wanted) and (live is None or live.get("digest") != wanted.fields["digest"]):
            return await downloads.fetch(self.host, wanted, self.real, replace=live is not None)
        steps = list(shaping.make(wanted, live, seen))
        content = next((step.content for step in steps if isinstance(step, transport.Write)), None)
        if content is None or not careful:
            return await self.host.change(steps)
        if check and checking.takes_path(check):
            await checking.before(self.host, wanted, path, content, check, real=self.real)
        kept = await self.keepsakes.steps(wanted.id, seen, owner) if self._is_new(wanted) else []
        made = await self.host.change([*kept, *steps])
        if check and not checking.takes_path(check):
            await self._check_all(wanted, seen, check)
        return made

    def _is_new(self, wanted: resource.Resource) -> bool:
        """Whether what is there now has proven itself: what somebody did by hand has not."""
        change = self.wave.get(wanted.id)
        keep = bool(wanted.settings.get("keep"))
        return keep and (change is None or change.reason is not plan.Reason.DRIFT)

    async def _check_all(
        self, wanted: resource.Resource, seen: transport.Seen | None, check: Sequence[str]
    ) -> None:
        """Check everything as it lies there with the new content in it; refused, the former comes back."""
        try:
            await checking.after(self.host, wanted, check)
        except errors.ChangeRefused:
            path = kinds.path_of(wanted.id)
            back: transport.Step = transport.Remove(path, transport.Sort.FILE)
            if seen is not None and seen.content is not None:
                access = transport.Attributes(seen.mode, seen.owner, seen.group)
                back = transport.Write(path, seen.content, access, replace=True)
            await self.host.change([back])
            await self.keepsakes.forget([wanted.id])
            raise

    async def _unmake(self, live: resource.LiveResource, owner: inventory.Owner) -> None:
        if live.id.kind == kinds.COMMAND:
            return
        if live.id.kind == kinds.SERVICE:
            await self.services.remove(live.id.name, str(live.fields["manager"]))
            return
        if live.id.kind in facilities.SERVING:
            await self._withdraw_from(live, owner)
            return
        found = await self.observer.fields(live.id)
        if found is None or shaping.IS in found:
            return
        await self._unmoved(live)
        path = kinds.path_of(live.id)
        need = shaping.need(live.id)
        if live.id.kind == kinds.DIRECTORY:
            need |= transport.Need.ENTRIES
        seen = await self.host.look({path: need})
        await self.host.change(shaping.unmake(live.id, seen.get(path)))
        await self._tidy(path, owner)

    async def _withdraw_from(self, live: resource.LiveResource, owner: inventory.Owner) -> None:
        """Have the facility of its kind take it away."""
        beside = frozenset(
            other.id
            for other in self.wave.values()
            if other.desired is None and other.id.kind == live.id.kind and other.id != live.id
        )
        leave = facility.Leave(live.id, live.fields, self._notes(live.id, owner), beside)
        async with self._way_in(live.id):
            await facilities.SERVING[live.id.kind].remove(self.host, leave)

    @contextlib.asynccontextmanager
    async def _way_in(self, rid: resource.ResourceId) -> AsyncIterator[None]:
        """Change what may decide whether we ourselves get in: undone by the machine if we do not."""
        paths: tuple[str, ...] = ()
        if isinstance(self.host, transport.Reachable):
            paths = await facilities.SERVING[rid.kind].ways_in(self.host, rid, self.host.user)
        seconds = deadman.USUAL if paths else 0.0
        async with deadman.switch(self.host, rid, seconds, deadman.Undo(copies=paths)):
            yield

    async def _tidy(self, path: str, owner: inventory.Owner) -> None:
        """Remove parent folders that were made on the way and hold nothing any more."""
        made = self.book.folders(owner)
        gone: set[str] = set()
        folder = posixpath.dirname(path)
        while folder in made:
            seen = (await self.host.look({folder: transport.Need.ENTRIES})).get(folder)
            if seen is not None and (seen.sort is not transport.Sort.DIRECTORY or seen.entries):
                break
            if seen is not None:
                await self.host.change([transport.Remove(folder, transport.Sort.DIRECTORY)])
            gone.add(folder)
            folder = posixpath.dirname(folder)
        if gone:
            self.book.note_folders(owner, frozenset(), frozenset(gone))

    async def _move(
        self, wanted: resource.Resource, live: resource.LiveResource, owner: inventory.Owner
    ) -> Mapping[str, Any]:
        """Make it under its new id, then take the old one away."""
        if wanted.id.kind == kinds.COMMAND:
            record = self.book.record(owner, live.id)
            same = record is not None and kinds.kept(record.notes) == wanted.fields
            return kinds.keep(wanted.fields) if same else await self._make(wanted, None, owner)
        if wanted.id.kind == kinds.SERVICE:
            await self._unmake(live, owner)
            return await self._make(wanted, None, owner)
        notes = await self._make(wanted, None, owner)
        await self._unmake(live, owner)
        return notes


def _intent(change: plan.Change, wanted: resource.Resource, revision: str) -> marks.Intent:
    return marks.Intent(
        revision=revision,
        fingerprint=change.fingerprint,
        look=marks.look(wanted.fields),
        protected=wanted.protected,
        secret=any(isinstance(value, secret.Secret) for value in wanted.fields.values()),
    )


def _vacant(rid: resource.ResourceId, seen: transport.Seen | None) -> None:
    """Raise where something is in the way of a resource that is to be made."""
    if seen is None or rid.kind == kinds.BLOCK:
        return
    if shaping.IS in (shaping.fields_of(rid, seen, hidden=False) or {}):
        raise errors.ChangeRefused(
            f"{rid} cannot be made",
            why=f"{rid.name} is {seen.sort}, and not ours",
            hint="move it away by hand, or declare another path",
        )
    raise errors.ChangeConflict(f"{rid} was made by somebody else meanwhile", hint="it is planned anew")

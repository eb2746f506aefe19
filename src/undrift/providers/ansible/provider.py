"""The provider `ansible`: check mode is the plan, a run is the apply."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final

from undrift import errors, interfaces
from undrift.lib import canonical
from undrift.model import health, inventory, plan, resource, target
from undrift.providers.ansible import book, loading, planning, running, settings, telling

_ORDER: Final = (telling.TASK, telling.PLAYBOOK)
_GOES: Final = "only our record of it goes; nothing on the hosts is changed\n"


class AnsibleProvider:
    """Implements `interfaces.Provider` for `provider: ansible`."""

    def capabilities(self, place: target.Target) -> target.Capabilities:
        """See `interfaces.Provider`."""
        return target.Capabilities(
            dry_run=True,
            native_plan=True,
            kind_order=_ORDER,
            instant=frozenset(_ORDER),
            patience=settings.read(place).timeout,
        )

    def load(
        self, rendered: interfaces.Rendered, facts: target.Facts, place: target.Target, namespace: str = ""
    ) -> resource.DesiredState:
        """See `interfaces.Provider`."""
        return loading.load(rendered, place)

    def scopes(self, place: target.Target, ids: Collection[resource.ResourceId]) -> frozenset[str]:
        """One run at a time: hosts, package databases and services are shared."""
        return frozenset({"hosts"})

    def rights(
        self, name: str, facts: target.Facts, wanted: Mapping[str, Collection[resource.Resource]]
    ) -> str:
        """See `interfaces.Provider`: none."""
        return ""

    async def connect(self, place: target.Target, secrets: interfaces.SecretResolver) -> interfaces.Session:
        """See `interfaces.Provider`. Makes the folder of our own records where it is missing."""
        given = settings.read(place)
        records = book.Book(given.state, place.name)
        await asyncio.to_thread(records.prepare)
        return AnsibleSession(running.Runner(given, secrets), records)


@dataclasses.dataclass(slots=True)
class _Wave:
    """A wave while it is carried out: its changes, the run, and the look after it."""

    changes: tuple[plan.Change, ...] = ()
    wrong: dict[str, errors.UndriftError] | None = None
    left: dict[str, telling.Task] | None = None


class AnsibleSession:
    """Implements `interfaces.Session`. A playbook is run as a whole: with the first change of a wave."""

    def __init__(self, runner: running.Runner, records: book.Book) -> None:
        self._runner = runner
        self._book = records
        self._order: running.Order | None = None
        self._wanted: resource.Resource | None = None
        self._leaves = False
        self._wave = _Wave()
        self._version = ""

    async def discover(self) -> target.Facts:
        """The version of Ansible: another one may read the same playbook differently."""
        self._wave = _Wave()
        if not self._version:
            self._version = await self._runner.version()
        return target.Facts({"ansible": self._version}, canonical.digest(self._version))

    async def study(self, rendered: interfaces.Rendered) -> None:
        """Nothing has to be asked for."""

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """Our records; and after a run, what its tasks would still change."""
        entries = await asyncio.to_thread(self._book.of, owner)
        for rid in ids:
            if rid.kind == telling.PLAYBOOK and rid not in entries:
                other = await asyncio.to_thread(self._book.read, rid)
                if other is not None:
                    entries[rid] = other
        found = {rid: _live(rid, entry) for rid, entry in entries.items()}
        if self._wave.wrong is not None:
            wanted = {change.id: change for change in self._wave.changes if change.id.kind == telling.TASK}
            left = await self._left(wanted) if wanted.keys() & set(ids) else {}
            for rid, change in wanted.items():
                task = left.get(str(rid))
                one = telling.settled(change) if task is None else telling.live(task)
                found[rid] = dataclasses.replace(one, id=rid)
        return resource.LiveState(found)

    async def _left(self, wanted: Mapping[resource.ResourceId, plan.Change]) -> Mapping[str, telling.Task]:
        if self._wave.left is None and self._order is not None:
            ran = await self._runner.run(self._order)
            away = ran.by_outcome("unreachable")
            if away:
                raise errors.gather([planning.unreachable(task) for task in away])
            self._wave.left = planning.left(tuple(wanted.values()), ran)
        return self._wave.left or {}

    async def tidy(self, owner: inventory.Owner) -> None:
        """A run leaves nothing behind."""

    async def preview(self, situation: plan.Situation) -> plan.Previews:
        """See `interfaces.Session`: a run in check mode."""
        self._wave = _Wave()
        self._leaves = situation.application.decommissioned
        unwanted = tuple(
            plan.Change(plan.Action.DELETE, rid, plan.Reason.PRUNE, None, found)
            for rid, found in situation.live.resources.items()
            if rid not in situation.desired.resources and rid.kind == telling.PLAYBOOK
        )
        if not situation.desired.resources:
            self._order = None
            return plan.Previews(native=unwanted)
        [wanted] = situation.desired.resources.values()
        order = wanted.settings["order"]
        self._order, self._wanted = order, wanted
        ran = await self._runner.run(order)
        live = situation.live.resources.get(wanted.id)
        own = _own(wanted, live)
        tasks = planning.changes(ran, plan.Reason.DECLARED if own else plan.Reason.DRIFT)
        entry = await asyncio.to_thread(self._book.read, wanted.id)
        surprises = entry.surprises if entry is not None else ()
        native = (*tasks, *own, *unwanted)
        return plan.Previews(native=native, warnings=planning.warnings(ran, native, surprises))

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """The changes of a wave are carried out by one run."""
        self._wave = _Wave(tuple(change for change in changes if change.desired is not None))

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """See `interfaces.Session`. The first change of a wave runs the playbook, the others tell how theirs went."""
        if change.desired is None:
            await self._let_go(change)
            return
        if self._wave.wrong is None:
            self._wave.wrong = await self._run(owner, revision)
        error = self._wave.wrong.get(str(change.id))
        if error is not None:
            raise error

    async def _run(self, owner: inventory.Owner, revision: str) -> dict[str, errors.UndriftError]:
        order, wanted, wave = self._order, self._wanted, self._wave.changes
        if order is None or wanted is None:
            raise errors.InternalError("a run without a plan")
        ran = await self._runner.run(dataclasses.replace(order, check=False))
        wrong = planning.outcomes(wave, ran)
        before = await asyncio.to_thread(self._book.read, wanted.id)
        fields, hidden = loading.kept(wanted.fields)
        own = next((change for change in wave if change.id == wanted.id), None)
        known = before.fingerprint if before is not None else ""
        entry = book.Entry(
            agent=owner.agent,
            application=owner.application,
            revision=revision,
            fingerprint=own.fingerprint if own is not None else known,
            fields=fields if not wrong else before.fields if before is not None else {},
            hidden=hidden if not wrong else before is not None and before.hidden,
            problem="; ".join(error.what for error in wrong.values()),
            surprises=planning.surprises(wave, ran),
            leaving=wanted.settings["leaving"],
        )
        await asyncio.to_thread(self._book.write, wanted.id, entry)
        return wrong

    async def _let_go(self, change: plan.Change) -> None:
        """Forget a playbook; when its application leaves, run what was declared for that."""
        entry = await asyncio.to_thread(self._book.read, change.id)
        if entry is not None and entry.leaving is not None and self._destroys(change):
            leaving = entry.leaving
            order = running.Order(
                recipe=leaving.recipe,
                files=leaving.files,
                playbook=str(leaving.recipe["destroy"]),
                check=False,
            )
            ran = await self._runner.run(order)
            bad = ran.by_outcome("failed", "unreachable")
            if bad:
                raise errors.gather([planning.failed(task) for task in bad])
        await asyncio.to_thread(self._book.drop, change.id)

    def _destroys(self, change: plan.Change) -> bool:
        return self._leaves and change.action is plan.Action.DELETE

    async def describe(self, change: plan.Change) -> str:
        """See `interfaces.Session`."""
        if change.action is not plan.Action.DELETE:
            return change.text
        try:
            entry = await asyncio.to_thread(self._book.read, change.id)
        except errors.TargetError:
            return ""
        if entry is None or entry.leaving is None or not self._destroys(change):
            return _GOES
        return f"{entry.leaving.recipe['destroy']} is run\n"

    def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """Hosts do not tell: drift is looked for at intervals."""
        raise errors.InternalError("this kind of target is not watched")

    async def close(self) -> None:
        """Nothing stays open."""


def _live(rid: resource.ResourceId, entry: book.Entry) -> resource.LiveResource:
    state = health.Health(health.Status.DEGRADED, entry.problem) if entry.problem else health.HEALTHY
    return resource.LiveResource(
        rid, loading.shown(entry.fields, hidden=entry.hidden), entry.mark(rid), state
    )


def _own(wanted: resource.Resource, live: resource.LiveResource | None) -> tuple[plan.Change, ...]:
    """The change of the playbook itself: it was never run, or not as it is declared now."""
    before = live.fields if live is not None else {}
    names = sorted({*wanted.fields, *before})
    fields = tuple(
        plan.FieldChange(name, before.get(name), wanted.fields.get(name))
        for name in names
        if before.get(name) != wanted.fields.get(name)
    )
    action = plan.Action.CREATE if live is None else plan.Action.UPDATE
    return (plan.Change(action, wanted.id, plan.Reason.DECLARED, wanted, live, fields),) if fields else ()

"""A target, a source and a renderer in memory, which misbehave on request.

`FakeTarget` refuses, delays, half-applies, lies about success, loses answers and dies, as its `Mischief`
says; people and other programs change it behind our back through `touch`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any

from undrift import errors, interfaces
from undrift.lib import canonical
from undrift.model import health, inventory, plan, resource, source, target

WHOLE = resource.ResourceId.of("Place", "all")
"""What a mark names that stands for a whole target."""


class Mischief(enum.Enum):
    """What a fake target does to one change."""

    NONE = "do as told"
    REFUSE = "say no, for good"
    FAIL = "say no, this time"
    DELAY = "take a while"
    HALF = "do half of it, then fail"
    LIE = "say it is done, and do nothing"
    LOSE = "do it, and lose the answer"
    DIE_BEFORE = "kill the agent before the change"
    DIE_AFTER = "kill the agent after the change"


class Died(BaseException):
    """The agent was killed: nothing in it may catch this."""


@dataclasses.dataclass(slots=True)
class Thing:
    """One resource of a fake target."""

    fields: dict[str, Any]
    mark: inventory.Mark | None = None
    uid: int = 0
    health: health.Health = health.HEALTHY


class FakeTarget:
    """A target in memory. `misbehave` is asked before each change; `log` holds (action, id) of real changes."""

    def __init__(self, marks: target.Marks = target.Marks.RESOURCE) -> None:
        self.things: dict[resource.ResourceId, Thing] = {}
        self.marks = marks
        self.whole: dict[tuple[str, str], inventory.Mark] = {}
        self.misbehave: Callable[[plan.Change], Mischief] = lambda _: Mischief.NONE
        self.unreachable = False
        self.log: list[tuple[plan.Action, resource.ResourceId]] = []
        self.deleted: list[tuple[resource.ResourceId, Thing]] = []
        self._uids = 0

    def touch(
        self, rid: resource.ResourceId, fields: Mapping[str, Any] | None, mark: inventory.Mark | None = None
    ) -> None:
        """Somebody else changes (None: deletes) a resource; a changed one keeps its mark."""
        if fields is None:
            self.things.pop(rid, None)
        elif rid in self.things:
            self.things[rid].fields = dict(fields)
        else:
            self.things[rid] = Thing(dict(fields), mark, self._uid())

    def make(self, change: plan.Change, mark: inventory.Mark) -> None:
        """Carry out a change for real."""
        self.log.append((change.action, change.id))
        if self.marks is target.Marks.TARGET:
            self.whole[mark.agent, mark.application] = dataclasses.replace(mark, names=WHOLE, fingerprint="")
        match change.action:
            case plan.Action.DELETE:
                self._delete(change.id)
            case plan.Action.RELEASE:
                self.things[change.id].mark = None
            case plan.Action.MARK:
                self.things[change.id].mark = self._marked(mark)
            case plan.Action.RECREATE:
                self._delete(change.id)
                self._write(change, mark)
            case plan.Action.MOVE if change.live is not None:
                self.things[change.id] = self.things.pop(change.live.id)
                self._write(change, mark)
            case _:
                self._write(change, mark)

    def _delete(self, rid: resource.ResourceId) -> None:
        gone = self.things.pop(rid, None)
        if gone is not None:
            self.deleted.append((rid, gone))

    def _write(self, change: plan.Change, mark: inventory.Mark) -> None:
        if change.desired is None:
            raise TypeError(change)
        known = self.things.get(change.id)
        uid = known.uid if known else self._uid()
        self.things[change.id] = Thing(dict(change.desired.fields), self._marked(mark), uid)

    def _marked(self, mark: inventory.Mark) -> inventory.Mark | None:
        return mark if self.marks is target.Marks.RESOURCE else None

    def _uid(self) -> int:
        self._uids += 1
        return self._uids


class FakeSession:
    """A session on a `FakeTarget`, with compare-and-set on creation as real targets have it."""

    def __init__(self, place: FakeTarget) -> None:
        self.place = place
        self.looks = 0

    async def discover(self) -> target.Facts:
        """No facts."""
        return target.NO_FACTS

    async def study(self, rendered: interfaces.Rendered) -> None:
        """Nothing has to be asked for."""

    async def observe(
        self, ids: Collection[resource.ResourceId], owner: inventory.Owner
    ) -> resource.LiveState:
        """See `interfaces.Session`."""
        self.looks += 1
        if self.place.unreachable:
            raise errors.TargetUnavailable("the fake target is away")
        found = {
            rid: resource.LiveResource(rid, dict(thing.fields), thing.mark, thing.health, str(thing.uid))
            for rid, thing in self.place.things.items()
            if rid in ids or (thing.mark is not None and owner.owns(thing.mark))
        }
        return resource.LiveState(found, marks=tuple(self.place.whole.values()))

    async def tidy(self, owner: inventory.Owner) -> None:
        """Marks live on the resources, and a change is made whole."""

    async def preview(self, situation: plan.Situation) -> plan.Previews:
        """Nothing that planning would not know."""
        return plan.NO_PREVIEWS

    async def intend(self, changes: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        """Marks live on the resources."""

    async def apply(self, change: plan.Change, owner: inventory.Owner, revision: str) -> None:
        """Carry out a change, or not."""
        mischief = self.place.misbehave(change)
        mark = inventory.Mark(
            owner.agent,
            owner.application,
            change.id,
            revision,
            change.fingerprint,
            protected=change.desired is not None and change.desired.protected,
        )
        match mischief:
            case Mischief.REFUSE:
                raise errors.ChangeRefused(f"{change.id} is refused")
            case Mischief.FAIL:
                raise errors.TargetUnavailable("busy")
            case Mischief.DELAY:
                await asyncio.sleep(1)
            case Mischief.LIE:
                return
            case Mischief.DIE_BEFORE:
                raise Died
            case _:
                pass
        self._exclusive(change)
        if mischief is Mischief.HALF and change.desired is not None:
            half = dict(list(change.desired.fields.items())[:1])
            change = dataclasses.replace(change, desired=dataclasses.replace(change.desired, fields=half))
            self.place.make(change, dataclasses.replace(mark, fingerprint=""))
            raise errors.TargetUnavailable("cut off")
        self.place.make(change, mark)
        if mischief is Mischief.LOSE:
            raise errors.OutcomeUnknown("no answer")
        if mischief is Mischief.DIE_AFTER:
            raise Died

    def _exclusive(self, change: plan.Change) -> None:
        there = self.place.things.get(change.id)
        if change.action in (plan.Action.CREATE, plan.Action.MOVE):
            if there is not None:
                raise errors.ChangeConflict(f"{change.id} was made by somebody else meanwhile")
        elif there is None and change.action is not plan.Action.DELETE:
            raise errors.ChangeConflict(f"{change.id} is gone")
        if change.live is None or there is None or change.action is plan.Action.MOVE:
            return
        if str(there.uid) != change.live.uid or there.fields != dict(change.live.fields):
            raise errors.ChangeConflict(f"{change.id} changed meanwhile")

    async def describe(self, change: plan.Change) -> str:
        """Fields say it all."""
        return ""

    def watch(self) -> AsyncIterator[frozenset[resource.ResourceId]]:
        """Never anything."""
        return _nothing()

    async def close(self) -> None:
        """Nothing to give back."""


async def _nothing() -> AsyncIterator[frozenset[resource.ResourceId]]:
    await asyncio.Event().wait()
    yield frozenset()


class FakeProvider:
    """Loads documents of the form {id: [kind, namespace, name], fields: {…}, …} for a `FakeTarget`."""

    def __init__(self, place: FakeTarget, **capabilities: Any) -> None:
        self.place = place
        self._capabilities = target.Capabilities(marks=place.marks, **capabilities)

    def capabilities(self, place: target.Target) -> target.Capabilities:
        """See `interfaces.Provider`."""
        return self._capabilities

    def load(
        self, rendered: interfaces.Rendered, facts: target.Facts, place: target.Target, namespace: str = ""
    ) -> resource.DesiredState:
        """Documents → resources, farewells beside them; a document that is an error is raised."""
        found: dict[resource.ResourceId, resource.Resource] = {}
        farewells: dict[resource.ResourceId, resource.Resource] = {}
        for document in rendered.documents:
            if isinstance(document.data, errors.UndriftError):
                raise document.data
            among = found if document.data.farewell is None else farewells
            among[document.data.id] = document.data
        return resource.DesiredState(found, farewells=farewells)

    def rights(
        self, name: str, facts: target.Facts, wanted: Mapping[str, Collection[resource.Resource]]
    ) -> str:
        """See `interfaces.Provider`: none."""
        return ""

    def scopes(self, place: target.Target, ids: Collection[resource.ResourceId]) -> frozenset[str]:
        """No scopes."""
        return frozenset()

    async def connect(self, place: target.Target, secrets: interfaces.SecretResolver) -> interfaces.Session:
        """A session."""
        return FakeSession(self.place)


class FakeSource:
    """A source whose commits are lists of resources (or an error that loading raises)."""

    def __init__(self) -> None:
        self.commits: list[tuple[resource.Resource | errors.UndriftError, ...]] = []
        self.unavailable: errors.UndriftError | None = None

    def commit(self, *declared: resource.Resource | errors.UndriftError) -> source.Revision:
        """A new commit that declares exactly these resources."""
        self.commits.append(declared)
        return self._revision(len(self.commits) - 1)

    def _revision(self, index: int) -> source.Revision:
        return source.Revision("main", f"sha1:{index:040x}", author="A Person <a@example.org>")

    def declared(self, revision: source.Revision) -> tuple[resource.Resource | errors.UndriftError, ...]:
        """What a commit declares."""
        index = int(revision.digest.partition(":")[2], 16)
        if index >= len(self.commits):
            raise errors.ReferenceMissing(f"there is no commit {revision}")
        return self.commits[index]

    async def resolve(self) -> source.Revision:
        """The newest commit."""
        if self.unavailable is not None:
            raise self.unavailable
        return self._revision(len(self.commits) - 1)

    async def digests(self, revision: source.Revision, paths: Sequence[str]) -> Mapping[str, str]:
        """One digest a commit."""
        return dict.fromkeys(paths, canonical.digest(revision.digest))

    async def fetch(self, revision: source.Revision, path: str) -> source.Artifact:
        """An artifact that only `FakeRenderer` understands."""
        return source.Artifact(revision, path, canonical.digest(revision.digest))

    async def close(self) -> None:
        """Nothing to give back."""


class FakeRenderer:
    """Turns a `FakeSource`'s artifact into its declared resources."""

    self_contained = True

    def __init__(self, origin: FakeSource) -> None:
        self.origin = origin

    def version(self) -> str:
        """Always the same."""
        return "fake 1"

    def beside(self, artifact: source.Artifact, recipe: interfaces.Recipe) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    async def render(
        self, artifact: source.Artifact, recipe: interfaces.Recipe, facts: target.Facts
    ) -> interfaces.Rendered:
        """One document a resource."""
        declared = self.origin.declared(artifact.revision)
        return interfaces.Rendered(tuple(interfaces.Document(one, "fake.yaml") for one in declared))


class FakeClock:
    """A wall clock that only moves when told."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        """The time set last."""
        return self.time

"""Histories in which people commit, targets misbehave, strangers interfere and the agent dies.

After each step nothing may be touched that is not ours, and what we remember has to be right; when the
trouble ends, the target becomes as declared and a further look changes nothing.
"""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.properties.engine import history
from undrift import errors
from undrift.model import application, inventory, plan, record, resource, secret
from undrift.testing import fakes

SECRET = "correct-horse-battery-staple"
KINDS = ("Folder", "File", "Service")
IDS = tuple(resource.ResourceId.of(kind, name) for kind in KINDS for name in "abc")
OWNERS = ("shop", "site")

ids = st.sampled_from(IDS)
names = st.sampled_from(OWNERS)
values = st.one_of(st.integers(0, 3), st.just("text"), st.just(secret.Secret(SECRET)))
fields = st.fixed_dictionaries({"x": values, "y": st.integers(0, 2)})
troubles = st.sampled_from(fakes.Mischief)
mischiefs = st.lists(st.just(fakes.Mischief.NONE) | troubles, min_size=1, max_size=6)


@st.composite
def declarations(draw: st.DrawFn) -> tuple[resource.Resource, ...]:
    """A commit: some resources, with waves and edges that never run in a circle."""
    chosen = draw(st.lists(ids, unique=True, max_size=6))
    found: list[resource.Resource] = []
    for rid in sorted(chosen, key=lambda rid: (KINDS.index(rid.kind), rid.name)):
        edges = draw(st.lists(st.sampled_from([one.id for one in found]), max_size=1)) if found else []
        wave = max([one.wave for one in found], default=0) + draw(st.integers(0, 1))
        rivals = tuple(resource.ResourceId.of(kind, rid.name) for kind in KINDS if kind != rid.kind)
        excludes = rivals if draw(st.booleans()) and not {one.id for one in found} & set(rivals) else ()
        old = draw(st.none() | ids)
        found.append(
            resource.Resource(
                rid,
                draw(fields),
                wave=wave,
                depends_on=tuple(edges),
                excludes=excludes,
                moved_from=old if old != rid else None,
                protected=draw(st.booleans()),
            )
        )
    return tuple(found)


class Histories(RuleBasedStateMachine):
    """Two applications on one target."""

    instant: frozenset[str] = frozenset()

    @initialize()
    def begin(self) -> None:
        """A target on which a stranger has something already."""
        limit = application.DeletionLimit(count=1000, percent=100)
        policy = application.Policy(
            deletion_limit=limit, allow_empty=True, health_timeout=1, delete_protected=("*",)
        )
        source = application.SourceReference("config")
        self.world = history.History(
            *(
                history.Tenant(application.Application(name, source, "place", policy=policy))
                for name in OWNERS
            ),
            instant=self.instant,
        )
        for tenant in self.world.tenants.values():
            tenant.source.commit()
        self.foreign: dict[resource.ResourceId, dict[str, object]] = {}

    @rule(name=names, declared=declarations())
    def commit(self, name: str, declared: tuple[resource.Resource, ...]) -> None:
        """Somebody commits."""
        self.world.tenants[name].source.commit(*declared)

    @rule(name=names)
    def commit_badly(self, name: str) -> None:
        """Somebody commits what cannot be loaded, and right after it what it was before."""
        before = self.world.tenants[name].source.commits[-1]
        self.world.tenants[name].source.commit(errors.ResourceInvalid("nonsense"))
        told = self.world.reconcile(name)
        if told is not None:
            assert told.failure is not None
            assert told.failure.phase is record.Phase.VALIDATE
        self.world.tenants[name].source.commit(*before)

    @rule(rid=ids, made=fields)
    def stranger_creates(self, rid: resource.ResourceId, made: dict[str, object]) -> None:
        """Somebody else makes a resource that may collide with ours."""
        if rid not in self.world.place.things:
            self.world.place.touch(rid, made)
            self.foreign[rid] = dict(made)

    @rule(rid=ids, made=fields)
    def hand_edits(self, rid: resource.ResourceId, made: dict[str, object]) -> None:
        """Somebody edits what is there behind our back."""
        if rid in self.world.place.things:
            self.world.place.touch(rid, made)
            if rid in self.foreign:
                self.foreign[rid] = dict(made)

    @rule(rid=ids)
    def hand_deletes(self, rid: resource.ResourceId) -> None:
        """Somebody deletes what is there behind our back."""
        self.world.place.touch(rid, None)
        self.foreign.pop(rid, None)

    @rule(name=names, trouble=mischiefs)
    def reconcile_in_trouble(self, name: str, trouble: list[fakes.Mischief]) -> None:
        """The target does what it wants."""
        self._misbehave(trouble)
        self._reconcile(name)
        self._behave()

    @rule(name=names, trouble=mischiefs, made=fields)
    def reconcile_while_hands_move(
        self, name: str, trouble: list[fakes.Mischief], made: dict[str, object]
    ) -> None:
        """A stranger makes the very resource we are about to create, between plan and apply."""
        moves = iter(trouble)

        def interfere(change: plan.Change) -> fakes.Mischief:
            if change.action is plan.Action.CREATE and change.id not in self.world.place.things:
                self.world.place.touch(change.id, made)
                self.foreign[change.id] = dict(made)
            return next(moves, fakes.Mischief.NONE)

        self.world.place.misbehave = interfere
        self._reconcile(name)
        self._behave()

    @rule(name=names)
    def look_fails(self, name: str) -> None:
        """The target is away: nothing may be taken for absent."""
        before = dict(self.world.database.memory(name).inventory.entries)
        self.world.place.unreachable = True
        told = self.world.reconcile(name)
        self.world.place.unreachable = False
        assert told is not None
        assert told.ending is record.Ending.FAILED
        assert dict(self.world.database.memory(name).inventory.entries) == before

    @rule(first=names)
    def calm(self, first: str) -> None:
        """The trouble ends: the target becomes as declared, and stays."""
        order = sorted(OWNERS, key=lambda name: name != first)
        for _ in range(4):
            for name in order:
                self._reconcile(name)
        for name in order:
            self._converged(name)

    def _reconcile(self, name: str) -> None:
        begun = len(self.world.place.log)
        told = self.world.reconcile(name, retry=True)
        if told is not None and told.plan is not None:
            in_order(told.plan, self.world.place.log[begun:])
            assert len(told.results) in (0, len(told.plan.changes)), "a change has no result"

    def _converged(self, name: str) -> None:
        done = len(self.world.place.log)
        told = self.world.reconcile(name, retry=True)
        assert told is not None
        assert told.plan is not None
        assert len(self.world.place.log) == done, "a look at a settled target changed it"
        stuck = {block.id for block in told.plan.blocks}
        for rid, wanted in self.world.tenants[name].wanted().items():
            thing = self.world.place.things.get(rid)
            if rid in stuck:
                continue
            if not told.plan.blocks:
                assert thing is not None, f"{rid} is missing"
                assert thing.fields == dict(wanted.fields)
                assert thing.mark is not None
                assert thing.mark.application == name
        if not told.plan.blocks:
            owned = {rid for rid, thing in self.world.place.things.items() if self._ours(thing, name)}
            handed = self.world.claims(name).keys()
            assert owned - handed <= self.world.tenants[name].wanted().keys(), "something was not pruned"
            self._remembered(name)

    def _remembered(self, name: str) -> None:
        entries = self.world.database.memory(name).inventory.entries
        assert all(entry.state is inventory.EntryState.CONFIRMED for entry in entries.values())
        owned = {rid for rid, thing in self.world.place.things.items() if self._ours(thing, name)}
        assert set(entries) == owned

    def _ours(self, thing: fakes.Thing, name: str) -> bool:
        return thing.mark is not None and thing.mark.application == name

    @invariant()
    def strangers_are_safe(self) -> None:
        """What is not ours is exactly as its maker left it."""
        if not hasattr(self, "foreign"):
            return
        for rid, made in self.foreign.items():
            thing = self.world.place.things.get(rid)
            assert thing is not None, f"{rid} was deleted though it is a stranger's"
            assert thing.fields == made
            assert thing.mark is None

    @invariant()
    def nothing_owned_is_forgotten(self) -> None:
        """Whatever bears our mark can be found again: by inventory, or by its mark at the next look."""
        if not hasattr(self, "world"):
            return
        for name in OWNERS:
            entries = self.world.database.memory(name).inventory.entries
            pending = {rid for rid, entry in entries.items() if entry.state is inventory.EntryState.PENDING}
            for rid in pending & self.foreign.keys():
                told = self.world.reconcile(name, dry=True)
                assert told is None or told.plan is None or rid not in _deleted(told.plan)

    @precondition(lambda self: hasattr(self, "world"))
    @invariant()
    def secrets_stay_secret(self) -> None:
        """No output of any reconcile holds a secret."""
        for told in self.world.told[-1:]:
            assert SECRET not in repr(told)
            assert SECRET not in str([str(result.error) for result in told.results])
        assert SECRET not in json.dumps(list(self.world.database.plans.values()))
        assert SECRET not in repr(self.world.database.memories)

    def _misbehave(self, trouble: list[fakes.Mischief]) -> None:
        moves = iter(trouble)
        self.world.place.misbehave = lambda _: next(moves, fakes.Mischief.NONE)

    def _behave(self) -> None:
        self.world.place.misbehave = lambda _: fakes.Mischief.NONE


def in_order(found: plan.Plan, log: list[tuple[plan.Action, resource.ResourceId]]) -> None:
    """What was done was done in the order of edges, then waves, and deletes came last."""
    place = {rid: index for index, (_, rid) in enumerate(log)}
    gone = {change.id for change in found.changes if change.desired is None} & place.keys()
    made = [change for change in found.changes if change.desired is not None and change.id in place]
    rivals: set[resource.ResourceId] = set()
    for change in made:
        assert change.desired is not None
        rivals |= set(change.desired.excludes) & gone
        for need in change.desired.depends_on:
            assert place.get(need, -1) < place[change.id], f"{change.id} before {need}, which it needs"
        for rival in change.desired.excludes:
            assert rival not in gone or place[rival] < place[change.id], f"{change.id} beside {rival}"
    last = max((place[change.id] for change in made), default=-1)
    assert all(place[rid] > last for rid in gone - rivals), "a delete came before what replaces it"


def _deleted(found: plan.Plan) -> set[resource.ResourceId]:
    return {change.id for change in found.changes if change.action is plan.Action.DELETE}


class HistoriesTogether(Histories):
    """The same on a target where kinds that nobody has to wait for share their waves."""

    instant = frozenset({"Folder", "File"})


TestConvergence = Histories.TestCase
TestConvergenceTogether = HistoriesTogether.TestCase
for _case in (TestConvergence, TestConvergenceTogether):
    _case.settings = settings(stateful_step_count=20, deadline=None)

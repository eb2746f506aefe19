"""Revisions moving along any graph of stages, with agents that lag, fail, fall silent or were never there.

A small world: CI publishes into stages without requirements, agents apply what is published and report, automation
moves what `advancing.choose` says. What has to hold is checked at every step.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from undrift.engine import advancing, promoting
from undrift.model import delivery, forge, health, publication, report

RECIPE = delivery.Recipe("manifests", "k8s")
START = 1_800_000_000.0
WITHIN = 1800.0
SOAKS = st.sampled_from([0.0, 0.0, 600.0, 7200.0])
STATUSES = st.sampled_from([health.Status.HEALTHY, *health.Status])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[delivery.Stage, ...]:
    """Up to six stages in order; each but the first may require any before it."""
    stages: list[delivery.Stage] = []
    for number in range(draw(st.integers(2, 5))):
        before = [one.name for one in stages]
        wanted = (
            draw(st.lists(st.sampled_from(before), unique=True, min_size=1, max_size=3)) if before else []
        )
        requires = tuple(delivery.Requirement(name, soak=draw(SOAKS)) for name in wanted)
        stages.append(delivery.Stage(f"s{number}", RECIPE, gate=delivery.Gate(requires=requires)))
    return tuple(stages)


def revision(number: int) -> publication.AppRevision:
    """The revision of that number."""
    return publication.AppRevision(f"{number:040d}", sequence=number)


def newer(one: publication.AppRevision, other: publication.AppRevision) -> bool | None:
    """By number."""
    return one.sequence > other.sequence


@dataclasses.dataclass
class Place:
    """A stage as it is: what is published, and what its agent says. `entered` are all revisions that came, in order."""

    published: publication.Provenance | None = None
    told: report.Report | None = None
    entered: list[int] = dataclasses.field(default_factory=list)

    def tree(self) -> str:
        """What stands for Git's id of its folder."""
        found = self.published
        return f"tree-{found.revision.sequence}-{found.rollback is not None}" if found else ""

    def put(self, number: int, rollback: publication.Rollback | None = None) -> None:
        """Publish a revision."""
        self.published = publication.Provenance("web", "", revision(number), "", rollback=rollback)
        self.entered.append(number)

    def stand(self) -> promoting.Stand:
        """What CI knows of it."""
        heard = (promoting.Heard(self.told, self.tree()),) if self.told else ()
        return promoting.Stand(self.published, heard)


class Promotion(stateful.RuleBasedStateMachine):
    """The world."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.count = 0
        self.stages: tuple[delivery.Stage, ...] = ()
        self.places: dict[str, Place] = {}

    @stateful.initialize(stages=graphs())
    def build(self, stages: tuple[delivery.Stage, ...]) -> None:
        self.stages = stages
        self.places = {stage.name: Place() for stage in stages}

    @property
    def stands(self) -> dict[str, promoting.Stand]:
        return {name: place.stand() for name, place in self.places.items()}

    @stateful.rule()
    def publish(self) -> None:
        """A new revision goes to the stages that require nothing."""
        self.count += 1
        for stage in self.stages:
            place = self.places[stage.name]
            held = place.published is not None and place.published.rollback is not None
            if not stage.gate.requires and not held:
                place.put(self.count)

    @stateful.rule(seconds=st.sampled_from([1.0, 60.0, 700.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @stateful.rule(data=st.data(), status=STATUSES)
    def apply_and_report(self, data: st.DataObject, status: health.Status) -> None:
        """An agent applies what is published, and says how that does."""
        self._report(data.draw(st.sampled_from(sorted(self.places))), status)

    @stateful.rule()
    def all_is_well(self) -> None:
        """Every agent applies what is published."""
        for name in self.places:
            self._report(name, health.Status.HEALTHY)

    def _report(self, name: str, status: health.Status) -> None:
        place = self.places[name]
        now = report.Report(
            application=name,
            agent="main",
            tree=place.tree(),
            health=status,
            observed=self.now,
            within=WITHIN,
            ending="in sync",
        )
        place.told = report.follow(place.told, now)

    @stateful.rule()
    def a_good_day(self) -> None:
        """A revision comes, soaks, and moves on by one."""
        self.publish()
        for _ in range(9):
            self.now += 900.0
            self.all_is_well()
        self.what_would_move_may()
        self.move()
        self.all_is_well()

    @stateful.rule(data=st.data())
    def lose_a_report(self, data: st.DataObject) -> None:
        self.places[data.draw(st.sampled_from(sorted(self.places)))].told = None

    @stateful.rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        """A person takes a stage back to what was there before."""
        place = self.places[data.draw(st.sampled_from(sorted(self.places)))]
        if place.published is not None and len(place.entered) > 1:
            was = place.published.revision
            place.put(min(place.entered), publication.Rollback(was.sha, "ada"))

    @stateful.rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        place = self.places[data.draw(st.sampled_from(sorted(self.places)))]
        if place.published is not None:
            place.published = dataclasses.replace(place.published, rollback=None)

    @stateful.rule()
    def move(self) -> None:
        """Automation does what may be done."""
        for choice in advancing.choose(self.stages, self.stands, {}, newer, self.now):
            if choice.moves and choice.revision is not None:
                self.places[choice.stage].put(choice.revision.sequence)

    @stateful.invariant()
    def what_would_move_may(self) -> None:
        stands = self.stands
        stages = {stage.name: stage for stage in self.stages}
        for choice in advancing.choose(self.stages, stands, {}, newer, self.now):
            if choice.moves and choice.revision is not None:
                self._check(stages[choice.stage], choice.revision, stands)
            else:
                assert choice.verdict.reasons or choice.revision is None

    def _check(
        self,
        stage: delivery.Stage,
        found: publication.AppRevision,
        stands: dict[str, promoting.Stand],
    ) -> None:
        """By the world itself, not by what was judged: whoever goes in was there, healthy for long enough, just now."""
        known = stands[stage.name].provenance
        assert known is None or known.rollback is None
        assert known is None or known.revision.sequence < found.sequence
        for wanted in stage.gate.requires:
            place = self.places[wanted.stage]
            assert place.published is not None
            assert place.published.revision == found
            told = place.told
            assert told is not None
            assert (told.tree, told.health) == (place.tree(), health.Status.HEALTHY)
            assert self.now - told.since >= wanted.soak
            assert self.now <= told.observed + told.within

    @stateful.invariant()
    def next_at_is_when_it_opens(self) -> None:
        """If nothing changes but the time (and agents go on saying the same), a gate opens when it said."""
        for choice in advancing.choose(self.stages, self.stands, {}, newer, self.now):
            at = choice.verdict.next_at
            if at is None or choice.revision is None:
                continue
            stage = next(one for one in self.stages if one.name == choice.stage)
            later = {name: _heard_at(one, at) for name, one in self.stands.items()}
            facts = promoting.Facts(choice.revision, later)
            assert promoting.judge(stage.gate, facts, at).open
            assert not promoting.judge(stage.gate, facts, at - 1.0).open

    def teardown(self) -> None:
        """Everybody resumes, time passes, all is well: every stage gets to the newest revision."""
        if not self.stages:
            return
        for place in self.places.values():
            if place.published is not None:
                place.published = dataclasses.replace(place.published, rollback=None)
        self.publish()
        for _ in range(len(self.stages)):
            self.all_is_well()
            for _ in range(9):
                self.now += 900.0
                self.all_is_well()
            self.move()
        at = {
            name: place.published.revision.sequence for name, place in self.places.items() if place.published
        }
        assert at == dict.fromkeys(self.places, self.count)


def _heard_at(stand: promoting.Stand, at: float) -> promoting.Stand:
    heard = tuple(
        dataclasses.replace(one, report=dataclasses.replace(one.report, observed=at)) for one in stand.heard
    )
    return dataclasses.replace(stand, heard=heard)


Promotion.TestCase.settings = hypothesis.settings(max_examples=200, stateful_step_count=30, deadline=None)
TestPromotion = Promotion.TestCase

GATES = st.builds(
    delivery.Gate,
    requires=st.lists(
        st.builds(delivery.Requirement, st.just("a"), st.just("Healthy"), SOAKS), max_size=1
    ).map(tuple),
    approvals=st.sampled_from([0, 1, 1, 2]),
    command=st.sampled_from([(), ("may",)]),
)
LOGINS = st.sampled_from(["ada", "Bob", "bob", "carol", "BOT", ""])
REVIEWS = st.lists(
    st.builds(
        forge.Review,
        LOGINS,
        st.booleans(),
        st.sampled_from(["head", "head", "head", "old", ""]),
        st.sampled_from([False, False, True]),
    ),
    max_size=6,
).map(tuple)


@hypothesis.settings(max_examples=500)
@hypothesis.given(gate=GATES, reviews=REVIEWS, authors=st.none() | st.frozensets(LOGINS), data=st.data())
def test_nothing_opens_without_people_other_than_the_authors(
    gate: delivery.Gate,
    reviews: tuple[forge.Review, ...],
    authors: frozenset[str] | None,
    data: st.DataObject,
) -> None:
    """Counted anew, by hand."""
    ended = data.draw(st.sampled_from([None, promoting.Ended(0), promoting.Ended(1)]))
    facts: Any = promoting.Facts(
        revision(1),
        {},
        reviews=reviews,
        authors=authors,
        head="head",
        ended=ended,
        hotfix="any stage will do",
    )
    verdict = promoting.judge(gate, facts, START)
    made = {login.lower() for login in authors or ()}
    counted = {
        one.login.lower()
        for one in reviews
        if one.approved and one.sha == "head" and not one.stale and one.login
    } - made
    enough = gate.approvals == 0 or (authors is not None and len(counted) >= gate.approvals)
    program = not gate.command or ended == promoting.Ended(0)

    assert verdict.open == (enough and program)
    assert verdict.open == (not verdict.reasons)

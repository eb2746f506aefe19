"""Rollouts over any number of hosts that fail, go away and come back, with new revisions in the middle."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from undrift.engine import rolling
from undrift.model import application, health, lock, record, view

BAD = health.Health(health.Status.DEGRADED, "it is down")


@dataclasses.dataclass
class Host:
    """One host: what it has and whether it is there and well. `broken` revisions make it unwell."""

    has: int = 0
    tried: int = 0
    there: bool = True
    working: bool = False
    failed: bool = False

    def seen(self) -> rolling.Seen:
        newest, good = _lock(self.tried), _lock(self.has)
        if not self.there:
            return rolling.Seen(newest, good, health.HEALTHY, record.Phase.DISCOVER, "UD501", "away")
        if self.failed:
            return rolling.Seen(newest, good, BAD, record.Phase.VERIFY, "UD507", "down")
        return rolling.Seen(newest, good, health.HEALTHY)


def _lock(revision: int) -> lock.InputLock:
    return lock.InputLock({"source": str(revision)})


class Fleet:
    """Hosts that look at one another, as agents do: each decides for itself, and applying takes a while."""

    def __init__(self, count: int, rollout: application.Rollout) -> None:
        self.hosts = {f"h{number:02}": Host() for number in range(count)}
        self.rollout = rollout
        self.revision = 0
        self.bad: set[int] = set()
        self.touched: list[str] = []

    def members(self) -> dict[str, view.Member]:
        wanted = _lock(self.revision)
        return {name: rolling.standing(one.seen(), wanted) for name, one in self.hosts.items()}

    def may_go(self) -> list[str]:
        members = self.members()
        found = []
        for name, one in self.hosts.items():
            subject = application.Application(
                name, application.SourceReference("c"), name, rollout=self.rollout
            )
            idle = one.there and not one.working and not self.up_to_date(one)
            if idle and rolling.turn(subject, members) is None:
                found.append(name)
        return found

    def up_to_date(self, one: Host) -> bool:
        return one.tried == self.revision and (one.has == self.revision or one.failed)

    def begin(self, name: str) -> None:
        """It works; what others see of it is what it was before."""
        self.hosts[name].working = True
        self.touched.append(name)

    def end(self, name: str) -> None:
        one = self.hosts[name]
        one.working = False
        if one.there:
            one.tried = self.revision
            one.failed = self.revision in self.bad
            one.has = one.has if one.failed else self.revision

    def run(self, most: int = 1000) -> None:
        """Until nobody may go: all that may go work at once."""
        for _ in range(most):
            goers = self.may_go()
            if not goers:
                return
            for name in goers:
                self.begin(name)
            for name in goers:
                self.end(name)
        raise AssertionError("it never ends")


shares = st.one_of(
    st.integers(1, 8).map(application.Share),
    st.integers(1, 100).map(lambda one: application.Share(percent=one)),
)
rollouts = st.builds(
    application.Rollout,
    st.just("web"),
    st.lists(shares, min_size=1, max_size=4).map(tuple),
    st.one_of(st.integers(0, 3).map(application.Share), st.just(application.Share(percent=25))),
)
counts = st.integers(1, 20)


@given(counts, rollouts)
def test_it_ends_with_everybody_where_all_are_well(count: int, rollout: application.Rollout) -> None:
    fleet = Fleet(count, rollout)
    fleet.revision = 1
    fleet.run()
    assert {one.has for one in fleet.hosts.values()} == {1}


@given(counts, rollouts)
def test_a_bad_revision_reaches_one_batch_and_a_mend_everybody(
    count: int, rollout: application.Rollout
) -> None:
    """Nobody is touched while one that has the change is unwell; the next revision starts anew and goes round."""
    fleet = Fleet(count, rollout)
    fleet.revision, fleet.bad = 1, {1}
    fleet.run()
    assert len(fleet.touched) <= rolling.allowed(rollout, count, 0, 0)
    fleet.revision = 2
    fleet.run()
    assert {one.has for one in fleet.hosts.values()} == {2}
    assert not any(one.failed for one in fleet.hosts.values())


@settings(max_examples=200)
@given(counts, rollouts, st.data())
def test_whatever_happens_few_are_touched_while_one_is_unwell(
    count: int, rollout: application.Rollout, data: st.DataObject
) -> None:
    """Hosts go away and come back, revisions come in the middle, work overlaps: bounded all the while, and it ends."""
    fleet = Fleet(count, rollout)
    names = sorted(fleet.hosts)
    for _ in range(data.draw(st.integers(1, 25))):
        match data.draw(st.sampled_from(["commit", "bad commit", "away", "back", "begin", "end"])):
            case "commit":
                fleet.revision += 1
            case "bad commit":
                fleet.revision += 1
                fleet.bad.add(fleet.revision)
            case "away":
                fleet.hosts[data.draw(st.sampled_from(names))].there = False
            case "back":
                fleet.hosts[data.draw(st.sampled_from(names))].there = True
            case "begin":
                _begin(fleet, data)
            case _:
                working = [name for name in names if fleet.hosts[name].working]
                if working:
                    fleet.end(data.draw(st.sampled_from(working)))
    for one in fleet.hosts.values():
        one.there, one.working = True, False
    fleet.revision += 1
    fleet.run()
    assert {one.has for one in fleet.hosts.values()} == {fleet.revision}


def _begin(fleet: Fleet, data: st.DataObject) -> None:
    goers = fleet.may_go()
    failed = [one for one in fleet.hosts.values() if one.there and one.failed and one.tried == fleet.revision]
    assert not failed or not goers, "nobody goes while one that has the change is unwell"
    away = sum(1 for one in fleet.hosts.values() if not one.there)
    if away > fleet.rollout.unavailable.of(len(fleet.hosts)):
        assert all(fleet.members()[name].unwell for name in goers), "too many are away"
    have = sum(1 for one in fleet.hosts.values() if one.there and one.has == fleet.revision)
    assert have + len(goers) <= rolling.allowed(fleet.rollout, len(fleet.hosts), have, 0)
    if goers:
        fleet.begin(data.draw(st.sampled_from(goers)))

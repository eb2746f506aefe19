"""Whose turn it is, from how far each has got."""

from __future__ import annotations

import pytest

from undrift import errors
from undrift.engine import rolling
from undrift.model import application, health, lock, record, view

S = view.Standing
OLD, NEW = lock.InputLock({"source": "1", "facts": "a"}), lock.InputLock({"source": "2"})
MINE = lock.InputLock({"source": "2", "facts": "mine"})
DEGRADED = health.Health(health.Status.DEGRADED, "it is down")


def _seen(good: lock.InputLock | None, how: health.Health = health.HEALTHY, **more: object) -> rolling.Seen:
    return rolling.Seen(more.pop("newest", MINE), good, how, **more)  # type: ignore[arg-type]  # named fields of one class


@pytest.mark.parametrize(
    "seen, standing",
    [
        (None, S.UNSEEN),
        (_seen(MINE), S.WELL),
        (_seen(MINE, DEGRADED), S.FAILED),
        (_seen(MINE, health.MISSING), S.MOVING),
        (_seen(OLD), S.BEHIND),
        (_seen(OLD, newest=OLD), S.BEHIND),
        (_seen(None, health.MISSING, newest=None), S.BEHIND),
        (_seen(OLD, phase=record.Phase.DISCOVER, code="UD501", what="away"), S.AWAY),
        (_seen(OLD, phase=record.Phase.VERIFY, code="UD507", what="down"), S.FAILED),
        (_seen(OLD, phase=record.Phase.RENDER, code="UD301", what="no"), S.FAILED),
        (_seen(OLD, phase=record.Phase.APPLY, code="UD501", what="cut off"), S.MOVING),
        (_seen(OLD, newest=OLD, phase=record.Phase.VERIFY, code="UD507"), S.BEHIND),
        (_seen(OLD, stops=("UD614",)), S.FAILED),
        (_seen(OLD, stops=("UD605",)), S.ASIDE),
        (_seen(OLD, stops=("UD619",)), S.BEHIND),
        (_seen(MINE, stops=("UD616",)), S.WELL),
    ],
)
def test_how_far_a_member_is(seen: rolling.Seen | None, standing: view.Standing) -> None:
    assert rolling.standing(seen, NEW).standing is standing


def test_who_is_unwell_without_the_change_is_told() -> None:
    assert rolling.standing(_seen(OLD, DEGRADED), NEW) == view.Member(S.BEHIND, "it is down", unwell=True)


@pytest.mark.parametrize(
    "have, moving, limit",
    [(0, 0, 1), (1, 1, 1), (1, 0, 3), (2, 1, 3), (3, 3, 3), (3, 0, 10), (9, 4, 10), (10, 0, 10)],
)
def test_so_many_may_have_it(have: int, moving: int, limit: int) -> None:
    rollout = application.Rollout("web", (application.Share(1), application.Share(percent=25)))
    assert rolling.allowed(rollout, 10, have, moving) == limit


def _turn(name: str, members: dict[str, view.Member], unavailable: int = 0) -> errors.GuardError | None:
    rollout = application.Rollout(
        "web", (application.Share(1), application.Share(3)), application.Share(unavailable)
    )
    subject = application.Application(name, application.SourceReference("config"), name, rollout=rollout)
    return rolling.turn(subject, members)


def _members(**standings: view.Standing) -> dict[str, view.Member]:
    return {name: view.Member(one, f"{name} is {one}") for name, one in standings.items()}


def _goers(members: dict[str, view.Member], unavailable: int = 0) -> str:
    behind = [name for name, one in members.items() if one.standing is S.BEHIND]
    return "".join(sorted(name for name in behind if _turn(name, members, unavailable) is None))


@pytest.mark.parametrize(
    "members, unavailable, goers",
    [
        (_members(a=S.BEHIND, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 0, "a"),
        (_members(a=S.MOVING, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 0, ""),
        (_members(a=S.WELL, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 0, "bc"),
        (_members(a=S.WELL, b=S.MOVING, c=S.BEHIND, d=S.BEHIND), 0, "c"),
        (_members(a=S.WELL, b=S.WELL, c=S.WELL, d=S.BEHIND), 0, "d"),
        (_members(a=S.FAILED, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 3, ""),
        (_members(a=S.AWAY, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 0, ""),
        (_members(a=S.AWAY, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 1, "b"),
        (_members(a=S.AWAY, b=S.AWAY, c=S.WELL, d=S.BEHIND), 1, ""),
        (_members(a=S.ASIDE, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 0, "b"),
        (_members(a=S.UNSEEN, b=S.BEHIND, c=S.BEHIND, d=S.BEHIND), 3, ""),
    ],
)
def test_who_may_go(members: dict[str, view.Member], unavailable: int, goers: str) -> None:
    assert _goers(members, unavailable) == goers


def test_who_is_unwell_anyway_goes_first_and_nobody_else_before() -> None:
    members = {**_members(a=S.BEHIND, b=S.BEHIND), "c": view.Member(S.BEHIND, "it is down", unwell=True)}
    assert _goers(members) == "c"
    assert isinstance(_turn("a", members), errors.RolloutWaiting)


def test_a_stop_names_who_and_why() -> None:
    stop = _turn("d", _members(a=S.WELL, b=S.FAILED, c=S.MOVING, d=S.BEHIND))
    assert isinstance(stop, errors.RolloutStopped)
    assert (stop.what, stop.why) == (
        "the rollout of web stopped before d",
        "b did not take it well (b: b is failed)",
    )
    away = _turn("d", _members(a=S.AWAY, b=S.AWAY, d=S.BEHIND), 1)
    assert isinstance(away, errors.RolloutStopped)
    assert away.why == "2 are away or unwell, 1 may be (a: a is away; b: b is away)"


def test_without_a_rollout_there_is_no_order() -> None:
    subject = application.Application("a", application.SourceReference("config"), "a")
    assert rolling.turn(subject, _members(a=S.BEHIND, b=S.FAILED)) is None

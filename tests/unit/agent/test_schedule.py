"""When an application is looked at again."""

from __future__ import annotations

import dataclasses

import pytest

from undrift import errors
from undrift.agent import schedule
from undrift.model import application, health, lock, plan, record, resource

NOW = 1_800_000_000.0
SITE = application.Application("site", application.SourceReference("config"), "place", interval=180.0)


def told(**more: object) -> record.Reconciliation:
    """A reconcile that ended well, but for what is said."""
    found = record.Reconciliation("r", "site", record.Ending.IN_SYNC, NOW, health=health.HEALTHY)
    return dataclasses.replace(found, **more)  # type: ignore[arg-type]  # fields by name


def failure(error: errors.UndriftError) -> record.Failure:
    return record.Failure(record.Phase.APPLY, error)


def stopped(*stops: errors.GuardError) -> record.Reconciliation:
    return told(ending=record.Ending.WAITING, verdict=plan.Verdict(stops))


@pytest.mark.parametrize(
    "tells, untold, seconds", [(True, False, 3600.0), (True, True, 180.0), (False, False, 180.0)]
)
def test_where_the_target_tells_of_everything_it_is_looked_at_rarely(
    tells: bool, untold: bool, seconds: float
) -> None:
    """Whatever cannot be watched (for want of a right, say) is looked at as often as was asked for."""
    found = told(live=resource.LiveState({}, untold=untold))
    moment = schedule.Moment(NOW, 0.5, told_of_health=tells)

    assert schedule.next_look(SITE, found, 0, moment) == seconds


@pytest.mark.parametrize("chance, seconds", [(0.0, 162.0), (0.5, 180.0), (0.999_999, 198.0)])
def test_all_is_well_until_the_interval_give_or_take_a_tenth(chance: float, seconds: float) -> None:
    assert schedule.next_look(SITE, told(), 0, schedule.Moment(NOW, chance)) == pytest.approx(
        seconds, abs=0.01
    )


def test_what_waiting_may_mend_is_tried_again_later_and_later_up_to_a_cap() -> None:
    found = told(failure=failure(errors.TargetUnavailable("away")), ending=record.Ending.FAILED)
    pauses = [
        schedule.next_look(SITE, found, failures, schedule.Moment(NOW, 0.999_999))
        for failures in range(1, 12)
    ]

    assert pauses == sorted(pauses)
    assert pauses[0] < 20
    assert pauses[-1] <= 198.0


def test_back_off_has_jitter() -> None:
    found = told(failure=failure(errors.TargetUnavailable("away")), ending=record.Ending.FAILED)

    assert (
        len({schedule.next_look(SITE, found, 3, schedule.Moment(NOW, chance / 10)) for chance in range(10)})
        > 5
    )


def test_what_waiting_cannot_mend_is_looked_at_in_its_usual_time() -> None:
    found = told(failure=failure(errors.ResourceInvalid("wrong")), ending=record.Ending.FAILED)

    assert schedule.next_look(SITE, found, 1, schedule.Moment(NOW, 0.5)) == 180.0


def test_a_limit_of_retries_is_kept() -> None:
    policy = dataclasses.replace(
        application.Policy(), retry=dataclasses.replace(application.Policy().retry, limit=2)
    )
    limited = dataclasses.replace(SITE, policy=policy)
    found = told(failure=failure(errors.TargetUnavailable("away")), ending=record.Ending.FAILED)

    assert schedule.next_look(limited, found, 2, schedule.Moment(NOW, 0.5)) < 180.0
    assert schedule.next_look(limited, found, 3, schedule.Moment(NOW, 0.5)) == 180.0


@pytest.mark.parametrize("kind", [errors.DependencyNotReady, errors.AdoptionRequired, errors.ClaimedTwice])
def test_who_waits_for_another_looks_soon(kind: type[errors.GuardError]) -> None:
    """Another replica may work on that one: nobody tells us."""
    assert schedule.next_look(SITE, stopped(kind("waits")), 0, schedule.Moment(NOW, 0.5)) == 15.0


def test_who_waits_for_a_taker_looks_soon() -> None:
    change = plan.Change(plan.Action.DELETE, resource.ResourceId.of("File", "/a"), plan.Reason.PRUNE)
    found = plan.Plan(
        application="site", lock=lock.InputLock({}, "r"), digest="d", waves=(), awaited=(change,)
    )

    assert schedule.next_look(SITE, told(plan=found), 0, schedule.Moment(NOW, 0.5)) == 15.0


def test_a_person_who_has_to_say_yes_is_not_asked_all_the_time() -> None:
    assert (
        schedule.next_look(SITE, stopped(errors.ApprovalRequired("ask")), 0, schedule.Moment(NOW, 0.5))
        == 180.0
    )


def test_what_is_on_its_way_is_looked_at_soon() -> None:
    found = told(health=health.Health(health.Status.PROGRESSING, "starting"))

    assert schedule.next_look(SITE, found, 0, schedule.Moment(NOW, 0.5)) == 5.0
    told_of = [schedule.Moment(NOW, 0.5, told_of_health=True, since=since) for since in (0.0, 20.0, 100.0)]
    assert [schedule.next_look(SITE, found, 0, moment) for moment in told_of] == [5.0, 10.0, 30.0]

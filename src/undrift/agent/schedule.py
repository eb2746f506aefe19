"""When to look again. Pure: the caller brings the time and the chance."""

from __future__ import annotations

import dataclasses

from undrift import errors
from undrift.engine import windows
from undrift.lib import backoff
from undrift.model import application, health, record

_SETTLING = 5.0
_FRESH = 60.0
_ELSEWHERE = 15.0
_RARELY = 3600.0
_JITTER = 0.1
_OTHERS = (
    errors.DependencyNotReady,
    errors.DependentsRemain,
    errors.OutputPending,
    errors.RolloutWaiting,
    errors.RolloutStopped,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """When and how it is asked: the wall clock, a chance in [0, 1), and whether the target tells by itself.

    `since` is how many seconds ago something was changed.
    """

    now: float
    chance: float
    told_of_health: bool = False
    since: float = 0.0


def next_look(
    subject: application.Application, told: record.Reconciliation, failures: int, moment: Moment
) -> float:
    """Seconds until an application is due again.

    `failures` counts the failures in a row. A failure that waiting may mend is tried again with back-off; a closed
    window is waited for; what is not healthy yet is looked at soon, or less and less often where the target tells
    when it is (why it is not has to be asked); everything else waits its interval, give or take a tenth.
    """
    now, chance = moment.now, moment.chance
    regular = _interval(subject, told, moment) * (1 - _JITTER + 2 * _JITTER * chance)
    if told.failure is not None and errors.waiting_helps(told.failure.error):
        retry = subject.policy.retry
        if not retry.limit or failures <= retry.limit:
            pause = backoff.Backoff(retry.first, retry.cap, retry.factor)
            return min(regular, pause.delay(failures, chance))
    if waits_for_others(told):
        # An application that another replica works on wakes nobody here.
        return min(regular, _ELSEWHERE)
    opens = _opens(subject, told, now)
    if opens is not None:
        return min(regular, max(0.5, opens - now))
    if told.health.status is health.Status.PROGRESSING:
        return min(regular, _settling(subject, moment))
    return regular


def _interval(subject: application.Application, told: record.Reconciliation, moment: Moment) -> float:
    """Where the target tells of everything a look is for what nobody thought of."""
    tells = moment.told_of_health and told.live is not None and not told.live.untold
    return max(subject.interval, _RARELY) if tells else subject.interval


def _settling(subject: application.Application, moment: Moment) -> float:
    if not moment.told_of_health:
        return _SETTLING
    patience = subject.policy.health_timeout / 10 if moment.since > _FRESH else moment.since / 2
    return max(_SETTLING, patience)


def waits_for_others(told: record.Reconciliation) -> bool:
    """Whether another application has to do something before this one can go on."""
    depends = any(isinstance(stop, _OTHERS) for stop in _stops(told))
    return depends or waits_for_owner(told) or waits_for_taker(told)


def waits_for_owner(told: record.Reconciliation | None) -> bool:
    """Whether an application waits until somebody else lets go of what it declares."""
    waiting = (errors.AdoptionRequired, errors.ClaimedTwice)
    return told is not None and any(isinstance(stop, waiting) for stop in _stops(told))


def waits_for_taker(told: record.Reconciliation | None) -> bool:
    """Whether something stays only until it is known who takes it."""
    return told is not None and told.plan is not None and bool(told.plan.awaited)


def _stops(told: record.Reconciliation) -> tuple[errors.GuardError, ...]:
    return told.verdict.stops if told.verdict else ()


def _opens(subject: application.Application, told: record.Reconciliation, now: float) -> float | None:
    if not any(isinstance(stop, errors.WindowClosed) for stop in _stops(told)):
        return None
    return windows.opens_at(subject.policy.windows, now)

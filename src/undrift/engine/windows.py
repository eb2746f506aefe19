"""Time windows on the wall clock of their own zone. Pure; right across daylight saving changes.

A window is a statement about what the clock on the wall shows, so membership is decided in local time and
never by adding durations: an hour that happens twice is in the window twice, one that does not happen never.
"""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterator, Sequence

from undrift.model import application

_DAY = 24 * 60
_HORIZON = datetime.timedelta(days=8)


def allowed(windows: Sequence[application.Window], now: float) -> bool:
    """Whether changes may be made at `now` (seconds since the epoch).

    Any open deny window forbids; where there are allow windows, one of them has to be open.
    """
    allows = [window for window in windows if window.kind is application.WindowKind.ALLOW]
    denies = [window for window in windows if window.kind is application.WindowKind.DENY]
    if any(_open(window, now) for window in denies):
        return False
    return not allows or any(_open(window, now) for window in allows)


def opens_at(windows: Sequence[application.Window], now: float) -> float | None:
    """When changes will be allowed next (seconds since the epoch); None when not within eight days."""
    edges = sorted({edge for window in windows for edge in _edges(window, now) if edge > now})
    return next((edge for edge in edges if allowed(windows, edge)), None)


def _open(window: application.Window, now: float) -> bool:
    local = datetime.datetime.fromtimestamp(now, zoneinfo.ZoneInfo(window.zone))
    minute = local.hour * 60 + local.minute
    today = local.isoweekday()
    yesterday = 7 if today == 1 else today - 1
    if window.start < window.end:
        return today in window.days and window.start <= minute < window.end
    return (today in window.days and minute >= window.start) or (
        yesterday in window.days and minute < window.end
    )


def _edges(window: application.Window, now: float) -> Iterator[float]:
    """The instants around which a window opens or closes within the horizon.

    Candidates only: `allowed` judges them. Both readings of an ambiguous or skipped local time are given,
    and the hour after, where a skipped start lands.
    """
    zone = zoneinfo.ZoneInfo(window.zone)
    first = datetime.datetime.fromtimestamp(now, zone).date() - datetime.timedelta(days=1)
    for offset in range(_HORIZON.days + 2):
        day = first + datetime.timedelta(days=offset)
        for minute in (window.start, window.end % _DAY):
            for fold in (0, 1):
                local = datetime.datetime.combine(
                    day, datetime.time(minute // 60, minute % 60, fold=fold), tzinfo=zone
                )
                yield local.timestamp()
                yield from _after_gap(local)


def _after_gap(local: datetime.datetime) -> Iterator[float]:
    """The first instant after a gap in which `local` does not exist."""
    instant = local.timestamp()
    back = datetime.datetime.fromtimestamp(instant, local.tzinfo)
    if back.replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0):
        return
    low, high = instant - 6 * 3600, instant + 6 * 3600
    base = datetime.datetime.fromtimestamp(low, local.tzinfo).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        same = datetime.datetime.fromtimestamp(middle, local.tzinfo).utcoffset() == base
        low, high = (middle, high) if same else (low, middle)
    yield high

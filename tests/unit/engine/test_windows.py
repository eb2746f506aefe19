"""Time windows, across midnight, weekdays, zones and daylight saving changes."""

from __future__ import annotations

import datetime
import zoneinfo

import pytest

from undrift.engine import windows
from undrift.model import application

ALLOW, DENY = application.WindowKind.ALLOW, application.WindowKind.DENY
BERLIN = "Europe/Berlin"
EVERY = frozenset(range(1, 8))
WORKDAYS = frozenset(range(1, 6))


def window(
    kind: application.WindowKind, start: str, end: str, days: frozenset[int] = EVERY, zone: str = "UTC"
) -> application.Window:
    """A window from `HH:MM` to `HH:MM`."""
    minutes = [int(hour) * 60 + int(minute) for hour, minute in (text.split(":") for text in (start, end))]
    return application.Window(kind, days, minutes[0], minutes[1], zone)


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    """Seconds since the epoch of a local time."""
    return (
        datetime.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold).timestamp()
    )


NIGHT = window(ALLOW, "22:00", "06:00", WORKDAYS, BERLIN)
OFFICE = window(DENY, "09:00", "17:00", WORKDAYS, BERLIN)


@pytest.mark.parametrize(
    "reason, spans, when, expected",
    [
        ("no windows, no limits", (), at("2026-11-23T12:00"), True),
        ("in an allow window", (window(ALLOW, "10:00", "14:00"),), at("2026-11-23T12:00"), True),
        ("its end is not in it", (window(ALLOW, "10:00", "12:00"),), at("2026-11-23T12:00"), False),
        ("its start is", (window(ALLOW, "12:00", "14:00"),), at("2026-11-23T12:00"), True),
        (
            "another weekday",
            (window(ALLOW, "10:00", "14:00", frozenset({2})),),
            at("2026-11-23T12:00"),
            False,
        ),
        ("late on Friday", (NIGHT,), at("2026-11-27T23:00", BERLIN), True),
        ("early on Saturday still belongs to Friday", (NIGHT,), at("2026-11-28T05:00", BERLIN), True),
        ("late on Saturday does not", (NIGHT,), at("2026-11-28T23:00", BERLIN), False),
        ("early on Monday belongs to Sunday", (NIGHT,), at("2026-11-23T05:00", BERLIN), False),
        ("deny beats allow", (NIGHT, window(DENY, "00:00", "23:59")), at("2026-11-27T23:00", BERLIN), False),
        ("outside of a deny window", (OFFICE,), at("2026-11-23T08:59", BERLIN), True),
        ("inside of it", (OFFICE,), at("2026-11-23T09:00", BERLIN), False),
        ("the whole day", (window(ALLOW, "00:00", "00:00"),), at("2026-11-23T12:00"), True),
        (
            "the hour that happens twice, once",
            (window(ALLOW, "02:30", "02:45", EVERY, BERLIN),),
            at("2026-10-25T02:35", BERLIN, 0),
            True,
        ),
        (
            "and twice",
            (window(ALLOW, "02:30", "02:45", EVERY, BERLIN),),
            at("2026-10-25T02:35", BERLIN, 1),
            True,
        ),
        (
            "summer time moves it in UTC",
            (window(ALLOW, "10:00", "11:00", EVERY, BERLIN),),
            at("2026-07-01T08:30"),
            True,
        ),
        ("winter time too", (window(ALLOW, "10:00", "11:00", EVERY, BERLIN),), at("2026-12-01T08:30"), False),
    ],
)
def test_allowed(reason: str, spans: tuple[application.Window, ...], when: float, expected: bool) -> None:
    """Each case is a sentence."""
    assert windows.allowed(spans, when) is expected, reason


@pytest.mark.parametrize(
    "reason, spans, now, expected",
    [
        ("this evening", (NIGHT,), at("2026-11-23T12:00", BERLIN), at("2026-11-23T22:00", BERLIN)),
        ("after the weekend", (NIGHT,), at("2026-11-28T12:00", BERLIN), at("2026-11-30T22:00", BERLIN)),
        (
            "when the deny window ends",
            (OFFICE,),
            at("2026-11-23T10:00", BERLIN),
            at("2026-11-23T17:00", BERLIN),
        ),
        ("never", (window(DENY, "00:00", "00:00"),), at("2026-11-23T10:00"), None),
        (
            "a start that is skipped in spring: when the clock has jumped past it",
            (window(ALLOW, "02:30", "04:00", EVERY, BERLIN),),
            at("2026-03-29T01:00", BERLIN),
            at("2026-03-29T03:00", BERLIN),
        ),
    ],
)
def test_opens_at(
    reason: str, spans: tuple[application.Window, ...], now: float, expected: float | None
) -> None:
    """When to look again."""
    assert windows.opens_at(spans, now) == expected, reason

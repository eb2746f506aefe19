"""Reports: what goes into Git comes out again, and `since` holds only where nothing broke."""

from __future__ import annotations

import dataclasses
import json

import pytest

from undrift.model import health, report

TOLD = report.Report(
    application="web",
    agent="main",
    path="staging/web",
    revision="1" * 40,
    tree="a" * 40,
    seen="2" * 40,
    health=health.Status.HEALTHY,
    since=100.0,
    observed=200.0,
    within=60.0,
    ending="in sync",
    reason="ünd\nso",
)


def test_round_trip() -> None:
    assert report.decode(TOLD.encode()) == TOLD


def test_unknown_fields_are_left_out_and_missing_ones_have_defaults() -> None:
    told = json.loads(TOLD.encode())
    told["colour"] = {"deep": ["green"]}
    del told["seen"]

    assert report.decode(json.dumps(told).encode()) == dataclasses.replace(TOLD, seen="")


def test_a_health_that_is_not_known_here_is_unknown() -> None:
    told = json.loads(TOLD.encode()) | {"health": "Splendid"}

    assert report.decode(json.dumps(told).encode()).health is health.Status.UNKNOWN


@pytest.mark.parametrize(
    "change, said",
    [
        ({"version": 2}, "newer Undrift"),
        ({"version": None}, "version is None"),
        ({"since": "x"}, "since is not a number"),
        ({"since": True}, "since is not a number"),
        ({"observed": float("inf")}, "observed is not a number"),
        ({"tree": 3}, "tree is not text"),
        ({"application": ""}, "does not name"),
        ({"agent": ""}, "does not name"),
    ],
)
def test_what_cannot_be_read_says_why(change: dict[str, object], said: str) -> None:
    told = json.loads(TOLD.encode()) | change
    with pytest.raises(ValueError, match=said):
        report.decode(json.dumps(told).encode())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{"])
def test_no_report_at_all(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not JSON|version"):
        report.decode(content)


def test_since_holds_while_nothing_breaks() -> None:
    later = dataclasses.replace(TOLD, observed=250.0, revision="3" * 40, reason="")

    assert report.follow(TOLD, later).since == 100.0


@pytest.mark.parametrize(
    "change", [{"tree": "b" * 40}, {"health": health.Status.DEGRADED}, {"observed": 261.0}]
)
def test_since_begins_anew(change: dict[str, object]) -> None:
    """With another tree, another health, or after a silence that was longer than promised."""
    later = dataclasses.replace(TOLD, **{"observed": 250.0, **change})  # type: ignore[arg-type]  # of the table above

    assert report.follow(TOLD, later).since == later.observed
    assert report.follow(None, later).since == later.observed


def test_silence() -> None:
    assert not TOLD.silent(260.0)
    assert TOLD.silent(260.1)


def test_news_are_not_times_and_commits() -> None:
    later = dataclasses.replace(TOLD, observed=250.0, revision="3" * 40, seen="3" * 40)

    assert later.news == TOLD.news
    assert dataclasses.replace(TOLD, ending="failed").news != TOLD.news

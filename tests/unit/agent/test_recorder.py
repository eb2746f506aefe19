"""What is news and what is not: each state is told when it begins and when it ends, never while it lasts."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from undrift import errors
from undrift.agent import recorder, shapes
from undrift.db import database
from undrift.model import health, lock, notifier, plan, record, resource, source

A = resource.ResourceId.of("File", "/a")
ONE = source.Revision("main", "sha1:1", "Ada <a@example.org>", 1.0, "first")
TWO = source.Revision("main", "sha1:2", "Ada <a@example.org>", 2.0, "second")
CHANGE = plan.Change(plan.Action.UPDATE, A, plan.Reason.DECLARED, resource.Resource(A, {"x": 1}))
DRIFT = dataclasses.replace(CHANGE, reason=plan.Reason.DRIFT)
GOOD = record.Reconciliation(
    "r1", "web", record.Ending.IN_SYNC, 1.0, ONE, ONE, plan.Verdict(), (), health=health.HEALTHY
)
URL = source.Credential(env="HOOK")
FAILED = dataclasses.replace(
    GOOD,
    ending=record.Ending.FAILED,
    failure=record.Failure(record.Phase.VALIDATE, errors.ConfigInvalid("bad")),
)
ILL = dataclasses.replace(GOOD, health=health.Health(health.Status.DEGRADED, "it hangs"))


def planned(
    change: plan.Change, digest: str = "sha256:p", *stops: errors.GuardError
) -> record.Reconciliation:
    """A reconcile with a plan of one change, stopped or applied."""
    found = plan.Plan("web", lock.InputLock(), digest, (plan.Wave(0, (change,)),))
    if stops:
        verdict = plan.Verdict(stops)
        return dataclasses.replace(GOOD, ending=record.Ending.WAITING, plan=found, verdict=verdict)
    results = (plan.ChangeResult(change, plan.Outcome.APPLIED),)
    return dataclasses.replace(GOOD, ending=record.Ending.APPLIED, plan=found, results=results)


class Kept:
    """Stands where the database is, and may be away."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, Any]] = []
        self.events: list[Mapping[str, Any]] = []
        self.messages: list[Mapping[str, Any]] = []
        self.away = False

    async def remember(self, *given: Sequence[Mapping[str, Any]]) -> None:
        if self.away:
            raise errors.DatabaseUnavailable("away")
        for kept, more in zip((self.rows, self.events, self.messages), given, strict=True):
            kept.extend(more)


def recording() -> tuple[recorder.Recorder, Kept]:
    kept = Kept()
    return recorder.Recorder(cast("database.SqlDatabase", kept)), kept


def told(*story: record.Reconciliation) -> tuple[list[list[str]], int]:
    """The kinds of events after each reconcile, and how many reconciles were kept."""
    made, kept = recording()
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    made.listeners.add(heard)
    before: recorder.Summary | None = None
    found: list[list[str]] = []
    for one in story:
        made.record(before, one, 1.0)
        before = recorder.summarize(one)
        found.append([heard.get_nowait()["kind"] for _ in range(heard.qsize())])
    asyncio.run(made.flush())
    return found, len(kept.rows)


@pytest.mark.parametrize(
    "reason, story, events, kept",
    [
        ("all is well, again and again", (GOOD, GOOD, GOOD), [["RevisionSeen"], [], []], 1),
        (
            "a commit is applied",
            (GOOD, dataclasses.replace(planned(CHANGE), revision=TWO)),
            [["RevisionSeen"], ["RevisionSeen", "PlanApplied"]],
            2,
        ),
        (
            "a failure lasts and ends",
            (GOOD, FAILED, FAILED, GOOD),
            [["RevisionSeen"], ["Failed", "HealthChanged"], [], ["Recovered", "HealthChanged"]],
            3,
        ),
        (
            "another commit fails alike",
            (FAILED, dataclasses.replace(FAILED, revision=TWO)),
            [["RevisionSeen", "Failed"], ["RevisionSeen", "Failed"]],
            2,
        ),
        (
            "it falls ill and gets well",
            (GOOD, ILL, ILL, GOOD),
            [["RevisionSeen"], ["HealthChanged"], [], ["HealthChanged"]],
            3,
        ),
        (
            "drift is repaired, twice",
            (GOOD, planned(DRIFT), GOOD, planned(DRIFT)),
            [["RevisionSeen"], ["DriftFound", "PlanApplied"], [], ["DriftFound", "PlanApplied"]],
            4,
        ),
        (
            "a plan waits, and moves while it waits",
            (
                planned(CHANGE, "sha256:p", errors.ApprovalRequired("yes?")),
                planned(CHANGE, "sha256:p", errors.ApprovalRequired("yes?")),
                planned(CHANGE, "sha256:q", errors.ApprovalRequired("yes?")),
            ),
            [["RevisionSeen", "PlanStopped"], [], ["PlanStopped"]],
            2,
        ),
    ],
)
def test_news(
    reason: str, story: tuple[record.Reconciliation, ...], events: list[list[str]], kept: int
) -> None:
    assert told(*story) == (events, kept), reason


@pytest.mark.parametrize("one", [GOOD, FAILED, ILL, planned(DRIFT), planned(CHANGE)])
def test_what_history_keeps_is_no_news_after_a_restart(one: record.Reconciliation) -> None:
    assert recorder.remembered(shapes.reconciliation(one)) == recorder.summarize(one)


def test_a_message_is_for_those_who_want_it() -> None:
    """By kind of event and by name of application, each with a key of its own that stays the same."""
    made, kept = recording()
    made.notifiers = {
        "all": notifier.Notifier("all", "webhook", URL),
        "failures": notifier.Notifier("failures", "webhook", URL, events=("Failed",)),
        "others": notifier.Notifier("others", "webhook", URL, applications=("db-*",)),
    }
    made.record(recorder.summarize(GOOD), FAILED, 1.0)
    made.record(recorder.summarize(GOOD), FAILED, 1.0)
    asyncio.run(made.flush())

    names = [(one["notifier"], one["document"]["kind"]) for one in kept.messages]
    assert names == [("all", "Failed"), ("failures", "Failed"), ("all", "HealthChanged")] * 2
    assert len({one["key"] for one in kept.messages}) == 3


def test_what_cannot_be_written_waits_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_KEPT", 3)
    made, kept = recording()
    kept.away = True

    async def story() -> None:
        for number in range(5):
            made.record(None, dataclasses.replace(GOOD, application=f"web-{number}"), 1.0)
            with pytest.raises(errors.DatabaseUnavailable):
                await made.flush()
        kept.away = False
        await made.flush()

    asyncio.run(story())
    assert [row["application"] for row in kept.rows] == ["web-2", "web-3", "web-4"]


def test_a_listener_that_does_not_listen_holds_nobody_up() -> None:
    made, _ = recording()
    slow: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)
    made.listeners.add(slow)
    made.record(None, FAILED, 1.0)
    assert slow.qsize() == 1

"""What a reconcile says to CI."""

from __future__ import annotations

import pytest

from undrift import errors
from undrift.agent import reporting, tenant
from undrift.model import application, health, inventory, plan, record, resource, source

APPLICATION = application.Application(
    "web", application.SourceReference("config", "web"), "host", interval=60.0
)
OLD, NEW = source.Revision("main", "sha1:1"), source.Revision("main", "sha1:2")
LIVE = resource.LiveState({})
GIT = record.Failure(record.Phase.RESOLVE, errors.SourceUnavailable("Git is away"))
BAD = record.Failure(record.Phase.RENDER, errors.RenderError("it is broken", hint="mend it"))
GONE = record.Failure(record.Phase.OBSERVE, errors.TargetUnavailable("no answer"))


def known() -> tenant.Tenant:
    """An application whose last good revision is the old one."""
    made = tenant.Tenant(APPLICATION, "")
    made.memory = record.Memory(inventory=inventory.Inventory("web"), last_good=OLD)
    made.looked = 100.0
    return made


def told(ending: record.Ending, **parts: object) -> record.Reconciliation:
    """A reconcile that saw the new revision."""
    return record.Reconciliation("1", "web", ending, 0.0, revision=NEW, **parts)  # type: ignore[arg-type]  # of a test


def test_applied() -> None:
    found = reporting.look(
        known(), told(record.Ending.APPLIED, applied_revision=NEW, live=LIVE, health=health.HEALTHY)
    )

    assert (found.applied, found.seen, found.status, found.reason) == (NEW, NEW, health.Status.HEALTHY, "")
    assert (found.place, found.path, found.at, found.interval) == ("config", "web", 100.0, 60.0)


@pytest.mark.parametrize(
    "failure, live, status",
    [
        (GIT, LIVE, health.Status.HEALTHY),
        (GIT, None, None),
        (BAD, LIVE, health.Status.DEGRADED),
        (BAD, None, None),
        (GONE, None, health.Status.UNKNOWN),
    ],
)
def test_failed(
    failure: record.Failure, live: resource.LiveState | None, status: health.Status | None
) -> None:
    """What was applied last stays what is told, whatever was seen; that Git is away says nothing of the target."""
    seen = health.HEALTHY if live is not None else health.UNKNOWN
    found = reporting.look(
        known(),
        told(record.Ending.FAILED, applied_revision=OLD, live=live, health=seen, failure=failure),
    )

    assert (found.applied, found.status) == (OLD, status)
    assert found.reason.startswith(failure.error.what)


def test_reasons_come_with_the_next_step() -> None:
    found = reporting.look(known(), told(record.Ending.FAILED, failure=BAD))

    assert found.reason == "it is broken; mend it"


def test_waiting() -> None:
    """A plan that waits is not applied, though its revision was used."""
    verdict = plan.Verdict((errors.ProjectForbids("not there", hint="ask"),))
    found = reporting.look(
        known(),
        told(record.Ending.WAITING, applied_revision=NEW, live=LIVE, health=health.HEALTHY, verdict=verdict),
    )

    assert (found.applied, found.ending, found.reason) == (OLD, "waiting", "not there; ask")


def test_not_healthy() -> None:
    bad = health.Health(health.Status.DEGRADED, "web crashes")
    found = reporting.look(known(), told(record.Ending.IN_SYNC, applied_revision=NEW, live=LIVE, health=bad))

    assert (found.status, found.reason) == (health.Status.DEGRADED, "web crashes")


def test_a_long_reason_is_cut() -> None:
    bad = health.Health(health.Status.DEGRADED, "x" * 10_000)

    assert len(reporting.look(known(), told(record.Ending.IN_SYNC, live=LIVE, health=bad)).reason) == 1000

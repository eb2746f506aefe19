"""What the stories of the engine have in common: one application on fakes, and how to reconcile it."""

from __future__ import annotations

import dataclasses

from tests.properties.engine import history
from undrift.model import application, record, resource

A, B, C = (resource.ResourceId.of("File", name) for name in "abc")
SITE = application.Application("site", application.SourceReference("config"), "place")


def file(rid: resource.ResourceId = A, value: int = 1, **more: object) -> resource.Resource:
    """A declared file."""
    return dataclasses.replace(resource.Resource(rid, {"x": value}), **more)  # type: ignore[arg-type]  # fields by name


def story(**policy: object) -> tuple[history.History, history.Tenant]:
    """One application with a policy."""
    declared = dataclasses.replace(SITE, policy=dataclasses.replace(application.Policy(), **policy))  # type: ignore[arg-type]  # fields by name
    tenant = history.Tenant(declared)
    return history.History(tenant), tenant


def told(world: history.History, name: str = "site", **how: bool) -> record.Reconciliation:
    """Reconcile, and be sure that the agent lived."""
    found = world.reconcile(name, **how)
    assert found is not None
    return found


def codes(found: record.Reconciliation) -> list[str]:
    """The codes of what stopped a plan."""
    assert found.verdict is not None
    return [stop.code for stop in found.verdict.stops]


def approve(world: history.History, digest: str) -> None:
    """A person says yes."""
    history.turn(world.database.approve(record.Approval("site", digest, "ada", 1.0)))

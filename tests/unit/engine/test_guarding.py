"""Guards: projects, dependencies, suspensions, windows."""

from __future__ import annotations

import dataclasses

import pytest

from tests.properties.engine import history
from tests.unit.engine.telling import A, codes, file, story, told
from undrift.model import application, health, record, resource, view


@pytest.mark.parametrize(
    "project,code",
    [
        (application.Project("p"), []),
        (application.Project("p", sources=("elsewhere",)), ["UD603"]),
        (application.Project("p", targets=()), ["UD603"]),
        (application.Project("p", kinds=("Service",)), ["UD603"]),
        (application.Project("p", namespaces=("web-*",)), ["UD603"]),
        (application.Project("p", accounts=("robot-*",)), ["UD603"]),
        (application.Project("p", accounts=("robot-*", "")), []),
    ],
)
def test_projects_are_enforced(project: application.Project, code: list[str]) -> None:
    """Which sources, targets, kinds, namespaces and accounts an application may use; else nobody even looks."""
    world, tenant = story()
    tenant.source.commit(dataclasses.replace(file(resource.ResourceId("File", "shop", "a"))))
    world.around = view.Surroundings(project=project, source_url="https://example.org/x", now=history.NOW)

    found = told(world)

    assert codes(found) == code
    assert (found.live is None) is bool(code)


@pytest.mark.parametrize(
    "peer,code",
    [
        (None, ["UD608"]),
        (view.Peer("db", health.HEALTHY, in_sync=True), []),
        (view.Peer("db", health.HEALTHY, in_sync=False), ["UD608"]),
        (view.Peer("db", health.Health(health.Status.DEGRADED, "ill"), in_sync=True), ["UD608"]),
    ],
)
def test_dependencies_have_to_be_healthy(peer: view.Peer | None, code: list[str]) -> None:
    """And in sync; why not is told."""
    world, tenant = story()
    tenant.declared = dataclasses.replace(tenant.declared, depends_on=("db",))
    tenant.source.commit(file(A))
    peers = {} if peer is None else {"db": peer}
    world.around = view.Surroundings(peers=peers, now=history.NOW)

    assert codes(told(world)) == code


def test_suspension_in_git_and_for_a_while() -> None:
    """A hold ends by itself."""
    world, tenant = story()
    tenant.source.commit(file(A))
    tenant.declared = dataclasses.replace(tenant.declared, suspended=True)
    assert codes(told(world)) == ["UD605"]

    tenant.declared = dataclasses.replace(tenant.declared, suspended=False)
    history.turn(world.database.hold(record.Hold("site", history.NOW + 60, "ada", "lunch"), "site"))
    held = told(world)
    assert codes(held) == ["UD605"]
    assert "lunch" in str(held.verdict and held.verdict.stops[0].why)

    history.turn(world.database.hold(record.Hold("site", history.NOW - 1, "ada"), "site"))
    assert told(world).ending is record.Ending.APPLIED


@pytest.mark.parametrize("opens", [True, False])
def test_windows_stop_and_say_when(opens: bool) -> None:
    """NOW is a Friday at 08:00 UTC."""
    days = frozenset({6}) if opens else frozenset({1, 2, 3, 4, 5, 6, 7})
    kind = application.WindowKind.ALLOW if opens else application.WindowKind.DENY
    world, tenant = story(windows=(application.Window(kind, days, 0, 0),))
    tenant.source.commit(file(A))
    found = told(world)

    assert codes(found) == ["UD607"]
    assert ("2027-01-16" if opens else "never") in str(found.verdict and found.verdict.stops[0].why)

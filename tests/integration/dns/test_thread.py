"""One A record on real name servers: plan, apply, drift, repair, prune."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import nameservers
from tests.integration.dns.world import World, changes
from undrift.model import record

ZONE = "example.test."


@pytest.fixture(scope="module", params=["bind", "knot", "powerdns"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[nameservers.NameServer]:
    start = getattr(nameservers, request.param)
    with start(tmp_path_factory.mktemp(request.param), "example.test") as found:
        yield found


WWW = "www:\n  type: A\n  ttl: 60\n  value: 192.0.2.1\n"


async def test_a_record_from_its_making_to_its_end(server: nameservers.NameServer) -> None:
    world = World(server)
    world.commit({"example.test.yaml": WWW})

    told = await world.reconcile()

    assert changes(told) == ["create A/example.test./www"], told
    assert told.ending is record.Ending.APPLIED, told.failure
    assert server.ask(f"www.{ZONE}", "A") == ["192.0.2.1"]
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC

    server.update(ZONE, ("replace", "www", "60", "A", "203.0.113.66"))
    told = await world.reconcile()
    assert changes(told) == ["update A/example.test./www"]
    assert told.plan is not None
    assert [(one.path, one.before, one.after) for one in told.plan.changes[0].fields] == [
        ("values.0", "203.0.113.66", "192.0.2.1")
    ]
    assert told.plan.changes[0].reason == "drift"
    assert server.ask(f"www.{ZONE}", "A") == ["192.0.2.1"]

    server.update(ZONE, ("add", "rogue", "60", "A", "203.0.113.7"))
    world.commit({"example.test.yaml": WWW.replace("www", "web")})
    told = await world.reconcile()
    assert sorted(changes(told)) == ["create A/example.test./web", "delete A/example.test./www"]
    assert server.ask(f"www.{ZONE}", "A") == []
    assert server.ask(f"rogue.{ZONE}", "A") == ["203.0.113.7"]
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC
    (mark,) = server.ask(f"_undrift.{ZONE}", "TXT")
    assert mark == f'"undrift=1 agent=agent application=web revision=main@sha1:{2:040x}"'

"""Somebody else changes the zone between plan and apply: nothing of theirs is overwritten."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from tests import nameservers
from tests.integration.dns.world import World, changes, codes
from undrift.model import inventory, plan, record

ZONE = "race.test."
FILE = "race.test.yaml"
WWW = "www: {type: A, ttl: 60, value: 192.0.2.1}\n"


@dataclasses.dataclass
class Late:
    """A session in which something happens after the plan and before the apply."""

    session: Any
    server: nameservers.NameServer
    steps: tuple[tuple[str, ...], ...]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    async def intend(self, some: Sequence[plan.Change], owner: inventory.Owner, revision: str) -> None:
        await self.session.intend(some, owner, revision)
        self.server.update(ZONE, *self.steps)


async def raced(world: World, *steps: tuple[str, ...]) -> record.Reconciliation:
    """A reconcile in which `steps` are made by hand at the worst moment."""
    return await world.reconcile(session=Late(await world.session(), world.server, steps))


async def test_what_changed_by_hand_since_the_plan_stays_and_is_planned_anew(
    server: nameservers.NameServer,
) -> None:
    world = World(server)
    world.commit({FILE: WWW})
    await world.reconcile()
    world.commit({FILE: WWW.replace(".1", ".2")})

    told = await raced(world, ("replace", "www", "60", "A", "203.0.113.9"))

    assert codes(told) == ["UD504"]
    assert server.ask(f"www.{ZONE}", "A") == ["203.0.113.9"]
    assert changes(await world.reconcile()) == ["update A/race.test./www"]
    assert server.ask(f"www.{ZONE}", "A") == ["192.0.2.2"]


@pytest.mark.parametrize(
    "declared, steps",
    [
        ("late: {type: A, ttl: 60, value: 192.0.2.1}", ("add", "late", "60", "A", "203.0.113.9")),
        ("late: {type: CNAME, ttl: 60, value: www.race.test.}", ("add", "late", "60", "AAAA", "2001:db8::9")),
        ("late: {type: A, ttl: 60, value: 192.0.2.1}", ("add", "late", "60", "CNAME", "ns1.race.test.")),
    ],
    ids=["the same", "another type", "an alias"],
)
async def test_what_appeared_since_the_plan_is_a_strangers(
    bind: nameservers.NameServer, declared: str, steps: tuple[str, ...]
) -> None:
    """A name server leaves out in silence what cannot stand beside an alias: so it is forbidden by prerequisites."""
    world = World(bind)
    world.commit({FILE: WWW + "\nother: {type: A, ttl: 60, value: 192.0.2.7}\n" + declared})

    told = await raced(world, steps)

    assert codes(told) == ["UD504"]
    assert bind.ask(f"late.{ZONE}", steps[3]) == [steps[4]]
    assert bind.ask(f"other.{ZONE}", "A") == []
    bind.update(ZONE, ("delete", "late"), ("delete", "www"))


async def test_a_change_elsewhere_in_the_zone_does_not_matter(server: nameservers.NameServer) -> None:
    world = World(server)
    world.commit({FILE: WWW.replace("www", "web")})

    told = await raced(world, ("add", "elsewhere", "60", "A", "203.0.113.9"))

    assert told.ending is record.Ending.APPLIED, told.failure
    assert server.ask(f"elsewhere.{ZONE}", "A") == ["203.0.113.9"]
    server.update(ZONE, ("delete", "elsewhere", "A"))

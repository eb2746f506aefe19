"""Whose a record is: strangers, two applications in a zone, a lost database, whole zones, octoDNS' own marks."""

from __future__ import annotations

from typing import Any

from tests import nameservers
from tests.integration.dns.world import UNLIMITED, World, changes, codes
from undrift.model import application, record

ZONE = "owner.test."
FILE = "owner.test.yaml"


def a(*names: str, value: str = "192.0.2.1") -> str:
    """Addresses."""
    return "".join(f"{name}: {{type: A, ttl: 60, value: {value}}}\n" for name in names)


async def end(world: World, *names: str, **declared: Any) -> None:
    """What was made by a test goes."""
    for name in names or ("web",):
        world.commit({FILE: ""}, name)
        policy = {"allow_empty": True, "deletion_limit": UNLIMITED, "delete_protected": ("*",)}
        await world.reconcile(name, policy=policy, **declared)


async def test_adoption_is_asked_for(bind: nameservers.NameServer) -> None:
    bind.update(ZONE, ("add", "old", "60", "A", "203.0.113.7"))
    world = World(bind)
    world.commit({FILE: a("old")})

    told = await world.reconcile()
    assert codes(told) == ["UD609"]
    assert bind.ask(f"old.{ZONE}", "A") == ["203.0.113.7"]

    told = await world.reconcile(policy={"adopt": ("A/owner.test./old",)})
    assert (told.ending, changes(told)) == (record.Ending.APPLIED, ["adopt A/owner.test./old"])
    assert bind.ask(f"old.{ZONE}", "A") == ["192.0.2.1"]
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC
    await end(world)
    assert bind.ask(f"old.{ZONE}", "A") == []


async def test_two_applications_with_parts_of_a_zone_leave_one_another_alone(
    server: nameservers.NameServer,
) -> None:
    world = World(server)
    world.commit({FILE: a("web1", "web2")}, "web")
    world.commit({FILE: a("shop1")}, "shop")
    assert (await world.reconcile("web")).ending is record.Ending.APPLIED
    assert (await world.reconcile("shop")).ending is record.Ending.APPLIED
    assert len(server.ask(f"_undrift.{ZONE}", "TXT")) == 2

    world.commit({FILE: a("web1")}, "web")
    assert changes(await world.reconcile("web")) == ["delete A/owner.test./web2"]
    assert (await world.reconcile("shop")).ending is record.Ending.IN_SYNC

    world.commit({FILE: a("shop1", "web1")}, "shop")
    assert codes(await world.reconcile("shop", policy={"adopt": ("*",)})) == ["UD610"]
    world.commit({FILE: ""}, "web")
    told = await world.reconcile("web", policy={"allow_empty": True})
    assert changes(told) == []
    told = await world.reconcile("shop", takes_from=frozenset({"web"}))
    assert changes(told) == ["adopt A/owner.test./web1"]
    assert server.ask(f"web1.{ZONE}", "A") == ["192.0.2.1"]
    await end(world, "shop", "web")


async def test_a_lost_database_is_made_good_from_the_mark_of_the_zone(server: nameservers.NameServer) -> None:
    """What vanished from Git since is ours still, and what a stranger made is not."""
    world = World(server)
    world.commit({FILE: a("kept", "gone")})
    await world.reconcile()
    server.update(ZONE, ("add", "stranger", "60", "A", "203.0.113.7"))
    world.commit({FILE: a("kept")})
    world.forget()

    told = await world.reconcile()

    assert (codes(told), changes(told)) == (["UD612"], ["delete A/owner.test./gone"])
    await world.database.resume("web")
    assert (await world.reconcile()).ending is record.Ending.APPLIED
    assert server.ask(f"stranger.{ZONE}", "A") == ["203.0.113.7"]
    assert server.ask(f"gone.{ZONE}", "A") == []
    await end(world)
    server.update(ZONE, ("delete", "stranger", "A"))


async def test_a_mark_that_was_removed_comes_back(bind: nameservers.NameServer) -> None:
    world = World(bind)
    world.commit({FILE: a("www")})
    await world.reconcile()
    bind.update(ZONE, ("delete", "_undrift", "TXT"))

    told = await world.reconcile()

    assert (told.ending, changes(told)) == (record.Ending.APPLIED, ["mark Zone/owner.test."])
    assert len(bind.ask(f"_undrift.{ZONE}", "TXT")) == 1
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC
    await end(world)
    assert bind.ask(f"_undrift.{ZONE}", "TXT") == []


async def test_a_released_record_stays(bind: nameservers.NameServer) -> None:
    world = World(bind)
    world.commit({FILE: a("www")})
    await world.reconcile()

    told = await world.reconcile(decommissioned=True, deletion_policy=application.DeletionPolicy.ORPHAN)

    assert changes(told) == ["release A/owner.test./www"]
    assert bind.ask(f"www.{ZONE}", "A") == ["192.0.2.1"]
    assert bind.ask(f"_undrift.{ZONE}", "TXT") == []
    bind.update(ZONE, ("delete", "www", "A"))


async def test_a_zone_that_is_wholly_ours(server: nameservers.NameServer) -> None:
    """First it is taken over, then what nobody declared goes, within the limit on deletions."""
    server.update(ZONE, ("add", "rogue", "60", "A", "203.0.113.7"))
    world = World(server, {"zones": {"owner.test": {"ownership": "zone"}}})
    text = (
        a("www")
        + "'': {type: NS, ttl: 300, value: ns1.owner.test.}\nns1: {type: A, ttl: 300, value: 127.0.0.1}\n"
    )
    world.commit({FILE: text})

    told = await world.reconcile()
    assert told.ending is record.Ending.APPLIED, (told.failure, codes(told))
    assert server.ask(f"rogue.{ZONE}", "A") == ["203.0.113.7"]
    told = await world.reconcile()
    assert changes(told) == ["delete A/owner.test./rogue"], told
    assert server.ask(f"rogue.{ZONE}", "A") == []

    server.update(ZONE, ("add", "rogue", "60", "A", "203.0.113.7"))
    assert changes(await world.reconcile()) == ["delete A/owner.test./rogue"]

    other = World(server, world.settings, agent="another")
    other.commit({FILE: text})
    assert codes(await other.reconcile(policy={"adopt": ("*",)})) == ["UD609"]

    world.commit({"README.md": ""})
    told = await world.reconcile(policy={"allow_empty": True})
    assert (changes(told), [one.code for one in told.warnings]) == ([], ["UD604"])
    assert server.ask(f"www.{ZONE}", "A") == ["192.0.2.1"]
    server.update(ZONE, ("delete", "_undrift", "TXT"), ("delete", "www", "A"))


async def test_octodns_own_marks(bind: nameservers.NameServer) -> None:
    """A TXT record beside each record, made, read and pruned by octoDNS' processor."""
    bind.update(ZONE, ("add", "foreign", "60", "A", "203.0.113.7"))
    world = World(bind, {"ownership": "octodns"})
    world.commit({FILE: a("one", "two")})

    assert (await world.reconcile()).ending is record.Ending.APPLIED
    assert bind.ask(f"_owner.a.one.{ZONE}", "TXT") == ['"undrift agent=agent application=web"']
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC
    world.commit({FILE: a("one")})
    told = await world.reconcile()
    assert "delete A/owner.test./two" in changes(told)
    assert told.ending is record.Ending.APPLIED, told.failure
    assert bind.ask(f"_owner.a.two.{ZONE}", "TXT") == []
    assert bind.ask(f"two.{ZONE}", "A") == []
    assert bind.ask(f"foreign.{ZONE}", "A") == ["203.0.113.7"]
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC


async def test_processors_of_octodns_filter_what_is_planned(bind: nameservers.NameServer) -> None:
    kind = "octodns.processor.filter.TypeAllowlistFilter"
    world = World(bind, {"processors": [{"class": kind, "allowlist": ["A"]}]})
    world.commit({FILE: a("only") + "left: {type: TXT, ttl: 60, value: out}\n"})

    told = await world.reconcile()

    assert changes(told) == ["create A/owner.test./only"]
    await end(world)

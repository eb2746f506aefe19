"""A zone of 10,000 records transferred and planned, beside octoDNS' own provider doing the same in the same run."""

from __future__ import annotations

import asyncio

import octodns_bind
from octodns.record import Record
from octodns.zone import Zone

from benchmarks import zones
from tests.integration.dns.world import World


async def whole(world: World) -> None:
    """Transfer, plan and translate, beside octoDNS' own provider doing its part."""
    situation = await zones.seen(world)
    session = await world.session()
    place = session._place  # type: ignore[attr-defined]  # noqa: SLF001 - so that everything is transferred again

    async def ours() -> None:
        place.forget(zones.ZONE)
        live = await session.observe(situation.desired.resources, zones.OWNER)
        previews = await session.preview(zones.within(situation, live))
        assert previews.native == ()

    options = {**world.server.settings["options"], "key_secret": world.server.key}
    provider = octodns_bind.Rfc2136Provider("peer", **options)
    desired = Zone(zones.ZONE, [])
    for rid, one in situation.desired.resources.items():
        data = {"type": "A", "ttl": 300, "value": one.fields["values"][0]}
        desired.add_record(Record.new(desired, rid.name, data))

    async def theirs() -> None:
        # octoDNS' source gives the zone anew for each run, as loading does for us once a commit.
        found = provider.plan(desired)
        assert all(change.record.name in {"", "ns1", "_undrift"} for change in found.changes)

    results = await zones.alternately(ours, theirs, 5)
    print(f"ours {results[0] * 1000:.0f} ms, octoDNS {results[1] * 1000:.0f} ms")
    zones.tell("dns-plan-10000", results[0] * 1000, "ms", results[1] * 1000)


async def main() -> None:
    async with zones.applied() as world:
        await whole(world)


if __name__ == "__main__":
    asyncio.run(main())

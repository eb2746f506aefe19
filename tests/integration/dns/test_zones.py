"""Zones that are made and removed, signed, large, and served by several."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Iterator

import dns.dnssec
import dns.message
import dns.name
import dns.query
import dns.rdatatype
import dns.rrset
import pytest

from tests import nameservers
from tests.integration.dns.world import UNLIMITED, World, changes, codes
from undrift.model import health, inventory, record

NEW = """\
'': {type: NS, ttl: 300, value: ns1.fresh.test.}
ns1: {type: A, ttl: 300, value: 127.0.0.1}
www: {type: A, ttl: 60, value: 192.0.2.1}
"""
WWW = "www: {type: A, ttl: 60, value: 192.0.2.1}\n"


@pytest.fixture(params=["bind", "knot", "powerdns"])
def empty(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[nameservers.NameServer]:
    """Each of the three, which has one zone that nobody asks about."""
    with getattr(nameservers, request.param)(tmp_path, "spare.test") as found:
        if request.param != "powerdns":
            # rndc and knotc make a zone of a file that is there.
            text = nameservers.ZONE_FILE.format(zone="fresh.test")
            (tmp_path / "fresh.test.zone").write_text(text)
        yield found


async def test_a_zone_is_made_and_removed_where_git_says_so(empty: nameservers.NameServer) -> None:
    settings = {"ownership": "zone"}
    if empty.kind != "powerdns":
        settings["control"] = empty.controlled  # type: ignore[assignment]  # a mapping
    world = World(empty, settings)
    world.commit({"fresh.test.yaml": NEW})

    told = await world.reconcile()

    assert "create Zone/fresh.test." in changes(told), (codes(told), told.failure)
    assert told.ending is record.Ending.APPLIED, told.failure
    assert empty.ask("www.fresh.test.", "A") == ["192.0.2.1"]
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC

    world.commit({"README.md": ""})
    policy = {"allow_empty": True, "deletion_limit": UNLIMITED}
    told = await world.reconcile(policy=policy)
    assert (changes(told), [one.code for one in told.warnings]) == ([], ["UD604"])
    assert empty.ask("www.fresh.test.", "A") == ["192.0.2.1"]

    told = await world.reconcile(policy={**policy, "delete_protected": ("Zone/fresh.test.",)})
    if told.plan is not None and codes(told) == ["UD617"]:
        await world.database.approve(record.Approval("web", told.plan.digest, "ada", 1.0))
        told = await world.reconcile(policy={**policy, "delete_protected": ("Zone/fresh.test.",)})
    assert told.ending is record.Ending.APPLIED, (codes(told), told.failure)
    assert empty.ask("www.fresh.test.", "A") == []
    world.commit({"fresh.test.yaml": NEW})


async def test_without_a_way_a_missing_zone_is_an_error(bind: nameservers.NameServer) -> None:
    world = World(bind, {"ownership": "zone"})
    world.commit({"fresh.test.yaml": NEW})

    assert codes(await world.reconcile()) == ["UD502"]


async def test_a_signed_zone_goes_on_being_valid(tmp_path: pathlib.Path) -> None:
    """Checked as a validating resolver does: each answer's signature by the zone's own keys (RFC 4035)."""
    with nameservers.knot(tmp_path, signed=["signed.test"]) as server:
        world = World(server)
        world.commit({"signed.test.yaml": WWW})
        assert (await world.reconcile()).ending is record.Ending.APPLIED
        first = _validated(server, "www.signed.test.", "A")
        assert first == {"192.0.2.1"}

        world.commit(
            {"signed.test.yaml": WWW.replace(".1}", ".2}") + "new: {type: TXT, ttl: 60, value: x}\n"}
        )
        told = await world.reconcile()
        assert sorted(changes(told)) == ["create TXT/signed.test./new", "update A/signed.test./www"]
        assert _validated(server, "www.signed.test.", "A") == {"192.0.2.2"}
        assert _validated(server, "new.signed.test.", "TXT") == {'"x"'}
        assert (await world.reconcile()).ending is record.Ending.IN_SYNC


def _validated(server: nameservers.NameServer, name: str, kind: str) -> set[str]:
    zone = dns.name.from_text("signed.test.")
    keys, _ = _signed(server, zone, "DNSKEY", {})
    found, _ = _signed(server, dns.name.from_text(name), kind, {zone: keys})
    return {str(rdata) for rdata in found}


def _signed(
    server: nameservers.NameServer, name: dns.name.Name, kind: str, keys: dict[dns.name.Name, dns.rrset.RRset]
) -> tuple[dns.rrset.RRset, dns.rrset.RRset]:
    query = dns.message.make_query(name, kind, want_dnssec=True)
    answer = dns.query.tcp(query, "127.0.0.1", 5, server.port)
    wanted = dns.rdatatype.from_text(kind)
    found = next(one for one in answer.answer if one.rdtype == wanted)
    signature = next(
        one for one in answer.answer if one.rdtype == dns.rdatatype.RRSIG and one.covers == wanted
    )
    dns.dnssec.validate(found, signature, keys or {name: found})  # type: ignore[arg-type]  # rrsets are nodes' rdatasets
    return found, signature


async def test_ten_thousand_records(tmp_path: pathlib.Path) -> None:
    """In as many messages as they need; a small change then transfers no zone."""
    text = "".join(
        f"h{index}: {{type: A, ttl: 300, value: 10.0.{index >> 8}.{index & 255}}}\n"
        for index in range(10_000)
    )
    with nameservers.bind(tmp_path, "big.test") as server:
        world = World(server)
        world.commit({"big.test.yaml": text})
        told = await world.reconcile()
        assert told.ending is record.Ending.APPLIED, told.failure
        assert server.ask("h9999.big.test.", "A") == ["10.0.39.15"]
        before = (tmp_path / "log").read_text().count("AXFR started")
        world.commit({"big.test.yaml": text.replace("10.0.0.5}", "10.9.9.9}").replace("h6:", "g6:")})

        told = await world.reconcile()

        assert sorted(changes(told)) == [
            "create A/big.test./g6",
            "delete A/big.test./h6",
            "update A/big.test./h5",
        ]
        assert told.ending is record.Ending.APPLIED, told.failure
        assert (await world.reconcile()).ending is record.Ending.IN_SYNC
        assert (tmp_path / "log").read_text().count("AXFR started") == before


async def test_name_servers_that_lag_are_named(tmp_path: pathlib.Path) -> None:
    """A change is healthy once every name server answers with it."""
    with (
        nameservers.bind(tmp_path / "one", "example.test") as primary,
        nameservers.bind(tmp_path / "two", "example.test") as late,
    ):
        servers = [f"127.0.0.1:{primary.port}", f"127.0.0.1:{late.port}"]
        world = World(primary, {"nameservers": servers})
        world.commit({"example.test.yaml": WWW})

        told = await world.reconcile(policy={"health_timeout": 0.5})

        assert codes(told) == ["UD507"]
        assert f"127.0.0.1:{late.port} still answers nothing for www.example.test. A" in told.health.reason
        assert str(primary.port) not in told.health.reason

        late.update("example.test.", ("add", "www", "60", "A", "192.0.2.1"))
        told = await world.reconcile()
        assert (told.ending, told.health.status) == (record.Ending.IN_SYNC, health.Status.HEALTHY)


async def test_a_zone_that_moves_is_told(bind: nameservers.NameServer) -> None:
    """By its serial, which is asked for again and again."""
    world = World(bind, {"interval": 0.05})
    world.commit({"example.test.yaml": WWW})
    session = await world.session()
    await session.observe([], inventory.Owner("agent", "web"))
    await world.reconcile()
    watch = session.watch()
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    begun = time.monotonic()
    bind.update("example.test.", ("replace", "www", "60", "A", "203.0.113.1"))

    assert await asyncio.wait_for(waiting, 5) == frozenset()
    assert time.monotonic() - begun < 2
    assert changes(await world.reconcile()) == ["update A/example.test./www"]

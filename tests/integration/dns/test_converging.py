"""Records on real name servers, from their making to their end."""

from __future__ import annotations

from tests import nameservers
from tests.integration.dns.world import UNLIMITED, World, changes
from undrift.model import record

ZONE = "example.test."
WWW = "www:\n  type: A\n  ttl: 60\n  value: 192.0.2.1\n"
EVERYTHING = """\
www:
- type: A
  ttl: 60
  values: [192.0.2.1, 192.0.2.2]
- type: AAAA
  ttl: 60
  value: 2001:db8::1
mx1: {type: A, ttl: 300, value: 192.0.2.25}
mail: {type: MX, ttl: 300, values: [{preference: 10, exchange: mx1.example.test.}]}
text: {type: TXT, ttl: 300, values: ["v=spf1 -all", "a\\\\;b", "LONG"]}
_sip._tcp: {type: SRV, ttl: 300, value: {priority: 1, weight: 2, port: 5060, target: www.example.test.}}
alias: {type: CNAME, ttl: 60, value: www.example.test.}
'*.wild': {type: A, ttl: 60, value: 192.0.2.3}
caa: {type: CAA, ttl: 60, values: [{flags: 0, tag: issue, value: ca.test}]}
bücher: {type: A, ttl: 60, value: 192.0.2.4}
""".replace("LONG", "x" * 300)


async def test_a_record_from_its_making_to_its_end(server: nameservers.NameServer) -> None:
    world = World(server)
    world.commit({"example.test.yaml": WWW})

    told = await world.reconcile()

    assert changes(told) == ["create A/example.test./www"]
    assert told.ending is record.Ending.APPLIED, told.failure
    assert server.ask(f"www.{ZONE}", "A") == ["192.0.2.1"]
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC

    server.update(ZONE, ("replace", "www", "60", "A", "203.0.113.66"))
    told = await world.reconcile()
    assert changes(told) == ["update A/example.test./www"]
    assert told.plan is not None
    (change,) = told.plan.changes
    fields = [(one.path, one.before, one.after) for one in change.fields]
    assert (fields, change.reason) == ([("values.0", "203.0.113.66", "192.0.2.1")], "drift")
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
    server.update(ZONE, ("delete", "rogue", "A"))


async def test_every_type_and_a_name_that_becomes_another_type(server: nameservers.NameServer) -> None:
    """octoDNS' YAML and a zone file say the same; an address that becomes an alias is never gone between."""
    world = World(server)
    world.commit({"example.test.yaml": EVERYTHING}, "types")
    told = await world.reconcile("types")
    assert told.ending is record.Ending.APPLIED, told.failure
    assert told.plan is not None
    assert len(told.plan.waves) == 1
    assert server.ask(f"xn--bcher-kva.{ZONE}", "A") == ["192.0.2.4"]
    assert server.ask(f"text.{ZONE}", "TXT") == ['"a;b"', '"v=spf1 -all"', f'"{"x" * 255}" "{"x" * 45}"']
    assert (await world.reconcile("types")).ending is record.Ending.IN_SYNC

    world.commit({"example.test.zone": _as_zone_file(server)}, "types")
    told = await world.reconcile("types")
    assert (told.ending, changes(told)) == (record.Ending.IN_SYNC, []), told.failure

    swapped = EVERYTHING.replace(
        "mx1: {type: A, ttl: 300, value: 192.0.2.25}\nmail: {type: MX, ttl: 300, values: [{preference: 10, exchange: mx1.example.test.}]}",
        "mx1: {type: CNAME, ttl: 60, value: www.example.test.}",
    ).replace(
        "alias: {type: CNAME, ttl: 60, value: www.example.test.}",
        "alias: {type: A, ttl: 60, value: 192.0.2.9}",
    )
    world.commit({"example.test.yaml": swapped}, "types")
    told = await world.reconcile("types")
    assert told.ending is record.Ending.APPLIED, told.failure
    assert server.ask(f"mx1.{ZONE}", "CNAME") == ["www.example.test."]
    assert server.ask(f"alias.{ZONE}", "A") == ["192.0.2.9"]
    assert (await world.reconcile("types")).ending is record.Ending.IN_SYNC
    world.commit({"example.test.yaml": ""}, "types")
    policy = {"allow_empty": True, "deletion_limit": UNLIMITED}
    assert (await world.reconcile("types", policy=policy)).ending is record.Ending.APPLIED
    assert server.ask(f"_undrift.{ZONE}", "TXT")[-1:] != []
    assert not any("application=types" in text for text in server.ask(f"_undrift.{ZONE}", "TXT"))


def _as_zone_file(server: nameservers.NameServer) -> str:
    """What the server answers, as somebody would write it down."""
    names = {
        "www": ("A", "AAAA"), "mx1": ("A",), "mail": ("MX",), "text": ("TXT",), "_sip._tcp": ("SRV",),
        "alias": ("CNAME",), "*.wild": ("A",), "caa": ("CAA",), "xn--bcher-kva": ("A",),
    }  # fmt: skip
    ttls = {"mx1": 300, "mail": 300, "text": 300, "_sip._tcp": 300}
    lines = [f"$ORIGIN {ZONE}"]
    for name, types in names.items():
        for kind in types:
            lines += [
                f"{name} {ttls.get(name, 60)} IN {kind} {value}"
                for value in server.ask(f"{name}.{ZONE}", kind)
            ]
    return "\n".join(lines) + "\n"


async def test_names_that_are_not_ascii(server: nameservers.NameServer) -> None:
    """A zone and its records, as people write them."""
    world = World(server)
    world.commit({"bücher.test.yaml": "straße: {type: A, ttl: 60, value: 192.0.2.1}\n"})

    assert (await world.reconcile()).ending is record.Ending.APPLIED
    assert server.ask("xn--strae-oqa.xn--bcher-kva.test.", "A") == ["192.0.2.1"]
    assert (await world.reconcile()).ending is record.Ending.IN_SYNC


async def test_the_serial_saves_the_transfer_and_the_transfer_is_made_now_and_then(
    bind: nameservers.NameServer,
) -> None:
    """Some servers change data without the serial: what a serial cannot tell is found by a whole transfer."""
    world = World(bind, {"transferEvery": "1h"})
    world.commit({"other.test.yaml": WWW})
    await world.reconcile()
    session = await world.session()
    place = session._place  # type: ignore[attr-defined]  # this provider's own
    seen = place.seen("other.test.")

    assert (await world.reconcile()).ending is record.Ending.IN_SYNC
    assert place.seen("other.test.").source is seen.source
    eager = World(bind, {"transferEvery": 0.000001}, world.database, sources=world.sources)
    assert (await eager.reconcile()).ending is record.Ending.IN_SYNC
    first = (await eager.session())._place.seen("other.test.")  # type: ignore[attr-defined]  # this provider's own
    assert (await eager.reconcile()).ending is record.Ending.IN_SYNC
    assert (await eager.session())._place.seen("other.test.").source is not first.source  # type: ignore[attr-defined]  # this provider's own

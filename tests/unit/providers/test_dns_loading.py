"""Zones in the formats people have: one file, a folder, overrides, zone files; settings; marks."""

from __future__ import annotations

from typing import Any

import pytest

from undrift import errors, interfaces
from undrift.model import inventory, resource, source, target
from undrift.providers.dns import loading, marks, settings
from undrift.renderers import plain

ORIGIN = errors.Origin("undrift/dns.yaml", 3)


async def loaded(files: dict[str, str], **given: Any) -> resource.DesiredState:
    """What files of an application at `dns` declare."""
    content = {name: source.File(text.encode()) for name, text in files.items()}
    artifact = source.Artifact(source.Revision("main", "sha1:1"), "dns", "d", content)
    rendered = await plain.PlainRenderer().render(artifact, interfaces.Recipe("dns"), target.NO_FACTS)
    return loading.load(rendered, settings.read(place(**given)))


def place(**given: Any) -> target.Target:
    """A Target with these settings."""
    return target.Target("names", "dns", settings={"options": {"host": "192.0.2.53"}, **given}, origin=ORIGIN)


def shown(found: resource.DesiredState) -> dict[str, Any]:
    """Ids and values."""
    return {str(rid): one.fields["values"] for rid, one in found.resources.items() if "values" in one.fields}


async def test_one_file_a_folder_and_a_zone_file() -> None:
    found = await loaded(
        {
            "a.test.yaml": "www:\n- type: A\n  value: 192.0.2.1\n- {type: AAAA, value: '2001:db8::1'}\n'': {type: TXT, value: x}\n",
            "b.test./www.yaml": "www: {type: A, ttl: 60, values: [192.0.2.2, 192.0.2.1]}\n",
            "b.test./$b.test.yaml": "'': {type: MX, value: {preference: 10, exchange: www.b.test.}}\n",
            "zones/db.c.test": "$TTL 60\n@ SOA a. b. 1 2 3 4 5\nwww A 192.0.2.3\n",
            "README.md": "# Zones\n",
        }
    )

    assert shown(found) == {
        "A/a.test./www": ("192.0.2.1",),
        "AAAA/a.test./www": ("2001:db8::1",),
        "TXT/a.test./@": ('"x"',),
        "A/b.test./www": ("192.0.2.1", "192.0.2.2"),
        "MX/b.test./@": ("10 www.b.test.",),
        "A/c.test./www": ("192.0.2.3",),
    }
    where = {str(rid): str(one.origin) for rid, one in found.resources.items()}
    assert where["AAAA/a.test./www"] == "dns/a.test.yaml:4:3"
    assert where["A/c.test./www"] == "dns/zones/db.c.test:3"
    second = found.resources[resource.ResourceId("A", "b.test.", "www")]
    assert str(second.place("values.0")) == "dns/b.test./www.yaml:1:45"
    assert found.resources[resource.ResourceId("A", "a.test.", "www")].fields["ttl"] == 3600


async def test_an_override_takes_the_place_of_a_record_and_two_of_a_kind_are_an_error() -> None:
    files = {
        "a.test.yaml": "www: {type: A, value: 192.0.2.1}\nleft: {type: A, value: 192.0.2.9}\n",
        "internal/a.test.yaml": "www: {type: A, value: 10.0.0.1}\n",
    }

    assert shown(await loaded(files, overrides=["**/internal/*"])) == {
        "A/a.test./www": ("10.0.0.1",),
        "A/a.test./left": ("192.0.2.9",),
    }
    with pytest.raises(errors.ResourceTwice) as twice:
        await loaded(files)
    assert (str(twice.value.origin), twice.value.why) == (
        "dns/internal/a.test.yaml:1:1",
        "first at dns/a.test.yaml:1:1",
    )


async def test_everything_that_is_wrong_is_told_at_once_with_its_line() -> None:
    with pytest.raises(errors.Several) as several:
        await loaded(
            {
                "a.test.yaml": "www: {type: A, value: 192.0.2.444}\nalias: {type: CNAME, value: gone.a.test.}\n"
                "_undrift: {type: TXT, value: mine}\n",
                "b.test.zone": "www 60 A\n",
                "notes.yaml": "- a\n",
            }
        )

    assert sorted(str(one.origin) for one in several.value.parts) == [
        "dns/a.test.yaml:1:16",
        "dns/a.test.yaml:2:22",
        "dns/a.test.yaml:3:1",
        "dns/b.test.zone:1",
        "dns/notes.yaml:1",
    ]


async def test_names_that_are_not_ascii_are_kept_as_dns_has_them() -> None:
    found = await loaded({"bücher.test.yaml": "straße: {type: A, value: 192.0.2.1}\n"})

    assert list(shown(found)) == ["A/xn--bcher-kva.test./xn--strae-oqa"]


async def test_a_zone_that_is_wholly_ours_is_declared_itself() -> None:
    found = await loaded({"a.test.yaml": "www: {type: A, value: 192.0.2.1}\n"}, ownership="zone")

    assert [str(rid) for rid in found.resources] == ["Zone/a.test.", "A/a.test./www"]
    assert all(one.adopt for one in found.resources.values())


async def test_semicolons_as_octodns_writes_them_and_without() -> None:
    escaped = await loaded({"a.test.yaml": "k: {type: TXT, value: 'a\\;b'}\n"})
    plainly = await loaded({"a.test.yaml": "k: {type: TXT, value: 'a;b'}\n"}, escapedSemicolons=False)

    assert shown(escaped) == shown(plainly) == {"TXT/a.test./k": ('"a;b"',)}


async def test_settings_are_read_whole_and_what_is_wrong_is_told_at_once() -> None:
    found = settings.read(
        place(
            ownership="zone",
            nameservers=["192.0.2.1", "ns.example.org:5353", "[2001:db8::1]:53"],
            zones={"a.test": {"ownership": "records"}},
            secrets={"key_secret": {"env": "KEY"}},
            interval="5m",
        )
    )
    assert found.of("b.test.").nameservers == (
        ("192.0.2.1", 53),
        ("ns.example.org", 5353),
        ("2001:db8::1", 53),
    )
    assert (found.of("a.test.").ownership, found.interval) == (settings.Ownership.RECORDS, 300.0)

    with pytest.raises(errors.Several) as several:
        settings.read(
            place(
                ownerships="zone",
                provider="bind",
                secrets={"a": "plain"},
                nameservers="one",
                interval="soon",
                zones={"a": {"own": 1}},
                processors=[{}],
                control={"program": "sh"},
                defaultTtl=0,
                overrides="x",
                escapedSemicolons=1,
                ownership="mine",
            )
        )
    assert len(several.value.parts) == 12
    assert all(one.origin == ORIGIN for one in several.value.parts)
    assert "plain" not in str(several.value)


@pytest.mark.parametrize("earlier", ["", "main@sha1:1"])
def test_a_mark_is_read_as_it_was_written(earlier: str) -> None:
    owner = inventory.Owner("production", "web")
    mark = marks.Mark("production", "web", "main@sha1:2", earlier)
    other = marks.Mark("production", "shop", "v1@sha1:3")

    assert marks.read(mark.text()) == mark
    found = marks.known("a.test.", [mark.text(), other.text(), "something else"])
    ours = [(one.revision, one.pending) for one in found if owner.owns(one)]
    assert ours == ([("main@sha1:2", True), ("main@sha1:1", False)] if earlier else [("main@sha1:2", False)])
    assert marks.replaced([mark.text(), other.text()], owner, None) == (other.text(),)
    assert marks.others([mark.text(), other.text()], owner) == (other,)
